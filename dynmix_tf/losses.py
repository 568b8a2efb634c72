"""The Jensen-Shannon consistency loss."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

__all__ = ["JensenShannonConsistency"]

Tensor = Any


@keras.saving.register_keras_serializable(package="dynmix_tf")
class JensenShannonConsistency(keras.losses.Loss):
    """How far a network's predictions for several views of one image are apart.

    The mean Kullback-Leibler divergence of each view's prediction from their mean, which is
    clipped to [1e-7, 1] as in the reference. 0 where all views agree; at most log(views).

    Call arguments:
        y_true: Ignored; any tensor.
        y_pred: Logits `(B, views, classes)`.

    Returns:
        Mean over the batch, or `(B,)` with `reduction=None`; float32.

    Example:
        >>> logits = np.zeros((4, 3, 10), "float32")
        >>> float(JensenShannonConsistency()(np.zeros(4), logits))
        0.0

    Reference: Dynamic Mixup, Appendix A; AugMix, `cifar.py`.
    """

    def __init__(self, name: str = "jensen_shannon", **kwargs: Any) -> None:
        super().__init__(name=name, **kwargs)

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """The divergence of each example, `(B,)`."""
        log_p = ops.log_softmax(y_pred, axis=-1)
        p = ops.exp(log_p)
        log_mean = ops.log(ops.clip(ops.mean(p, axis=1, keepdims=True), 1e-7, 1.0))
        return ops.mean(ops.sum(p * (log_p - log_mean), axis=-1), axis=-1)
