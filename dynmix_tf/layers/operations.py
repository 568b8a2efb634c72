"""One preprocessing layer for each operation, with its strength drawn on the AugMix scale."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from dynmix_tf import ops, randomness
from dynmix_tf.errors import real_number
from dynmix_tf.layers.base import AugmentationLayer
from dynmix_tf.layers.levels import LEVELS
from dynmix_tf.ops.kernels import Kernel, run_kernels
from dynmix_tf.ops.pixels import unpack

__all__ = [
    "OPERATION_LAYERS",
    "AutoContrast",
    "Brightness",
    "Color",
    "Contrast",
    "Downscale",
    "Equalize",
    "FlipLeftRight",
    "FlipUpDown",
    "Invert",
    "OperationLayer",
    "Posterize",
    "Rotate",
    "Sharpness",
    "ShearX",
    "ShearY",
    "Solarize",
    "TranslateX",
    "TranslateY",
]

Tensor = Any


class OperationLayer(AugmentationLayer):
    """Applies one operation to every image, each with a strength of its own.

    Args:
        severity: 0 to 10. Each image draws a strength s ~ U(min(0.1, severity), severity), which
            `dynmix_tf.layers.levels.LEVELS` turns into the operation's argument.
        value_range: `(low, high)` of float images.
        seed: Integer that seeds calls without a `seed` of their own.

    Call arguments, result and errors: as `AugmentationLayer`.

    Example:
        >>> layer = Rotate(severity=10.0)
        >>> layer(np.full((2, 8, 8, 3), 200, "uint8"), seed=(1, 2)).shape
        TensorShape([2, 8, 8, 3])

    Reference: AugMix, `augmentations.py`.
    """

    kernel: Kernel
    name_of_operation: str

    def __init__(self, severity: float = 3.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.severity = real_number("severity", severity, 0, 10)

    def get_random_transformation(self, keys: Tensor, images: Tensor) -> dict[str, Tensor]:
        """Draws `strength` float32 `(B,)` and `negative` bool `(B,)`."""
        return draw_strength(keys, self.severity)

    def transform_images(self, images: Tensor, transformation: dict[str, Tensor]) -> Tensor:
        """Applies the operation to uint8 images at the given strengths."""
        level = self.argument(images=images, **transformation)[:, None, None]
        chosen = tf.zeros_like(level, tf.int32)
        pixels = run_kernels(images, chosen, level, [self.kernel], images.shape[3])
        return tf.cast(unpack(pixels[:, 0], images.shape[3]), tf.uint8)

    def argument(self, strength: Tensor, negative: Tensor, images: Tensor) -> Tensor:
        """The operation's own argument at each strength and sign: float64, of their shape."""
        strength = tf.cast(strength, tf.float64)
        level = LEVELS[self.name_of_operation]
        if level is None:
            return tf.zeros_like(strength)
        side = tf.cast(tf.shape(images)[level.axis], tf.float64)
        argument = level.argument(strength, side)
        return tf.where(negative, -argument, argument) if level.signed else argument

    def get_config(self) -> dict[str, Any]:  # noqa: D102
        return {**super().get_config(), "severity": self.severity}


def draw_strength(keys: Tensor, severity: float) -> dict[str, Tensor]:
    """A strength U(min(0.1, severity), severity) and the toss of a sign for each key."""
    low = min(0.1, severity)
    return {
        "strength": randomness.uniform(randomness.fold(keys, "strength"), low, severity),
        "negative": randomness.uniform(randomness.fold(keys, "negative")) < 0.5,
    }


def _layer(class_name: str, name: str, what: str) -> type[OperationLayer]:
    attributes = {
        "kernel": staticmethod(getattr(ops, name).kernel),
        "name_of_operation": name,
        "__doc__": f"{what}\n\n    See `OperationLayer` and `dynmix_tf.ops.{name}`.\n    ",
        "__module__": __name__,
    }
    made = type(class_name, (OperationLayer,), attributes)
    return keras.saving.register_keras_serializable(package="dynmix_tf")(made)


Rotate = _layer("Rotate", "rotate", "Rotates about the centre, up to 30 degrees either way.")
TranslateX = _layer("TranslateX", "translate_x", "Shifts by up to a third of the width.")
TranslateY = _layer("TranslateY", "translate_y", "Shifts by up to a third of the height.")
ShearX = _layer("ShearX", "shear_x", "Shears along x by up to 0.3.")
ShearY = _layer("ShearY", "shear_y", "Shears along y by up to 0.3.")
FlipLeftRight = _layer("FlipLeftRight", "flip_left_right", "Mirrors left to right, always.")
FlipUpDown = _layer("FlipUpDown", "flip_up_down", "Mirrors top to bottom, always.")
AutoContrast = _layer("AutoContrast", "autocontrast", "Stretches each channel to 0..255.")
Equalize = _layer("Equalize", "equalize", "Flattens each channel's histogram.")
Solarize = _layer("Solarize", "solarize", "Inverts the values above a threshold.")
Posterize = _layer("Posterize", "posterize", "Keeps 4 to 0 bits of each value.")
Downscale = _layer("Downscale", "downscale", "Reduces to 1 to 0.2 of the size and enlarges again.")
Color = _layer("Color", "color", "Multiplies the distance from grey by 0.1 to 1.9.")
Contrast = _layer("Contrast", "contrast", "Multiplies the distance from the mean by 0.1 to 1.9.")
Brightness = _layer("Brightness", "brightness", "Multiplies each value by 0.1 to 1.9.")
Sharpness = _layer(
    "Sharpness", "sharpness", "Multiplies the detail that smoothing takes by 0.1 to 1.9."
)
Invert = _layer("Invert", "invert", "Makes the negative, always.")

OPERATION_LAYERS: dict[str, type[OperationLayer]] = {
    layer.name_of_operation: layer
    for layer in (
        FlipLeftRight, FlipUpDown, Rotate, TranslateX, TranslateY, ShearX, ShearY,
        AutoContrast, Equalize, Solarize, Posterize, Downscale,
        Color, Contrast, Brightness, Sharpness, Invert,
    )
}  # fmt: skip
