"""Confidence intervals over images, by the bootstrap.

The images are drawn anew, with replacement, and every result is computed again. All conditions of
a benchmark show the same images, so a draw is the same for all of them: what an image adds to one
condition it adds to the others, and a mean over 75 conditions is far less certain than 75 times
as many images would be.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from dynmix_tf.errors import InputError, whole_number
from dynmix_tf.metrics.calibration import (
    checked_examples,
    expected_calibration_error,
    inner_edges,
    rms_calibration_error,
)

__all__ = ["bootstrap_calibration", "bootstrap_means"]

Condition = TypeVar("Condition", bound=Hashable)
Means = dict[Condition, float]
Interval = tuple[float, float]

_BATCH = 16  # resamples at a time: 16 x 50,000 of SciPy's int64 are 6 MB


def bootstrap_means(
    values: Mapping[Condition, ArrayLike],
    statistic: Callable[[Means], Mapping[Any, float]] = dict,
    num_resamples: int = 1000,
    confidence_level: float = 0.95,
    seed: int = 0,
) -> dict[Any, Interval]:
    """Intervals of means over images, and of whatever is computed from them.

    Args:
        values: `{condition: (N,)}`, numbers of the same N images (or videos) in the same order:
            errors as 0 or 1, negative log-likelihoods, Brier scores, flips per video.
        statistic: From `{condition: mean}` to `{name: number}`; the means themselves by default.
        num_resamples: How often the images are drawn.
        confidence_level: In (0, 1).
        seed: The same seed gives the same bits.

    Returns:
        `{name: (low, high)}`: the percentile interval, by default from 2.5 to 97.5 %.

    Raises:
        InputError: No condition, other than N numbers in each, fewer than two images, or settings
            out of range; and what `statistic` raises.

    Example:
        >>> wrong = {("fog", 1): [0, 0, 0, 1] * 100, ("fog", 2): [0, 0, 1, 1] * 100}
        >>> def fog(means):
        ...     return {"fog": 100 * (means["fog", 1] + means["fog", 2]) / 2}
        >>> low, high = bootstrap_means(wrong, fog)["fog"]
        >>> print(f"{low:.0f} to {high:.0f} %")
        33 to 42 %

    Reference: Efron and Tibshirani 1993, "An Introduction to the Bootstrap", chapter 13.
    """
    table, unit = _whole_numbers(values)
    names: list[Any] = []

    def resampled(images: np.ndarray, axis: int) -> np.ndarray:
        counts = np.stack([_counts(drawn) for drawn in images]).astype(np.float64)
        means = counts @ table * unit / len(table)
        found = [statistic(dict(zip(values, row, strict=True))) for row in means.tolist()]
        names[:] = found[0]
        return np.array([list(numbers.values()) for numbers in found], np.float64).T

    result = _bootstrap(resampled, len(table), num_resamples, confidence_level, seed)
    low, high = (bound.tolist() for bound in result.confidence_interval)
    return dict(zip(names, zip(low, high, strict=True), strict=True))


def bootstrap_calibration(
    confidences: ArrayLike,
    correct: ArrayLike,
    bin_size: int = 100,
    num_bins: int = 15,
    num_resamples: int = 1000,
    confidence_level: float = 0.95,
    seed: int = 0,
) -> dict[str, Interval]:
    """Intervals of the RMS calibration error and of the ECE, of one condition or several pooled.

    A resample has copies of images, so its small bins are noisier and its errors larger: for a
    well calibrated model and 10,000 images, bins of 100 give an RMS calibration error of .048
    instead of .034, and a percentile interval that holds the true value (nominally 95 %) never.
    So the percentile interval is shifted by the mean of that excess; then it holds it in 94 % of
    simulated data sets or more, in 90 % or more with 1,000 images. What is meant by the true
    value is the mean over data sets of N images, noise of the bins included.

    Args:
        confidences: `(N,)`, or `(conditions, N)` of the same N images in the same order, which
            are taken together: the largest softmax probability of each, 0..1.
        correct: The same shape, bool or 0 / 1: whether the predicted class was right.
        bin_size: As `rms_calibration_error`.
        num_bins: As `expected_calibration_error`.
        num_resamples: As `bootstrap_means`.
        confidence_level: As `bootstrap_means`.
        seed: As `bootstrap_means`, whose draws are the same for the same number of images.

    Returns:
        `{"rms_calibration_error": (low, high), "expected_calibration_error": (low, high)}`,
        within 0..1.

    Raises:
        InputError: As `rms_calibration_error` and `bootstrap_means`.

    Example:
        >>> right = np.arange(400) % 4 > 0
        >>> low, high = bootstrap_calibration(np.full(400, 0.875), right)["rms_calibration_error"]
        >>> bool(low < rms_calibration_error(np.full(400, 0.875), right) < high)
        True
    """
    shape = np.shape(confidences)
    if len(shape) not in (1, 2) or np.shape(correct) != shape:
        raise InputError(
            "`confidences` and `correct` must both be (N,) or (conditions, N). "
            f"Received shapes: {shape} and {np.shape(correct)}"
        )
    confidence, right = checked_examples(np.ravel(confidences), np.ravel(correct))
    estimate = np.array(
        [
            rms_calibration_error(confidence, right, bin_size),
            expected_calibration_error(confidence, right, num_bins),
        ]
    )
    order = np.argsort(confidence, kind="stable")
    gaps = (confidence - right)[order]
    image = (order % shape[-1]).astype(np.int32)
    borders = np.arange(1, gaps.size // bin_size, dtype=np.int32) * np.int32(bin_size)
    sizes = np.diff(borders, prepend=0, append=gaps.size)
    edges = np.searchsorted(confidence[order], inner_edges(num_bins), side="right")
    # copies, and the sum of their gaps, before each place in the order
    before, sums = np.zeros(gaps.size + 1, np.int32), np.zeros(gaps.size + 1)

    def errors(drawn: np.ndarray) -> tuple[float, float]:
        repeats = _counts(drawn)[image]
        np.cumsum(repeats, out=before[1:])
        np.cumsum(repeats * gaps, out=sums[1:])
        # nothing is sorted again; a border may lie between the copies of one image
        place = np.searchsorted(before, borders, side="right") - 1
        at_borders = sums[place] + (borders - before[place]) * gaps[place]
        by_count = np.diff(at_borders, prepend=0, append=sums[-1])
        by_width = np.diff(sums[edges], prepend=0, append=sums[-1])
        rms = math.sqrt(np.sum(by_count**2 / sizes) / gaps.size)
        return rms, float(np.abs(by_width).sum()) / gaps.size

    def resampled(images: np.ndarray, axis: int) -> np.ndarray:
        return np.array([errors(drawn) for drawn in images]).T

    result = _bootstrap(resampled, shape[-1], num_resamples, confidence_level, seed)
    # in one order: the memory of the distribution is laid out by batches
    resampled_errors = np.ascontiguousarray(result.bootstrap_distribution)
    excess = resampled_errors.mean(axis=-1) - estimate
    low, high = (np.clip(bound - excess, 0, 1).tolist() for bound in result.confidence_interval)
    names = ("rms_calibration_error", "expected_calibration_error")
    return dict(zip(names, zip(low, high, strict=True), strict=True))


def _bootstrap(
    resampled: Callable[..., np.ndarray],
    num_images: int,
    num_resamples: int,
    confidence_level: float,
    seed: int,
) -> Any:
    """SciPy's bootstrap of the numbers of the images, in batches; `(results, resamples)`."""
    from scipy import stats

    if num_images < 2:
        raise InputError(f"an interval over images needs two or more. Received: {num_images}")
    if not 0 < confidence_level < 1:
        raise InputError(f"`confidence_level` must be in (0, 1). Received: {confidence_level}")
    # `random_state` is the name that SciPy 1.13 and 1.14 know too
    return stats.bootstrap(
        (np.arange(num_images),), resampled, vectorized=True, batch=_BATCH, method="percentile",
        n_resamples=whole_number("num_resamples", num_resamples, 1),
        confidence_level=confidence_level,
        random_state=np.random.default_rng(whole_number("seed", seed, 0)),
    )  # fmt: skip


