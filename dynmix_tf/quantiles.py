"""Tables that turn uniform numbers into Beta and Gamma ones, for every backend that draws."""

from __future__ import annotations

import functools

import numpy as np

__all__ = ["NODES", "beta_quantiles", "log_gamma_quantiles"]

NODES = 4096


@functools.cache
def beta_quantiles(alpha: float) -> np.ndarray:
    """Quantiles of Beta(alpha, alpha) at (i + 1/2) / NODES: float32 `(NODES,)`.

    Example:
        >>> round(float(beta_quantiles(1.0)[1024]), 3)
        0.25
    """
    from scipy.special import betaincinv

    return betaincinv(alpha, alpha, (np.arange(NODES) + 0.5) / NODES).astype("float32")


@functools.cache
def log_gamma_quantiles(alpha: float) -> np.ndarray:
    """Logarithms of the quantiles of Gamma(alpha) at (i + 1/2) / NODES: float32 `(NODES,)`.

    Example:
        >>> round(float(np.exp(log_gamma_quantiles(1.0)[2048])), 3)
        0.693
    """
    from scipy.special import gammaincinv, gammaln

    level = (np.arange(NODES) + 0.5) / NODES
    quantile = gammaincinv(alpha, level)
    near_zero = (np.log(level) + gammaln(alpha + 1)) / alpha  # the first term of the series
    far = np.log(np.maximum(quantile, 1e-300))
    return np.where(quantile < 1e-30, near_zero, far).astype("float32")
