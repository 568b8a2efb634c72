"""SavedModel export, and loading what was saved."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from dynmix_tf.consistency import ConsistencyModel
from dynmix_tf.errors import InputError

__all__ = ["export_saved_model", "load_model"]


def export_saved_model(model: keras.Model, path: str | Path) -> None:
    """Writes a SavedModel that TensorFlow alone can serve.

    Endpoints, both taking `image`, uint8 `(None, H, W, C)`: `serve` (the default) gives
    probabilities, `logits` gives logits, both float32 `(None, classes)`. Normalisation is inside;
    augmentation is not.

    Args:
        model: A network that returns logits, or a `ConsistencyModel`, whose network is taken.
        path: Folder; an existing SavedModel is replaced once the new one is complete.

    Raises:
        InputError: The model does not take one batch of images, or `path` is something else.

    Example:
        >>> export_saved_model(model, "export")
        >>> served = tf.saved_model.load("export")
        >>> served.serve(np.zeros((1, 32, 32, 3), "uint8")).shape
        TensorShape([1, 10])
    """
    network = model.network if isinstance(model, ConsistencyModel) else model
    if len(getattr(network, "input_shape", None) or ()) != 4:
        raise InputError(
            "`model` must take one batch of images (B, H, W, C), as a functional or Sequential "
            f"keras.Model does. Received: {model!r}"
        )
    path = Path(path)
    if path.exists() and not (path / "saved_model.pb").is_file():
        raise InputError(f"{path} exists and is no SavedModel; choose another folder")
    image = keras.InputSpec(shape=(None, *network.input_shape[1:]), dtype="uint8", name="image")

    def logits(image: Any) -> Any:
        return tf.cast(network(tf.cast(image, tf.float32), training=False), tf.float32)

    archive = keras.export.ExportArchive()
    archive.track(network)
    archive.add_endpoint("serve", lambda image: tf.nn.softmax(logits(image)), [image])
    archive.add_endpoint("logits", logits, [image])
    fresh = path.with_name(path.name + ".new")
    shutil.rmtree(fresh, ignore_errors=True)
    archive.write_out(str(fresh), verbose=False)
    shutil.rmtree(path, ignore_errors=True)
    os.replace(fresh, path)


def load_model(path: str | Path) -> keras.Model:
    """Loads a `.keras` file, with this package's classes registered first.

    Raises:
        InputError: There is no such file, or it is no Keras model.

    Example:
        >>> network.save("final.keras")
        >>> network = load_model("final.keras")
    """
    from dynmix_tf import augment, layers, losses, optimizers  # noqa: F401

    if not Path(path).is_file():
        raise InputError(f"no model file {path}; expected a .keras file")
    try:
        return keras.saving.load_model(path, compile=False)
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{path} is no Keras model: {reason}") from None
