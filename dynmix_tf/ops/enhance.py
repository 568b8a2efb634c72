"""Operations that blend each uint8 image with a plainer version of itself, and the negative.

They equal Pillow's bit for bit. Pillow blends in single precision, one product and one sum for
each value, clips, and cuts the fraction off; so does this module.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from dynmix_tf.ops.kernels import operation
from dynmix_tf.ops.pixels import channels, merge, product

__all__ = ["brightness", "color", "contrast", "invert", "sharpness"]

Tensor = Any


@operation()
def color(pixels: Tensor, level: Tensor, count: int) -> Tensor:
    """Moves each image away from its grey version, or towards it.

    Args:
        images: uint8 `(B, H, W, C)`; images of one channel stay as they are.
        level: Factor: 0 is grey, 1 the image itself, above 1 more colorful; one for the batch or
            one per image.

    Returns:
        uint8, same shape.

    Example:
        >>> color(np.array([200, 100, 0], "uint8").reshape(1, 1, 1, 3), 0.5)[0, 0, 0]
        <tf.Tensor: shape=(3,), dtype=uint8, numpy=array([159, 109,  59], dtype=uint8)>

    Reference: `PIL.ImageEnhance.Color`.
    """
    return _blend([_grey(pixels, count)] * count, pixels, level, count) if count == 3 else pixels


@operation()
def contrast(pixels: Tensor, level: Tensor, count: int) -> Tensor:
    """Moves each image away from its mean grey value, or towards it.

    Args:
        images: uint8 `(B, H, W, C)`.
        level: Factor: 0 is one flat grey, 1 the image itself, above 1 more contrast; one for the
            batch or one per image.

    Returns:
        uint8, same shape.

    Example:
        >>> contrast(np.array([50, 101], "uint8").reshape(1, 1, 2, 1), 2.0)[0, 0, :, 0]
        <tf.Tensor: shape=(2,), dtype=uint8, numpy=array([ 24, 126], dtype=uint8)>

    Reference: `PIL.ImageEnhance.Contrast`.
    """
    total = tf.reduce_sum(tf.cast(_grey(pixels, count), tf.int64))
    size = tf.size(pixels, tf.int64)
    mean = tf.cast((2 * total + size) // (2 * size), tf.int32)  # halves upwards
    return _blend([mean] * count, pixels, level, count)


@operation()
def brightness(pixels: Tensor, level: Tensor, count: int) -> Tensor:
    """Multiplies each value.

    Args:
        images: uint8 `(B, H, W, C)`.
        level: Factor: 0 is black, 1 the image itself, above 1 brighter; one for the batch or one
            per image.

    Returns:
        uint8, same shape.

    Example:
        >>> brightness(np.array([10, 200], "uint8").reshape(1, 1, 2, 1), 1.5)[0, 0, :, 0]
        <tf.Tensor: shape=(2,), dtype=uint8, numpy=array([ 15, 255], dtype=uint8)>

    Reference: `PIL.ImageEnhance.Brightness`.
    """
    return _blend([tf.constant(0)] * count, pixels, level, count)


@operation()
def sharpness(pixels: Tensor, level: Tensor, count: int) -> Tensor:
    """Moves each image away from a smoothed version, or towards it.

    The smoothed value is the mean of 3 x 3 pixels, of which the middle one counts five times.
    The pixels at the border stay as they are.

    Args:
        images: uint8 `(B, H, W, C)`.
        level: Factor: 0 is smoothed, 1 the image itself, above 1 sharper; one for the batch or
            one per image.

    Returns:
        uint8, same shape.

    Example:
        >>> point = np.zeros((1, 3, 3, 1), "uint8")
        >>> point[0, 1, 1] = 130
        >>> sharpness(point, [0.0])[0, 1, :, 0]
        <tf.Tensor: shape=(3,), dtype=uint8, numpy=array([ 0, 50,  0], dtype=uint8)>

    Reference: `PIL.ImageEnhance.Sharpness`.
    """
    padded = tf.pad(pixels, [[1, 1], [1, 1]])
    height, width = tf.unstack(tf.shape(pixels))

    def smooth(values: Tensor) -> Tensor:
        places = [(y, x) for y in range(3) for x in range(3)]
        total = tf.add_n([values[y : y + height, x : x + width] for y, x in places])
        total += 4 * values[1:-1, 1:-1]
        return (2 * total + 13) // 26  # rounded; thirteenths are never half way

    plain = [smooth(values) for values in channels(padded, count)]
    y, x = tf.range(height)[:, None], tf.range(width)[None]
    inner = (y > 0) & (y < height - 1) & (x > 0) & (x < width - 1)
    return tf.where(inner, _blend(plain, pixels, level, count), pixels)


@operation(takes_level=False)
def invert(pixels: Tensor, level: Tensor, count: int) -> Tensor:
    """Makes the negative: v becomes 255 - v.

    Args:
        images: uint8 `(B, H, W, C)`.
        level: Not used; present so that every operation is called alike.

    Returns:
        uint8, same shape.

    Example:
        >>> invert(np.array([0, 99], "uint8").reshape(1, 1, 2, 1))[0, 0, :, 0]
        <tf.Tensor: shape=(2,), dtype=uint8, numpy=array([255, 156], dtype=uint8)>

    Reference: `PIL.ImageOps.invert`.
    """
    return merge([tf.constant(255)] * count) - pixels


def _grey(pixels: Tensor, count: int) -> Tensor:
    """Pillow's mode "L" of the pixels: int32, 0..255."""
    if count == 1:
        return pixels
    red, green, blue = channels(pixels, count)
    # ITU-R 601-2 in 65,536ths
    return tf.bitwise.right_shift(red * 19595 + green * 38470 + blue * 7471 + 32768, 16)


def _blend(plain: Sequence[Tensor], pixels: Tensor, level: Tensor, count: int) -> Tensor:
    """`plain + level * (image - plain)`, each channel in single precision, cut off."""
    factor = tf.cast(level, tf.float32)
    mixed = []
    for base, value in zip(plain, channels(pixels, count), strict=True):
        moved = tf.cast(base, tf.float32) + product(factor, tf.cast(value - base, tf.float32))
        mixed.append(tf.cast(tf.clip_by_value(moved, 0.0, 255.0), tf.int32))
    return merge(mixed)
