"""The `.npy` files of benchmarks, read row by row."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from dynmix_tf.errors import InputError

__all__ = ["StoredImages", "header_of"]


class StoredImages:
    """A `.npy` file of images, of which rows are read as they are needed.

    Not a map of the file: its pages would count as this program's memory, 150 MB a file of
    CIFAR-10-C, 1 GB one of CIFAR-10-P.

    Args:
        path: The file.
        shape: That it must have; rows are along the first axis.

    Raises:
        InputError: It is missing, damaged, or not uint8 of this shape.

    Example:
        >>> np.save("fog.npy", images)
        >>> StoredImages(Path("fog.npy"), images.shape).rows(2, 3).shape
        (3, 32, 32, 3)
    """

    def __init__(self, path: Path, shape: tuple[int, ...]) -> None:
        stored = header_of(path)
        if stored.dtype != np.uint8 or stored.shape != shape or not stored.flags.c_contiguous:
            raise InputError(
                f"{path} must be uint8 {shape}, the last axis innermost. "
                f"Received: {stored.dtype} {stored.shape}"
            )
        self.path = path
        self._row_shape = shape[1:]
        self._start = stored.offset

    def rows(self, first: int, count: int) -> np.ndarray:
        """The images from a row on, uint8 `(count, ...)`."""
        size = math.prod(self._row_shape)
        values = np.fromfile(self.path, np.uint8, count * size, offset=self._start + first * size)
        return values.reshape(count, *self._row_shape)


def header_of(path: Path) -> np.memmap:
    """The array of a file, mapped: what it is can be seen without reading it.

    Raises:
        InputError: It is missing or damaged.
    """
    try:
        # not `np.load`, which leaves a damaged file open
        with np.errstate(all="raise"):  # of a shape that no number counts
            return np.lib.format.open_memmap(path, mode="r")
    except Exception as error:  # a damaged header can raise nearly anything
        raise InputError(f"{path} is missing or damaged: {error}") from None
