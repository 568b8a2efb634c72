"""The model that trains a network on several views of each image."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from dynmix_tf.errors import InputError, unknown_name
from dynmix_tf.losses import JensenShannonConsistency
from dynmix_tf.models.wrapping import refuse_softmax

__all__ = ["NUM_VIEWS", "ConsistencyModel"]

Tensor = Any

NUM_VIEWS = {"jsd": 3, "jsd_single": 2, "none": 1}
"""How many views, the original included, each mode of consistency trains on."""


@keras.saving.register_keras_serializable(package="dynmix_tf")
class ConsistencyModel(keras.Model):
    """Trains a classifier by cross-entropy on the original and consistency over all views.

    All views go through the network in one forward pass, so BatchNorm sees them together.

    Args:
        network: A built `keras.Model` from images to logits `(B, classes)`.
        consistency: "jsd": cross-entropy on the original plus the Jensen-Shannon divergence over
            the original and two views; "jsd_single": the same with one view; "none":
            cross-entropy on the one batch of images that comes, whatever it is.
        consistency_weight: The paper's lambda. The paper gives no value; 12 is AugMix's.
        label_smoothing: In [0, 1): share of each label that goes to all classes alike.

    Training data:
        `((original, view_1, view_2), labels)` for "jsd", one view less for "jsd_single",
        `(images, labels)` for "none"; labels are class numbers `(B,)` or `(B, 1)`, or
        probabilities `(B, classes)`, such as those of `MixUp` and `CutMix` with "none". A class
        number that the network does not have makes the loss NaN.
        `evaluate` and `predict` take plain images.

    Logs:
        `loss`, `ce`, `accuracy` (of the original view), and `js` while training on views.

    Raises:
        InputError: An unknown mode, a negative weight, a network that is not built, data with
            another number of views, or labels for another number of classes.

    Example:
        >>> model = ConsistencyModel(network, consistency="jsd", consistency_weight=12.0)
        >>> model.compile(dynmix_tf.optimizers.CoupledSGD(0.1, l2=5e-4))
        >>> history = model.fit(views.over(ds, seed=0), epochs=1, verbose=0)

    Reference: Dynamic Mixup, section 3 and Appendix A, Table 5; AugMix, `cifar.py`.
    """

    def __init__(
        self,
        network: keras.Model,
        consistency: str = "jsd",
        consistency_weight: float = 12.0,
        label_smoothing: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if consistency not in NUM_VIEWS:
            raise unknown_name("`consistency`", str(consistency), NUM_VIEWS)
        if not consistency_weight >= 0:
            raise InputError(
                f"`consistency_weight` must be 0 or more. Received: {consistency_weight}"
            )
        if not 0 <= label_smoothing < 1:
            raise InputError(f"`label_smoothing` must be in [0, 1). Received: {label_smoothing}")
        if not (isinstance(network, keras.Model) and network.built):
            raise InputError(
                "`network` must be a built keras.Model from images to logits. "
                f"Received: {network!r}"
            )
        refuse_softmax(network)
        outputs = getattr(network, "output_shape", None)
        if isinstance(outputs, tuple) and outputs[-1] is not None and outputs[-1] < 2:
            raise InputError(
                "`network` must return a logit for each class, two or more. Received: an output of "
                f"shape {outputs}"
            )
        self.network = network
        self.consistency = consistency
        self.consistency_weight = float(consistency_weight)
        self.num_views = NUM_VIEWS[consistency]
        self.label_smoothing = float(label_smoothing)
        self.cross_entropy_loss = keras.losses.CategoricalCrossentropy(from_logits=True)
        self.consistency_loss = JensenShannonConsistency()
        self.cross_entropy = keras.metrics.Mean(name="ce")
        self.divergence = keras.metrics.Mean(name="js") if self.num_views > 1 else None
        self.accuracy = keras.metrics.CategoricalAccuracy(name="accuracy")
        self.built = True

    def compile(self, optimizer: Any = "sgd", **kwargs: Any) -> None:
        """Sets the optimizer; the loss and the metrics are the model's own.

        Raises:
            InputError: `loss`, `metrics` or `weighted_metrics` is given; or, on several replicas,
                `jit_compile`, `steps_per_execution`, `run_eagerly` or an optimizer that
                accumulates gradients, with which Keras' training fails there.
        """
        for name in ("loss", "metrics", "weighted_metrics"):
            if kwargs.get(name) is not None:
                raise InputError(
                    f"ConsistencyModel has its own loss and metrics (loss, ce, js, accuracy); "
                    f"compile it without `{name}`. Received: {name}={kwargs[name]!r}"
                )
        replicas = getattr(
            getattr(self, "distribute_strategy", None), "num_replicas_in_sync", 1
        )  # of TensorFlow; other backends have none
        accumulation = getattr(optimizer, "gradient_accumulation_steps", None)
        for name, value, harmless in (
            ("jit_compile", kwargs.get("jit_compile"), (None, False, "auto")),
            ("steps_per_execution", kwargs.get("steps_per_execution"), (None, 1)),
            ("run_eagerly", kwargs.get("run_eagerly"), (None, False)),
            ("gradient_accumulation_steps", accumulation, (None,)),
        ):
            if replicas > 1 and value not in harmless:
                raise InputError(
                    f"Keras cannot train with `{name}` on several replicas; leave it out, or "
                    f"train on one device. Received: {name}={value} on {replicas} replicas"
                )
        super().compile(optimizer=optimizer, **kwargs)

    def get_compile_config(self) -> dict[str, Any]:  # noqa: D102
        if not self.compiled:
            return {}
        return {"optimizer": keras.saving.serialize_keras_object(self.optimizer)}

    def compile_from_config(self, config: dict[str, Any]) -> None:  # noqa: D102
        if config:
            self.compile(keras.saving.deserialize_keras_object(config["optimizer"]))
            self.optimizer.build(self.trainable_variables)

    def call(self, images: Tensor, training: bool | None = None) -> Tensor:
        """Logits of images."""
        return self.network(images, training=training)

    def train_step(self, *args: Any) -> Any:
        """One step on all views at once; `(data)` under TensorFlow, `(state, data)` under JAX."""
        *state, data = args
        views, labels, weights = keras.utils.unpack_x_y_sample_weight(data)
        views = tuple(views) if isinstance(views, (tuple, list)) else (views,)
        if len(views) != self.num_views:
            names = ", ".join(("original", "view_1", "view_2")[: self.num_views])
            hint = (
                f"make (({names}), labels) with dynmix_tf.Views; single views, which is all that "
                "MixUp and CutMix make, train with consistency='none'"
            )
            if self.num_views == 1:
                hint = "give (images, labels), or choose consistency='jsd' or 'jsd_single'"
            raise InputError(
                f"consistency='{self.consistency}' trains on {self.num_views} views. "
                f"Received: {len(views)}; {hint}"
            )
        images = views[0] if len(views) == 1 else ops.concatenate(views, axis=0)
        return super().train_step(*state, (images, labels, weights))

    def test_step(self, *args: Any) -> Any:
        """One step of `evaluate`, on plain images."""
        result = super().test_step(*args)
        (result[0] if isinstance(result, tuple) else result).pop("js", None)
        return result

    def compute_loss(
        self,
        x: Tensor = None,
        y: Tensor = None,
        y_pred: Tensor = None,
        sample_weight: Tensor = None,
        training: bool = True,
    ) -> Tensor:
        """Cross-entropy of the original, and lambda times the divergence of all views."""
        several = training and self.num_views > 1
        views = ops.split(y_pred, self.num_views, axis=0) if several else [y_pred]
        y = self._probabilities(y, views[0])
        if training and self.label_smoothing:
            y = (1 - self.label_smoothing) * y + self.label_smoothing / y.shape[-1]
        # the metrics take one value per example: a Loss divides by the number of replicas
        self.cross_entropy.update_state(
            self.cross_entropy_loss.call(y, ops.cast(views[0], "float32")), sample_weight
        )
        loss = self.cross_entropy_loss(y, views[0], sample_weight)
        if self.divergence is not None and several:
            logits = ops.cast(ops.stack(views, axis=1), "float32")
            self.divergence.update_state(self.consistency_loss.call(y, logits), sample_weight)
            loss += self.consistency_weight * self.consistency_loss(y, logits, sample_weight)
        if self.losses:  # the network's penalties, shared among the replicas
            loss += super().compute_loss(x, y, y_pred, sample_weight, training)
        return loss

    def compute_metrics(
        self, x: Tensor, y: Tensor, y_pred: Tensor, sample_weight: Tensor = None
    ) -> dict[str, Tensor]:
        """The logs; accuracy is that of the first view, the original."""
        original = y_pred[: ops.shape(y)[0]]
        self.accuracy.update_state(self._probabilities(y, original), original, sample_weight)
        return self.get_metrics_result()

    @staticmethod
    def _probabilities(labels: Tensor, logits: Tensor) -> Tensor:
        classes = logits.shape[-1]
        if len(labels.shape) == 2 and labels.shape[1] == 1 < classes:
            labels = labels[:, 0]  # class numbers as keras.datasets gives them
        if len(labels.shape) == 2 and labels.shape[1] in (classes, None):
            return ops.cast(labels, "float32")
        if len(labels.shape) != 1:
            raise InputError(
                "labels must be class numbers (B,) or (B, 1), or probabilities (B, classes); the "
                f"network has {classes} classes. Received: shape={tuple(labels.shape)}"
            )
        labels = ops.cast(labels, "int32")
        # zeros, which one_hot gives for a label out of range, would train on silently
        known = ops.logical_and(labels >= 0, labels < classes)[:, None]
        return ops.where(known, ops.one_hot(labels, classes, dtype="float32"), np.nan)

    def get_config(self) -> dict[str, Any]:  # noqa: D102
        return {
            **super().get_config(),
            "network": keras.saving.serialize_keras_object(self.network),
            "consistency": self.consistency,
            "consistency_weight": self.consistency_weight,
            "label_smoothing": self.label_smoothing,
        }

    @classmethod
    def from_config(  # noqa: D102
        cls, config: dict[str, Any], custom_objects: Any = None
    ) -> ConsistencyModel:
        network = keras.saving.deserialize_keras_object(
            config["network"], custom_objects=custom_objects
        )
        return cls(**{**config, "network": network})
