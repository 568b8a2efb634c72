"""The corruption errors of ImageNet-C and CIFAR-C, from error rates per severity.

Every function takes `{corruption: five error rates}`, the rates in 0..1 at severities 1 to 5,
and gives per cent. Definitions: Hendrycks and Dietterich 2019, section 4.1 and appendix.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from dynmix_tf.errors import InputError, unknown_name
from dynmix_tf.metrics.alexnet import (
    ALEXNET_CLEAN_ERROR,
    ALEXNET_IMAGENET_C,
    ALEXNET_IMAGENET_C_EXTRA,
)

__all__ = [
    "corruption_error",
    "mean_corruption_error",
    "relative_mean_corruption_error",
    "unnormalized_corruption_error",
]

ErrorRates = Mapping[str, Sequence[float]]


def unnormalized_corruption_error(errors: ErrorRates) -> dict[str, float]:
    """uCE: the mean error over the five severities, for every corruption given.

    Args:
        errors: `{corruption: five error rates in 0..1}`.

    Returns:
        `{corruption: per cent}`, in the order of `errors`.

    Raises:
        InputError: No corruption, not exactly five rates, or a rate outside 0..1.

    Example:
        >>> unnormalized_corruption_error({"fog": (0.125, 0.125, 0.25, 0.25, 0.5)})
        {'fog': 25.0}
    """
    return {name: _per_cent(rates.mean()) for name, rates in _checked(errors, "errors").items()}


def corruption_error(
    errors: ErrorRates, baseline: ErrorRates | None = ALEXNET_IMAGENET_C
) -> dict[str, float]:
    """CE: the error relative to a baseline network, for every corruption given.

    `CE_c = 100 * sum_s E[s, c] / sum_s E_baseline[s, c]`. The four validation corruptions
    (`speckle_noise`, `gaussian_blur`, `spatter`, `saturate`) have no entry in the default
    baseline; merge `ALEXNET_IMAGENET_C_EXTRA` into it to score them too.

    Args:
        errors: `{corruption: five error rates in 0..1}`.
        baseline: The same of the baseline network; None to leave the errors as they are (uCE).

    Returns:
        `{corruption: per cent}`, in the order of `errors`; 100 is the baseline's own error.

    Raises:
        InputError: No corruption, one that the baseline lacks, not exactly five rates, or a rate
            outside 0..1.

    Example:
        >>> corruption_error({"fog": (0.2, 0.2, 0.2, 0.2, 0.2)}, {"fog": (0.4,) * 5})
        {'fog': 50.0}
    """
    if baseline is None:
        return unnormalized_corruption_error(errors)
    rates, base = _checked(errors, "errors"), _checked(baseline, "baseline")
    for name in rates:
        if name not in base:
            raise unknown_name("corruption of the baseline", name, base)
        if base[name].sum() == 0:
            raise InputError(f"the baseline makes no error on '{name}': nothing to divide by")
    return {name: _per_cent(float(rates[name].sum()) / float(base[name].sum())) for name in rates}


def mean_corruption_error(
    errors: ErrorRates, baseline: ErrorRates | None = ALEXNET_IMAGENET_C
) -> float:
    """mCE: the mean of the corruption errors.

    With a baseline this is ImageNet-C's mCE, over all corruptions of the baseline (15 by
    default). With `baseline=None` it is the plain mean error, as on CIFAR-10-C and CIFAR-100-C.
    The four validation corruptions count in neither; they may be among `errors`.

    Args:
        errors: `{corruption: five error rates in 0..1}`.
        baseline: The same of the baseline network, or None.

    Returns:
        Per cent.

    Raises:
        InputError: A corruption of the baseline is missing or one is not in it, not exactly five
            rates, or a rate outside 0..1.

    Example:
        >>> mean_corruption_error({"fog": (0.2,) * 5, "snow": (0.4,) * 5}, baseline=None)
        30.0
        >>> round(mean_corruption_error(ALEXNET_IMAGENET_C), 6)
        100.0
    """
    counted = _counted(errors, baseline)
    return float(np.mean(list(corruption_error(counted, baseline).values())))


def relative_mean_corruption_error(
    errors: ErrorRates,
    clean_error: float,
    baseline: ErrorRates = ALEXNET_IMAGENET_C,
    baseline_clean_error: float = ALEXNET_CLEAN_ERROR,
) -> float:
    """Relative mCE: how much the corruptions add to the clean error, against a baseline's gap.

    The mean over the baseline's corruptions of
    `100 * (mean_s E[s, c] - E_clean) / (mean_s E_baseline[s, c] - E_baseline_clean)`.

    Args:
        errors: `{corruption: five error rates in 0..1}`.
        clean_error: Error rate on the clean images, 0..1.
        baseline: Error rates of the baseline network.
        baseline_clean_error: Its error rate on the clean images, 0..1.

    Returns:
        Per cent; 100 is the baseline's own gap.

    Raises:
        InputError: As `mean_corruption_error`; also where the baseline's mean error does not
            exceed its clean error.

    Example:
        >>> round(relative_mean_corruption_error(ALEXNET_IMAGENET_C, 0.4348), 6)
        100.0
    """
    counted = _counted(errors, baseline)
    _check_rate(clean_error, "clean_error")
    _check_rate(baseline_clean_error, "baseline_clean_error")
    rates, base = _checked(counted, "errors"), _checked(baseline, "baseline")
    ratios = []
    for name, values in rates.items():
        gap = base[name].mean() - baseline_clean_error
        if gap <= 0:
            raise InputError(
                f"the baseline's mean error on '{name}', {base[name].mean():.4g}, must exceed its "
                f"clean error. Received: baseline_clean_error={baseline_clean_error}"
            )
        ratios.append((values.mean() - clean_error) / gap)
    return _per_cent(np.mean(ratios))


def _counted(errors: ErrorRates, baseline: ErrorRates | None) -> ErrorRates:
    """The errors that count for a mean: all of the baseline's, none of the four extras."""
    counted = {
        name: rates
        for name, rates in errors.items()
        if name not in ALEXNET_IMAGENET_C_EXTRA or (baseline is not None and name in baseline)
    }
    if baseline is not None:
        missing = [name for name in baseline if name not in counted]
        if missing:
            raise InputError(
                f"a mean over part of the benchmark is no mCE: `errors` lacks {', '.join(missing)}"
            )
    if not counted:
        raise InputError(
            "`errors` holds no corruption that counts for a mean. "
            f"Received: {', '.join(errors) or 'nothing'}"
        )
    return counted


def _checked(errors: ErrorRates, argument: str) -> dict[str, np.ndarray]:
    if not errors:
        raise InputError(f"`{argument}` holds no corruption")
    checked = {}
    for name, values in errors.items():
        try:
            rates: np.ndarray = np.asarray(values, dtype=np.float64)
        except (TypeError, ValueError):
            rates = np.empty(0)
        if rates.shape != (5,):
            raise InputError(
                f"`{argument}['{name}']` must be five error rates, severities 1 to 5. "
                f"Received: {values!r}"
            )
        for rate in rates:
            _check_rate(float(rate), f"{argument}['{name}']")
        checked[name] = rates
    return checked


def _check_rate(rate: float, argument: str) -> None:
    if not 0 <= rate <= 1:
        raise InputError(
            f"`{argument}` must be in 0..1 (a rate, not per cent). Received: {float(rate)}"
        )


def _per_cent(fraction: float | np.floating) -> float:
    return 100.0 * float(fraction)
