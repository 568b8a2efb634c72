"""Stochastic gradient descent with the weight decay of the papers."""

from __future__ import annotations

from typing import Any

import keras

from dynmix_tf.errors import InputError, real_number, unknown_name, whole_number

__all__ = ["CoupledSGD", "WarmUp", "cosine_schedule", "imagenet_schedule", "step_schedule"]


@keras.saving.register_keras_serializable(package="dynmix_tf")
class CoupledSGD(keras.optimizers.SGD):
    """SGD whose L2 penalty is added to the gradient of every parameter.

    PyTorch's `weight_decay`, which the papers use: it goes through the momentum. Keras' own
    `weight_decay` is decoupled from the gradient and, at momentum 0.9, about ten times weaker.

    Args:
        learning_rate: Float or schedule.
        momentum: In [0, 1].
        nesterov: Whether the momentum looks ahead.
        l2: Coefficient of the parameters in the gradient, 0 or more; 0 for none.
        **kwargs: As `keras.optimizers.SGD`. What clips (`global_clipnorm`, `clipnorm`,
            `clipvalue`) clips the gradient of the loss, before L2 is added; where gradients are
            accumulated, their mean.

    Raises:
        InputError: `l2` is no finite number of 0 or more.

    Example:
        >>> model.compile(CoupledSGD(0.1, l2=5e-4))

    Reference: AugMix, `cifar.py`: `torch.optim.SGD(0.1, momentum=0.9, weight_decay=5e-4,
    nesterov=True)`.
    """

    def __init__(
        self,
        learning_rate: Any = 0.1,
        momentum: float = 0.9,
        nesterov: bool = True,
        l2: float = 0.0,
        name: str = "coupled_sgd",
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, momentum=momentum, nesterov=nesterov, name=name, **kwargs)
        self.l2 = real_number("l2", l2, 0)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """One step of one variable, by the gradient of loss + l2/2 * |variable|^2."""
        gradient = gradient + self.l2 * keras.ops.cast(variable, gradient.dtype)
        super().update_step(gradient, variable, learning_rate)

    def get_config(self) -> dict[str, Any]:  # noqa: D102
        return {**super().get_config(), "l2": self.l2}


def cosine_schedule(
    learning_rate: float, steps: int, end: float = 1e-6
) -> keras.optimizers.schedules.LearningRateSchedule:
    """Cosine decay per step from `learning_rate` to `end` over `steps`.

    Args:
        learning_rate: At step 0, above 0.
        steps: Of the whole training, 1 or more; it stays at `end` after them.
        end: The last learning rate.

    Raises:
        InputError: `learning_rate` is not above 0, or `steps` not a whole number of 1 or more.

    Example:
        >>> [round(float(cosine_schedule(0.1, steps=100)(step)), 6) for step in (0, 50, 100)]
        [0.1, 0.05, 1e-06]

    Reference: AugMix, `cifar.py`, `get_lr`.
    """
    steps = whole_number("steps", steps, 1)
    if not real_number("learning_rate", learning_rate, 0):
        raise InputError("`learning_rate` must be above 0. Received: learning_rate=0")
    return keras.optimizers.schedules.CosineDecay(learning_rate, steps, alpha=end / learning_rate)


@keras.saving.register_keras_serializable(package="dynmix_tf")
class WarmUp(keras.optimizers.schedules.LearningRateSchedule):
    """A schedule whose first steps rise linearly to where it then is.

    Args:
        schedule: The schedule; its step is the run's, warm-up included.
        steps: Steps of warm-up; step n has (n + 1) / steps of the schedule's rate.

    Example:
        >>> schedule = WarmUp(cosine_schedule(0.1, steps=100), steps=4)
        >>> round(float(schedule(1)), 4)
        0.05
    """

    def __init__(
        self, schedule: keras.optimizers.schedules.LearningRateSchedule, steps: int
    ) -> None:
        self.schedule = schedule
        self.steps = int(steps)

    def __call__(self, step: Any) -> Any:
        """The learning rate of a step."""
        share = (keras.ops.cast(step, "float32") + 1) / max(1, self.steps)
        return self.schedule(step) * keras.ops.minimum(share, 1.0)

    def get_config(self) -> dict[str, Any]:  # noqa: D102
        schedule = keras.optimizers.schedules.serialize(self.schedule)
        return {"schedule": schedule, "steps": self.steps}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> WarmUp:  # noqa: D102
        schedule = keras.optimizers.schedules.deserialize(config["schedule"])
        return cls(schedule, config["steps"])


def step_schedule(
    learning_rate: float, steps: int
) -> keras.optimizers.schedules.LearningRateSchedule:
    """A tenth of the learning rate after every third of `steps`.

    Args:
        learning_rate: At step 0, above 0.
        steps: Of the whole training, 3 or more.

    Example:
        >>> [round(float(step_schedule(0.1, steps=90)(step)), 4) for step in (29, 30, 60)]
        [0.1, 0.01, 0.001]

    Reference: AugMix, `imagenet.py`, with its 90 epochs.
    """
    third = max(1, steps // 3)
    # Keras' boundaries belong to the piece before them
    ends = [third * n - 1 for n in range(1, -(-steps // third))]
    return keras.optimizers.schedules.PiecewiseConstantDecay(
        ends, [learning_rate * 0.1**n for n in range(len(ends) + 1)]
    )


def imagenet_schedule(
    batch_size: int,
    steps_per_epoch: int,
    epochs: int = 90,
    decay: str = "step",
    base_rate: float = 0.1,
    warmup_epochs: int = 5,
) -> WarmUp:
    """The learning rate of ImageNet training: linear in the batch, warmed up, then decayed.

    The rate is `base_rate * batch_size / 256`.

    Args:
        batch_size: Images in a step, over all devices.
        steps_per_epoch: Steps in an epoch.
        epochs: Length of the run; 90 and 180 are customary.
        decay: "step" or "cosine": `step_schedule` or `cosine_schedule`.
        base_rate: For 256 images.
        warmup_epochs: Epochs of linear rise; fewer than `epochs`.

    Raises:
        InputError: An unknown decay, or a warm-up that does not fit.

    Example:
        >>> schedule = imagenet_schedule(512, steps_per_epoch=100)
        >>> [round(float(schedule(epoch * 100)), 3) for epoch in (10, 40, 80)]
        [0.2, 0.02, 0.002]

    Reference: AugMix, `imagenet.py`; Goyal et al. (2017) for the linear rule and the warm-up.
    """
    if not 0 <= warmup_epochs < epochs:
        raise InputError(
            f"`warmup_epochs` must be 0 or more and below `epochs`. "
            f"Received: {warmup_epochs} of {epochs}"
        )
    decays = {"step": step_schedule, "cosine": cosine_schedule}
    if decay not in decays:
        raise unknown_name("`decay`", str(decay), decays)
    schedule = decays[decay](base_rate * batch_size / 256, epochs * steps_per_epoch)
    return WarmUp(schedule, warmup_epochs * steps_per_epoch)
