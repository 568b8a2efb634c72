"""Stylized-ImageNet next to the images that it was made from."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np

from dynmix_tf.data.class_folders import read_classes
from dynmix_tf.data.image_data import ImageData
from dynmix_tf.data.image_files import ImageFiles
from dynmix_tf.errors import InputError

__all__ = ["add_stylized"]


def add_stylized(
    data: ImageData, sin_dir: str | os.PathLike[str], num_train: int = 0, skip_damaged: bool = False
) -> ImageData:
    """Adds stylised training images to a data set; its test images stay what they are.

    An epoch then goes through both sets, twice as many images where every image has a stylised
    copy.

    Args:
        data: The originals.
        sin_dir: Folder of `train/<class>/*`, one for each class of `data` by its name, as the code
            of Stylized-ImageNet writes it: PNG files of 224 px. `val/` is not looked at.
        num_train: How many stylised images to add, the first ones of an order that never
            changes; 0 is all.
        skip_damaged: As in `dynmix_tf.data.load`.

    Raises:
        InputError: The folder is missing or no such one, a class is missing or empty, files are
            damaged, or there are fewer images than asked for.

    Example:
        >>> originals = dynmix_tf.data.load("birds", image_size=32)
        >>> both = add_stylized(originals, "birds_stylized")  # doctest: +SKIP

    Source: Geirhos et al. (2019), https://github.com/rgeirhos/Stylized-ImageNet.
    """
    root = Path(sin_dir) / "train"
    if not root.is_dir():
        raise InputError(
            f"no folder '{root}': --sin_dir is where create_stylized_imagenet.sh of "
            "github.com/rgeirhos/Stylized-ImageNet wrote train/<class>/*.png (with 0.5 for "
            "`--alpha` in code/general.py, the paper's coefficient)"
        )
    height, width, _ = data.image_shape
    if height != width:
        raise InputError(
            f"stylised images are square; dataset '{data.name}' has {height} x {width}"
        )
    images, labels = read_classes(root, data.class_names, height, skip_damaged)
    if num_train > len(images):
        raise InputError(f"'{root}' holds {len(images)} images; --num_train={num_train}")
    if num_train:
        images, labels = images[:num_train], labels[:num_train]
    originals = data.train_images
    both: np.ndarray | ImageFiles
    if isinstance(originals, ImageFiles) and isinstance(images, ImageFiles):
        both = replace(originals, paths=np.concatenate([originals.paths, images.paths]))
    else:
        both = np.concatenate([np.asarray(originals), np.asarray(images)])
    return replace(
        data, train_images=both, train_labels=np.concatenate([data.train_labels, labels])
    )
