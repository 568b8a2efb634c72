"""How far a classifier's confidence lies from its accuracy."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from dynmix_tf.errors import InputError, whole_number

__all__ = ["expected_calibration_error", "rms_calibration_error"]

# A softmax in half precision may add up to a little more than one.
_ROUNDING = 1e-3


def rms_calibration_error(confidences: ArrayLike, correct: ArrayLike, bin_size: int = 100) -> float:
    """RMS calibration error over bins of equally many examples.

    The examples are sorted by confidence (stable: equal confidences keep their order) and cut
    into `floor(N / bin_size)` bins; the last takes the rest, and fewer than `bin_size` examples
    make one bin. The result is `sqrt(sum_b n_b / N * (mean confidence_b - accuracy_b)^2)`.

    All bins count. The reference loop (andyzoujm/pixmix, `calibration_tools.py`) stops before
    the last one, the most confident, so its numbers differ slightly from these.

    Args:
        confidences: Shape (N,), the largest softmax probability per example, 0..1.
        correct: Shape (N,), bool or 0 / 1: whether the predicted class was right.
        bin_size: Examples in a bin, at least 1.

    Returns:
        The error, 0..1. Small even bins are noisy: a perfectly calibrated model scores about
        `sqrt(p * (1 - p) / bin_size)`, not 0.

    Raises:
        InputError: Empty or unequal lengths, a confidence outside 0..1, `correct` not 0 or 1,
            `bin_size` below 1.

    Example:
        >>> rms_calibration_error([0.75, 0.75, 0.75, 0.75], [True, True, False, False])
        0.25
    """
    confidence, right = checked_examples(confidences, correct)
    bin_size = whole_number("bin_size", bin_size, 1)
    order = np.argsort(confidence, kind="stable")
    count = confidence.size
    starts: np.ndarray = np.arange(max(count // bin_size, 1)) * bin_size
    sizes = np.diff(starts, append=count)
    gaps = np.add.reduceat((confidence - right)[order], starts) / sizes
    return float(np.sqrt(np.sum(sizes / count * gaps**2)))


def expected_calibration_error(
    confidences: ArrayLike, correct: ArrayLike, num_bins: int = 15
) -> float:
    """ECE: the mean distance of confidence from accuracy over bins of equal width.

    `sum_b n_b / N * |mean confidence_b - accuracy_b|` over `num_bins` bins (low, high] of 0..1,
    the first with its lower end.

    Args:
        confidences: Shape (N,), the largest softmax probability per example, 0..1.
        correct: Shape (N,), bool or 0 / 1: whether the predicted class was right.
        num_bins: At least 1.

    Returns:
        The error, 0..1.

    Raises:
        InputError: As `rms_calibration_error`; `num_bins` below 1.

    Example:
        >>> expected_calibration_error([0.75, 0.75, 0.75, 0.75], [True, True, False, False])
        0.25

    Reference: Guo et al. 2017, "On Calibration of Modern Neural Networks", section 2.
    """
    confidence, right = checked_examples(confidences, correct)
    place = np.searchsorted(inner_edges(num_bins), confidence, side="left")
    gaps = np.bincount(place, weights=confidence - right, minlength=num_bins)
    return float(np.abs(gaps).sum() / confidence.size)


def inner_edges(num_bins: int) -> np.ndarray:
    """Where bins of equal width meet; each border belongs to the bin below it."""
    return np.linspace(0, 1, whole_number("num_bins", num_bins, 1) + 1)[1:-1]


def checked_examples(confidences: ArrayLike, correct: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Confidences, float64, and what is right; `InputError` where they are something else."""
    confidence = np.asarray(confidences, dtype=np.float64)
    right = np.asarray(correct)
    if confidence.ndim != 1 or confidence.shape != right.shape or confidence.size == 0:
        raise InputError(
            "`confidences` and `correct` must be two lists of the same length, at least 1. "
            f"Received shapes: {confidence.shape} and {right.shape}"
        )
    outside = ~((confidence >= 0) & (confidence <= 1 + _ROUNDING))
    if outside.any():
        raise InputError(
            f"`confidences` must be probabilities in 0..1. Received: {confidence[outside][0]} "
            f"(example {int(outside.argmax())})"
        )
    if not np.isin(right, (0, 1)).all():
        raise InputError(
            "`correct` must say right (1) or wrong (0) for each example; "
            f"class ids are no such list. Received values up to {right.max()}"
        )
    return confidence, right
