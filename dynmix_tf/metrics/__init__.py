"""Robustness metrics: in NumPy from plain numbers to plain numbers, and as Keras metrics.

The Keras metrics (`ErrorRate`, ...) are imported when they are first used; the rest needs NumPy.
"""

from __future__ import annotations

import importlib
from typing import Any

from dynmix_tf.metrics.alexnet import (
    ALEXNET_CLEAN_ERROR,
    ALEXNET_IMAGENET_3DCC,
    ALEXNET_IMAGENET_C,
    ALEXNET_IMAGENET_C_EXTRA,
    ALEXNET_IMAGENET_P,
)
from dynmix_tf.metrics.baselines import read_baseline, read_baseline_clean_error
from dynmix_tf.metrics.bootstrap import bootstrap_calibration, bootstrap_means
from dynmix_tf.metrics.calibration import expected_calibration_error, rms_calibration_error
from dynmix_tf.metrics.corruption_error import (
    corruption_error,
    mean_corruption_error,
    relative_mean_corruption_error,
    unnormalized_corruption_error,
)
from dynmix_tf.metrics.flips import (
    flip_probability,
    flips_per_sequence,
    mean_flip_rate,
    top5_distance,
    top5_distances_per_sequence,
)
from dynmix_tf.metrics.likelihood import brier_score, negative_log_likelihood

_STREAMING = {
    "BrierScore": "streaming",
    "ErrorRate": "streaming",
    "ExpectedCalibrationError": "streaming_calibration",
    "FlipProbability": "streaming",
    "NegativeLogLikelihood": "streaming",
    "RMSCalibrationError": "streaming_calibration",
}

__all__ = [
    *_STREAMING,
    "ALEXNET_CLEAN_ERROR",
    "ALEXNET_IMAGENET_3DCC",
    "ALEXNET_IMAGENET_C",
    "ALEXNET_IMAGENET_C_EXTRA",
    "ALEXNET_IMAGENET_P",
    "bootstrap_calibration",
    "bootstrap_means",
    "brier_score",
    "corruption_error",
    "expected_calibration_error",
    "flip_probability",
    "flips_per_sequence",
    "mean_corruption_error",
    "mean_flip_rate",
    "negative_log_likelihood",
    "read_baseline",
    "read_baseline_clean_error",
    "relative_mean_corruption_error",
    "rms_calibration_error",
    "top5_distance",
    "top5_distances_per_sequence",
    "unnormalized_corruption_error",
]


def __getattr__(name: str) -> Any:
    if name in _STREAMING:
        module = importlib.import_module(f"dynmix_tf.metrics.{_STREAMING[name]}")
        return getattr(module, name)
    raise AttributeError(f"module 'dynmix_tf.metrics' has no attribute '{name}'")
