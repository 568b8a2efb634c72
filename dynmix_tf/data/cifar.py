"""CIFAR-10 and CIFAR-100 (Krizhevsky, 2009) from the official archives, unpacked or not."""

from __future__ import annotations

import hashlib
import os
import tarfile
import zlib
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
MD5 = {
    "cifar-10-python.tar.gz": "c58f30108f718f92721af3b95e74349a",
    "cifar-10-binary.tar.gz": "c32a1d4ab5d03f1284b67883e8d87530",
    "cifar-100-python.tar.gz": "eb9058c3a382ffc7106e4002c42a8d85",
    "cifar-100-binary.tar.gz": "03b5dce01913d631647c71ecec9e9cb8",
}
"""The archives of https://www.cs.toronto.edu/~kriz/cifar.html and the sums that it gives."""


@dataclass(frozen=True)
class _Layout:
    archive: str
    folder: str
    train_files: tuple[str, ...]
    test_file: str
    names_file: str
    read: Callable[[Path, bytes], tuple[np.ndarray, np.ndarray]]
    read_names: Callable[[Path, bytes], tuple[str, ...]]

    @property
    def files(self) -> tuple[str, ...]:
        return *self.train_files, self.test_file, self.names_file


def load_cifar10(data_dir: str | os.PathLike[str] | None = None) -> ImageData:
    """Reads CIFAR-10 in the python or the binary layout.

    Args:
        data_dir: The folder `cifar-10-batches-py` or `cifar-10-batches-bin`, or the archive
            `cifar-10-python.tar.gz` or `cifar-10-binary.tar.gz`, or the folder that holds one of
            these. An archive is read without unpacking it, if its md5 is the official one.

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
            archive="cifar-10-python.tar.gz",
            folder="cifar-10-batches-py",
            train_files=batches,
            test_file="test_batch",
            names_file="batches.meta",
            read=partial(_read_python, labels_key="labels"),
            read_names=partial(_read_python_names, key="label_names"),
        ),
        _Layout(
            archive="cifar-10-binary.tar.gz",
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
        data_dir: The folder `cifar-100-python` or `cifar-100-binary`, or its archive with the
            ending `.tar.gz`, or the folder that holds one of these. An archive is read without
            unpacking it, if its md5 is the official one.

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
            archive="cifar-100-python.tar.gz",
            folder="cifar-100-python",
            train_files=("train",),
            test_file="test",
            names_file="meta",
            read=partial(_read_python, labels_key="fine_labels"),
            read_names=partial(_read_python_names, key="fine_label_names"),
        ),
        _Layout(
            archive="cifar-100-binary.tar.gz",
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
    layout, contents = _find(name, Path(data_dir), layouts)
    parts = [layout.read(*contents(file)) for file in layout.train_files]
    test_images, test_labels = layout.read(*contents(layout.test_file))
    return ImageData(
        name=name,
        train_images=np.concatenate([images for images, _ in parts]),
        train_labels=np.concatenate([labels for _, labels in parts]),
        test_images=test_images,
        test_labels=test_labels,
        class_names=layout.read_names(*contents(layout.names_file)),
    )


def _find(
    name: str, data_dir: Path, layouts: tuple[_Layout, ...]
) -> tuple[_Layout, Callable[[str], tuple[Path, bytes]]]:
    """The layout that is there, and what gives the place and content of each of its files."""
    for layout in layouts:
        for folder in (data_dir, data_dir / layout.folder):
            if (folder / layout.test_file).is_file():
                return layout, partial(_from_folder, folder)
    for layout in layouts:
        for path in (data_dir, data_dir / layout.archive):
            if path.name == layout.archive and path.is_file():
                return layout, partial(_from_archive, path, _unpacked(path, layout))
    expected = " or ".join(
        f"{layout.archive}, or {layout.folder}/ with "
        f"{', '.join((*layout.train_files, layout.test_file))}"
        for layout in layouts
    )
    raise InputError(f"no {name} in '{data_dir}'. Expected {expected}")


def _from_folder(folder: Path, file: str) -> tuple[Path, bytes]:
    try:
        return folder / file, (folder / file).read_bytes()
    except OSError as error:
        raise InputError(f"cannot read '{folder / file}': {error.strerror}") from error


def _from_archive(path: Path, contents: dict[str, bytes], file: str) -> tuple[Path, bytes]:
    if file not in contents:
        raise InputError(f"'{path}' lacks {file}")
    return path / file, contents[file]


def _unpacked(path: Path, layout: _Layout) -> dict[str, bytes]:
    """The wanted files of an archive; nothing is written anywhere."""
    with path.open("rb") as stream:
        md5 = hashlib.file_digest(stream, "md5").hexdigest()
    if md5 != MD5[layout.archive]:
        raise InputError(
            f"'{path}' is cut, damaged or not the official file: its md5 is {md5}, expected "
            f"{MD5[layout.archive]}; download it again"
        )
    wanted = {f"{layout.folder}/{file}": file for file in layout.files}
    try:
        with tarfile.open(path, "r:gz") as archive:
            members = [member for member in archive if member.isfile() and member.name in wanted]
            files = ((wanted[member.name], archive.extractfile(member)) for member in members)
            return {name: file.read() for name, file in files if file is not None}
    except (OSError, EOFError, tarfile.TarError, zlib.error) as error:
        raise InputError(f"'{path}' is no archive, or it is damaged ({error})") from error


def _read_python(path: Path, content: bytes, labels_key: str) -> tuple[np.ndarray, np.ndarray]:
    batch = read_pickle(path, content)
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


def _read_binary(path: Path, content: bytes, label_bytes: int) -> tuple[np.ndarray, np.ndarray]:
    """Records of one label (CIFAR-10) or a coarse and a fine label (CIFAR-100), then pixels."""
    record = label_bytes + _PIXELS
    if not content or len(content) % record:
        raise InputError(
            f"'{path}' is cut or damaged: expected whole records of {record} bytes, "
            f"received {len(content):,} bytes"
        )
    records: np.ndarray = np.frombuffer(content, np.uint8).reshape(-1, record)
    return _images(records[:, label_bytes:]), records[:, label_bytes - 1].astype(np.int32)


def _images(pixels: np.ndarray) -> np.ndarray:
    """(N, 3072) planes to (N, 32, 32, 3)."""
    return np.ascontiguousarray(pixels.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))


def _read_python_names(path: Path, content: bytes, key: str) -> tuple[str, ...]:
    class_names = read_pickle(path, content).get(key)
    are_text = isinstance(class_names, list) and all(
        isinstance(name, (bytes, str)) for name in class_names
    )
    if not are_text or not class_names:
        raise InputError(f"'{path}' must hold `{key}`, a list of class names")
    return tuple(name.decode("latin1") if isinstance(name, bytes) else name for name in class_names)


def _read_text_names(path: Path, content: bytes) -> tuple[str, ...]:
    return tuple(content.decode("latin1").split())
