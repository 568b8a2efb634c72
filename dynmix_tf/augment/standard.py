"""The crop and flip that come before every method's own augmentation."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from dynmix_tf import randomness
from dynmix_tf.errors import InputError, real_number, unknown_name, whole_number
from dynmix_tf.layers.base import AugmentationLayer
from dynmix_tf.ops.kernels import run_kernels
from dynmix_tf.ops.pixels import unpack

__all__ = ["StandardAugmentation"]

Tensor = Any
_TRIES = 10  # at a crop that fits, before the central one is taken


@keras.saving.register_keras_serializable(package="dynmix_tf")
class StandardAugmentation(AugmentationLayer):
    """Crops each image at random and flips it left to right with probability 1/2.

    `crop="pad"` is for small images: a crop of the image's own size from a padded copy.
    `crop="resized"` is for ImageNet: a part of random area and shape, resized.

    Args:
        padding: For "pad": zeros added on each side before the crop, pixels.
        flip: Whether to flip.
        crop: "pad" or "resized".
        size: For "resized": side of the result, or (height, width), pixels. None keeps the
            image's own.
        scale: For "resized": least and greatest share of the image's area, in (0, 1].
        ratio: For "resized": least and greatest width / height; its logarithm is uniform. After
            ten tries that do not fit into the image, the largest central part is taken.
        value_range: `(low, high)` of float images.
        seed: Integer that seeds calls without a `seed` of their own.

    Call arguments and result: as `AugmentationLayer`: uint8 or float images in, float32 out, in
    256 steps. "resized" has the shape `(B, *size, C)`, and gives the largest central part of
    that shape, resized, when not training. Images of different sizes are to be mapped one by
    one, before they are batched. XLA cannot compile "resized", not in a user's own function either.

    Raises:
        InputError: An argument out of its range, or `size` with "pad".

    Example:
        >>> StandardAugmentation()(np.zeros((2, 32, 32, 3), "uint8"), seed=(0, 1)).shape
        TensorShape([2, 32, 32, 3])
        >>> layer = StandardAugmentation(crop="resized", size=224)
        >>> layer(np.zeros((375, 500, 3), "uint8"), seed=(0, 1)).shape
        TensorShape([224, 224, 3])

    Reference: AugMix, `cifar.py` and `imagenet.py` (torchvision's `RandomCrop(32, padding=4)`
    and `RandomResizedCrop(224)`); Dynamic Mixup, section 4.1.
    """

    def __init__(
        self,
        padding: int = 4,
        flip: bool = True,
        crop: str = "pad",
        size: int | tuple[int, int] | None = None,
        scale: tuple[float, float] = (0.08, 1.0),
        ratio: tuple[float, float] = (3 / 4, 4 / 3),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if crop not in ("pad", "resized"):
            raise unknown_name("`crop`", str(crop), ("pad", "resized"))
        if size is not None and crop == "pad":
            raise InputError(f'`size` needs crop="resized". Received: size={size}, crop="pad"')
        sides: Any = (1, 1) if size is None else size if hasattr(size, "__len__") else (size, size)
        if len(sides) != 2:
            raise InputError(f"`size` must be pixels, or (height, width). Received: {size}")
        sides = [whole_number("size", side, 1) for side in sides]
        for name, pair, most in (("scale", scale, 1), ("ratio", ratio, math.inf)):
            if np.shape(pair) != (2,):
                raise InputError(f"`{name}` must be (low, high). Received: {pair!r}")
            low, high = (real_number(name, value, 0, most) for value in pair)
            if not 0 < low <= high:
                raise InputError(f"`{name}` must be (low, high) in (0, {most:g}]. Received: {pair}")
        self.jit_compile &= crop == "pad"  # parts of any size cannot be compiled
        self.padding = whole_number("padding", padding, 0)
        self.flip = bool(flip)
        self.crop = crop
        self.size = None if size is None else (int(sides[0]), int(sides[1]))
        self.scale = (float(scale[0]), float(scale[1]))
        self.ratio = (float(ratio[0]), float(ratio[1]))

    def call(self, images: Tensor, seed: Any = None, training: bool = True) -> Tensor:  # noqa: D102
        if training or self.crop == "pad":
            return super().call(images, seed=seed, training=training)
        images = tf.convert_to_tensor(images)
        batch = images if images.shape.rank == 4 else images[None]
        full = tf.shape(batch)
        height, width = self.size or (full[1], full[2])
        ratio = width / height
        parts = _central_part(full[:1], full[1], full[2], ratio, ratio)
        parts["flip"] = tf.zeros_like(parts["top"], tf.bool)
        result = self.from_uint8(self._resize(self.to_uint8(batch), parts), images.dtype)
        return result if images.shape.rank == 4 else result[0]

    def get_random_transformation(self, keys: Tensor, images: Tensor) -> dict[str, Tensor]:
        """Draws the flips and the crops.

        Returns:
            `flip` bool; `top` and `left` int32, of the crop in the padded image (0..2*padding)
            or in the image; for "resized" also `height` and `width` int32 of the crop in pixels;
            each `(B,)`.
        """
        flip = self.flip & (randomness.uniform(randomness.fold(keys, "flip")) < 0.5)
        if self.crop == "resized":
            return {"flip": flip, **self._draw_parts(keys, tf.shape(images)[1:3])}
        places = 2 * self.padding + 1
        return {
            "flip": flip,
            "top": randomness.integers(randomness.fold(keys, "top"), places),
            "left": randomness.integers(randomness.fold(keys, "left"), places),
        }

    def transform_images(self, images: Tensor, transformation: dict[str, Tensor]) -> Tensor:
        """Crops and flips uint8 images; uint8 out."""
        if self.crop == "resized":
            return self._resize(images, transformation)
        names = ("flip", "top", "left")
        places = tf.stack([tf.cast(transformation[name], tf.int32) for name in names], axis=1)
        places, count = places[:, None, None], images.shape[3]
        chosen = tf.zeros_like(places[..., 0])
        pixels = run_kernels(images, chosen, places, [self._crop_padded], count)
        return tf.cast(unpack(pixels[:, 0], count), tf.uint8)

    def _crop_padded(self, pixels: Tensor, places: Tensor, count: int) -> Tensor:
        flip, top, left = tf.unstack(places)
        pixels = tf.cond(flip > 0, lambda: tf.reverse(pixels, [1]), lambda: pixels)
        around = [self.padding, self.padding]
        padded = tf.roll(tf.pad(pixels, [around, around]), [-top, -left], [0, 1])
        height, width = tf.unstack(tf.shape(pixels))
        return padded[:height, :width]

    def compute_output_shape(self, input_shape: tuple) -> tuple:  # noqa: D102
        if self.size is None:
            return input_shape
        return (*input_shape[:-3], *self.size, input_shape[-1])

    def decode(self, content: Tensor, key: Tensor) -> Tensor:
        """Crops, resizes and flips an image as it is decoded; of a JPEG only the part is.

        The same draws as by `augment` of the whole image. At the borders of the part the colours
        of a JPEG may differ a little, as they are decoded in blocks.

        Args:
            content: Of a JPEG, PNG, GIF (its first picture), BMP or WebP file; scalar string.
            key: uint32 scalar, from `dynmix_tf.randomness.example_keys`.

        Returns:
            uint8 `(*size, 3)`.

        Raises:
            InputError: The layer has no `size`.

        Example:
            >>> layer = StandardAugmentation(crop="resized", size=224)
            >>> key = dynmix_tf.randomness.example_keys((0, 1), tf.range(1))[0]
            >>> layer.decode(tf.io.encode_jpeg(images[0]), key).shape
            TensorShape([224, 224, 3])
        """
        if self.size is None:
            raise InputError('decoding needs crop="resized" and a `size`')
        keys = tf.reshape(key, [1])
        flip = self.flip & (randomness.uniform(randomness.fold(keys, "flip"))[0] < 0.5)

        def part_of(size):
            drawn = self._draw_parts(keys, size)
            return [drawn[name][0] for name in ("top", "left", "height", "width")]

        def from_jpeg():
            part = part_of(tf.io.extract_jpeg_shape(content)[:2])
            # as Pillow and libjpeg decode by default; TensorFlow would take a faster transform
            return tf.image.decode_and_crop_jpeg(
                content, part, channels=3, dct_method="INTEGER_ACCURATE"
            )

        def by_tensorflow():
            return tf.io.decode_image(content, channels=3, expand_animations=False)

        def by_pillow():  # TensorFlow reads no palettes of BMP and no transparent WebP
            # as numbers: NumPy takes zeros off the end of bytes
            image = tf.numpy_function(
                _rgb_pixels, [tf.io.decode_raw(content, tf.uint8)], tf.uint8, stateful=False
            )
            return tf.ensure_shape(image, (None, None, 3))

        def from_other():
            first = tf.strings.substr(content, 0, 4)
            known = (first == b"\x89PNG") | (first == b"GIF8")
            image = tf.cond(known, by_tensorflow, by_pillow)
            top, left, height, width = part_of(tf.shape(image)[:2])
            return image[top : top + height, left : left + width]

        return self._finish(tf.cond(tf.io.is_jpeg(content), from_jpeg, from_other), flip, self.size)

    def _draw_parts(self, keys: Tensor, size: Tensor) -> dict[str, Tensor]:
        full_height, full_width = size[0], size[1]
        tries = randomness.fold(keys[:, None], 1 + tf.range(_TRIES))

        def draw(name, low, high):
            # float64: the same whole pixels on every device
            unit = tf.cast(randomness.uniform(randomness.fold(tries, name)), tf.float64)
            return low + unit * (high - low)

        area = draw("area", *self.scale) * tf.cast(full_height * full_width, tf.float64)
        ratio = tf.exp(draw("ratio", math.log(self.ratio[0]), math.log(self.ratio[1])))
        height, width = (
            tf.cast(tf.round(tf.sqrt(square)), tf.int32) for square in (area / ratio, area * ratio)
        )
        fits = (height > 0) & (height <= full_height) & (width > 0) & (width <= full_width)
        first = tf.argmax(tf.cast(fits, tf.int32), axis=1)
        height, width = (tf.gather(sides, first, batch_dims=1) for sides in (height, width))
        found = {
            "top": _place(randomness.fold(keys, "top"), full_height, height),
            "left": _place(randomness.fold(keys, "left"), full_width, width),
            "height": height,
            "width": width,
        }
        central = _central_part(tf.shape(keys), full_height, full_width, *self.ratio)
        fitting = tf.reduce_any(fits, axis=1)
        return {name: tf.where(fitting, found[name], central[name]) for name in found}

    def _resize(self, images: Tensor, parts: dict[str, Tensor]) -> Tensor:
        """The given parts of uint8 images, resized as Pillow does to one grey level."""
        size = self.size or (tf.shape(images)[1], tf.shape(images)[2])

        def resize(arguments):
            image, top, left, height, width, flip = arguments
            return self._finish(image[top : top + height, left : left + width], flip, size)

        drawn = [parts[name] for name in ("top", "left", "height", "width", "flip")]
        signature = tf.TensorSpec(self.compute_output_shape(images.shape[1:]), tf.uint8)
        return tf.cond(
            tf.shape(images)[0] > 0,
            lambda: tf.map_fn(resize, (images, *drawn), fn_output_signature=signature),
            # map_fn does not know the size of nothing
            lambda: tf.zeros((0, *size, images.shape[3]), tf.uint8),
        )

    @staticmethod
    def _finish(part: Tensor, flip: Tensor, size: Any) -> Tensor:
        resized = tf.cast(tf.round(tf.image.resize(part, size, antialias=True)), tf.uint8)
        return tf.cond(flip, lambda: tf.reverse(resized, [1]), lambda: resized)

    def get_config(self) -> dict[str, Any]:  # noqa: D102
        names = ("padding", "flip", "crop", "size", "scale", "ratio")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


def _rgb_pixels(content: np.ndarray) -> np.ndarray:
    from dynmix_tf.data.image_files import rgb_image

    return np.asarray(rgb_image(content.tobytes()))


def _place(key: Tensor, full: Tensor, side: Tensor) -> Tensor:
    return randomness.integers(key, tf.cast(full - side + 1, tf.int64))


def _central_part(
    count: Tensor, full_height: Tensor, full_width: Tensor, low: Tensor, high: Tensor
) -> dict[str, Tensor]:
    """The largest central part of images of one size with width / height in low..high."""

    def longest(full, other, factor):
        side = tf.round(tf.cast(other, tf.float64) * factor)
        return tf.clip_by_value(tf.cast(side, tf.int32), 1, full)

    height = longest(full_height, full_width, 1 / low)
    width = longest(full_width, full_height, high)
    part = {
        "top": (full_height - height) // 2,
        "left": (full_width - width) // 2,
        "height": height,
        "width": width,
    }
    return {name: tf.fill(count, value) for name, value in part.items()}
