"""CIFAR-10 and CIFAR-100 (Krizhevsky, 2009) from the folders of the official archives."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from dynmix_tf.data.image_data import ImageData
from dynmix_tf.data.safe_pickle import read_pickle
from dynmix_tf.errors import InputError

__all__ = ["load_cifar10", "load_cifar100"]

_PIXELS = 3 * 32 * 32  # a plane each of red, green and blue


@dataclass(frozen=True)
class _Layout:
    folder: str
    train_files: tuple[str, ...]
    test_file: str
    names_file: str
    read: Callable[[Path], tuple[np.ndarray, np.ndarray]]
    read_names: Callable[[Path], tuple[str, ...]]


def load_cifar10(data_dir: str | os.PathLike[str] | None = None) -> ImageData:
    """Reads CIFAR-10 in the python or the binary layout.

    Args:
        data_dir: The folder `cifar-10-batches-py` or `cifar-10-batches-bin` of the official
            archive, or the folder that holds it.

    Returns:
        50,000 training and 10,000 test images (as many as the files hold), (N, 32, 32, 3).

    Raises:
        InputError: No folder was given, files are missing, or a file is damaged.

    Source: https://www.cs.toronto.edu/~kriz/cifar.html.
    """
    batches = tuple(f"data_batch_{number}" for number in range(1, 6))
    return _load(
        "cifar10",
        data_dir,
        _Layout(
            folder="cifar-10-batches-py",
            train_files=batches,
            test_file="test_batch",
            names_file="batches.meta",
            read=partial(_read_python, labels_key="labels"),
            read_names=partial(_read_python_names, key="label_names"),
        ),
        _Layout(
            folder="cifar-10-batches-bin",
            train_files=tuple(f"{name}.bin" for name in batches),
            test_file="test_batch.bin",
            names_file="batches.meta.txt",
            read=partial(_read_binary, label_bytes=1),
            read_names=_read_text_names,
        ),
    )


def load_cifar100(data_dir: str | os.PathLike[str] | None = None) -> ImageData:
    """Reads CIFAR-100 with its 100 fine labels, in the python or the binary layout.

    Args:
        data_dir: The folder `cifar-100-python` or `cifar-100-binary` of the official archive, or
            the folder that holds it.

    Returns:
        50,000 training and 10,000 test images (as many as the files hold), (N, 32, 32, 3).

    Raises:
        InputError: No folder was given, files are missing, or a file is damaged.

    Source: https://www.cs.toronto.edu/~kriz/cifar.html.
    """
    return _load(
        "cifar100",
        data_dir,
        _Layout(
            folder="cifar-100-python",
            train_files=("train",),
            test_file="test",
            names_file="meta",
            read=partial(_read_python, labels_key="fine_labels"),
            read_names=partial(_read_python_names, key="fine_label_names"),
        ),
        _Layout(
            folder="cifar-100-binary",
            train_files=("train.bin",),
            test_file="test.bin",
            names_file="fine_label_names.txt",
            read=partial(_read_binary, label_bytes=2),
            read_names=_read_text_names,
        ),
    )


def _load(name: str, data_dir: str | os.PathLike[str] | None, *layouts: _Layout) -> ImageData:
    if data_dir is None:
        raise InputError(
            f"dataset '{name}' needs `data_dir`: the folder {layouts[0].folder} of the archive "
            "from https://www.cs.toronto.edu/~kriz/cifar.html, or the folder that holds it"
        )
    folder, layout = _find(name, Path(data_dir), layouts)
    parts = [layout.read(folder / file) for file in layout.train_files]
    test_images, test_labels = layout.read(folder / layout.test_file)
    return ImageData(
        name=name,
        train_images=np.concatenate([images for images, _ in parts]),
        train_labels=np.concatenate([labels for _, labels in parts]),
        test_images=test_images,
        test_labels=test_labels,
        class_names=layout.read_names(folder / layout.names_file),
    )


def _find(name: str, data_dir: Path, layouts: tuple[_Layout, ...]) -> tuple[Path, _Layout]:
    for layout in layouts:
        for folder in (data_dir, data_dir / layout.folder):
            if (folder / layout.test_file).is_file():
                return folder, layout
    expected = " or ".join(
        f"{layout.folder}/ with {', '.join((*layout.train_files, layout.test_file))}"
        for layout in layouts
    )
    raise InputError(f"no {name} in '{data_dir}'. Expected {expected}")


def _read_python(path: Path, labels_key: str) -> tuple[np.ndarray, np.ndarray]:
    batch = read_pickle(path)
    pixels, labels = batch.get("data"), batch.get(labels_key)
    if not isinstance(pixels, np.ndarray) or pixels.ndim != 2 or pixels.shape[1] != _PIXELS:
        raise InputError(f"'{path}' must hold `data`, a uint8 array (N, {_PIXELS})")
    labels_are_right = (
        isinstance(labels, list)
        and len(labels) == len(pixels)
        and all(isinstance(label, int) and 0 <= label < 256 for label in labels)
    )
    if not labels_are_right:
        raise InputError(
            f"'{path}' must hold `{labels_key}`, a list of {len(pixels)} class numbers"
        )
    return _images(pixels), np.array(labels, np.int32)


def _read_binary(path: Path, label_bytes: int) -> tuple[np.ndarray, np.ndarray]:
    """Records of one label (CIFAR-10) or a coarse and a fine label (CIFAR-100), then pixels."""
    content: np.ndarray = np.frombuffer(_read_bytes(path), np.uint8)
    record = label_bytes + _PIXELS
    if content.size == 0 or content.size % record:
        raise InputError(
            f"'{path}' is cut or damaged: expected whole records of {record} bytes, "
            f"received {content.size:,} bytes"
        )
    records = content.reshape(-1, record)
    return _images(records[:, label_bytes:]), records[:, label_bytes - 1].astype(np.int32)


def _images(pixels: np.ndarray) -> np.ndarray:
    """(N, 3072) planes to (N, 32, 32, 3)."""
    return np.ascontiguousarray(pixels.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))


def _read_python_names(path: Path, key: str) -> tuple[str, ...]:
    class_names = read_pickle(path).get(key)
    if not isinstance(class_names, list) or not class_names:
        raise InputError(f"'{path}' must hold `{key}`, a list of class names")
    return tuple(
        name.decode("latin1") if isinstance(name, bytes) else str(name) for name in class_names
    )


def _read_text_names(path: Path) -> tuple[str, ...]:
    return tuple(_read_bytes(path).decode("latin1").split())


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read '{path}': {error.strerror}") from error
