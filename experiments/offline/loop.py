"""The training loop on JAX: images, views and steps on the accelerator, epochs on the disk."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np

from dynmix_tf import runs
from dynmix_tf.callbacks import RunRecord
from dynmix_tf.checkpoint import restore_checkpoint
from dynmix_tf.config import TrainConfig
from dynmix_tf.consistency import NUM_VIEWS, ConsistencyModel
from dynmix_tf.data import ImageData
from dynmix_tf.errors import InputError
from dynmix_tf.jax_views import JaxViews, example_keys
from dynmix_tf.model_from_config import model_from_config

__all__ = ["make_steps", "make_views", "state_of", "train"]

Array = Any
STEPS_AT_ONCE = 50  # in one call to the accelerator; what the progress bar moves by


def train(
    config: TrainConfig, data: ImageData, workdir: Path, deadline: float = float("inf")
) -> keras.Model | None:
    """Trains until the run is complete, or one more epoch would pass the deadline.

    Args:
        config: The settings.
        data: The images, as arrays.
        workdir: Folder of the run, opened by `runs.open_run`.
        deadline: In seconds of `time.monotonic`; at least one epoch is trained.

    Returns:
        The trained network, or None if the run is to be continued.
    """
    if not isinstance(data.train_images, np.ndarray):
        raise InputError("offline training needs images in memory; pack them into one .npz file")
    keras.utils.set_random_seed(config.seed)
    keras.config.set_dtype_policy(config.precision)
    steps = -(-len(data.train_images) // config.batch_size)
    model = model_from_config(config, data.image_shape, data.num_classes, steps)
    checkpoint = workdir / "checkpoints" / "last.npz"
    done = restore_checkpoint(checkpoint, model) if checkpoint.exists() else 0
    if done < config.epochs:
        devices = [f"{device.device_kind} device:{device.platform}" for device in jax.devices()]
        environment = runs.environment("jax", devices[:1], xla=True)
        runs.record_start(config, workdir, done, environment)
        print(runs.first_line(config, environment, done), flush=True)
        if not _fit(model, config, data, workdir, steps, done, deadline):
            return None
    final = workdir / "final.keras"
    if not final.exists():
        temporary = workdir / ".final.keras"  # Keras wants the ending
        model.network.save(temporary)
        os.replace(temporary, final)
    return model.network


def _fit(
    model: ConsistencyModel,
    config: TrainConfig,
    data: ImageData,
    workdir: Path,
    steps: int,
    done: int,
    deadline: float,
) -> bool:
    run = make_steps(model, config, data.train_images, data.train_labels)
    record = RunRecord(workdir, steps, config.batch_size, f"train {config.method}", done)
    record.set_model(model)
    record.set_params({"epochs": config.epochs})
    record.on_train_begin()
    longest = 0.0
    for epoch in range(done, config.epochs):
        begin = time.monotonic()
        if epoch > done and begin + longest > deadline:
            record.on_train_end()
            print(f"{epoch} of {config.epochs} epochs are done; the same command continues")
            return False
        model.reset_metrics()
        record.on_epoch_begin(epoch)
        state = state_of(model)
        for first in range(0, steps, STEPS_AT_ONCE):
            count = min(STEPS_AT_ONCE, steps - first)
            state, logs = run(state, np.uint32(epoch * steps + first), count)
            if first + count == steps:
                assign(model, state)
            record.on_train_batch_end(first + count - 1, {key: float(logs[key]) for key in logs})
        record.on_epoch_end(epoch, {key: float(logs[key]) for key in logs})
        longest = max(longest, time.monotonic() - begin)
    record.on_train_end()
    return True


def make_views(config: TrainConfig) -> JaxViews:
    """The method's views."""
    if config.method == "standard":
        return JaxViews(num_views=0)
    return JaxViews(
        max(NUM_VIEWS[config.consistency] - 1, 1),
        config.consistency != "none",
        config.operations,
        config.severity,
        config.alpha,
        config.max_depth,
        config.mixing,
        config.mix_weights,
    )


def make_steps(
    model: ConsistencyModel, config: TrainConfig, images: np.ndarray, labels: np.ndarray
) -> Callable[[tuple, np.uint32, int], tuple[tuple, dict[str, Array]]]:
    """A compiled function that makes some training steps in one call.

    Position n of the stream is a function of n and the seed alone: a new permutation for each
    pass over the images, and augmentation drawn for n, as in `dynmix_tf.pipeline`, whose
    permutations are others. Returns `run(state, first_step, count) -> (state, logs)`.
    """
    total, batch = len(images), config.batch_size
    pixels, truth = jnp.asarray(images), jnp.asarray(labels)
    views = make_views(config)
    root = jax.random.key(config.seed)

    def run(state: tuple, first: Array, count: int, pixels: Array, truth: Array) -> tuple:
        first_pass = first * batch // total
        passes = 2 + (count * batch - 1) // total  # that the steps may touch
        orders = jax.vmap(
            lambda number: jax.random.permutation(jax.random.fold_in(root, number), total)
        )(first_pass + jnp.arange(passes, dtype=jnp.uint32))

        def one(state: tuple, step: Array) -> tuple:
            positions = step * batch + jnp.arange(batch, dtype=jnp.uint32)
            index = orders[positions // total - first_pass, positions % total]
            made = views(pixels[index], example_keys(config.seed, positions))
            inputs = made if len(made) > 1 else made[0]
            logs, state = model.train_step(state, (inputs, truth[index]))
            return state, logs

        every = first + jnp.arange(count, dtype=jnp.uint32)
        state, logs = jax.lax.scan(one, state, every)
        return state, {name: values[-1] for name, values in logs.items()}

    compiled = jax.jit(run, static_argnums=2, donate_argnums=0)
    return lambda state, first, count: compiled(state, first, count, pixels, truth)


def _variables(model: ConsistencyModel) -> tuple[list, ...]:
    return (
        model.trainable_variables,
        model.non_trainable_variables,
        model.optimizer.variables,
        model.metrics_variables,
    )


def state_of(model: ConsistencyModel) -> tuple[list[Array], ...]:
    """The values of a model's variables, as `train_step` takes them."""
    # copies, as what is given to a step is used up by it
    return tuple([jnp.array(v.value) for v in variables] for variables in _variables(model))


def assign(model: ConsistencyModel, state: tuple[list[Array], ...]) -> None:
    """Puts the values back."""
    for variables, values in zip(_variables(model), state, strict=True):
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)
