"""One serialisable preprocessing layer for each operation, and their common base."""

from dynmix_tf.layers.base import AugmentationLayer
from dynmix_tf.layers.operations import (
    AutoContrast,
    Downscale,
    Equalize,
    FlipLeftRight,
    FlipUpDown,
    Posterize,
    Rotate,
    ShearX,
    ShearY,
    Solarize,
    TranslateX,
    TranslateY,
)

__all__ = [
    "AugmentationLayer",
    "AutoContrast",
    "Downscale",
    "Equalize",
    "FlipLeftRight",
    "FlipUpDown",
    "Posterize",
    "Rotate",
    "ShearX",
    "ShearY",
    "Solarize",
    "TranslateX",
    "TranslateY",
]
