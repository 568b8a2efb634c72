"""A predictor of whatever holds a model: a file, a folder, or a name with weights."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dynmix_tf.errors import InputError
from dynmix_tf.predictors.functions import Predict
from dynmix_tf.predictors.networks import network_predictor

__all__ = ["check_model", "load_predictor"]

_APPLICATION = "applications:"


def load_predictor(
    model: str | Path,
    *,
    weights: str | Path | None = None,
    image_size: int | None = None,
    output: str = "auto",
    signature: str | None = None,
    value_range: Sequence[float] = (0, 255),
) -> Predict:
    """A function from uint8 images to probabilities, of a saved model.

    Loaded under the scope of a `tf.distribute` strategy, it shares each batch among the devices.

    Args:
        model: A `.keras` file of a classifier (loaded in Keras' safe mode); the folder of a
            SavedModel, see `saved_models.saved_model_predictor`; or "applications:" and a name in
            `keras.applications`, such as "applications:ResNet50", with its own preprocessing.
        weights: The file for `applications:`, see `applications.load_application`.
        image_size: Side in pixels for `applications:`, where it is not the network's own.
        output: "logits", "probabilities", or "auto", which finds out and warns of probabilities.
        signature: Endpoint of a SavedModel.
        value_range: What the model takes black and white as, such as (0, 1) or (-1, 1); uint8
            endpoints and `applications:` have their own.

    Returns:
        `(N, H, W, C) uint8 -> (N, classes) float32`, with the checks of `callable_predictor`.

    Raises:
        InputError: There is nothing, nothing that is a model, or an argument that does nothing
            with this model.

    Warns:
        UserWarning: Where "auto" took the outputs for probabilities.

    Example:
        >>> dynmix_tf.export_saved_model(network, "export")
        >>> predict = load_predictor("export")
        >>> predict(images[:8]).shape
        (8, 10)
    """
    check_model(model, weights)
    is_application, is_folder = str(model).startswith(_APPLICATION), Path(model).is_dir()
    for name, useless in (
        ("image_size", image_size is not None and not is_application),
        ("signature", signature is not None and not is_folder),
        ("value_range", tuple(value_range) != (0, 255) and is_application),
    ):
        if useless:
            raise InputError(f"`{name}` does nothing with {model}; leave it out")
    if is_folder:
        from dynmix_tf.predictors.saved_models import saved_model_predictor

        return saved_model_predictor(
            model, output=output, signature=signature, value_range=value_range
        )
    if is_application:
        from dynmix_tf.predictors.applications import load_application

        name = str(model).removeprefix(_APPLICATION)
        network = load_application(name, weights or "", image_size)
    else:
        from dynmix_tf.export import load_model

        network = load_model(model)
    return network_predictor(network, output=output, value_range=value_range)


def check_model(model: str | Path, weights: str | Path | None = None) -> None:
    """Looks whether these can be a model, without importing TensorFlow.

    Args:
        model: As `load_predictor`.
        weights: As `load_predictor`.

    Raises:
        InputError: There is nothing of that name, or weights are missing or have no use.

    Example:
        >>> check_model("absent.keras")
        Traceback (most recent call last):
        ...
        dynmix_tf.errors.InputError: no model at absent.keras...
    """
    if str(model).startswith(_APPLICATION):
        expected = "expected a file of weights, .h5 or .keras"
        if not weights:
            raise InputError(f"{model} needs `weights`; {expected}")
        if not Path(weights).is_file() or Path(weights).suffix not in (".h5", ".keras"):
            raise InputError(f"no weights at {weights}; {expected}")
        return
    if weights:
        raise InputError(f"`weights` does nothing with {model}; it is for {_APPLICATION}NAME")
    path = Path(model)
    expected = "expected a .keras file, a SavedModel folder (one with saved_model.pb), or "
    expected += f"{_APPLICATION}NAME"
    if not path.exists():
        raise InputError(f"no model at {path}; {expected}")
    is_model = (path / "saved_model.pb").is_file() if path.is_dir() else path.suffix == ".keras"
    if not is_model:
        raise InputError(f"{path} is no model; {expected}")
