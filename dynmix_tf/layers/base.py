"""The base of all augmentation layers: what they accept, where their randomness comes from."""

from __future__ import annotations

import functools
import math
import warnings
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from dynmix_tf import randomness
from dynmix_tf.errors import InputError, real_number

__all__ = ["AugmentationLayer", "SeededLayer", "check_images", "run_on_cpu"]

Tensor = Any


class SeededLayer(keras.layers.Layer):
    """A preprocessing layer whose draws are a function of a seed and each example's index.

    Args:
        value_range: `(low, high)` of float images.
        seed: Integer that seeds calls without a `seed` of their own. None draws afresh.

    Raises:
        InputError: `value_range` is not `(low, high)` with low < high, or `seed` no integer.
    """

    def __init__(
        self, *, value_range: tuple[float, float] = (0, 255), seed: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**{"dtype": "float32", **kwargs})
        self.value_range = check_range(value_range)
        self.seed = randomness.check_seed(seed)
        self.supports_jit = False  # made for the CPU, where it compiles itself
        self.built = True
        self._seeds = randomness.call_seeds(self.seed)

    def draw_keys(self, seed: Any, images: Tensor) -> Tensor:
        """One key for each image of a batch; without a `seed`, new ones at every call."""
        if seed is None:
            seed = self._seeds.make_seeds(1)[:, 0]
        return randomness.example_keys(seed, tf.range(tf.shape(images)[0]))

    def get_config(self) -> dict[str, Any]:  # noqa: D102
        return {**super().get_config(), "value_range": self.value_range, "seed": self.seed}


