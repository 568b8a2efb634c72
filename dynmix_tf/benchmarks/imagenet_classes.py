"""The 1,000 classes of ImageNet (ILSVRC 2012)."""

from __future__ import annotations

import functools
import importlib.util
from pathlib import Path

from dynmix_tf.errors import InputError

__all__ = ["imagenet_classes"]

_FILE = "datasets/imagenet2012/labels.txt"


@functools.cache
def imagenet_classes() -> tuple[str, ...]:
    """The synsets in the order of a model's outputs, which is that of their names.

    They are those of TensorFlow Datasets, of which only a text file is read.

    Raises:
        InputError: Its file of synsets is not where it was.

    Example:
        >>> imagenet_classes()[:2], len(imagenet_classes())
        (('n01440764', 'n01443537'), 1000)
    """
    package = importlib.util.find_spec("tensorflow_datasets")
    folders = package.submodule_search_locations if package else None
    path = Path(folders[0] if folders else "") / _FILE
    synsets = tuple(path.read_text().split()) if path.is_file() else ()
    if len(synsets) != 1000:
        raise InputError(
            "the installed tensorflow_datasets has no list of ImageNet's 1,000 synsets in "
            f"{_FILE}; give `classes`"
        )
    return synsets
