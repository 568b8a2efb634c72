"""Scores a model on a benchmark, row by row, so that nothing measured is lost."""

from __future__ import annotations

import json
import os
import warnings
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from dynmix_tf import results
from dynmix_tf.errors import InputError
from dynmix_tf.metrics import rms_calibration_error

__all__ = ["check_model", "load_predictor", "network_predictor", "score", "warn_of_overlap"]

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


def score(
    predict: Predict,
    benchmark: Any,
    csv_path: str | Path,
    images_folder: str | Path,
    identity: dict[str, Any],
    batch_size: int = 256,
    label: str = "",
) -> list[dict[str, Any]]:
    """Measures every condition of a benchmark and appends a row for each as it is measured.

    What `csv_path` holds already of this model is not measured again, so an interrupted call
    continues. The clean images are always looked at: what the model makes of them, with the
    identity and the benchmark, is the rows' `measurement`, so that rows of another model of the
    same name are never taken for this one's.

    Args:
        predict: uint8 `(N, H, W, C)` to probabilities `(N, classes)`.
        benchmark: `GeneratedBenchmark` or its like: `name`, `dataset`, `seed`, `strengths`,
            `num_classes`, `conditions`, `batches` and a length.
        csv_path: The long CSV; rows of other measurements may stand in it too.
        images_folder: Gets each image's confidence and correctness: a folder for the measurement,
            a file for each condition.
        identity: The rows' `model`, `method` and `epoch`.
        batch_size: Images in a forward pass; does not change the result.
        label: For the progress bar.

    Returns:
        The rows of this measurement, in the order of the conditions.

    Raises:
        InputError: The model does not fit the images or the classes, or `csv_path` is no such CSV.

    Example:
        >>> benchmark = dynmix_tf.GeneratedBenchmark(images, labels, names=["fog"])
        >>> identity = {"model": "mine", "method": "standard", "epoch": 10}
        >>> rows = score(network_predictor(network), benchmark, "out.csv", "images", identity)
        >>> len(rows)
        6
    """
    common = {
        **identity,
        "dataset": benchmark.dataset,
        "benchmark": benchmark.name,
        "num_images": len(benchmark),
        "strengths": benchmark.strengths,
        "benchmark_seed": benchmark.seed,
    }
    clean = _predictions(predict, benchmark, "clean", 0, batch_size)
    common["measurement"] = _measurement(common, *clean)
    known = {
        (row["corruption"], row["severity"]): row
        for row in (results.read(csv_path) if Path(csv_path).exists() else [])
        if all(row[name] == value for name, value in common.items())
    }
    todo = [condition for condition in benchmark.conditions if condition not in known]
    progress = tqdm(
        todo, desc=label or "evaluate", unit="condition", disable=not todo,
        mininterval=0.5 if os.isatty(2) else 10,
    )  # fmt: skip
    for corruption, severity in progress:
        progress.set_postfix_str(f"{corruption} {severity}", refresh=False)
        confidence, correct = clean
        if corruption != "clean":
            confidence, correct = _predictions(predict, benchmark, corruption, severity, batch_size)
        row = {
            **common,
            "corruption": corruption,
            "severity": severity,
            "error": float(1 - correct.mean()),
            "rms_calibration_error": rms_calibration_error(confidence, correct),
            "mean_confidence": float(confidence.mean(dtype=np.float64)),
        }
        folder = Path(images_folder) / common["measurement"]
        results.save_images(folder, corruption, severity, confidence, correct)
        results.append(csv_path, row)
        known[corruption, severity] = row
    return [known[condition] for condition in benchmark.conditions]


def warn_of_overlap(operations: str | Sequence[str], benchmark: Any) -> None:
    """Warns where a benchmark holds corruptions that resemble what a model was trained with.

    Args:
        operations: The set of operations by its name, or names of operations.
        benchmark: With `conditions`, as `score` takes it.

    Raises:
        InputError: An unknown set or operation.

    Warns:
        UserWarning: Once for all of them.

    Example:
        >>> benchmark = dynmix_tf.GeneratedBenchmark(images, labels, names=["pixelate", "fog"])
        >>> with warnings.catch_warnings(record=True, action="always") as told:
        ...     warn_of_overlap("imagenet", benchmark)
        >>> "(downscale: pixelate)" in str(told[0].message)
        True
    """
    from dynmix_tf.augment import overlapping_corruptions

    present = {corruption for corruption, _ in benchmark.conditions}
    shared = {
        operation: [corruption for corruption in corruptions if corruption in present]
        for operation, corruptions in overlapping_corruptions(operations).items()
    }
    pairs = [f"{operation}: {', '.join(found)}" for operation, found in shared.items() if found]
    if pairs:
        warnings.warn(
            "the model was trained with operations that resemble corruptions of this benchmark "
            f"({'; '.join(pairs)}); its scores on these, and means over them, do not measure "
            "unseen corruptions",
            stacklevel=2,
        )


def _measurement(common: dict[str, Any], confidence: np.ndarray, correct: np.ndarray) -> str:
    """Eight hex digits that tell one model and benchmark from another.

    Rounded, as an interrupted evaluation may go on with another device's rounding errors.
    """
    known = json.dumps([*common.values(), f"{confidence.mean(dtype=np.float64):.3f}"])
    return f"{zlib.crc32(np.packbits(correct).tobytes(), zlib.crc32(known.encode())):08x}"


def _predictions(
    predict: Predict, benchmark: Any, corruption: str, severity: int, batch_size: int
) -> tuple[np.ndarray, np.ndarray]:
    confidence, correct = [], []
    for images, labels in benchmark.batches(corruption, severity, batch_size):
        probabilities = predict(images)
        if probabilities.ndim != 2 or probabilities.shape[1] != benchmark.num_classes:
            raise InputError(
                f"the model gives {probabilities.shape[1:]} values for an image, the benchmark "
                f"has {benchmark.num_classes} classes; evaluate it on the data it was trained for"
            )
        confidence.append(probabilities.max(axis=1))
        correct.append(probabilities.argmax(axis=1) == labels)
    return np.concatenate(confidence), np.concatenate(correct)
