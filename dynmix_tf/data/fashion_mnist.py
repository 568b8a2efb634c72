"""Fashion-MNIST (Xiao et al., 2017): 28 px grey photographs of clothes, ten classes."""

from __future__ import annotations

import gzip
import math
import os
import struct
import zlib
from pathlib import Path

import numpy as np

from dynmix_tf.data.image_data import ImageData
from dynmix_tf.errors import InputError

__all__ = ["CLASS_NAMES", "FILES", "find_fashion_mnist", "load_fashion_mnist", "read_idx"]

FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
CLASS_NAMES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
# Where Debian's package dataset-fashion-mnist puts the files.
SYSTEM_FOLDER = Path("/usr/share/datasets/fashion-mnist")
_MOST_BYTES = 2**30  # its own largest file has 47 million
_MOST_DIMENSIONS = 3


def find_fashion_mnist(data_dir: str | os.PathLike[str] | None = None) -> Path | None:
    """The folder that holds the four files, without downloading anything.

    Args:
        data_dir: The only folder to look in. None looks in Keras' cache
            (`$KERAS_HOME` or `~/.keras`, `datasets/fashion-mnist`) and then where Debian's
            package dataset-fashion-mnist puts them.

    Returns:
        The folder, or None where no folder has all four files (plain or `.gz`).

    Example:
        >>> find_fashion_mnist("no/such/folder") is None
        True
    """
    if data_dir is not None:
        folders = [Path(data_dir)]
    else:
        keras_home = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras")
        folders = [keras_home / "datasets" / "fashion-mnist", SYSTEM_FOLDER]
    for folder in folders:
        if all(_file(folder, name) is not None for name in FILES):
            return folder
    return None


def load_fashion_mnist(data_dir: str | os.PathLike[str] | None = None) -> ImageData:
    """Reads Fashion-MNIST, padded with zeros to 32 px and with three equal channels.

    The first of these that is there: `data_dir`, Keras' cache, Debian's package; with no
    `data_dir` and no file anywhere, Keras downloads the files to its cache.

    Args:
        data_dir: Folder with the four IDX files, plain or `.gz`; nothing else is then tried.

    Returns:
        60,000 training and 10,000 test images (as many as the files hold), (N, 32, 32, 3).

    Raises:
        InputError: `data_dir` lacks a file, a file is damaged, or the download failed.

    Source: https://github.com/zalandoresearch/fashion-mnist (MIT licence).
    """
    folder = find_fashion_mnist(data_dir)
    if folder is not None:
        train_images, train_labels, test_images, test_labels = (
            _read(folder, name) for name in FILES
        )
    elif data_dir is not None:
        expected = ", ".join(f"{name}[.gz]" for name in FILES)
        raise InputError(f"no Fashion-MNIST in '{data_dir}'. Expected the files {expected}")
    else:
        (train_images, train_labels), (test_images, test_labels) = _download()
    return ImageData(
        name="fashion_mnist",
        train_images=_pad_to_colour(train_images),
        train_labels=train_labels.astype(np.int32),
        test_images=_pad_to_colour(test_images),
        test_labels=test_labels.astype(np.int32),
        class_names=CLASS_NAMES,
    )


def read_idx(path: str | os.PathLike[str]) -> np.ndarray:
    """Reads a file of unsigned bytes in the IDX format, gzipped if its name ends in `.gz`.

    Args:
        path: The file.

    Returns:
        A uint8 array of the shape that the header names.

    Raises:
        InputError: The file cannot be read, is no IDX file of bytes, or its length does not
            match the header (a download that was cut).

    Source: the format's description at http://yann.lecun.com/exdb/mnist: two zero bytes, the
    type (8 = unsigned byte), the number of dimensions, each dimension as a big-endian uint32.
    """
    path = Path(path)
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            begin = file.read(4)
            is_idx = begin[:3] == b"\0\0\x08" and 1 <= begin[-1] <= _MOST_DIMENSIONS
            dimensions = begin[-1] if is_idx else 0
            shape = struct.unpack(
                f">{dimensions}I", file.read(4 * dimensions).ljust(4 * dimensions)
            )
            # no more than it says: what is packed may be much larger
            content = file.read(min(math.prod(shape), _MOST_BYTES) + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"cannot read '{path}' (cut or damaged?): {error}") from error
    if not dimensions:
        raise InputError(
            f"'{path}' is no IDX file of bytes. Expected it to begin with 00 00 08 and 1 to "
            f"{_MOST_DIMENSIONS}, received: {begin.hex(' ') or 'an empty file'}"
        )
    if len(content) != math.prod(shape):
        received = f"{len(content):,}" if len(content) < math.prod(shape) else "more"
        raise InputError(
            f"'{path}' is cut or damaged: shape {shape} needs {math.prod(shape):,} bytes after "
            f"its header, received {received}"
        )
    return np.frombuffer(content, np.uint8).reshape(shape)


def _file(folder: Path, name: str) -> Path | None:
    for path in (folder / f"{name}.gz", folder / name):
        if path.is_file():
            return path
    return None


def _read(folder: Path, name: str) -> np.ndarray:
    path = _file(folder, name) or folder / name
    array = read_idx(path)
    is_as_expected = array.shape[1:] == (28, 28) if "images" in name else array.ndim == 1
    if not is_as_expected:
        expected = "(N, 28, 28)" if "images" in name else "(N,)"
        raise InputError(
            f"'{path}' is not of Fashion-MNIST. Expected shape {expected}, received {array.shape}"
        )
    return array


def _download() -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    import keras

    try:
        return keras.datasets.fashion_mnist.load_data()
    except Exception as error:  # Keras raises a bare Exception for a failed download
        raise InputError(
            "Fashion-MNIST is not on this machine and could not be downloaded. Install Debian's "
            "package (apt-get install dataset-fashion-mnist), or give --data_dir=FOLDER with the "
            f"four IDX files, or take --dataset=photos ({' '.join(str(error).split())})"
        ) from error


def _pad_to_colour(images: np.ndarray) -> np.ndarray:
    """(N, 28, 28) to (N, 32, 32, 3)."""
    padded = np.pad(images, ((0, 0), (2, 2), (2, 2)))
    return np.repeat(padded[..., None], 3, axis=-1)
