"""A run's network, loss, optimizer and schedule, on any backend of Keras."""

from __future__ import annotations

from typing import Any

from dynmix_tf import models
from dynmix_tf.config import TrainConfig
from dynmix_tf.consistency import ConsistencyModel
from dynmix_tf.methods import METHODS
from dynmix_tf.optimizers import CoupledSGD, WarmUp, cosine_schedule, step_schedule

__all__ = ["model_from_config"]


def model_from_config(
    config: TrainConfig, image_shape: tuple[int, int, int], num_classes: int, steps: int
) -> ConsistencyModel:
    """The compiled model of a run, with fresh weights that follow from the run's seed.

    Args:
        config: The settings.
        image_shape: (height, width, channels).
        num_classes: Number of logits.
        steps: Steps in an epoch.

    Example:
        >>> config = TrainConfig(model="small_cnn", method="dynmix")
        >>> model_from_config(config, (32, 32, 3), 10, steps=100).consistency
        'jsd'
    """
    network = models.build(config.model, image_shape, num_classes, seed=config.seed)
    model = METHODS[config.method].model(config, network)
    rate = config.learning_rate * (config.batch_size / 256 if config.linear_scaling else 1)
    decay = {"cosine": cosine_schedule, "step": step_schedule}[config.schedule]
    schedule = decay(rate, config.epochs * steps)
    if config.warmup_epochs:
        schedule = WarmUp(schedule, config.warmup_epochs * steps)
    optimizer = CoupledSGD(
        schedule,
        config.momentum,
        l2=config.l2,
        global_clipnorm=config.clip_norm or None,
        use_ema=config.ema > 0,
        ema_momentum=config.ema,
        gradient_accumulation_steps=(
            config.accumulation_steps if config.accumulation_steps > 1 else None
        ),
    )
    jit_compile: Any = {"auto": "auto", "on": True, "off": False}[config.jit_compile]
    model.compile(optimizer, jit_compile=jit_compile)
    model.optimizer.build(model.trainable_variables)
    return model
