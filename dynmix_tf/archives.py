"""Zip archives (`.npz`, `.keras`) whose maker is not known, read without harm."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Container
from typing import BinaryIO

import numpy as np

__all__ = ["check_sizes", "read_npz"]

_LARGE = 2**30  # bytes
_MOST_EXPANDED = 100  # random weights and photographs do not even come to 2


def check_sizes(archive: zipfile.ZipFile) -> None:
    """Finds an archive to be no decompression bomb, by the sizes in its directory.

    `zipfile` unpacks no more of a member than its directory says.

    Raises:
        ValueError: Its members take more than 1 GiB, and more than 100 times the file.

    Example:
        >>> np.savez("images.npz", images=images)
        >>> check_sizes(zipfile.ZipFile("images.npz"))
    """
    unpacked = sum(member.file_size for member in archive.infolist())
    size = archive.fp.seek(0, os.SEEK_END) if archive.fp else 0
    if unpacked > max(_LARGE, _MOST_EXPANDED * size):
        raise ValueError(f"it has {size:,} bytes and says that it unpacks to {unpacked:,}")


def read_npz(file: BinaryIO, names: Container[str] | None = None) -> dict[str, np.ndarray]:
    """The arrays of a `.npz` file; nothing pickled is read.

    Args:
        file: The open file; `np.load` would leave one open that turns out to be damaged.
        names: Those to read, of others stands an empty array; None is all.

    Returns:
        The arrays by name.

    Raises:
        ValueError: It is no such file, or it is damaged or a bomb; the message says why.

    Example:
        >>> np.savez("images.npz", images=images, note="photographs")
        >>> with open("images.npz", "rb") as file:
        ...     found = read_npz(file, names=["images"])
        >>> found["images"].shape[1:], found["note"].size
        ((32, 32, 3), 0)
    """
    try:
        if not zipfile.is_zipfile(file):
            raise ValueError("it is no zip archive")
        file.seek(0)
        with np.load(file, allow_pickle=False) as archive:
            check_sizes(archive.zip)
            found = {
                name: archive[name] if names is None or name in names else np.empty(0)
                for name in archive.files
            }
    except Exception as error:  # a damaged archive can raise nearly anything
        raise ValueError(" ".join(str(error).split()) or type(error).__name__) from error
    if strange := [name for name, array in found.items() if not isinstance(array, np.ndarray)]:
        raise ValueError(f"'{strange[0]}' in it is no array")
    return found
