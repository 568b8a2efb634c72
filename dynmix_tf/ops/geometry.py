"""Geometric operations on batches of uint8 images, pixel for pixel as Pillow does them.

Pillow samples output pixel (x, y) at the centre (x + 1/2, y + 1/2), reads bilinearly between
pixel centres, repeats the border pixel inside the half pixel at the edge, writes 0 where the
point lies outside the image, and truncates the interpolated value. Translation and shear move
every row (or column) along itself, so they interpolate in one direction only.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from dynmix_tf.ops.arguments import level_per_image, uint8_batch

__all__ = [
    "downscale",
    "flip_left_right",
    "flip_up_down",
    "rotate",
    "shear_x",
    "shear_y",
    "translate_x",
    "translate_y",
]

Tensor = Any


def flip_left_right(images: Tensor, level: None = None) -> Tensor:
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
    return tf.reverse(uint8_batch(images), [2])


def flip_up_down(images: Tensor, level: None = None) -> Tensor:
    """Mirrors each image top to bottom; arguments and result as `flip_left_right`.

    Reference: `PIL.ImageOps.flip`.
    """
    return tf.reverse(uint8_batch(images), [1])


def translate_x(images: Tensor, level: Tensor) -> Tensor:
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
    images = uint8_batch(images)
    level = level_per_image(images, level, tf.float64)
    return _move_rows(images, tf.broadcast_to(level[:, None], tf.shape(images)[:2]))


def translate_y(images: Tensor, level: Tensor) -> Tensor:
    """Shifts each image along y: output (x, y) reads input (x, y + level).

    Otherwise as `translate_x`. Reference: affine coefficients `(1, 0, 0, 0, 1, level)`.
    """
    return _swap_axes(translate_x(_swap_axes(uint8_batch(images)), level))


def shear_x(images: Tensor, level: Tensor) -> Tensor:
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
    images = uint8_batch(images)
    level = level_per_image(images, level, tf.float64)
    rows = tf.range(tf.shape(images)[1])
    return _move_rows(images, level[:, None] * (tf.cast(rows, tf.float64) + 0.5))


def shear_y(images: Tensor, level: Tensor) -> Tensor:
    """Shears each image about its top-left corner: output (x, y) reads input (x, y + level*x).

    Otherwise as `shear_x`. Reference: affine coefficients `(1, 0, 0, level, 1, 0)`.
    """
    return _swap_axes(shear_x(_swap_axes(uint8_batch(images)), level))


def rotate(images: Tensor, level: Tensor) -> Tensor:
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
    images = uint8_batch(images)
    degrees = tf.math.floormod(level_per_image(images, level, tf.float64), 360.0)
    radians = -degrees * (3.141592653589793 / 180)
    # the rounding is Pillow's: it makes the quarter turns exact
    cos, sin = (tf.round(f(radians) * 1e15)[:, None, None] / 1e15 for f in (tf.cos, tf.sin))
    height, width = tf.shape(images)[1], tf.shape(images)[2]
    center_x, center_y = (tf.cast(side, tf.float64) / 2 for side in (width, height))
    x = tf.cast(tf.range(width), tf.float64) + 0.5
    y = (tf.cast(tf.range(height), tf.float64) + 0.5)[:, None]
    source_x = cos * x + sin * y + (cos * -center_x + sin * -center_y + center_x)
    source_y = -sin * x + cos * y + (-sin * -center_x + cos * -center_y + center_y)
    left, right, weight_x, inside_x = _neighbors(source_x, width)
    top, bottom, weight_y, inside_y = _neighbors(source_y, height)
    pixels = tf.reshape(images, [-1, images.shape[3]])
    first = tf.range(tf.shape(images)[0])[:, None, None] * (height * width)

    def read(y, x):
        return tf.cast(tf.gather(pixels, first + y * width + x), tf.float64)

    upper, lower = read(top, left), read(bottom, left)
    upper += (read(top, right) - upper) * weight_x[..., None]
    lower += (read(bottom, right) - lower) * weight_x[..., None]
    turned = upper + (lower - upper) * weight_y[..., None]
    inside = tf.cast(inside_x & inside_y, tf.float64)[..., None]
    return tf.cast(turned * inside, tf.uint8)


def downscale(images: Tensor, level: Tensor) -> Tensor:
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
    images = uint8_batch(images)
    level = level_per_image(images, level, tf.float64)
    height, width = (_downscale_matrices(tf.shape(images)[axis], level) for axis in (1, 2))
    values = tf.cast(images, tf.float32)
    for rows, columns in zip(height, width, strict=True):  # Pillow rounds after every pass
        values = _round(tf.einsum("nij,nhjc->nhic", columns, values))
        values = _round(tf.einsum("nij,njwc->niwc", rows, values))
    return tf.cast(values, tf.uint8)


def _swap_axes(images: Tensor) -> Tensor:
    return tf.transpose(images, [0, 2, 1, 3])


def _neighbors(source: Tensor, size: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The two pixels around each point, the weight of the second, and whether it is inside."""
    inside = (source >= 0) & (source < tf.cast(size, tf.float64))
    low = tf.floor(source - 0.5)
    weight = source - 0.5 - low
    low = tf.cast(low, tf.int32)
    return (
        tf.clip_by_value(low, 0, size - 1),
        tf.clip_by_value(low + 1, 0, size - 1),
        weight,
        inside,
    )


