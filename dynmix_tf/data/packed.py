"""Data sets as one `.npz` of encoded images: CIFAR-10 as JPEG in 18 MB instead of 180."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from dynmix_tf.data.image_data import ImageData
from dynmix_tf.data.image_files import in_threads, rgb_image
from dynmix_tf.errors import InputError
from dynmix_tf.files import write_atomic

__all__ = ["KEYS", "unpack", "write_packed"]

KEYS = tuple(f"{split}_{key}" for split in ("train", "test") for key in ("jpeg", "offsets"))
"""The arrays that stand for `train_images` and `test_images`."""


def write_packed(path: str | os.PathLike[str], data: ImageData, quality: int | None = None) -> None:
    """Writes a data set as a packed `.npz`, which `load` and `load_npz` read.

    It holds for each split `<split>_jpeg`, all encoded images end to end (uint8),
    `<split>_offsets` where each begins, and the end (int64, N + 1), `<split>_labels`; and
    `class_names`.

    Args:
        path: The file; replaced as a whole.
        data: The images.
        quality: Of JPEG, 1 to 95. None is PNG, without loss and several times as large.

    Raises:
        InputError: `quality` out of its range.

    Example:
        >>> write_packed("photos.npz", dynmix_tf.data.load("photos", num_train=18, num_test=9))
        >>> dynmix_tf.data.load("photos.npz").train_images.shape
        (18, 32, 32, 3)
    """
    if quality is not None and not 1 <= quality <= 95:
        raise InputError(f"`quality` must be in [1, 95], or None. Received: {quality}")

    def encode(image: np.ndarray) -> bytes:
        buffer = io.BytesIO()
        if quality is None:
            Image.fromarray(image).save(buffer, "PNG", optimize=True)
        else:
            Image.fromarray(image).save(buffer, "JPEG", quality=quality)
        return buffer.getvalue()

    arrays: dict[str, np.ndarray] = {"class_names": np.array(data.class_names)}
    for split, images, labels in (
        ("train", data.train_images, data.train_labels),
        ("test", data.test_images, data.test_labels),
    ):
        encoded = list(in_threads(encode, np.asarray(images), f"packing {split}"))
        arrays[f"{split}_jpeg"] = np.frombuffer(b"".join(encoded), np.uint8)
        arrays[f"{split}_offsets"] = np.cumsum([0, *map(len, encoded)])
        arrays[f"{split}_labels"] = labels
    buffer = io.BytesIO()
    # small JPEGs are mostly tables, the same in each: compressed, these cost next to nothing
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
    write_atomic(path, buffer.getvalue())


def unpack(path: Path, arrays: Mapping[str, np.ndarray], split: str) -> np.ndarray:
    """The images of one split, uint8 `(N, H, W, 3)`.

    Raises:
        InputError: Arrays that do not fit, an image that cannot be decoded, or of another size.
    """
    content, offsets = arrays[f"{split}_jpeg"], arrays[f"{split}_offsets"]
    if content.dtype != np.uint8 or content.ndim != 1 or offsets.ndim != 1 or len(offsets) < 2:
        raise InputError(
            f"`{split}_jpeg` in '{path}' must be uint8 (bytes,), `{split}_offsets` integers "
            f"(N + 1,). Received: {content.dtype} {content.shape} and {offsets.shape}"
        )
    whole = offsets.dtype.kind in "iu" and offsets[0] == 0 and offsets[-1] == len(content)
    if not whole or (np.diff(offsets.astype(np.int64)) <= 0).any():
        raise InputError(f"`{split}_offsets` in '{path}' must rise from 0 to {len(content):,}")

    def read(index: int) -> np.ndarray:
        encoded = content[offsets[index] : offsets[index + 1]].tobytes()
        return np.asarray(rgb_image(encoded, f"image {index} of `{split}_jpeg` in '{path}'"))

    count = len(offsets) - 1
    first = read(0)
    images: np.ndarray = np.empty((count, *first.shape), np.uint8)
    for index, image in enumerate(in_threads(read, range(count), f"decoding {split}")):
        if image.shape != first.shape:
            raise InputError(
                f"image {index} of `{split}_jpeg` in '{path}' has another size than the first: "
                f"{image.shape[:2]} instead of {first.shape[:2]}"
            )
        images[index] = image
    return images
