"""Patches of the photographs that the scikit-image and scikit-learn packages carry.

Real colour images that need no download, in any number: the class is the photograph that a patch
was cut from. Training and test patches come from different parts of each photograph.
"""

from __future__ import annotations

import functools
from typing import Literal

import numpy as np
from PIL import Image

from dynmix_tf.data.image_data import ImageData
from dynmix_tf.errors import InputError

__all__ = ["CLASS_NAMES", "load_photos", "photographs", "windows"]

# All public domain or CC0, but for the last two: CC BY 2.0, by danielbuechele and vultilion.
CLASS_NAMES = (
    "astronaut",
    "chelsea",
    "coffee",
    "rocket",
    "hubble_deep_field",
    "immunohistochemistry",
    "retina",
    "china",
    "flower",
)
_CELLS = 3  # a photograph is cut into 3 x 3 cells
_SMALLEST_SIDE = 32  # px of a window
_LARGEST_UPSAMPLING = 4


@functools.cache
def photographs() -> tuple[np.ndarray, ...]:
    """The photographs in the order of `CLASS_NAMES`: uint8 (H, W, 3), 300 to 1411 px a side.

    Raises:
        InputError: scikit-image or scikit-learn is not installed.
    """
    try:
        from skimage import data as skimage_data
        from sklearn.datasets import load_sample_image
    except ImportError as error:
        raise InputError(
            "dataset 'photos' reads the photographs inside scikit-image and scikit-learn: "
            f"pip install scikit-image scikit-learn ({error})"
        ) from error
    return (
        *(getattr(skimage_data, name)() for name in CLASS_NAMES[:-2]),
        *(load_sample_image(f"{name}.jpg") for name in CLASS_NAMES[-2:]),
    )


def load_photos(
    image_size: int = 32, num_train: int = 4500, num_test: int = 1800, seed: int = 0
) -> ImageData:
    """Cuts patches from the photographs and resizes them, antialiased, to `image_size`.

    Example i is of class i modulo 9 and depends on `seed`, the split, i and `image_size` only,
    so a larger set begins with the smaller one. The parts for training and for testing are the
    same for every seed.

    Args:
        image_size: Side of the images in pixels, 32 to 224.
        num_train: Number of training images, 1 or more.
        num_test: Number of test images, 1 or more.
        seed: Non-negative integer.

    Returns:
        uint8 images (N, image_size, image_size, 3) of nine classes.

    Raises:
        InputError: An argument is out of range, or a package with photographs is missing.

    Example:
        >>> load_photos(num_train=18, num_test=9).train_images.shape
        (18, 32, 32, 3)

    Sources: `skimage.data` and `sklearn.datasets.load_sample_images`, which name the
        photographers and licences.
    """
    if not 32 <= image_size <= 224:
        raise InputError(f"`image_size` must be in [32, 224]. Received: image_size={image_size}")
    for option, value, least in (
        ("num_train", num_train, 1),
        ("num_test", num_test, 1),
        ("seed", seed, 0),
    ):
        if value < least:
            raise InputError(f"`{option}` must be {least} or more. Received: {option}={value}")
    train_windows = windows("train", num_train, image_size, seed)
    test_windows = windows("test", num_test, image_size, seed)
    return ImageData(
        name="photos",
        train_images=_cut(train_windows, image_size),
        train_labels=train_windows[:, 0],
        test_images=_cut(test_windows, image_size),
        test_labels=test_windows[:, 0],
        class_names=CLASS_NAMES,
    )


def windows(
    split: Literal["train", "test"], num: int, image_size: int = 32, seed: int = 0
) -> np.ndarray:
    """Where each patch lies in its photograph.

    A photograph is cut into 3 x 3 equal cells; those on the rising diagonal are for testing, the
    other six for training. A patch is a square inside one cell, in a uniformly drawn place, its
    side log-uniform between 32 px (`image_size` / 4 if that is more) and the cell's shorter side.

    Args:
        split: "train" or "test".
        num: Number of patches.
        image_size: Side in pixels to which the patches will be resized.
        seed: Non-negative integer.

    Returns:
        int32 array (num, 4): class, top, left, side; the last three in pixels.
    """
    is_test = split == "test"
    cells = [
        (row, column)
        for row in range(_CELLS)
        for column in range(_CELLS)
        if (row + column == _CELLS - 1) == is_test
    ]
    shapes = [photograph.shape for photograph in photographs()]
    smallest = max(_SMALLEST_SIDE, image_size // _LARGEST_UPSAMPLING)
    result: np.ndarray = np.empty((num, 4), np.int32)
    for index in range(num):
        label = index % len(shapes)
        height, width = shapes[label][0] // _CELLS, shapes[label][1] // _CELLS
        stream = np.random.SeedSequence([seed, is_test, index])
        draws = np.random.Generator(np.random.Philox(stream)).random(4)
        row, column = cells[int(draws[0] * len(cells))]
        side = int(smallest * (min(height, width) / smallest) ** draws[1])
        top = row * height + int(draws[2] * (height - side + 1))
        left = column * width + int(draws[3] * (width - side + 1))
        result[index] = label, top, left, side
    return result


def _cut(patch_windows: np.ndarray, image_size: int) -> np.ndarray:
    images: np.ndarray = np.empty((len(patch_windows), image_size, image_size, 3), np.uint8)
    for index, (label, top, left, side) in enumerate(patch_windows):
        # Cropped before it is resized: `resize(box=...)` lets the filter read beyond the box,
        # and a training patch would then hold something of its neighbour in the test set.
        patch = Image.fromarray(photographs()[label][top : top + side, left : left + side])
        images[index] = patch.resize((image_size, image_size), Image.Resampling.BILINEAR)
    return images