def _move_rows(images: Tensor, offsets: Tensor) -> Tensor:
    """Reads row h of image n at x + offsets[n, h] (float64), with Pillow's bilinear filter."""
    shape = tf.shape(images)
    width = shape[2]
    source = tf.cast(tf.range(width), tf.float64) + 0.5 + offsets[..., None]
    left, right, weight, inside = _neighbors(source, width)
    pixels = tf.reshape(images, [-1, images.shape[3]])
    first = (tf.range(shape[0] * shape[1]) * width)[:, None]

    def read(x):
        return tf.cast(tf.gather(pixels, first + tf.reshape(x, [-1, width])), tf.float64)

    value = read(left)
    value += (read(right) - value) * tf.reshape(weight, [-1, width, 1])
    value *= tf.reshape(tf.cast(inside, tf.float64), [-1, width, 1])
    return tf.reshape(tf.cast(value, tf.uint8), shape)


def _round(values: Tensor) -> Tensor:
    return tf.clip_by_value(tf.floor(values + 0.5), 0.0, 255.0)


def _downscale_matrices(size: Tensor, level: Tensor) -> tuple[Tensor, Tensor]:
    """Box reduction to `int(size * level)` and bilinear enlargement, (B, size, size) float32.

    The small image lies in the first rows of a full-sized one, so that each image of a batch can
    have a factor of its own.
    """
    full = tf.cast(size, tf.float64)
    small = tf.maximum(tf.floor(full * level), 1.0)[:, None, None]
    pixel = tf.cast(tf.range(size), tf.float64)
    scale = full / small
    center = (pixel[:, None] + 0.5) * scale
    distance = (pixel - center + 0.5) * (1.0 / scale)
    # both tests, as Pillow: they differ in the last bit, which decides for a pixel on the border
    inside = (distance > -0.5) & (distance <= 0.5) & (pixel[:, None] < small)
    inside &= pixel >= tf.floor(center - 0.5 * scale + 0.5)
    inside &= pixel < tf.floor(center + 0.5 * scale + 0.5)
    box = tf.cast(inside, tf.float64)
    box = tf.math.divide_no_nan(box, tf.reduce_sum(box, axis=2, keepdims=True))
    position = tf.clip_by_value((pixel[:, None] + 0.5) / scale - 0.5, 0.0, small - 1)
    enlarge = tf.nn.relu(1.0 - tf.abs(position - pixel))
    return tf.cast(box, tf.float32), tf.cast(enlarge, tf.float32)
