"""Data sets by name, as NumPy arrays or files that stand for them. Nothing imports TensorFlow.

The exceptions are TensorFlow Datasets, and `fashion_mnist` where no file of it is found: Keras
then downloads it.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from typing import Any

from dynmix_tf.data.cifar import load_cifar10, load_cifar100
from dynmix_tf.data.class_folders import load_folder, load_imagenet2012
from dynmix_tf.data.fashion_mnist import find_fashion_mnist, load_fashion_mnist
from dynmix_tf.data.image_data import ImageData
from dynmix_tf.data.image_files import ImageFiles
from dynmix_tf.data.npz import load_npz
from dynmix_tf.data.packed import write_packed
from dynmix_tf.data.photos import load_photos
from dynmix_tf.data.stylized import add_stylized
from dynmix_tf.data.tfds import load_tfds
from dynmix_tf.errors import InputError, unknown_name

__all__ = [
    "ImageData", "ImageFiles", "add_stylized", "find_fashion_mnist", "load", "names",
    "write_packed",
]  # fmt: skip

_LOADERS: dict[str, Callable[..., ImageData]] = {
    "cifar10": load_cifar10,
    "cifar100": load_cifar100,
    "fashion_mnist": load_fashion_mnist,
    "folder": load_folder,
    "imagenet2012": load_imagenet2012,
    "photos": load_photos,
}
_ALSO_OF_TFDS = ("cifar10", "cifar100", "imagenet2012")


def names() -> tuple[str, ...]:
    """The names that `load` knows, besides paths and those of TensorFlow Datasets.

    Example:
        >>> "photos" in names()
        True
    """
    return tuple(_LOADERS)


def load(
    name: str | os.PathLike[str],
    data_dir: str | os.PathLike[str] | None = None,
    *,
    num_train: int | None = None,
    num_test: int | None = None,
    **options: Any,
) -> ImageData:
    """Loads a data set.

    Args:
        name: One of `names()`; the path of an `.npz` file, or of a folder of class folders; or
            "tfds:NAME" for a data set that TensorFlow Datasets has prepared, which is also where
            `cifar10`, `cifar100` and `imagenet2012` come from without a `data_dir`.
        data_dir: Folder of the data set's files, for those that are read from a folder.
        num_train: Training images to take, the first ones; any number of `photos`. None is the
            data set's own number.
        num_test: Test images to take, alike.
        **options: What the data set's own loader takes besides: `image_size` and `seed` of
            `photos`, `image_size` and `skip_damaged` of folders.

    Returns:
        The images and labels of both splits, in an order that never changes.

    Raises:
        InputError: The name or an option is unknown, the files are missing or damaged, or there
            are fewer images than asked for.

    Example:
        >>> load("photos", num_train=90, num_test=9).class_names[0]
        'astronaut'
    """
    loader: Callable[..., ImageData]
    if not isinstance(name, (str, os.PathLike)):
        raise InputError(f"`name` must be a data set's name or a path. Received: {name!r}")
    name = os.fspath(name)
    if name.endswith(".npz"):
        loader, arguments = load_npz, {"path": name, **options}
    elif name.startswith("tfds:"):
        loader, arguments = load_tfds, {"name": name.removeprefix("tfds:"), **options}
    elif name in _ALSO_OF_TFDS and data_dir is None:
        loader, arguments = load_tfds, {"name": name, **options}
    elif name in _LOADERS:
        loader, arguments = _LOADERS[name], options
    elif data_dir is None and os.path.isdir(name):
        loader, arguments = load_folder, {"data_dir": name, **options}
    else:
        raise unknown_name("dataset", name, [*_LOADERS, "FILE.npz", "FOLDER", "tfds:NAME"])
    if data_dir is not None:
        arguments = {**arguments, "data_dir": data_dir}
    known = inspect.signature(loader).parameters
    limits = {"num_train": num_train, "num_test": num_test}
    if "num_train" in known:
        arguments |= {name: limit for name, limit in limits.items() if limit is not None}
        limits = {}
    for option in arguments:
        if option not in known:
            raise InputError(f"dataset '{name}' takes no `{option}`. It takes: {', '.join(known)}")
    return loader(**arguments).limited(**limits)
