"""The names of the corruptions, and `corrupt`, which applies one to a batch of images."""

from __future__ import annotations

import operator
import zlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dynmix_tf.corruptions import blur, digital, noise, spatter, weather
from dynmix_tf.corruptions.filters import truncate
from dynmix_tf.corruptions.strengths import STRENGTHS
from dynmix_tf.errors import InputError, unknown_name

__all__ = ["GROUPS", "checked_integer", "corrupt", "image_stream", "names", "strengths_for"]

GROUPS: dict[str, tuple[str, ...]] = {
    "noise": ("gaussian_noise", "shot_noise", "impulse_noise"),
    "blur": ("defocus_blur", "glass_blur", "motion_blur", "zoom_blur"),
    "weather": ("snow", "frost", "fog", "brightness"),
    "digital": ("contrast", "elastic_transform", "pixelate", "jpeg_compression"),
}
"""The corruptions of the benchmark by kind, in the benchmark's order."""

_EXTRA = ("speckle_noise", "gaussian_blur", "spatter", "saturate")

_FUNCTIONS: dict[str, Callable[[NDArray[np.uint8], Sequence[np.random.Generator], Any], NDArray]]
_FUNCTIONS = {
    "gaussian_noise": noise.gaussian_noise,
    "shot_noise": noise.shot_noise,
    "impulse_noise": noise.impulse_noise,
    "defocus_blur": blur.defocus_blur,
    "glass_blur": blur.glass_blur,
    "motion_blur": blur.motion_blur,
    "zoom_blur": blur.zoom_blur,
    "snow": weather.snow,
    "frost": weather.frost,
    "fog": weather.fog,
    "brightness": weather.brightness,
    "contrast": digital.contrast,
    "elastic_transform": digital.elastic_transform,
    "pixelate": digital.pixelate,
    "jpeg_compression": digital.jpeg_compression,
    "speckle_noise": noise.speckle_noise,
    "gaussian_blur": blur.gaussian_blur,
    "spatter": spatter.spatter,
    "saturate": digital.saturate,
}

SMALLEST_SIDE = 8
LARGEST_CIFAR_SIDE = 95
VALUES_AT_ONCE = 2**19
"""Channel values worked on together: enough to amortise calls, small enough to stay in cache."""


def names(extra: bool = False) -> tuple[str, ...]:
    """The benchmark's fifteen corruptions, in its order.

    Args:
        extra: Also its four validation corruptions: speckle_noise, gaussian_blur, spatter and
            saturate.

    Example:
        >>> names()[:3]
        ('gaussian_noise', 'shot_noise', 'impulse_noise')
    """
    benchmark = tuple(name for group in GROUPS.values() for name in group)
    return benchmark + _EXTRA if extra else benchmark


