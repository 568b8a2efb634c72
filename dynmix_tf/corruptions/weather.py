"""Weather: snow, frost, fog and brightness."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dynmix_tf.corruptions.filters import apply_operator, streak, truncate, zoom_operator
from dynmix_tf.corruptions.strengths import Fog, Frost, Snow

__all__ = ["brightness", "fog", "frost", "snow"]

FROST = tuple(
    Path(__file__).parent / "frost" / name
    for name in ("frost1.png", "frost2.png", "frost3.png", "frost4.jpg", "frost5.jpg")
)
"""The photographs that the reference draws from; it ships a sixth, which it never takes."""


def snow(
    images: NDArray[np.uint8], streams: Sequence[np.random.Generator], strength: Snow
) -> NDArray[np.float32]:
    """Whiten the image and add falling flakes, then the same flakes turned by 180 degrees.

    Flakes are enlarged normal noise above a threshold, blurred at an angle U(-135, -45).
    """
    _, h, w, _ = images.shape
    noise = np.stack([s.standard_normal((h, w, 1), dtype=np.float32) for s in streams])
    angles = [stream.uniform(-135, -45) for stream in streams]
    flakes = flakes_from(noise, strength)
    flakes = streak(flakes, strength.radius, strength.sigma, angles).astype(np.float32)
    levels = whitened(images, strength.keep)
    levels += flakes
    levels += flakes[:, ::-1, ::-1]
    return levels


def flakes_from(noise: NDArray[np.float32], strength: Snow) -> NDArray[np.uint8]:
    """Flakes that do not fall yet, from standard normal noise; both (n, h, w, 1)."""
    _, h, w, _ = noise.shape
    layer = np.float32(strength.mean) + np.float32(strength.spread) * noise
    layer = apply_operator(zoom_operator(h, w, (strength.zoom,)), layer)
    layer[layer < strength.threshold] = 0
    return truncate(255 * layer)


def whitened(images: NDArray[np.uint8], keep: float) -> NDArray[np.float32]:
    """A share `keep` of images (..., 3), the rest of them as bright as under snow."""
    levels = images.astype(np.float32)
    grey = 0.299 * levels[..., 0] + 0.587 * levels[..., 1] + 0.114 * levels[..., 2]
    white = np.maximum(levels, 1.5 * grey[..., None] + 127.5)
    levels *= np.float32(keep)
    levels += np.float32(1 - keep) * white
    return levels


def frost(
    images: NDArray[np.uint8], streams: Sequence[np.random.Generator], strength: Frost
) -> NDArray[np.float32]:
    """A weighted sum of the image and a random part of a random photograph of frost.

    A photograph smaller than the image is enlarged (bilinear) until it just covers it; the
    reference, made for 32 and 224 pixels, knows no such case.
    """
    _, h, w, _ = images.shape
    levels = images * np.float32(strength.keep)
    for image, stream in zip(levels, streams, strict=True):
        image += np.float32(strength.frost) * _frost_part(stream, h, w, strength.reduction)
    return levels


def _frost_part(stream: np.random.Generator, h: int, w: int, reduction: int) -> NDArray[np.uint8]:
    """A part (h, w, 3) of a photograph; the last places that fit are left out, as there."""
    photo = frost_photo(int(stream.integers(len(FROST))), reduction)
    height, width, _ = photo.shape
    enlarge = max(1.0, h / height, w / width)
    top = int(stream.integers(max(1, round(height * enlarge) - h)))
    left = int(stream.integers(max(1, round(width * enlarge) - w)))
    if enlarge == 1:
        return photo[top : top + h, left : left + w]
    bottom, right = min((top + h) / enlarge, height), min((left + w) / enlarge, width)
    box = (left / enlarge, top / enlarge, right, bottom)
    return np.asarray(Image.fromarray(photo).resize((w, h), Image.Resampling.BILINEAR, box))


@lru_cache(maxsize=2 * len(FROST))
def frost_photo(index: int, reduction: int) -> NDArray[np.uint8]:
    """Photograph `index`, reduced by an odd factor, uint8 (height, width, 3), read once.

    Every `reduction`-th pixel, which is what bilinear interpolation without a wider filter
    amounts to: the middles of the new pixels lie on middles of old ones.
    """
    with Image.open(FROST[index]) as photo:
        pixels = np.asarray(photo.convert("RGB"))
    pixels = pixels[reduction // 2 :: reduction, reduction // 2 :: reduction].copy()
    pixels.flags.writeable = False
    return pixels


def fog(
    images: NDArray[np.uint8], streams: Sequence[np.random.Generator], strength: Fog
) -> NDArray[np.float32]:
    """Add a plasma fractal, and scale so that the brightest value could stay what it was.

    The fractal's side is the next power of two, at least 32 (so 32 for 32 pixels and 256 for
    224, as in the reference); its upper left corner is used.
    """
    _, h, w, _ = images.shape
    side = 1 << max(5, (max(h, w) - 1).bit_length())
    veil = plasma(streams, side, strength.decay)[:, :h, :w, None]
    brightest = images.max(axis=(1, 2, 3), keepdims=True).astype(np.float32)
    amplitude = np.float32(255 * strength.amplitude)
    return (images + amplitude * veil) * (brightest / (brightest + amplitude))


def plasma(streams: Sequence[np.random.Generator], side: int, decay: float) -> NDArray[np.float32]:
    """Diamond-square fractals (n, side, side), wrapped around at the edges, scaled to 0..1.

    `side` is a power of two. From one scale to the next the random part is divided by
    decay**2: the reference multiplies a decaying factor with a uniform draw of that range.
    """
    wiggle = np.stack([s.random(side * side - 1, dtype=np.float32) for s in streams])
    wiggle = wiggle * 2 - 1
    used = 0

    def middle_of(corners: NDArray[np.float32], scale: float) -> NDArray[np.float32]:
        """The mean of four corners, whose sum came, and a random part."""
        nonlocal used
        n, rows, columns = corners.shape
        part = wiggle[:, used : used + rows * columns].reshape(n, rows, columns)
        used += rows * columns
        return corners / 4 + np.float32(scale) * part

    field: NDArray[np.float32] = np.zeros((len(streams), side, side), np.float32)
    step, scale = side, 100.0**2
    while step >= 2:
        half = step // 2
        corner = field[:, ::step, ::step]
        edge = corner + np.roll(corner, -1, axis=1)
        centre = middle_of(edge + np.roll(edge, -1, axis=2), scale)
        field[:, half::step, half::step] = centre
        vertical = centre + np.roll(centre, 1, axis=1)
        field[:, ::step, half::step] = middle_of(
            vertical + corner + np.roll(corner, -1, axis=2), scale
        )
        horizontal = centre + np.roll(centre, 1, axis=2)
        field[:, half::step, ::step] = middle_of(
            horizontal + corner + np.roll(corner, -1, axis=1), scale
        )
        step, scale = half, scale / decay**2
    field -= field.min(axis=(1, 2), keepdims=True)
    field /= field.max(axis=(1, 2), keepdims=True)
    return field


@lru_cache(maxsize=16)
def _brightness_table(added: float) -> NDArray[np.uint8]:
    """The new level of a channel, by the pixel's largest level (row) and the channel's."""
    value = np.arange(256)[:, None] / 255
    channel = np.arange(256)[None, :] / 255
    # Hue and saturation stay, so a channel keeps its ratio to the largest; black turns grey.
    ratio = np.divide(channel, value, out=np.ones((256, 256)), where=value > 0)
    return truncate(255 * np.clip(value + added, 0, 1) * ratio)


def brightness(
    images: NDArray[np.uint8], streams: Sequence[np.random.Generator], added: float
) -> NDArray[np.uint8]:
    """Add `added` (of 0..1) to the HSV value and cut it at 1; nothing is drawn."""
    red, green, blue = images[..., 0], images[..., 1], images[..., 2]
    value = np.maximum(np.maximum(red, green), blue)[..., None]
    return np.take(_brightness_table(added), value * np.intp(256) + images)
