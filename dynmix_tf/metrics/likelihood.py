"""Proper scores of predicted probabilities: the lower, the better."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from dynmix_tf.errors import InputError

__all__ = ["brier_score", "negative_log_likelihood"]

_ROUNDING = 1e-3  # a softmax in half precision may add up to a little more or less than one
_SMALLEST = 1e-12  # a probability of 0 would make one example count for ever


def negative_log_likelihood(probabilities: ArrayLike, labels: ArrayLike) -> float:
    """NLL: the mean of -log of the probability that the true class was given.

    Args:
        probabilities: Shape (N, classes), each row adds up to 1.
        labels: Shape (N,), class numbers.

    Returns:
        In nats, 0 or more; a probability below 1e-12 counts as that.

    Raises:
        InputError: Shapes that do not fit, rows that are no probabilities, a label out of range.

    Example:
        >>> round(negative_log_likelihood([[0.5, 0.5], [1.0, 0.0]], [0, 0]), 4)
        0.3466
    """
    p, true = _checked(probabilities, labels)
    given = p[np.arange(len(p)), true]
    return float(-np.log(np.maximum(given, _SMALLEST)).mean())


def brier_score(probabilities: ArrayLike, labels: ArrayLike) -> float:
    """The mean over examples of the squared distance from the true class, over all classes.

    Args:
        probabilities: Shape (N, classes), each row adds up to 1.
        labels: Shape (N,), class numbers.

    Returns:
        0..2, as Brier (1950) has it; some libraries halve it, or divide by the classes.

    Raises:
        InputError: As `negative_log_likelihood`.

    Example:
        >>> brier_score([[0.5, 0.5], [1.0, 0.0]], [0, 0])
        0.25
    """
    p, true = _checked(probabilities, labels)
    distance = p.copy()
    distance[np.arange(len(p)), true] -= 1
    return float((distance**2).sum(axis=1).mean())


def _checked(probabilities: ArrayLike, labels: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    p = np.asarray(probabilities, dtype=np.float64)
    true = np.asarray(labels)
    if p.ndim != 2 or not p.size or true.shape != p.shape[:1] or true.dtype.kind not in "iu":
        raise InputError(
            "`probabilities` must be (N, classes) and `labels` N class numbers. "
            f"Received: {p.shape} and {true.dtype} {true.shape}"
        )
    if not ((p >= 0).all() and (np.abs(p.sum(axis=1) - 1) <= _ROUNDING).all()):
        raise InputError(
            "`probabilities` must be 0 or more and add up to 1 in each row; logits are no "
            f"probabilities. Received values from {p.min()} to {p.max()}"
        )
    if true.min() < 0 or true.max() >= p.shape[1]:
        raise InputError(
            f"`labels` must be in [0, {p.shape[1]}). Received: {true.min()} to {true.max()}"
        )
    return p, true
