"""Keras metrics for `compile`, `fit` and `evaluate`, on any backend and any number of replicas.

Each gives what the NumPy function of the same name gives for all examples at once, to 1e-6. Sums
are kept in float32 with what rounding cut off beside them, so that small batches still count after
many millions of examples. On several replicas a last batch smaller than their number counts too.
"""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
from keras import ops

from dynmix_tf.errors import InputError, whole_number

__all__ = ["BrierScore", "ErrorRate", "FlipProbability", "NegativeLogLikelihood"]

Tensor = Any

_LEAST_LOGARITHM = math.log(1e-12)  # as `negative_log_likelihood`


class Sums(keras.metrics.Metric):
    """Sums over batches, added over replicas; float32 whatever the policy."""

    def __init__(self, shape: tuple[int, ...], name: str) -> None:
        super().__init__(name=name, dtype="float32")
        # `add_weight` has no `aggregation` in Keras 3
        self.sums = self.add_variable(
            (2, *shape), "zeros", dtype="float32", aggregation="sum", name="sums"
        )

    def add(self, values: Tensor) -> None:
        """Adds `shape` values, and keeps what the sum's rounding cut off (Knuth's TwoSum)."""
        high, low = self.sums[0], self.sums[1]
        total = high + values
        added = total - high
        cut_off = (high - (total - added)) + (values - added)
        self.sums.assign(ops.stack([total, low + cut_off]))

    def total(self) -> Tensor:
        """The sums so far, of this replica or, outside of them, of all."""
        return self.sums[0] + self.sums[1]

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name}


class OfClassifier(Sums):
    """What labels and logits have in common; `values` are added up for each example."""

    def __init__(self, shape: tuple[int, ...], from_logits: bool, name: str) -> None:
        super().__init__(shape, name)
        self.from_logits = from_logits

    def update_state(self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor = None) -> None:
        """Adds a batch.

        Args:
            y_true: Class numbers `(B,)` or `(B, 1)`; one that is none makes the result NaN.
            y_pred: Logits `(B, classes)`, or probabilities where `from_logits` is False.
            sample_weight: `(B,)`: how often an example counts; with 0 it does not.

        Raises:
            InputError: Another shape.
        """
        labels, scores = ops.convert_to_tensor(y_true), ops.convert_to_tensor(y_pred)
        if len(labels.shape) == 2 and labels.shape[1] == 1:
            labels = labels[:, 0]
        if len(labels.shape) != 1 or len(scores.shape) != 2:
            raise InputError(
                f"`{self.name}` needs class numbers (B,) and scores (B, classes). "
                f"Received: {tuple(labels.shape)} and {tuple(scores.shape)}"
            )
        labels, scores = ops.cast(labels, "int32"), ops.cast(scores, "float32")
        weights = example_weights(sample_weight, labels, self.name)
        known = ops.logical_and(labels >= 0, labels < scores.shape[1])
        weights = ops.where(ops.logical_or(known, weights == 0), weights, np.nan)
        self.add_examples(labels, scores, weights)

    def add_examples(self, labels: Tensor, scores: Tensor, weights: Tensor) -> None:
        """Adds a checked batch; weights are NaN where a label that counts is no class."""
        raise NotImplementedError

    def probabilities(self, scores: Tensor) -> Tensor:
        """Probabilities of the classes `(B, classes)`."""
        return ops.softmax(scores) if self.from_logits else scores

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "from_logits": self.from_logits}


class _Mean(OfClassifier):
    """A weighted mean over examples."""

    def __init__(self, from_logits: bool, name: str) -> None:
        super().__init__((2,), from_logits, name)

    def add_examples(self, labels: Tensor, scores: Tensor, weights: Tensor) -> None:
        values = product(weights, self.values(labels, scores))
        self.add(ops.stack([ops.sum(values), ops.sum(weights)]))

    def values(self, labels: Tensor, scores: Tensor) -> Tensor:
        """One value for each example, `(B,)`."""
        raise NotImplementedError

    def result(self) -> Tensor:
        """The mean, 0 where there was no example."""
        total = self.total()
        return ops.divide_no_nan(total[0], total[1])


@keras.saving.register_keras_serializable(package="dynmix_tf")
class ErrorRate(_Mean):
    """How often the likeliest class is not the true one: 1 - accuracy, 0..1.

    Args:
        from_logits: Whether models give logits, which is the same here.
        name: In the logs.

    Example:
        >>> metric = ErrorRate()
        >>> metric.update_state([0, 1, 1, 1], [[2.0, 1.0]] * 4)
        >>> float(metric.result())
        0.75
    """

    def __init__(self, from_logits: bool = True, name: str = "error") -> None:
        super().__init__(from_logits, name)

    def values(self, labels: Tensor, scores: Tensor) -> Tensor:  # noqa: D102
        return wrong(labels, scores)