def corrupt(
    images: NDArray[np.uint8],
    name: str,
    severity: int,
    seed: int = 0,
    strengths: str = "auto",
    first_index: int = 0,
) -> NDArray[np.uint8]:
    """Corrupt images as CIFAR-10-C or ImageNet-C were made.

    The definitions are the benchmark's, quirks included; its random draws are not (they
    were never fixed), so figures measured on generated images come close to those on the
    released files but are not the same.

    Image `i` of the batch is corrupted with the random stream of (seed, name, severity,
    first_index + i): a set may be made in batches of any size, or one image at a time, with
    the same bits as the result (NumPy, SciPy and Pillow being the same). Results are cut, not
    rounded, to whole grey levels, as in the benchmark (motion_blur, pixelate and
    jpeg_compression are rounded there too).

    Pixel lengths (radii, sigmas, displacements) are used as they are in the table, whatever
    the size of the image. Zoom, pixelate and the fog's fractal follow the image's size; the
    photographs of frost are enlarged only as far as an image needs to be covered.

    Args:
        images: uint8 array (n, h, w, 3), or one image (h, w, 3); sides of 8 pixels or more.
        name: One of `names(extra=True)`.
        severity: 1 to 5.
        seed: Non-negative integer.
        strengths: The table of parameters: "cifar" (made for 32 pixels), "imagenet" (for 224
            pixels), or "auto": "cifar" if the shorter side is below 96 pixels, else "imagenet".
        first_index: The index of the first image in its data set, 0 or more.

    Returns:
        A new uint8 array of the same shape.

    Raises:
        InputError: If an argument is not as said above.

    Example:
        >>> import numpy as np
        >>> image = np.full((32, 32, 3), 128, np.uint8)
        >>> corrupt(image, "contrast", severity=5).shape
        (32, 32, 3)

    Source: Hendrycks and Dietterich, "Benchmarking Neural Network Robustness to Common
    Corruptions and Perturbations", 2019, and its code `hendrycks/robustness`; the kernel of
    motion_blur and snow is ImageMagick's, and the photographs of frost are that code's, too.
    """
    images = _checked_images(images)
    if name not in _FUNCTIONS:
        raise unknown_name("corruption", name, names(extra=True))
    severity = checked_integer("severity", severity, 1, 5)
    seed = checked_integer("seed", seed, 0)
    first_index = checked_integer("first_index", first_index, 0)
    strengths = strengths_for(images.shape, strengths)
    strength = STRENGTHS[strengths][name][severity - 1]
    batch = images.reshape(-1, *images.shape[-3:])
    # crc32, since `hash` of a string differs from run to run
    entropy = [seed, zlib.crc32(name.encode()), severity]
    key = np.random.SeedSequence(entropy).generate_state(2, np.uint64)
    corrupted = np.empty_like(batch, order="C")
    at_once = max(1, VALUES_AT_ONCE // batch[:1].size) if len(batch) else 1
    for start in range(0, len(batch), at_once):
        part = batch[start : start + at_once]
        index = first_index + start
        streams = [image_stream(key, index + i) for i in range(len(part))]
        result = _FUNCTIONS[name](part, streams, strength)
        if result.dtype != np.uint8:
            result = truncate(result)
        corrupted[start : start + at_once] = result
    return corrupted.reshape(images.shape)


def strengths_for(shape: Sequence[int], strengths: str = "auto") -> str:
    """The table of strengths for images of a shape (..., h, w, c): "auto" goes by the size.

    Raises:
        InputError: Neither "auto" nor the name of a table.

    Example:
        >>> strengths_for((10, 32, 32, 3)), strengths_for((224, 224, 3))
        ('cifar', 'imagenet')
    """
    if strengths == "auto":
        return "cifar" if min(shape[-3:-1]) <= LARGEST_CIFAR_SIDE else "imagenet"
    if strengths not in STRENGTHS:
        raise unknown_name("table of strengths", strengths, ["auto", *STRENGTHS])
    return strengths


def image_stream(key: NDArray[np.uint64], index: int) -> np.random.Generator:
    """The stream of image `index`: its own 2**192 blocks of the counter under one key."""
    return np.random.Generator(np.random.Philox(key=key, counter=[0, 0, 0, index]))


def _checked_images(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    images = np.asarray(images)
    if images.dtype != np.uint8:
        raise InputError(
            f"`images` must be uint8 with values 0..255. Received: dtype={images.dtype}"
        )
    if images.ndim not in (3, 4) or images.shape[-1] != 3:
        hint = ""
        if images.ndim in (3, 4) and images.shape[-1] == 1:
            hint = "; repeat grey images to three channels with np.repeat(images, 3, axis=-1)"
        raise InputError(
            f"`images` must have the shape (n, h, w, 3) or (h, w, 3). "
            f"Received: shape={images.shape}{hint}"
        )
    if min(images.shape[-3:-1]) < SMALLEST_SIDE:
        raise InputError(
            f"the sides of `images` must be {SMALLEST_SIDE} pixels or more. "
            f"Received: shape={images.shape}"
        )
    return images


def checked_integer(name: str, value: int, smallest: int, largest: int | None = None) -> int:
    """An argument that must be an integer in `smallest`..`largest`; InputError if it is not."""
    expected = f"an integer from {smallest} to {largest}" if largest else "a non-negative integer"
    try:
        number = operator.index(value)
    except TypeError:
        number = smallest - 1
    if isinstance(value, bool) or number < smallest or (largest and number > largest):
        raise InputError(f"`{name}` must be {expected}. Received: {name}={value!r}")
    return number