def _counts(drawn: np.ndarray) -> np.ndarray:
    """How often each image was drawn; of 16 bits, as it is looked up millions of times."""
    return np.bincount(drawn, minlength=drawn.size).astype(np.uint16)


def _whole_numbers(values: Mapping[Any, ArrayLike]) -> tuple[np.ndarray, float]:
    """The values `(N, conditions)` as whole multiples of a unit, and the unit.

    It is so small that nothing is lost to speak of (2^-36 of the largest for 50,000 images), and
    so large that all sums are exact in float64: whatever order a library adds them in, and in
    however many threads, the bits are the same.
    """
    columns = [np.asarray(column, dtype=np.float64) for column in values.values()]
    shapes = sorted({column.shape for column in columns})
    if len(shapes) != 1 or len(shapes[0]) != 1:
        raise InputError(
            "`values` must hold as many numbers, at least two, for each condition. "
            f"Received shapes: {', '.join(map(str, shapes)) or 'none'}"
        )
    table = np.stack(columns, axis=1)
    if not np.isfinite(table).all():
        raise InputError("`values` holds values that are no finite numbers")
    largest = np.abs(table).max(initial=0)
    unit = math.ldexp(1.0, math.frexp(largest)[1] + len(table).bit_length() - 53)
    return np.rint(table / unit, out=table), unit
