"""Linear filters that more than one group of corruptions uses, and the cast to uint8."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, sparse

__all__ = ["apply_operator", "streak", "streak_taps", "truncate", "zoom_operator"]

NEGLIGIBLE_WEIGHT = 1e-6
"""Taps of a streak below this weight are left out: together under .01 grey levels."""


def truncate(levels: NDArray) -> NDArray[np.uint8]:
    """Clip grey levels to 0..255 and cut off the fraction, as the reference's cast does.

    A value that rounding errors may have put below a grey level counts as that level (within
    5e-4 in float32, 1e-6 in float64): white must not become 254 because some weights sum to
    .9999999.
    """
    forgiven = 5e-4 if levels.dtype == np.float32 else 1e-6
    levels = levels + np.asarray(forgiven, levels.dtype)
    np.clip(levels, 0, 255, out=levels)
    return levels.astype(np.uint8, order="C")


def zoom_matrix(size: int, factor: float) -> NDArray[np.float64]:
    """The matrix (size, size) that enlarges the middle of a line of pixels, `factor` >= 1.

    The middle ceil(size / factor) pixels are stretched by linear interpolation to
    round(factor * that many), whose middle `size` pixels are kept.
    """
    crop = math.ceil(size / factor)
    start = (size - crop) // 2
    stretch = ndimage.zoom(np.eye(crop), (factor, 1), order=1, mode="nearest")
    trim = (len(stretch) - size) // 2
    matrix: NDArray[np.float64] = np.zeros((size, size))
    matrix[:, start : start + crop] = stretch[trim : trim + size]
    return matrix


@lru_cache(maxsize=8)
def zoom_operator(h: int, w: int, factors: tuple[float, ...]) -> sparse.csr_array:
    """The sum of an image's enlargements by `factors`, as a sparse matrix (h*w, h*w).

    Sparse, since a dense product of this size would start BLAS threads in every worker.
    """
    total = sparse.csr_array((h * w, h * w))
    for factor in factors:
        rows = sparse.csr_array(zoom_matrix(h, factor))
        columns = sparse.csr_array(zoom_matrix(w, factor))
        total = total + sparse.kron(rows, columns, format="csr")
    return total.astype(np.float32)


def apply_operator(operator: sparse.csr_array, images: NDArray) -> NDArray[np.float32]:
    """The product of a (h*w, h*w) matrix with every channel of (n, h, w, c) images."""
    n, h, w, c = images.shape
    pixels = images.reshape(n, h * w, c).swapaxes(0, 1).reshape(h * w, n * c)
    result = operator @ pixels.astype(np.float32)
    return result.reshape(h * w, n, c).swapaxes(0, 1).reshape(images.shape)


def streak_taps(
    radius: int, sigma: float, angle: float
) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Weights (k,) and offsets (k, 2), as y and x, of ImageMagick's motion blur kernel.

    The kernel is one-sided: 2 * radius + 1 samples of exp(-i**2 / (2 sigma**2)), i = 0, 1, ...,
    and sample i reads the pixel i steps along `angle` (degrees, clockwise from the right, y
    downwards), each coordinate as ceil(v - 1/2). Samples that meet in a pixel are one tap.
    """
    step = np.arange(2 * radius + 1)
    weights = np.exp(-(step**2) / (2 * sigma**2))
    weights /= weights.sum()
    direction = np.array([math.sin(math.radians(angle)), math.cos(math.radians(angle))])
    y, x = np.ceil(direction[:, None] * step - 0.5).astype(np.intp)
    reach = 2 * radius
    side = 2 * reach + 1
    weights = np.bincount((y + reach) * side + x + reach, weights, minlength=side * side)
    place = np.flatnonzero(weights > NEGLIGIBLE_WEIGHT)
    offsets = np.stack(np.divmod(place, side), axis=1) - reach
    return weights[place], offsets


def streak(
    images: NDArray, radius: int, sigma: float, angles: Sequence[float]
) -> NDArray[np.uint8]:
    """Motion blur as ImageMagick's `MotionBlurImage`, one angle per image of (n, h, w, c).

    Pixels beyond the edge repeat it. The result is rounded to uint8, not truncated, as
    ImageMagick does when it writes 8 bits.
    """
    n, h, w, _ = images.shape
    margin = 2 * radius
    around = ((0, 0), (margin, margin), (margin, margin), (0, 0))
    padded = np.pad(images, around, "edge").astype(np.float32)
    blurred = np.empty(images.shape, np.uint8)
    tap = np.empty(images.shape[1:], np.float32)
    for i, angle in enumerate(angles):
        weights, offsets = streak_taps(radius, sigma, angle)
        total = np.full(images.shape[1:], 0.5, np.float32)
        for weight, (y, x) in zip(weights.astype(np.float32), offsets + margin, strict=True):
            total += np.multiply(padded[i, y : y + h, x : x + w], weight, out=tap)
        blurred[i] = total
    return blurred
