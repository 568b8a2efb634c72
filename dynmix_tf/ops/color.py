"""Operations on the values of uint8 images, equal to Pillow's bit for bit.

Autocontrast and equalize are tables from old to new value, one per image and channel, made from
the image's own histogram.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from dynmix_tf.ops.arguments import level_per_image, uint8_batch

__all__ = ["autocontrast", "equalize", "posterize", "solarize"]

Tensor = Any


def autocontrast(images: Tensor, level: None = None) -> Tensor:
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
    images = uint8_batch(images)
    low = tf.cast(tf.reduce_min(images, axis=[1, 2]), tf.float64)[..., None]
    high = tf.cast(tf.reduce_max(images, axis=[1, 2]), tf.float64)[..., None]
    value = tf.range(256, dtype=tf.float64)
    scale = 255.0 / tf.maximum(high - low, 1.0)
    stretched = tf.clip_by_value(value * scale + -low * scale, 0.0, 255.0)
    return _look_up(images, tf.cast(tf.where(high > low, stretched, value), tf.uint8))


def equalize(images: Tensor, level: None = None) -> Tensor:
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
    images = uint8_batch(images)
    shape = tf.shape(images)
    channels = tf.reshape(tf.transpose(images, [0, 3, 1, 2]), [shape[0] * shape[3], -1])
    histogram = tf.math.bincount(tf.cast(channels, tf.int32), minlength=256, maxlength=256, axis=-1)
    total = shape[1] * shape[2]
    highest = tf.cast(tf.reduce_max(channels, axis=1), tf.int32)
    in_highest = tf.gather(histogram, highest, batch_dims=1)
    step = ((total - in_highest) // 255)[:, None]
    below = tf.cumsum(histogram, axis=1, exclusive=True)
    flat = tf.minimum((step // 2 + below) // tf.maximum(step, 1), 255)
    table = tf.cast(tf.where(step > 0, flat, tf.range(256)), tf.uint8)
    return _look_up(images, tf.reshape(table, [shape[0], shape[3], 256]))


def solarize(images: Tensor, level: Tensor) -> Tensor:
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
    images = uint8_batch(images)
    threshold = tf.cast(tf.math.ceil(level_per_image(images, level, tf.float32)), tf.int32)
    # v >= t is v > t - 1, which fits uint8 for t in 1..256; t = 0 inverts 0 as well
    over = images > tf.cast(tf.clip_by_value(threshold - 1, 0, 255), tf.uint8)[:, None, None, None]
    all_values = (threshold <= 0)[:, None, None, None]
    return tf.where(over | all_values, 255 - images, images)


def posterize(images: Tensor, level: Tensor) -> Tensor:
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
    images = uint8_batch(images)
    bits = tf.clip_by_value(level_per_image(images, level, tf.int32), 0, 8)
    mask = tf.cast(256 - tf.bitwise.left_shift(1, 8 - bits), tf.uint8)
    return tf.bitwise.bitwise_and(images, mask[:, None, None, None])


def _look_up(images: Tensor, table: Tensor) -> Tensor:
    """Replaces each value by its entry in `table`, uint8 `(B, C, 256)`."""
    rows = tf.range(tf.shape(table)[0] * tf.shape(table)[1])
    first = tf.reshape(rows * 256, [-1, 1, 1, tf.shape(table)[1]])
    return tf.gather(tf.reshape(table, [-1]), tf.cast(images, tf.int32) + first)
