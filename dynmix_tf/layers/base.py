"""The base of all augmentation layers: what they accept, where their randomness comes from."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from dynmix_tf import randomness
from dynmix_tf.errors import InputError

__all__ = ["AugmentationLayer"]

Tensor = Any


class AugmentationLayer(keras.layers.Layer):
    """A preprocessing layer whose draws are a function of a seed and each example's index.

    Subclasses draw in `get_random_transformation(keys, images)` and apply what was drawn in
    `transform_images(images, transformation)`, which has no randomness of its own.

    The layers are made for `tf.data` and run there under every Keras backend. Inside a model
    they need the TensorFlow backend, and leave images as they are when not training.

    Args:
        value_range: `(low, high)` of float images. uint8 images are 0..255 whatever it says.
        seed: Integer that seeds calls without a `seed` of their own: call n of an eager layer
            draws from (seed, n). None draws afresh.

    Call arguments:
        images: `(B, H, W, C)` or `(H, W, C)`, uint8 or float; C is 1 or 3. Floats are rounded to
            256 steps first, as the operations are defined on uint8.
        seed: Two integers or an integer tensor `(2,)`: the same seed and images give the same
            result. Without it every call draws anew; in a parallel `Dataset.map` such draws are
            not reproducible (`Views.over` is).

    Returns:
        float32, the shape of `images`, in `value_range` (0..255 for uint8).

    Raises:
        InputError: An unusable argument, rank, number of channels or seed.
    """

    def __init__(
        self, *, value_range: tuple[float, float] = (0, 255), seed: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**{"dtype": "float32", **kwargs})
        low, high = value_range
        if not low < high:
            raise InputError(
                f"`value_range` must be (low, high), low < high. Received: {value_range}"
            )
        self.value_range = (low, high)
        self.seed = seed
        self.supports_jit = False  # groups of images have no fixed size, which XLA needs
        self.built = True
        self._calls = 0

    def __call__(self, *args: Any, **kwargs: Any) -> Tensor:  # noqa: D102
        # tf.data hands over TensorFlow tensors, which Keras' own __call__ refuses elsewhere
        if keras.backend.backend() != "tensorflow":
            return self.call(*args, **kwargs)
        return super().__call__(*args, **kwargs)

    def call(self, images: Tensor, seed: Any = None, training: bool = True) -> Tensor:  # noqa: D102
        images = tf.convert_to_tensor(images)
        if images.shape.rank not in (3, 4):
            raise InputError(
                f"images must be (B, H, W, C) or (H, W, C). Received: shape={images.shape}"
            )
        if not training:
            return tf.cast(images, tf.float32)
        batch = images if images.shape.rank == 4 else images[None]
        if seed is None and self.seed is not None and tf.executing_eagerly():
            seed, self._calls = (self.seed, self._calls), self._calls + 1
        elif seed is None:
            seed = randomness.fresh_seed(self.seed)
        keys = randomness.example_keys(seed, tf.range(tf.shape(batch)[0]))
        result = tf.ensure_shape(self.augment(batch, keys), batch.shape)
        return result if images.shape.rank == 4 else result[0]

    def augment(self, images: Tensor, keys: Tensor) -> Tensor:
        """Augments a batch by given keys, one for each image.

        Args:
            images: uint8 or float `(B, H, W, C)`.
            keys: uint32 `(B,)` from `dynmix_tf.randomness.example_keys`.

        Returns:
            float32 `(B, H, W, C)`.
        """
        low, high = self.value_range
        as_uint8 = images
        if images.dtype != tf.uint8:
            unit = (tf.cast(images, tf.float32) - low) / (high - low)
            as_uint8 = tf.cast(tf.clip_by_value(tf.round(unit * 255.0), 0.0, 255.0), tf.uint8)
        result = tf.cast(
            self.transform_images(as_uint8, self.get_random_transformation(keys, as_uint8)),
            tf.float32,
        )
        if images.dtype == tf.uint8 or (low, high) == (0, 255):
            return result
        return result * ((high - low) / 255.0) + low

    def get_random_transformation(self, keys: Tensor, images: Tensor) -> dict[str, Tensor]:
        """Draws what `transform_images` needs, one entry for each key."""
        raise TypeError(f"{type(self).__name__} does not say what it draws")

    def transform_images(self, images: Tensor, transformation: dict[str, Tensor]) -> Tensor:
        """Applies a transformation to uint8 images; uint8 or float32 out, 0..255."""
        raise TypeError(f"{type(self).__name__} does not say what it does")

    def compute_output_shape(self, input_shape: tuple) -> tuple:  # noqa: D102
        return input_shape

    def get_config(self) -> dict[str, Any]:  # noqa: D102
        return {**super().get_config(), "value_range": self.value_range, "seed": self.seed}
