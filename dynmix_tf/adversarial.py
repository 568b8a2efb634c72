"""Adversarial training: every step trains on images that were just moved against the network."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from dynmix_tf.consistency import ConsistencyModel
from dynmix_tf.errors import InputError, real_number, whole_number

__all__ = ["AdversarialModel"]

Tensor = Any
_HIGH = 255.0  # images are in 0..255


@keras.saving.register_keras_serializable(package="dynmix_tf")
class AdversarialModel(ConsistencyModel):
    """Trains a classifier on the worst images that projected gradient descent finds nearby.

    Each step starts at a random point of the L-infinity ball around each image, goes `num_steps`
    steps along the sign of the cross-entropy's gradient, stays in the ball and in 0..255, and
    trains on where it ends. The attack sees the network as it predicts (BatchNorm's moving
    averages, no dropout). A training step costs about `num_steps + 1` ordinary ones.

    Args:
        network: A built `keras.Model` from images 0..255 to logits `(B, classes)`.
        epsilon: Radius of the ball, in grey levels of 0..255.
        step_size: Length of one step, in grey levels.
        num_steps: Steps of the attack.
        seed: Of the random starts, a counter that is saved with the weights; None draws one.
        label_smoothing: As `ConsistencyModel`; the attack itself takes the plain labels.

    Training data:
        `(images, labels)`; labels as `ConsistencyModel`. `evaluate` and `predict` do not attack.

    Logs:
        `loss`, `ce`, `accuracy`: while training of the attacked images.

    Raises:
        InputError: An argument out of its range, a backend that is neither TensorFlow nor JAX,
            or what `ConsistencyModel` refuses.

    Example:
        >>> model = AdversarialModel(network, epsilon=8.0, step_size=2.0, num_steps=10)
        >>> model.compile(dynmix_tf.optimizers.CoupledSGD(0.1, l2=5e-4))
        >>> history = model.fit(images, labels, epochs=1, verbose=0)

    Reference: Madry et al. (2018), arXiv 1706.06083, and its settings for CIFAR-10.
    """

    def __init__(
        self,
        network: keras.Model,
        epsilon: float = 8.0,
        step_size: float = 2.0,
        num_steps: int = 10,
        seed: int | None = None,
        label_smoothing: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(network, consistency="none", label_smoothing=label_smoothing, **kwargs)
        if keras.backend.backend() not in _GRADIENTS:
            raise InputError(
                "AdversarialModel runs on the backends tensorflow and jax. "
                f"Received: {keras.backend.backend()}"
            )
        self.epsilon = real_number("epsilon", epsilon, 0, _HIGH)
        self.step_size = real_number("step_size", step_size, 0, _HIGH)
        self.num_steps = whole_number("num_steps", num_steps, 0)
        self.seed = seed
        self.starts = keras.random.SeedGenerator(seed)

    def train_step(self, *args: Any) -> Any:
        """Attacks the images, then trains on them."""
        *state, data = args
        images, labels, weights = keras.utils.unpack_x_y_sample_weight(data)
        images = ops.cast(images, "float32")
        if state:  # JAX: variables come and go as values
            (variables, other, *rest) = state[0]
            scope = keras.StatelessScope(
                [*zip(self.trainable_variables, variables, strict=True),
                 *zip(self.non_trainable_variables, other, strict=True)]
            )  # fmt: skip
            with scope:
                images = self.attack(images, labels)
            other = [
                value if (new := scope.get_current_value(variable)) is None else new
                for variable, value in zip(self.non_trainable_variables, other, strict=True)
            ]
            state = [(variables, other, *rest)]
        else:
            images = self.attack(images, labels)
        return super().train_step(*state, (images, labels, weights))

    def attack(self, images: Tensor, labels: Tensor) -> Tensor:
        """Images near the given ones that the network gets wrong, if it can be made to.

        Args:
            images: `(B, H, W, C)`, 0..255.
            labels: Class numbers or probabilities, as in training.

        Returns:
            float32 `(B, H, W, C)`, within `epsilon` of `images` and in 0..255.
        """
        images = ops.cast(images, "float32")
        low = ops.maximum(images - self.epsilon, 0.0)
        high = ops.minimum(images + self.epsilon, _HIGH)
        noise = keras.random.uniform(
            ops.shape(images), -self.epsilon, self.epsilon, dtype="float32", seed=self.starts
        )
        gradient = _GRADIENTS[keras.backend.backend()]

        def loss(attacked):
            logits = self.network(attacked, training=False)
            truth = self._probabilities(labels, logits)
            return ops.sum(self.cross_entropy_loss.call(truth, ops.cast(logits, "float32")))

        def step(_, attacked):
            moved = attacked + self.step_size * ops.sign(gradient(loss, attacked))
            return ops.clip(moved, low, high)

        return ops.stop_gradient(
            ops.fori_loop(0, self.num_steps, step, ops.clip(images + noise, low, high))
        )

    def get_config(self) -> dict[str, Any]:  # noqa: D102
        config = super().get_config()
        for name in ("consistency", "consistency_weight"):
            del config[name]
        own = ("epsilon", "step_size", "num_steps", "seed")
        return {**config, **{name: getattr(self, name) for name in own}}


def _tensorflow_gradient(loss: Any, images: Tensor) -> Tensor:
    import tensorflow as tf

    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(images)
        value = loss(images)
    return tape.gradient(value, images)


def _jax_gradient(loss: Any, images: Tensor) -> Tensor:
    import jax

    return jax.grad(loss)(images)


_GRADIENTS = {"tensorflow": _tensorflow_gradient, "jax": _jax_gradient}