class AugmentationLayer(SeededLayer):
    """A layer that augments images and leaves labels alone.

    Subclasses draw in `get_random_transformation(keys, images)` and apply what was drawn in
    `transform_images(images, transformation)`, which has no randomness of its own.

    The layers are made for `tf.data` and run there under every Keras backend. Inside a model
    they need the TensorFlow backend, and leave images as they are when not training.

    XLA compiles a layer once for each shape of a batch, which takes a second or two; layers of
    equal settings share what was compiled. So give it batches of one size (`drop_remainder=True`)
    and images of one size.

    Args:
        jit_compile: False does without XLA: many times slower, and for images that come in many
            sizes one by one all the same the better choice. The images differ by a grey level at
            most, in a few places.
        value_range: `(low, high)` of float images. uint8 images are 0..255 whatever it says.
        seed: Integer that seeds calls without a `seed` of their own: the n-th of them draws by
            (seed, n), eagerly or in a graph. None takes a seed from Python's `random`, so
            `keras.utils.set_random_seed` makes it repeat in the next run of a program.

    Call arguments:
        images: `(B, H, W, C)` or `(H, W, C)`, uint8 or float; C is 1 or 3. Floats are rounded to
            256 steps first, as the operations are defined on uint8.
        seed: Two integers or an integer tensor `(2,)`: the same seed and images give the same
            result. Without it every call draws anew, in the next epoch too; in a parallel
            `Dataset.map` such draws are in no fixed order (those of `Views.over` are).

    Returns:
        float32, the shape of `images`, in `value_range` (0..255 for uint8) to rounding.

    Raises:
        InputError: An unusable argument, dtype, rank, number of channels or seed; labels beside
            the images; outside of a graph also NaN, and floats outside `value_range`.

    Example:
        >>> layer = dynmix_tf.layers.Rotate()  # one of its subclasses
        >>> layer(images, seed=(7, 42)).dtype.name
        'float32'
    """

    def __init__(self, *, jit_compile: bool = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not isinstance(jit_compile, bool):
            raise InputError(f"`jit_compile` must be True or False. Received: {jit_compile!r}")
        self.jit_compile = jit_compile

    def __call__(self, images: Tensor, *rest: Any, **kwargs: Any) -> Tensor:  # noqa: D102
        if rest:
            name = type(self).__name__
            raise InputError(
                f"{name} takes images alone (and `seed` by its name). Received: {1 + len(rest)} "
                f"arguments; for (images, labels) map dynmix_tf.Views({name}(...), ...), or "
                "`lambda images, labels: (layer(images), labels)`"
            )
        images = check_images(images, self.value_range)
        if kwargs.get("seed") is not None:  # here, as Keras adds lines to errors in `call`
            randomness.example_keys(kwargs["seed"], tf.zeros(1, tf.int32))
        # tf.data hands over TensorFlow tensors, which Keras' own __call__ refuses elsewhere
        if keras.backend.backend() != "tensorflow":
            return self.call(images, **kwargs)
        return super().__call__(images, **kwargs)

    def call(self, images: Tensor, seed: Any = None, training: bool = True) -> Tensor:  # noqa: D102
        images = tf.convert_to_tensor(images)
        if not training:
            return tf.cast(images, tf.float32)
        batch = images if images.shape.rank == 4 else images[None]
        result = self.augment(batch, self.draw_keys(seed, batch))
        result = tf.ensure_shape(result, self.compute_output_shape(batch.shape))
        return result if images.shape.rank == 4 else result[0]

    def augment(self, images: Tensor, keys: Tensor) -> Tensor:
        """Augments a batch by given keys, one for each image.

        Args:
            images: uint8 or float `(B, H, W, C)`.
            keys: uint32 `(B,)` from `dynmix_tf.randomness.example_keys`.

        Returns:
            float32 `(B, H, W, C)`.
        """
        return run_on_cpu(self, images, keys)

    @property
    def program_key(self) -> Any:
        """Equal for layers that may share a compiled program: those of equal settings.

        A class of somebody else's may keep settings out of its config, so its layers share none.
        """
        if not type(self).__module__.startswith("dynmix_tf."):
            return self
        config = {k: v for k, v in self.get_config().items() if k not in ("name", "seed")}
        return type(self), repr(config)

    def augment_here(self, images: Tensor, keys: Tensor) -> Tensor:
        """As `augment`, not compiled by itself."""
        as_uint8 = self.to_uint8(images)
        result = self.transform_images(as_uint8, self.get_random_transformation(keys, as_uint8))
        return self.from_uint8(result, images.dtype)

    def to_uint8(self, images: Tensor) -> Tensor:
        """Images in 256 steps; floats from `value_range`."""
        if images.dtype == tf.uint8:
            return images
        low, high = self.value_range
        unit = (tf.cast(images, tf.float32) - low) / (high - low)
        return tf.cast(tf.clip_by_value(tf.round(unit * 255.0), 0.0, 255.0), tf.uint8)

    def from_uint8(self, images: Tensor, dtype: Any) -> Tensor:
        """0..255 as float32 in the range of images that came as `dtype`."""
        images = tf.cast(images, tf.float32)
        low, high = self.value_range
        if dtype == tf.uint8 or (low, high) == (0, 255):
            return images
        return images * ((high - low) / 255.0) + low

    def get_random_transformation(self, keys: Tensor, images: Tensor) -> dict[str, Tensor]:
        """Draws what `transform_images` needs, one entry for each key."""
        raise TypeError(f"{type(self).__name__} does not say what it draws")

    def transform_images(self, images: Tensor, transformation: dict[str, Tensor]) -> Tensor:
        """Applies a transformation to uint8 images; uint8 or float32 out, 0..255."""
        raise TypeError(f"{type(self).__name__} does not say what it does")

    def compute_output_shape(self, input_shape: tuple) -> tuple:  # noqa: D102
        return input_shape

    def get_config(self) -> dict[str, Any]:  # noqa: D102
        return {**super().get_config(), "jit_compile": self.jit_compile}


def run_on_cpu(owner: Any, images: Tensor, keys: Tensor) -> Any:
    """Calls `owner.augment_here(images, keys)`, compiled if `owner.jit_compile` says so.

    Owners of equal `owner.program_key` share one program.

    Images are augmented one after the other, in small steps: work for a CPU, wherever the model
    may be.
    """
    with tf.device("CPU"):
        if owner.jit_compile:
            program = _program(owner.program_key)
            program.owner = owner
            return _compiled(program, images, keys, images.shape[-1])
        return owner.augment_here(images, keys)


class _Program:
    """Stands for all owners of one key, as `tf.function` tells objects by their identity."""

    owner: Any


@functools.cache
def _program(key: Any) -> _Program:
    return _Program()


@tf.function(jit_compile=True, reduce_retracing=True, autograph=False)
def _compiled(program: Any, images: Tensor, keys: Tensor, count: int) -> Any:
    # the number of channels stays known when TensorFlow relaxes the shape to trace less often
    return program.owner.augment_here(tf.ensure_shape(images, [None, None, None, count]), keys)


def check_range(value_range: Any) -> tuple[float, float]:
    """`(low, high)` as it came.

    Raises:
        InputError: Not two finite numbers, low < high.
    """
    try:
        low, high = value_range
        wrong = not real_number("low", low) < real_number("high", high)
    except (TypeError, ValueError):
        wrong = True
    if wrong:
        raise InputError(
            f"`value_range` must be (low, high), low < high. Received: {value_range!r}"
        )
    return (low, high)


def check_images(images: Any, value_range: tuple[float, float] | None = None) -> Tensor:
    """Images as a tensor, refused where no augmentation could work on them.

    Args:
        images: An array, a tensor, or a symbolic one (`keras.KerasTensor`, `tf.TensorSpec`),
            which is returned as it is.
        value_range: `(low, high)` that float images must keep, to a thousandth of the range.
            Only what is computed at once is looked at, nothing inside a graph. None: any values.

    Returns:
        A `tf.Tensor` of the same values.

    Raises:
        InputError: No array, another dtype than uint8 or a float, not `(B, H, W, C)` or
            `(H, W, C)`, channels other than 1 or 3, NaN or infinity, values out of the range.

    Example:
        >>> check_images(np.full((8, 8, 3), 0.5), (0, 1)).shape
        TensorShape([8, 8, 3])
        >>> check_images(np.full((8, 8, 3), 200.0), (0, 1))
        Traceback (most recent call last):
        ...
        dynmix_tf.errors.InputError: `images` must be in 0..1 ... Received: 200..200; ...
    """
    if not isinstance(images, (keras.KerasTensor, tf.TensorSpec)):
        if not (isinstance(images, tf.Tensor) or hasattr(images, "__array__")):
            raise InputError(
                "`images` must be one array or tensor (B, H, W, C) or (H, W, C). Received: "
                f"{type(images).__name__}; stack a list of images, and take images out of a "
                "dictionary or a pair (tfds: as_supervised=True)"
            )
        images = tf.convert_to_tensor(images)
    shape, dtype = tf.TensorShape(images.shape), tf.as_dtype(images.dtype)
    if dtype != tf.uint8 and not dtype.is_floating:
        raise InputError(
            f"`images` must be uint8 (0..255) or float. Received: dtype={dtype.name}; cast to "
            "uint8, or to float32 in `value_range`"
        )
    if shape.rank not in (3, 4) or shape[-1] not in (1, 3):
        raise InputError(
            "`images` must be (B, H, W, C) or (H, W, C) with 1 or 3 channels, known in a graph "
            f"(set_shape). Received: shape={shape}"
        )
    if 0 in shape[-3:-1].as_list():
        raise InputError(f"`images` must have a height and a width. Received: shape={shape}")
    if value_range and dtype != tf.uint8 and hasattr(images, "numpy") and tf.executing_eagerly():
        _check_values(images.numpy(), *value_range)
    return images


def _check_values(values: np.ndarray, low: float, high: float) -> None:
    if not values.size:
        return
    least, most = float(values.min()), float(values.max())  # NaN, if there is one
    slack = (high - low) / 1000  # rounding noise
    if not (math.isfinite(least) and math.isfinite(most)):
        raise InputError(
            "`images` must hold finite numbers. Received: NaN or infinity, in "
            f"{np.count_nonzero(~np.isfinite(values))} of {values.size} values"
        )
    if least < low - slack or most > high + slack:
        guesses = ((0, 1, ""), (-1, 1, ""), (0, 255, "uint8 or "))
        hints = [
            f"images look like {a}..{b}: use {also}value_range=({a}, {b})"
            for a, b, also in guesses
            if (a, b) != (low, high) and a <= least and most <= b
        ]
        hint = [*hints, "rescale or clip them; normalise after the augmentation, not before"][0]
        raise InputError(
            f"`images` must be in {low:g}..{high:g} (value_range). "
            f"Received: {least:g}..{most:g}; {hint}"
        )
    if high > 2 and least >= 0 and 0 < most <= 1 and (values % 1 != 0).any():
        warnings.warn(
            f"float images in {least:g}..{most:g} are almost black in value_range=({low:g}, "
            f"{high:g}); for images in 0..1 give value_range=(0, 1)",
            stacklevel=4,
        )