@keras.saving.register_keras_serializable(package="dynmix_tf")
class NegativeLogLikelihood(_Mean):
    """NLL: the mean of -log of the true class's probability, in nats; 1e-12 is the least.

    Args:
        from_logits: Whether models give logits; False for probabilities.
        name: In the logs.

    Example:
        >>> metric = NegativeLogLikelihood(from_logits=False)
        >>> metric.update_state([0, 0], [[0.5, 0.5], [1.0, 0.0]])
        >>> round(float(metric.result()), 4)
        0.3466
    """

    def __init__(self, from_logits: bool = True, name: str = "negative_log_likelihood") -> None:
        super().__init__(from_logits, name)

    def values(self, labels: Tensor, scores: Tensor) -> Tensor:  # noqa: D102
        logs = ops.log_softmax(scores) if self.from_logits else ops.log(scores)
        return -ops.maximum(_of_class(logs, labels), _LEAST_LOGARITHM)


@keras.saving.register_keras_serializable(package="dynmix_tf")
class BrierScore(_Mean):
    """The mean squared distance from the true class, over all classes: 0..2.

    Args:
        from_logits: Whether models give logits; False for probabilities.
        name: In the logs.

    Example:
        >>> metric = BrierScore(from_logits=False)
        >>> metric.update_state([0, 0], [[0.5, 0.5], [1.0, 0.0]])
        >>> float(metric.result())
        0.25
    """

    def __init__(self, from_logits: bool = True, name: str = "brier_score") -> None:
        super().__init__(from_logits, name)

    def values(self, labels: Tensor, scores: Tensor) -> Tensor:  # noqa: D102
        target = ops.one_hot(labels, scores.shape[1], dtype="float32")
        return ops.sum(ops.square(self.probabilities(scores) - target), axis=1)


@keras.saving.register_keras_serializable(package="dynmix_tf")
class FlipProbability(Sums):
    """How often the predicted class changes along image sequences, 0..1.

    Args:
        noise: Whether the perturbation is noise: every frame is compared with the first.
        step: Frames between those compared, 1 for noise.
        name: In the logs.

    Raises:
        InputError: A step that is no whole number, 1 or more, or not 1 for noise.

    Example:
        >>> metric = FlipProbability()
        >>> metric.update_state(None, [[1, 1, 2, 2, 1]])
        >>> float(metric.result())
        0.5
    """

    def __init__(self, noise: bool = False, step: int = 1, name: str = "flip_probability") -> None:
        super().__init__((2,), name)
        self.noise, self.step = noise, whole_number("step", step, 1)
        if noise and self.step != 1:
            raise InputError(f"`step` must be 1 for noise. Received: {step}")

    def update_state(self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor = None) -> None:
        """Adds a batch of videos.

        Args:
            y_true: Ignored.
            y_pred: Class numbers `(videos, frames)`, or logits or probabilities `(videos, frames,
                classes)`.
            sample_weight: `(videos,)`: how often a video counts.

        Raises:
            InputError: Another shape, or too few frames.
        """
        classes = ops.convert_to_tensor(y_pred)
        if len(classes.shape) == 3:
            classes = ops.argmax(classes, axis=2)
        if len(classes.shape) != 2 or (classes.shape[1] or math.inf) <= self.step:
            raise InputError(
                f"`{self.name}` needs class numbers (videos, frames) or logits (videos, frames, "
                f"classes), of more than {self.step} frames. Received: {tuple(classes.shape)}"
            )
        before = classes[:, :1] if self.noise else classes[:, : -self.step]
        flips = ops.mean(ops.cast(before != classes[:, self.step :], "float32"), axis=1)
        weights = example_weights(sample_weight, flips, self.name)
        self.add(ops.stack([ops.sum(product(weights, flips)), ops.sum(weights)]))

    def result(self) -> Tensor:
        """The mean over comparisons and videos, 0 where there was none."""
        total = self.total()
        return ops.divide_no_nan(total[0], total[1])

    def get_config(self) -> dict[str, Any]:  # noqa: D102
        return {**super().get_config(), "noise": self.noise, "step": self.step}


def example_weights(sample_weight: Tensor, examples: Tensor, name: str) -> Tensor:
    if sample_weight is None:
        return ops.ones(ops.shape(examples), "float32")
    weights = ops.cast(sample_weight, "float32")
    if len(weights.shape) == 2 and weights.shape[1] == 1:
        weights = weights[:, 0]
    if len(weights.shape) != 1:
        raise InputError(
            f"`sample_weight` of `{name}` must be (B,), one for each example. "
            f"Received: {tuple(weights.shape)}"
        )
    return weights


def product(weights: Tensor, values: Tensor) -> Tensor:
    """The products; nothing, even where the value is no number, counts with weight 0."""
    return ops.where(weights == 0, 0.0, weights * values)


def wrong(labels: Tensor, scores: Tensor) -> Tensor:
    return ops.cast(ops.cast(ops.argmax(scores, axis=1), "int32") != labels, "float32")


def _of_class(values: Tensor, labels: Tensor) -> Tensor:
    """The value of each example's class; of another one where the label is no class."""
    labels = ops.clip(labels, 0, values.shape[1] - 1)
    return ops.take_along_axis(values, labels[:, None], axis=1)[:, 0]
