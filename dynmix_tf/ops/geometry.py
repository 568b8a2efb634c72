"""Geometric operations on batches of uint8 images, as Pillow does them.

They equal Pillow's bit for bit, but for rotation by other than whole degrees up to 30, where the
last bit of a sine may change a value by one grey level.

Pillow samples output pixel (x, y) at the centre (x + 1/2, y + 1/2), reads bilinearly between
pixel centres, repeats the border pixel inside the half pixel at the edge, writes 0 where the
point lies outside the image, and truncates the interpolated value. Translation and shear move
every row (or column) along itself, so they interpolate in one direction only.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from dynmix_tf.ops.kernels import operation
from dynmix_tf.ops.pixels import merge, product
from dynmix_tf.ops.sampling import between, centers, neighbors, read_along

__all__ = [
    "flip_left_right",
    "flip_up_down",
    "rotate",
    "shear_x",
    "shear_y",
    "translate_x",
    "translate_y",
]

Tensor = Any


@operation(takes_level=False)
def flip_left_right(pixels: Tensor, level: Tensor, count: int) -> Tensor:
    """Mirrors each image left to right.

    Args:
        images: uint8 `(B, H, W, C)`.
        level: Not used; present so that every operation is called alike.

    Returns:
        uint8, same shape.

    Example:
        >>> flip_left_right(np.arange(12, dtype="uint8").reshape(1, 1, 4, 3))[0, 0, 0]
        <tf.Tensor: shape=(3,), dtype=uint8, numpy=array([ 9, 10, 11], dtype=uint8)>

    Reference: `PIL.ImageOps.mirror`.
    """
    return tf.reverse(pixels, [1])


@operation(takes_level=False)
def flip_up_down(pixels: Tensor, level: Tensor, count: int) -> Tensor:
    """Mirrors each image top to bottom; arguments and result as `flip_left_right`.

    Example:
        >>> flip_up_down(np.uint8([[[[1]], [[2]]]])).numpy().ravel()
        array([2, 1], dtype=uint8)

    Reference: `PIL.ImageOps.flip`.
    """
    return tf.reverse(pixels, [0])


@operation()
def translate_x(pixels: Tensor, level: Tensor, count: int) -> Tensor:
    """Shifts each image along x: output (x, y) reads input (x + level, y).

    Args:
        images: uint8 `(B, H, W, C)`.
        level: Pixels, any real number; one for the batch or one per image. Positive moves the
            content to the left. What enters from outside is 0.

    Returns:
        uint8, same shape.

    Example:
        >>> translate_x(np.arange(12, dtype="uint8").reshape(1, 1, 4, 3), 1)[0, 0, :, 0]
        <tf.Tensor: shape=(4,), dtype=uint8, numpy=array([3, 6, 9, 0], dtype=uint8)>

    Reference: `PIL.Image.transform(size, AFFINE, (1, 0, level, 0, 1, 0), BILINEAR)`.
    """
    return _translate(pixels, level, 1, count)


@operation()
def translate_y(pixels: Tensor, level: Tensor, count: int) -> Tensor:
    """Shifts each image along y: output (x, y) reads input (x, y + level).

    Otherwise as `translate_x`. Reference: affine coefficients `(1, 0, 0, 0, 1, level)`.
    """
    return _translate(pixels, level, 0, count)


@operation()
def shear_x(pixels: Tensor, level: Tensor, count: int) -> Tensor:
    """Shears each image about its top-left corner: output (x, y) reads input (x + level*y, y).

    Args:
        images: uint8 `(B, H, W, C)`.
        level: Pixels along x per pixel along y, any real number; one for the batch or one per
            image. y is measured to the pixel's centre, so the first row moves by level/2.

    Returns:
        uint8, same shape; 0 where the input has nothing.

    Example:
        >>> shear_x(np.full((1, 2, 4, 3), 9, "uint8"), 2.0)[0, :, :, 0]
        <tf.Tensor: shape=(2, 4), dtype=uint8, numpy=
        array([[9, 9, 9, 0],
               [9, 0, 0, 0]], dtype=uint8)>

    Reference: `PIL.Image.transform(size, AFFINE, (1, level, 0, 0, 1, 0), BILINEAR)`.
    """
    y, x = centers(pixels)
    return read_along(pixels, x + product(level, y), 1, count)


@operation()
def shear_y(pixels: Tensor, level: Tensor, count: int) -> Tensor:
    """Shears each image about its top-left corner: output (x, y) reads input (x, y + level*x).

    Otherwise as `shear_x`. Reference: affine coefficients `(1, 0, 0, level, 1, 0)`.
    """
    y, x = centers(pixels)
    return read_along(pixels, y + product(level, x), 0, count)


@operation()
def rotate(pixels: Tensor, level: Tensor, count: int) -> Tensor:
    """Rotates each image about its centre, counter-clockwise.

    Args:
        images: uint8 `(B, H, W, C)`.
        level: Degrees, any real number; one for the batch or one per image.

    Returns:
        uint8, same shape; 0 where the input has nothing.

    Example:
        >>> rotate(np.array([[1, 2], [3, 4]], "uint8")[None, :, :, None], 90.0)[0, :, :, 0]
        <tf.Tensor: shape=(2, 2), dtype=uint8, numpy=
        array([[2, 4],
               [1, 3]], dtype=uint8)>

    Reference: `PIL.Image.rotate(level, BILINEAR)`.
    """
    degrees = tf.math.floormod(level, 360.0)
    radians = -degrees * (3.141592653589793 / 180)
    # Pillow rounds to 15 digits, which makes the quarter turns exact. The divisor is no constant
    # because a compiler would multiply by the reciprocal of one instead.
    digits = tf.where(degrees < 360.0, tf.constant(1e15, tf.float64), 1.0)
    cos, sin = (tf.round(function(radians) * digits) / digits for function in (tf.cos, tf.sin))
    height, width = tf.unstack(tf.shape(pixels))
    center_x, center_y = (tf.cast(side, tf.float64) / 2 for side in (width, height))
    # in one row: the compiler's loop over single pixels knows no vectors in two dimensions
    y, x = (tf.reshape(tf.broadcast_to(at, [height, width]), [-1]) for at in centers(pixels))
    source_x = (
        product(cos, x)
        + product(sin, y)
        + (product(cos, -center_x) + product(sin, -center_y) + center_x)
    )
    source_y = (
        product(-sin, x)
        + product(cos, y)
        + (product(-sin, -center_x) + product(cos, -center_y) + center_y)
    )
    left, right, weight_x, inside_x = neighbors(source_x, width)
    top, bottom, weight_y, inside_y = neighbors(source_y, height)
    row = tf.reshape(pixels, [-1])

    def read(y: Tensor) -> list[Tensor]:
        return between(
            tf.gather(row, y * width + left), tf.gather(row, y * width + right), weight_x, count
        )

    turned = [
        tf.cast(upper + product(lower - upper, weight_y), tf.int32)
        for upper, lower in zip(read(top), read(bottom), strict=True)
    ]
    return tf.reshape(tf.where(inside_x & inside_y, merge(turned), 0), [height, width])


def _translate(pixels: Tensor, level: Tensor, axis: int, count: int) -> Tensor:
    shape = tf.shape(pixels)
    side = shape[axis]

    def by_whole_pixels() -> Tensor:
        far = tf.cast(side, tf.float64)
        shift = tf.cast(tf.clip_by_value(level, -far, far), tf.int32)
        source = tf.range(side) + shift
        inside = (source >= 0) & (source < side)
        inside = inside[:, None] if axis == 0 else inside
        return tf.where(inside, tf.roll(pixels, -shift, axis), 0)

    def between_pixels() -> Tensor:
        source = tf.broadcast_to(centers(pixels)[axis] + level, shape)
        return read_along(pixels, source, axis, count)

    return tf.cond(tf.equal(tf.floor(level), level), by_whole_pixels, between_pixels)
