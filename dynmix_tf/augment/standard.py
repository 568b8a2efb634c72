"""The crop and flip that come before every method's own augmentation."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from dynmix_tf import randomness
from dynmix_tf.errors import InputError
from dynmix_tf.layers.base import AugmentationLayer

__all__ = ["StandardAugmentation"]

Tensor = Any


@keras.saving.register_keras_serializable(package="dynmix_tf")
class StandardAugmentation(AugmentationLayer):
    """Flips each image left to right with probability 1/2, then crops it from a padded copy.

    Args:
        padding: Zeros added on each side before the crop back to the image's own size, pixels.
        flip: Whether to flip.
        value_range: `(low, high)` of float images.
        seed: Integer that seeds calls without a `seed` of their own.

    Call arguments and result: as `AugmentationLayer`: uint8 or float images in, float32 out.

    Example:
        >>> StandardAugmentation()(np.zeros((2, 32, 32, 3), "uint8"), seed=(0, 1)).shape
        TensorShape([2, 32, 32, 3])

    Reference: AugMix, `cifar.py`; Dynamic Mixup, section 4.1.
    """

    def __init__(self, padding: int = 4, flip: bool = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if int(padding) != padding or padding < 0:
            raise InputError(f"`padding` must be a whole number of pixels. Received: {padding}")
        self.padding = int(padding)
        self.flip = bool(flip)

    def get_random_transformation(self, keys: Tensor, images: Tensor) -> dict[str, Tensor]:
        """Draws `flip` bool, `top` and `left` int32 in 0..2*padding, each `(B,)`."""
        places = 2 * self.padding + 1
        return {
            "flip": self.flip & (randomness.uniform(randomness.fold(keys, "flip")) < 0.5),
            "top": randomness.integers(randomness.fold(keys, "top"), places),
            "left": randomness.integers(randomness.fold(keys, "left"), places),
        }

    def transform_images(self, images: Tensor, transformation: dict[str, Tensor]) -> Tensor:
        """Flips and crops uint8 images; uint8 out."""
        flip = transformation["flip"][:, None, None, None]
        images = tf.where(flip, tf.reverse(images, [2]), images)
        height, width = tf.shape(images)[1], tf.shape(images)[2]
        around = [self.padding, self.padding]
        padded = tf.pad(images, [[0, 0], around, around, [0, 0]])
        rows = transformation["top"][:, None] + tf.range(height)
        columns = transformation["left"][:, None] + tf.range(width)
        cropped = tf.gather(padded, rows, axis=1, batch_dims=1)
        return tf.gather(cropped, columns, axis=2, batch_dims=1)

    def get_config(self) -> dict[str, Any]:  # noqa: D102
        return {**super().get_config(), "padding": self.padding, "flip": self.flip}
