"""Robustness metrics, in NumPy: from plain numbers to plain numbers."""

from dynmix_tf.metrics.alexnet import (
    ALEXNET_CLEAN_ERROR,
    ALEXNET_IMAGENET_C,
    ALEXNET_IMAGENET_C_EXTRA,
)
from dynmix_tf.metrics.calibration import rms_calibration_error
from dynmix_tf.metrics.corruption_error import (
    corruption_error,
    mean_corruption_error,
    relative_mean_corruption_error,
    unnormalized_corruption_error,
)

__all__ = [
    "ALEXNET_CLEAN_ERROR",
    "ALEXNET_IMAGENET_C",
    "ALEXNET_IMAGENET_C_EXTRA",
    "corruption_error",
    "mean_corruption_error",
    "relative_mean_corruption_error",
    "rms_calibration_error",
    "unnormalized_corruption_error",
]
