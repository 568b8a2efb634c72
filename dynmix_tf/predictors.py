"""Predictors: functions from uint8 images to probabilities, of any model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from dynmix_tf.errors import InputError

__all__ = ["check_model", "load_predictor", "network_predictor"]

Predict = Callable[[np.ndarray], np.ndarray]


def load_predictor(path: str | Path) -> Predict:
    """A function from uint8 images to probabilities, of a saved model.

    Args:
        path: A `.keras` file of a network that returns logits, or the folder of a SavedModel with
            an endpoint `serve` from `image` uint8 to probabilities, as
            `dynmix_tf.export_saved_model` writes.

    Returns:
        `(N, H, W, C) uint8 -> (N, classes) float32`.

    Raises:
        InputError: There is nothing, or nothing that is a model.

    Example:
        >>> dynmix_tf.export_saved_model(network, "export")
        >>> predict = load_predictor("export")
        >>> predict(images[:8]).shape
        (8, 10)
    """
    check_model(path)
    if Path(path).is_dir():
        return _saved_model_predictor(Path(path))
    from dynmix_tf.export import load_model

    return network_predictor(load_model(path))


def check_model(path: str | Path) -> None:
    """Raises `InputError` unless the path looks like a model; TensorFlow is not imported."""
    path = Path(path)
    expected = "expected a .keras file or a SavedModel folder (one with saved_model.pb)"
    if not path.exists():
        raise InputError(f"no model at {path}; {expected}")
    is_model = (path / "saved_model.pb").is_file() if path.is_dir() else path.suffix == ".keras"
    if not is_model:
        raise InputError(f"{path} is no model; {expected}")


def network_predictor(network: Any) -> Predict:
    """The same of a Keras network, from images 0..255 to logits."""
    import keras

    from dynmix_tf.consistency import ConsistencyModel

    if isinstance(network, ConsistencyModel):
        network = network.network
    expected = network.input_shape

    def forward(images: Any) -> Any:
        logits = network(keras.ops.cast(images, "float32"), training=False)
        return keras.ops.softmax(keras.ops.cast(logits, "float32"))

    compute = _compiled(forward) if keras.backend.backend() == "tensorflow" else None

    def predict(images: np.ndarray) -> np.ndarray:
        _check_shape(images, expected)
        if compute is not None:
            return compute(images)
        # by `predict` the weights are arguments of what JAX compiles, not constants in it
        logits = network.predict_on_batch(images.astype("float32"))
        return np.asarray(keras.ops.softmax(keras.ops.cast(logits, "float32")))

    return predict


def _compiled(forward: Callable[[Any], Any]) -> Predict:
    import tensorflow as tf

    function = tf.function(forward)
    return lambda images: function(tf.constant(images)).numpy()


def _saved_model_predictor(path: Path) -> Predict:
    import tensorflow as tf

    try:
        loaded = tf.saved_model.load(str(path))
        serve = loaded.signatures["serve"]
        image = serve.structured_input_signature[1]["image"]
    except (OSError, ValueError, KeyError, tf.errors.OpError) as error:
        raise InputError(
            f"{path} is no SavedModel with an endpoint `serve` from `image` uint8 to "
            f"probabilities: {str(error).splitlines()[0]}"
        ) from None
    if image.dtype != tf.uint8:
        raise InputError(f"{path}: `serve` takes {image.dtype.name} images; expected uint8")

    def predict(images: np.ndarray) -> np.ndarray:
        _check_shape(images, image.shape)
        (probabilities,) = serve(image=tf.constant(images)).values()
        return probabilities.numpy()

    predict.owner = loaded  # type: ignore[attr-defined]  # a signature does not keep its variables
    return predict


def _check_shape(images: np.ndarray, expected: Any) -> None:
    # TensorFlow itself would run on, and score noise
    pairs = zip(images.shape[1:], tuple(expected)[1:], strict=True)
    if any(wanted not in (None, came) for came, wanted in pairs):
        raise InputError(
            f"the model takes images of shape {tuple(expected)[1:]}, not {images.shape[1:]}; "
            "evaluate it on data of its own size"
        )
