"""The paper's operation for ImageNet: reducing an image and enlarging it again."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from dynmix_tf.ops.kernels import operation
from dynmix_tf.ops.pixels import channels, merge
from dynmix_tf.ops.sampling import between, centers, neighbors, take

__all__ = ["downscale"]

Tensor = Any


@operation()
def downscale(pixels: Tensor, level: Tensor, count: int) -> Tensor:
    """Reduces each image to a fraction of its size and enlarges it again.

    The paper names the operation without its parameters (Appendix B, Figure 6); box reduction
    and bilinear enlargement are this package's choice. It is close to the corruption `pixelate`.

    Args:
        images: uint8 `(B, H, W, C)`.
        level: Factor in (0, 1]: the sides shrink to `int(side * level)`, at least one pixel; one
            for the batch or one per image.

    Returns:
        uint8, same shape.

    Example:
        >>> downscale(np.array([0, 4, 8, 12], "uint8").reshape(1, 1, 4, 1), 0.5)[0, 0, :, 0]
        <tf.Tensor: shape=(4,), dtype=uint8, numpy=array([ 2,  4,  8, 10], dtype=uint8)>

    Reference: `PIL.Image.resize(small, BOX).resize(size, BILINEAR)`.
    """
    smaller = [
        tf.maximum(tf.floor(tf.cast(side, tf.float64) * level), 1.0)
        for side in tf.unstack(tf.shape(pixels))
    ]
    for axis in (1, 0):  # Pillow rounds after each of them
        pixels = _reduce(pixels, smaller[axis], axis, count)
    for axis in (1, 0):
        pixels = _enlarge(pixels, smaller[axis], axis, count)
    return pixels


def _reduce(pixels: Tensor, small: Tensor, axis: int, count: int) -> Tensor:
    """Averages boxes along an axis, so that its first `small` pixels hold the smaller image."""
    size = tf.shape(pixels)[axis]
    scale = tf.cast(size, tf.float64) / small
    center = (tf.cast(tf.range(size), tf.float64) + 0.5) * scale
    first = tf.cast(tf.nn.relu(tf.floor(center - 0.5 * scale + 0.5)), tf.int32)
    last = tf.minimum(tf.cast(tf.floor(center + 0.5 * scale + 0.5), tf.int32), size)
    along = (lambda values: values[:, None]) if axis == 0 else (lambda values: values[None])

    def weight(pixel: Tensor) -> Tensor:
        # both tests, as Pillow: they differ in the last bit, which decides at a box's border
        distance = (tf.cast(pixel, tf.float64) - center + 0.5) * (1.0 / scale)
        return tf.cast((pixel < last) & (distance > -0.5) & (distance <= 0.5), tf.int32)

    def add(tap: Tensor, number: Tensor, *sums: Tensor) -> tuple[Tensor, ...]:
        inside = weight(first + tap)
        index = tf.broadcast_to(along(tf.minimum(first + tap, size - 1)), tf.shape(pixels))
        values = channels(take(pixels, index, axis), count)
        added = [total + value * along(inside) for total, value in zip(sums, values, strict=True)]
        return (tap + 1, number + inside, *added)

    taps = tf.reduce_max(tf.where(tf.cast(tf.range(size), tf.float64) < small, last - first, 0))
    start = (0, tf.zeros_like(first), *[tf.zeros_like(pixels)] * count)
    _, number, *sums = tf.while_loop(lambda tap, *_: tap < taps, add, start)
    number = along(tf.maximum(number, 1))
    # rounded to the nearest, halves upwards
    return merge([(2 * total + number) // (2 * number) for total in sums])


def _enlarge(pixels: Tensor, small: Tensor, axis: int, count: int) -> Tensor:
    """Stretches the first `small` pixels along an axis over all of it, bilinearly."""
    shape = tf.shape(pixels)
    scale = tf.cast(shape[axis], tf.float64) / small
    source = tf.broadcast_to(centers(pixels)[axis] / scale, shape)
    low, high, weight, _ = neighbors(source, tf.cast(small, tf.int32))
    values = between(take(pixels, low, axis), take(pixels, high, axis), weight, count)
    return merge([tf.cast(value + 0.5, tf.int32) for value in values])
