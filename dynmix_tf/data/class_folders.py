"""Image files in a folder for each class: ImageNet's layout, and anybody's own data set."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from dynmix_tf.data.image_data import ImageData
from dynmix_tf.data.image_files import ImageFiles, decode, in_threads
from dynmix_tf.errors import InputError

__all__ = ["damaged", "load_folder", "load_imagenet2012", "read_classes", "tell_damaged"]

_TEST_FOLDERS = ("val", "validation", "test")
_IN_MEMORY = 64  # px
_TEST_SHARE = 10  # one in ten
_TAIL = 1 << 16


def load_folder(
    data_dir: str | os.PathLike[str] | None = None,
    image_size: int = 224,
    skip_damaged: bool = False,
    name: str = "",
) -> ImageData:
    """Reads a folder of class folders of JPEG, PNG, WebP, BMP or GIF files.

    Either `train/<class>/*` and `val/<class>/*` (or `validation`, `test`), or `<class>/*` alone:
    then about one file in ten, by a hash of its place and name, is for testing. Classes are in
    the order of their names; files in the order of that hash, so that the first ones are of all
    classes. Names that begin with a dot are left alone.

    Args:
        data_dir: The folder.
        image_size: Side of the images, pixels. Up to 64 they are decoded once, into memory: the
            shorter side resized to it, and the central square taken. Above, they stay in their
            files (`ImageFiles`) and training decodes the part that each crop needs.
        skip_damaged: Decode every file first, leave out those that fail, and say which. False
            looks at the beginning and end of each file and refuses damaged ones.
        name: Of the data set; the folder's own where there is none.

    Returns:
        The training and test images.

    Raises:
        InputError: There are no such folders, a class is missing in one of the splits or empty, or
            files are damaged.

    Example:
        >>> data = load_folder("birds", image_size=128)
        >>> data.class_names, data.train_images.shape[1:]
        (('robin', 'wren'), (128, 128, 3))
    """
    if data_dir is None:
        raise InputError("dataset 'folder' needs `data_dir`: a folder of class folders")
    if image_size < 8:
        raise InputError(f"`image_size` must be 8 or more. Received: image_size={image_size}")
    root = Path(data_dir)
    if not root.is_dir():
        raise InputError(f"no folder '{root}'; give a folder of class folders of images")
    test_root = next((root / name for name in _TEST_FOLDERS if (root / name).is_dir()), None)
    if (root / "train").is_dir() and test_root:
        classes = _same_classes(root / "train", test_root)
        train, test = _files(root / "train", classes), _files(test_root, classes)
    elif (root / "train").is_dir() or test_root:
        there, lacking = ("train", "val") if test_root is None else (test_root.name, "train")
        raise InputError(f"'{root}' has {there}/ but no {lacking}/; both hold class folders")
    else:
        classes = _folders(root)
        files = _files(root, classes)
        is_test = [_hash(path.relative_to(root)) % _TEST_SHARE == 0 for path, _ in files]
        train, test = (
            [file for file, chosen in zip(files, is_test, strict=True) if chosen == wanted]
            for wanted in (False, True)
        )
        if not train or not test:
            raise InputError(
                f"'{root}' holds {len(files)} images, too few to keep some for testing; "
                "make the folders train/ and val/ yourself"
            )
    splits = (_read(_whole(files, skip_damaged), image_size) for files in (train, test))
    (train_images, train_labels), (test_images, test_labels) = splits
    return ImageData(
        name or root.resolve().name,
        train_images, train_labels, test_images, test_labels, tuple(classes),
    )  # fmt: skip


def read_classes(
    root: Path, classes: Sequence[str], image_size: int, skip_damaged: bool = False
) -> tuple[np.ndarray | ImageFiles, np.ndarray]:
    """The images and labels of one split: `<root>/<class>/*`, read as `load_folder` does.

    Raises:
        InputError: A class has no folder, or an empty one, or files are damaged.
    """
    for name in classes:
        if not (root / name).is_dir():
            raise InputError(f"no folder '{root / name}'; expected one for each class")
    return _read(_whole(_files(root, classes), skip_damaged), image_size)


def load_imagenet2012(
    data_dir: str | os.PathLike[str] | None = None,
    image_size: int = 224,
    skip_damaged: bool = False,
) -> ImageData:
    """Reads ImageNet (ILSVRC 2012): `train/<synset>/*.JPEG` and `val/<synset>/*.JPEG`.

    Args:
        data_dir: The folder of `train` and `val`. The official archive of the validation images
            unpacks flat; they belong into a folder for each synset, as everybody has them.
        image_size: As `load_folder`.
        skip_damaged: As `load_folder`.

    Returns:
        The images; a class is the place of its synset among all, sorted. The validation images
        are the test images.

    Raises:
        InputError: As `load_folder`, or the folders are no synsets.

    Source: https://www.image-net.org/challenges/LSVRC/2012.
    """
    if data_dir is None:
        raise InputError(
            "dataset 'imagenet2012' needs `data_dir`: the folder of train/<synset>/*.JPEG and "
            "val/<synset>/*.JPEG"
        )
    val = Path(data_dir) / "val"
    if val.is_dir() and any(val.glob("ILSVRC2012_val_*.JPEG")):
        raise InputError(f"'{val}' holds images; expected a folder for each synset: n01440764/...")
    data = load_folder(data_dir, image_size, skip_damaged, "imagenet2012")
    for name in data.class_names:
        if not (len(name) == 9 and name[0] == "n" and name[1:].isdigit()):
            raise InputError(f"'{name}' in '{data_dir}' is no synset, such as n01440764")
    return data


def _folders(root: Path) -> list[str]:
    entries = (entry for entry in os.scandir(root) if _is_folder(entry))
    classes = sorted(entry.name for entry in entries if not entry.name.startswith("."))
    if len(classes) < 2:
        raise InputError(f"'{root}' must hold a folder for each class, two or more")
    return classes


def _is_folder(entry: os.DirEntry[str]) -> bool:
    # of a link that leads to itself `is_dir` would raise
    return os.path.isdir(entry.path) if entry.is_symlink() else entry.is_dir()


def _same_classes(train: Path, test: Path) -> list[str]:
    classes = _folders(train)
    if different := sorted({*classes} ^ {*_folders(test)}):
        name = different[0]
        there, lacks = (train, test) if name in classes else (test, train)
        raise InputError(
            f"class '{name}' is in '{there}' but not in '{lacks}' ({len(different)} such "
            "classes); both need the same class folders"
        )
    return classes


def _files(root: Path, classes: Sequence[str]) -> list[tuple[Path, int]]:
    files = []
    for label, name in enumerate(classes):
        names = [entry.name for entry in os.scandir(root / name) if not _is_folder(entry)]
        found = [(root / name / file, label) for file in names if not file.startswith(".")]
        if not found:
            raise InputError(f"class folder '{root / name}' holds no file")
        files += found
    return sorted(files, key=lambda file: (_hash(file[0].relative_to(root)), file[0]))


def _hash(path: Path) -> int:
    return int.from_bytes(
        hashlib.blake2b(os.fsencode(path.as_posix()), digest_size=8).digest(), "big"
    )


def _whole(files: list[tuple[Path, int]], skip_damaged: bool) -> list[tuple[Path, int]]:
    bad = damaged([path for path, _ in files], decode_all=skip_damaged)
    if not bad:
        return files
    found = tell_damaged(bad, len(files))
    if not skip_damaged:
        raise InputError(f"{found}; remove them, or give --skip_damaged")
    if len(bad) == len(files):
        raise InputError(f"{found}; no image is left")
    print(f"skipped: {found}", file=sys.stderr)
    without = set(bad)
    return [file for file in files if file[0] not in without]


def damaged(paths: Sequence[Path], decode_all: bool) -> list[Path]:
    """The files that are no complete image.

    Args:
        paths: Files.
        decode_all: Whether to decode them; else only their beginnings and ends are looked at.

    Example:
        >>> damaged([Path("birds/wren/1.jpg")], decode_all=True)
        []
    """
    check = _decodes if decode_all else _looks_whole
    good = in_threads(check, paths, "checking files")
    return [path for path, whole in zip(paths, good, strict=True) if not whole]


def tell_damaged(bad: Sequence[Path], count: int) -> str:
    """How many of `count` files are damaged, and which the first are, for a message."""
    first = ", ".join(map(str, sorted(bad)[:3])) + (", ..." if len(bad) > 3 else "")
    return f"{len(bad):,} of {count:,} files are no complete image: {first}"


def _looks_whole(path: Path) -> bool:
    """Whether a file begins as an image and, if its format marks the end, ends as one."""
    if not path.is_file():  # a pipe, a device, or a link that leads nowhere
        return False
    with path.open("rb") as file:
        head = file.read(12)
        file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL))
        tail = file.read()
    if head.startswith(b"\xff\xd8\xff"):
        return b"\xff\xd9" in tail
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return b"IEND" in tail
    if head.startswith((b"GIF87a", b"GIF89a")):
        return tail.rstrip(b"\0").endswith(b";")
    if head[:4] == b"RIFF" and head[8:] == b"WEBP":
        return path.stat().st_size >= int.from_bytes(head[4:8], "little") + 8
    return head.startswith(b"BM") and path.stat().st_size >= int.from_bytes(head[2:6], "little")


def _decodes(path: Path) -> bool:
    if not _looks_whole(path):
        return False
    try:
        decode(path, 8, 8)
    except InputError:
        return False
    return True


def _read(
    files: list[tuple[Path, int]], image_size: int
) -> tuple[np.ndarray | ImageFiles, np.ndarray]:
    paths = np.array([str(path) for path, _ in files])
    labels = np.array([label for _, label in files], np.int32)
    if image_size > _IN_MEMORY:
        return ImageFiles(paths, image_size), labels
    return np.asarray(ImageFiles(paths, image_size, resize_to=image_size)), labels
