"""The training loop on JAX: images, views and steps on the accelerator, epochs on the disk."""

from __future__ import annotations

import functools
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
from dynmix_tf.distribution import dtype_policy
from dynmix_tf.errors import InputError
from dynmix_tf.jax_views import JaxViews, example_keys
from dynmix_tf.model_from_config import model_from_config

__all__ = ["Order", "make_step", "make_views", "state_of", "train"]

Array = Any
AUGMIX_DEPTH = 3  # depths are drawn from 1 to it, as `AugMix` does of itself
STEPS_AT_ONCE = 50  # sent to the accelerator before its results are waited for


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
    keras.config.set_dtype_policy(dtype_policy(config.precision))
    steps = -(-len(data.train_images) // config.batch_size)
    model = model_from_config(config, data.image_shape, data.num_classes, steps)
    checkpoint = workdir / "checkpoints" / "last.npz"
    done = 0
    if checkpoint.exists():
        runs.check_data(workdir, data)
        done = restore_checkpoint(checkpoint, model)
    if done < config.epochs:
        devices = [f"{device.device_kind} device:{device.platform}" for device in jax.devices()]
        environment = runs.environment("jax", devices[:1], xla=True)
        bundled = Path(__file__).with_name("commit.txt")
        if bundled.exists():
            environment["commit"] = bundled.read_text()
        environment["dtype_policy"] = keras.config.dtype_policy().name
        runs.record_start(config, workdir, done, environment, data)
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
    step = make_step(model, config, data.train_images, data.train_labels)
    order = Order(len(data.train_images), config.seed)
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
        for number in range(steps):
            first = (epoch * steps + number) * config.batch_size
            positions = np.arange(first, first + config.batch_size)
            state, logs = step(state, order.images(positions), positions.astype("uint32"))
            last = number == steps - 1
            if last:
                assign(model, state)
            if last or number % STEPS_AT_ONCE == STEPS_AT_ONCE - 1:  # waits for the accelerator
                record.on_train_batch_end(number, {key: float(logs[key]) for key in logs})
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
        config.num_chains,
        config.max_depth if config.method == "dynmix" else AUGMIX_DEPTH,
        config.mixing if config.method == "dynmix" else "augmix",
        config.mix_weights,
    )


class Order:
    """Which image stands at a position of the stream: a new permutation for each pass.

    Position n is a function of n and the seed alone, as in `dynmix_tf.pipeline`, whose
    permutations are others; so a run resumes anywhere.
    """

    def __init__(self, count: int, seed: int) -> None:
        self.count = count
        self.seed = seed
        self._permutation = functools.lru_cache(maxsize=2)(
            lambda number: np.random.default_rng((seed, number)).permutation(count)
        )

    def images(self, positions: np.ndarray) -> np.ndarray:
        """The images' numbers, int32, at rising positions."""
        passes, places = np.divmod(positions, self.count)
        found = np.empty(len(positions), np.int32)
        for number in np.unique(passes):
            here = passes == number
            found[here] = self._permutation(int(number))[places[here]]
        return found


def make_step(
    model: ConsistencyModel, config: TrainConfig, images: np.ndarray, labels: np.ndarray
) -> Callable[..., tuple[tuple, dict[str, Array]]]:
    """One compiled training step: `step(state, images' numbers, positions) -> (state, logs)`.

    The images stay on the accelerator; their views are drawn for their positions.
    """
    pixels, truth = jnp.asarray(images), jnp.asarray(labels)
    views = make_views(config)

    # no loop over several steps in here: XLA's convolutions on a CPU are ten times slower in one
    def one(state: tuple, index: Array, positions: Array, pixels: Array, truth: Array) -> tuple:
        made = views(pixels[index], example_keys(config.seed, positions))
        inputs = made if len(made) > 1 else made[0]
        logs, state = model.train_step(state, (inputs, truth[index]))
        return state, logs

    compiled = jax.jit(one, donate_argnums=0)
    return lambda state, index, positions: compiled(state, index, positions, pixels, truth)


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
