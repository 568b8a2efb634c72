"""Digital: contrast, elastic transform, pixelate, JPEG compression and saturation."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import fft

from dynmix_tf.corruptions.strengths import Elastic, Saturate

__all__ = ["contrast", "elastic_transform", "jpeg_compression", "pixelate", "saturate"]


def contrast(
    images: NDArray[np.uint8], streams: Sequence[np.random.Generator], factor: float
) -> NDArray[np.float32]:
    """Shrink the distance from each channel's mean over the image; nothing is drawn."""
    mean = images.mean(axis=(1, 2), keepdims=True)
    return images * np.float32(factor) + ((1 - factor) * mean).astype(np.float32)


def saturate(
    images: NDArray[np.uint8], streams: Sequence[np.random.Generator], strength: Saturate
) -> NDArray[np.float32]:
    """HSV saturation * factor + offset, cut at 0 and 1; nothing is drawn.

    A grey pixel has the hue of red, so an offset turns it reddish.
    """
    levels = images.astype(np.float32)
    value = levels.max(axis=-1, keepdims=True)
    spread = value - levels.min(axis=-1, keepdims=True)
    # how far each channel lies below the largest: 0 for it, 1 for the smallest
    depth = np.broadcast_to(np.array([0, 1, 1], np.float32), levels.shape).copy()
    np.divide(value - levels, spread, out=depth, where=spread > 0)
    saturation = np.divide(spread, value, out=np.zeros_like(value), where=value > 0)
    saturation = np.clip(saturation * strength.factor + strength.offset, 0, 1)
    return (value * (1 - depth * saturation)).astype(np.float32)


def pixelate(
    images: NDArray[np.uint8], streams: Sequence[np.random.Generator], factor: float
) -> NDArray[np.uint8]:
    """Resize to int(side * factor) and back, a box filter both ways; nothing is drawn."""
    _, h, w, _ = images.shape
    small = (int(w * factor), int(h * factor))
    coarse = np.empty_like(images)
    for i, image in enumerate(images):
        reduced = Image.fromarray(image).resize(small, Image.Resampling.BOX)
        coarse[i] = reduced.resize((w, h), Image.Resampling.BOX)
    return coarse


def jpeg_compression(
    images: NDArray[np.uint8], streams: Sequence[np.random.Generator], quality: int
) -> NDArray[np.uint8]:
    """Through a JPEG file of the given quality (Pillow, 4:2:0 chroma); nothing is drawn."""
    decoded = np.empty_like(images)
    for i, image in enumerate(images):
        file = io.BytesIO()
        Image.fromarray(image).save(file, "JPEG", quality=quality)
        decoded[i] = Image.open(file, formats=["JPEG"])
    return decoded


# --- elastic ---


def elastic_transform(
    images: NDArray[np.uint8], streams: Sequence[np.random.Generator], strength: Elastic
) -> NDArray[np.float32]:
    """Warp by a random affine map, then displace the pixels by a smooth random field.

    The affine map carries three points around the middle to places up to `affine` pixels
    away in x and y. Both steps are bilinear; the first mirrors at the edge pixels, the second
    repeats them.
    """
    n, h, w, _ = images.shape
    y, x = np.mgrid[:h, :w].astype(np.float32)

    third = min(h, w) // 3
    points = np.array([w // 2, h // 2]) + third * np.array([[1, 1], [1, -1], [-1, -1]])
    moved = points + np.stack([s.uniform(-1, 1, (3, 2)) for s in streams]) * strength.affine
    ones = np.ones((n, 3, 1))
    # the inverse map: from a place in the result to the place in the image that it shows
    inverse = np.linalg.solve(np.concatenate([moved, ones], axis=2), np.tile(points, (n, 1, 1)))
    a = inverse.astype(np.float32)[:, :, :, None, None]
    warped = _sample(
        images,
        a[:, 0, 1] * x + a[:, 1, 1] * y + a[:, 2, 1],
        a[:, 0, 0] * x + a[:, 1, 0] * y + a[:, 2, 0],
        repeat_edge=False,
    )
    if strength.displacement == 0:
        return warped

    field = np.stack([s.random((2, h, w), dtype=np.float32) for s in streams]) * 2 - 1
    field = np.stack([smooth(part, strength.smoothing) for part in field])
    field *= np.float32(strength.displacement)
    return _sample(warped, y + field[:, 1], x + field[:, 0], repeat_edge=True)


def smooth(field: NDArray[np.float32], sigma: float) -> NDArray[np.float32]:
    """Gaussian blur of (c, h, w), cut at 3 sigma, with the edges repeated in a mirror.

    That mirror makes the blur a product in the cosine basis, whose cost does not grow with
    sigma: 512 taps at 224 pixels are nothing special.
    """
    _, h, w = field.shape
    spectrum = fft.dctn(field, axes=(1, 2)) * _gaussian_response(h, w, sigma)
    return fft.idctn(spectrum, axes=(1, 2))


@lru_cache(maxsize=8)
def _gaussian_response(h: int, w: int, sigma: float) -> NDArray[np.float32]:
    """What the Gaussian's taps do to each cosine of an image."""
    reach = int(3 * sigma + 0.5)
    tap = np.arange(-reach, reach + 1)
    weights = np.exp(-(tap**2) / (2 * sigma**2))
    weights /= weights.sum()
    rows, columns = (
        (weights * np.cos(np.outer(np.arange(side) * (math.pi / side), tap))).sum(axis=1)
        for side in (h, w)
    )
    return np.outer(rows, columns).astype(np.float32)


def _sample(
    images: NDArray, y: NDArray[np.float32], x: NDArray[np.float32], repeat_edge: bool
) -> NDArray[np.float32]:
    """Bilinear values of (n, h, w, c) images at the places y, x (n, h, w).

    Beyond the image it is mirrored: about the edge pixels' centres, or, with `repeat_edge`,
    about their outer sides.
    """
    n, h, w, c = images.shape
    first = np.arange(n)[:, None, None] * (h * w)
    y0, y1, fy = _neighbours(y, h, repeat_edge)
    x0, x1, fx = _neighbours(x, w, repeat_edge)
    top, bottom = first + y0 * w, first + y1 * w
    pixels = images.reshape(n * h * w, c).astype(np.float32)

    def between(row: NDArray[np.intp]) -> NDArray[np.float32]:
        left, right = np.take(pixels, row + x0, axis=0), np.take(pixels, row + x1, axis=0)
        right -= left
        right *= fx[..., None]
        right += left
        return right

    upper, lower = between(top), between(bottom)
    lower -= upper
    lower *= fy[..., None]
    lower += upper
    return lower


def _neighbours(
    place: NDArray[np.float32], size: int, repeat_edge: bool
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32]]:
    """The pixels on either side of each place, and the share of the second."""
    # Folding before the cast to integers keeps places far outside representable.
    period = 2 * size if repeat_edge else 2 * (size - 1)
    last = period - 1 if repeat_edge else period
    place = np.mod(place, np.float32(period))
    below = np.floor(place)
    index = below.astype(np.intp)

    def mirrored(i: NDArray[np.intp]) -> NDArray[np.intp]:
        return np.maximum(np.minimum(i, last - i), 0)

    return mirrored(index), mirrored(index + 1), place - below
