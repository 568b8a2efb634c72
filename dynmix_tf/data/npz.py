"""Any data set that a user has stored as one `.npz` file."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from dynmix_tf.archives import read_npz
from dynmix_tf.data import packed
from dynmix_tf.data.image_data import ImageData
from dynmix_tf.errors import InputError

__all__ = ["load_npz"]

_SPLITS = ("train", "test")
_KEYS = ("train_images", "train_labels", "test_images", "test_labels")
_KERAS_KEYS = ("x_train", "y_train", "x_test", "y_test")
# Without `class_names` the largest label tells the number of classes; a damaged or foreign
# label must not make a list of two thousand million names.
_MOST_CLASSES = 100_000


def load_npz(path: str | os.PathLike[str]) -> ImageData:
    """Reads images and labels from an `.npz` file.

    Args:
        path: File with the arrays `train_images`, `train_labels`, `test_images`,
            `test_labels` (or Keras' names `x_train`, `y_train`, `x_test`, `y_test`), and
            optionally `class_names` (strings). Images are uint8 (N, H, W, 3), or grey, (N, H, W)
            or (N, H, W, 1), and then repeated to three channels. Labels are integers (N,) or
            (N, 1). Nothing pickled is read. Instead of the images it may hold encoded ones, as
            `write_packed` writes them.

    Returns:
        The data, named after the file. Without `class_names` the classes are "0", "1", ...

    Raises:
        InputError: The file cannot be read, or an array is missing or not as above.
    """
    path = Path(path)
    arrays = _read_arrays(path)
    if set(packed.KEYS) <= set(arrays):
        arrays |= {f"{split}_images": packed.unpack(path, arrays, split) for split in _SPLITS}
    keys = next((keys for keys in (_KEYS, _KERAS_KEYS) if set(keys) <= set(arrays)), None)
    if keys is None:
        raise InputError(
            f"'{path}' lacks arrays. Expected {', '.join(_KEYS)} (or {', '.join(_KERAS_KEYS)}), "
            f"found {', '.join(arrays) or 'none'}"
        )
    train_images, test_images = (_colour(path, key, arrays[key]) for key in keys[::2])
    train_labels, test_labels = (_class_ids(path, key, arrays[key]) for key in keys[1::2])
    if "class_names" in arrays:
        class_names = tuple(str(name) for name in arrays["class_names"].ravel())
    else:
        largest = max(labels.max(initial=0) for labels in (train_labels, test_labels))
        class_names = tuple(str(label) for label in range(largest + 1))
    return ImageData(path.stem, train_images, train_labels, test_images, test_labels, class_names)


def _read_arrays(path: Path) -> dict[str, np.ndarray]:
    wanted = {*_KEYS, *_KERAS_KEYS, *packed.KEYS, "class_names"}
    if not path.is_file():
        raise InputError(f"no such file: '{path}'")
    try:
        with path.open("rb") as file:
            return read_npz(file, wanted)
    except ValueError as error:
        raise InputError(
            f"'{path}' is no .npz file of plain arrays, or it is damaged ({error})"
        ) from error


def _colour(path: Path, key: str, images: np.ndarray) -> np.ndarray:
    if images.ndim == 3:
        images = images[..., None]
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[-1] not in (1, 3):
        raise InputError(
            f"`{key}` in '{path}' must be uint8 of shape (N, H, W, 3), (N, H, W, 1) or (N, H, W). "
            f"Received: {images.dtype} of shape {images.shape}"
        )
    return np.repeat(images, 3, axis=-1) if images.shape[-1] == 1 else images


def _class_ids(path: Path, key: str, labels: np.ndarray) -> np.ndarray:
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.dtype.kind not in "iu" or labels.ndim != 1:
        raise InputError(
            f"`{key}` in '{path}' must be integers of shape (N,) or (N, 1). "
            f"Received: {labels.dtype} of shape {labels.shape}"
        )
    if labels.size and (labels.min() < 0 or labels.max() >= _MOST_CLASSES):
        raise InputError(
            f"`{key}` in '{path}' must be in [0, {_MOST_CLASSES:,}). "
            f"Received: {labels.min()} to {labels.max()}"
        )
    return labels.astype(np.int32)
