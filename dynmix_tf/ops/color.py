"""Operations on the values of uint8 images, equal to Pillow's bit for bit.

Autocontrast and equalize are tables from old to new value, one per image and channel, made from
the image's own histogram.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from dynmix_tf.ops.kernels import operation
from dynmix_tf.ops.pixels import map_channels, merge

__all__ = ["autocontrast", "equalize", "posterize", "solarize"]

Tensor = Any


@operation(takes_level=False)
def autocontrast(pixels: Tensor, level: Tensor, count: int) -> Tensor:
    """Stretches each channel so that its darkest value becomes 0 and its brightest 255.

    Args:
        images: uint8 `(B, H, W, C)`.
        level: Not used; present so that every operation is called alike.

    Returns:
        uint8, same shape. A channel of one single value stays as it is.

    Example:
        >>> autocontrast(np.array([50, 101], "uint8").reshape(1, 1, 2, 1))[0, 0, :, 0]
        <tf.Tensor: shape=(2,), dtype=uint8, numpy=array([  0, 255], dtype=uint8)>

    Reference: `PIL.ImageOps.autocontrast` with no cutoff.
    """
    value = tf.range(256, dtype=tf.float64)

    def stretch(values: Tensor) -> Tensor:
        low, high = (
            tf.cast(extreme(values), tf.float64) for extreme in (tf.reduce_min, tf.reduce_max)
        )
        scale = 255.0 / tf.maximum(high - low, tf.ones([], tf.float64))
        # the absolute values change nothing but keep the compiler from rounding product and sum
        # at once, which would give another result than Pillow where the quotient is whole
        stretched = tf.abs(value * scale) - tf.abs(low * scale)
        table = tf.where(high > low, tf.clip_by_value(stretched, 0.0, 255.0), value)
        return tf.gather(tf.cast(table, tf.int32), values)

    return map_channels(stretch, pixels, count)


@operation(takes_level=False)
def equalize(pixels: Tensor, level: Tensor, count: int) -> Tensor:
    """Flattens the histogram of each channel.

    Args:
        images: uint8 `(B, H, W, C)`.
        level: Not used; present so that every operation is called alike.

    Returns:
        uint8, same shape. A channel of one single value stays as it is.

    Example:
        >>> image = np.repeat(np.array([10, 20], "uint8"), 256).reshape(1, 2, 256, 1)
        >>> equalize(image)[0, :, 0, 0]
        <tf.Tensor: shape=(2,), dtype=uint8, numpy=array([  0, 255], dtype=uint8)>

    Reference: `PIL.ImageOps.equalize`.
    """
    total = tf.size(pixels)

    def flatten(values: Tensor) -> Tensor:
        ones = tf.ones([total], tf.int32)
        places = tf.reshape(values, [-1, 1])
        histogram = tf.tensor_scatter_nd_add(tf.zeros([256], tf.int32), places, ones)
        step = (total - tf.gather(histogram, tf.reduce_max(values))) // 255
        below = tf.cumsum(histogram, exclusive=True)
        flat = tf.minimum((step // 2 + below) // tf.maximum(step, 1), 255)
        return tf.gather(tf.where(step > 0, flat, tf.range(256)), values)

    return map_channels(flatten, pixels, count)


@operation()
def solarize(pixels: Tensor, level: Tensor, count: int) -> Tensor:
    """Inverts the values at or above a threshold: v becomes 255 - v.

    Args:
        images: uint8 `(B, H, W, C)`.
        level: Threshold, 0 (inverts all) to 256 (inverts nothing); one for the batch or one
            per image.

    Returns:
        uint8, same shape.

    Example:
        >>> solarize(np.array([99, 100], "uint8").reshape(1, 1, 2, 1), 100)[0, 0, :, 0]
        <tf.Tensor: shape=(2,), dtype=uint8, numpy=array([ 99, 155], dtype=uint8)>

    Reference: `PIL.ImageOps.solarize`.
    """
    threshold = tf.cast(tf.math.ceil(level), tf.int32)
    return map_channels(
        lambda values: tf.where(values >= threshold, 255 - values, values), pixels, count
    )


@operation()
def posterize(pixels: Tensor, level: Tensor, count: int) -> Tensor:
    """Keeps the highest bits of each value and clears the others.

    Args:
        images: uint8 `(B, H, W, C)`.
        level: Bits kept, 0 to 8 (fractions are cut off); one for the batch or one per image.

    Returns:
        uint8, same shape.

    Example:
        >>> posterize(np.array([255, 100], "uint8").reshape(1, 1, 2, 1), 1)[0, 0, :, 0]
        <tf.Tensor: shape=(2,), dtype=uint8, numpy=array([128,   0], dtype=uint8)>

    Reference: `PIL.ImageOps.posterize`.
    """
    bits = tf.clip_by_value(tf.cast(level, tf.int32), 0, 8)
    mask = 256 - tf.bitwise.left_shift(1, 8 - bits)
    return tf.bitwise.bitwise_and(pixels, merge([mask] * count))
