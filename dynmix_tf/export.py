"""SavedModel export, and loading what was saved."""

from __future__ import annotations

import os
import shutil
import zipfile
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from dynmix_tf.archives import check_sizes
from dynmix_tf.consistency import ConsistencyModel
from dynmix_tf.errors import InputError
from dynmix_tf.models.wrapping import refuse_softmax

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
        InputError: The model does not take one batch of images or ends in a softmax, or `path` is
            something else.

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
    refuse_softmax(network)  # `serve` puts one behind it
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
    if fresh.is_symlink():  # it would be written where that leads
        fresh.unlink()
    shutil.rmtree(fresh, ignore_errors=True)
    archive.write_out(str(fresh), verbose=False)
    shutil.rmtree(path, ignore_errors=True)
    os.replace(fresh, path)


def load_model(path: str | Path) -> keras.Model:
    """Loads a `.keras` file, with this package's classes registered first.

    It may come from a stranger: Keras' safe mode runs no code that a file brings along, and makes
    layers of Keras and of this package only, with files that lie in it. A layer may still ask for
    all the memory there is.

    Args:
        path: The file.

    Returns:
        The network, not compiled.

    Raises:
        InputError: There is no such file, it is no Keras model, or it needs code or files besides.

    Example:
        >>> network.save("final.keras")
        >>> network = load_model("final.keras")
    """
    from dynmix_tf import augment, layers, losses, optimizers  # noqa: F401

    if not Path(path).is_file():
        raise InputError(f"no model file {path}; expected a .keras file")
    try:
        with zipfile.ZipFile(path) as archive:
            check_sizes(archive)
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
        if not isinstance(model, keras.Model):
            raise TypeError(f"it holds a {type(model).__name__}")
    except Exception as error:  # a damaged or hostile file can raise nearly anything
        # Keras puts error into error; the innermost says what it is about
        reason = " ".join(str(error).rpartition("Exception encountered: ")[2].split())[:300]
        raise InputError(f"{path} is no Keras model: {reason or type(error).__name__}") from None
    return model
