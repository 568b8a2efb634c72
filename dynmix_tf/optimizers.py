"""Stochastic gradient descent with the weight decay of the papers."""

from __future__ import annotations

from typing import Any

import keras

__all__ = ["CoupledSGD", "cosine_schedule"]


@keras.saving.register_keras_serializable(package="dynmix_tf")
class CoupledSGD(keras.optimizers.SGD):
    """SGD whose L2 penalty is added to the gradient of every parameter.

    PyTorch's `weight_decay`, which the papers use: it goes through the momentum. Keras' own
    `weight_decay` is decoupled from the gradient and, at momentum 0.9, about ten times weaker.

    Args:
        learning_rate: Float or schedule.
        momentum: In [0, 1].
        nesterov: Whether the momentum looks ahead.
        l2: Coefficient of the parameters in the gradient; 0 for none.
        **kwargs: As `keras.optimizers.SGD`.

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
        self.l2 = float(l2)

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

    Example:
        >>> [round(float(cosine_schedule(0.1, steps=100)(step)), 6) for step in (0, 50, 100)]
        [0.1, 0.05, 1e-06]

    Reference: AugMix, `cifar.py`, `get_lr`.
    """
    return keras.optimizers.schedules.CosineDecay(learning_rate, steps, alpha=end / learning_rate)
