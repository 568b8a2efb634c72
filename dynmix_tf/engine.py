"""One training run from data to exported model; the same call continues an interrupted one."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from dynmix_tf import models, runs
from dynmix_tf.callbacks import RunRecord
from dynmix_tf.checkpoint import restore_checkpoint
from dynmix_tf.config import TrainConfig
from dynmix_tf.consistency import ConsistencyModel
from dynmix_tf.data import ImageData, ImageFiles
from dynmix_tf.data.class_folders import damaged, tell_damaged
from dynmix_tf.distribution import make_strategy
from dynmix_tf.errors import InputError
from dynmix_tf.export import export_saved_model
from dynmix_tf.optimizers import CoupledSGD, WarmUp, cosine_schedule, step_schedule
from dynmix_tf.pipeline import training_dataset
from dynmix_tf.version import __version__

__all__ = ["train"]


def train(
    config: TrainConfig,
    data: ImageData,
    workdir: Path,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> keras.Model:
    """Trains, saves and exports a network.

    Writes `config.json`, `metrics.jsonl`, `checkpoints/`, TensorBoard events, `final.keras` and
    `export/` into `workdir`. A run that is complete returns at once.

    Args:
        config: The settings.
        data: The images.
        workdir: Folder of the run, opened by `runs.open_run`.
        callbacks: More Keras callbacks, such as `RobustnessEvaluation`; what they put into the
            logs is kept in `metrics.jsonl`.

    Returns:
        The trained network, from images 0..255 to logits.

    Example:
        >>> config = TrainConfig(dataset="photos", method="dynmix", epochs=1, batch_size=30)
        >>> data = dynmix_tf.data.load("photos", num_train=90, num_test=9)
        >>> network = train(config, data, Path("runs/a"))
        dynmix_tf ... global batch 30, float32, XLA ...
    """
    keras.utils.set_random_seed(config.seed)
    if config.deterministic:
        tf.config.experimental.enable_op_determinism()
    keras.config.set_dtype_policy(config.precision)
    strategy = make_strategy(config.strategy, config.batch_size)
    steps = -(-len(data.train_images) // config.batch_size)
    with strategy.scope():
        model = _compiled_model(config, data, steps)
    checkpoint = workdir / "checkpoints" / "last.npz"
    done = restore_checkpoint(checkpoint, model) if checkpoint.exists() else 0
    if done < config.epochs:
        environment = _environment(model, strategy)
        runs.record_start(config, workdir, done, environment)
        print(_first_line(config, environment, done))
        ds = training_dataset(config, data, start=done * steps)
        board = workdir / "tensorboard"
        if done == 0:
            _log_views(board / "views", ds)
        try:
            model.fit(
                ds,
                steps_per_epoch=steps,
                initial_epoch=done,
                epochs=config.epochs,
                callbacks=[
                    *callbacks,
                    keras.callbacks.TensorBoard(board, write_graph=False),
                    RunRecord(workdir, steps, config.batch_size, f"train {config.method}", done),
                ],
                shuffle=False,
                verbose=0,
            )
        except (tf.errors.InvalidArgumentError, tf.errors.NotFoundError) as error:
            _refuse_damaged(data)
            raise error
    final = workdir / "final.keras"
    if final.exists():
        network = keras.models.load_model(final, compile=False)
    else:
        network = model.network
        if config.ema:
            model.optimizer.finalize_variable_values(model.trainable_variables)
            _estimate_moments(network, training_dataset(config, data).take(min(steps, 100)))
        temporary = workdir / ".final.keras"  # Keras wants the ending
        network.save(temporary)
        os.replace(temporary, final)
    if not (workdir / "export").exists():
        export_saved_model(network, workdir / "export")
    return network


def _compiled_model(config: TrainConfig, data: ImageData, steps: int) -> ConsistencyModel:
    network = models.build(
        config.model, data.train_images.shape[1:], data.num_classes, seed=config.seed
    )
    model = ConsistencyModel(
        network, config.consistency, config.consistency_weight, config.label_smoothing
    )
    rate = config.learning_rate * (config.batch_size / 256 if config.linear_scaling else 1)
    decay = {"cosine": cosine_schedule, "step": step_schedule}[config.schedule]
    schedule = decay(rate, config.epochs * steps)
    if config.warmup_epochs:
        schedule = WarmUp(schedule, config.warmup_epochs * steps)
    optimizer = CoupledSGD(
        schedule,
        config.momentum,
        l2=config.l2,
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


def _refuse_damaged(data: ImageData) -> None:
    """Names the files that no look at their beginnings and ends found out, if there are any."""
    if isinstance(data.train_images, ImageFiles):
        paths = [Path(path) for path in data.train_images.paths]
        if bad := damaged(paths, decode_all=True):
            raise InputError(
                f"{tell_damaged(bad, len(paths))}; repair them, or give --skip_damaged in another "
                "--workdir"
            )


def _estimate_moments(network: keras.Model, ds: tf.data.Dataset) -> None:
    """Sets BatchNorm's moving averages, which belong to the last weights, to the averaged ones."""

    @tf.function
    def forward(views):
        images = tf.concat(views, axis=0) if isinstance(views, tuple) else views
        network(images, training=True)

    for views, _ in ds:
        forward(views)


def _log_views(folder: Path, ds: tf.data.Dataset) -> None:
    """Shows TensorBoard the first images of the first batch, a row for each, a column a view."""
    views, _ = next(iter(ds.take(1)))
    views = views if isinstance(views, tuple) else (views,)
    rows = tf.concat([view[:8] for view in views], axis=2)
    grid = tf.reshape(rows, (1, -1, *rows.shape[2:]))
    with tf.summary.create_file_writer(str(folder)).as_default(step=0):
        tf.summary.image("views", tf.clip_by_value(grid / 255, 0, 1))


def _first_line(config: TrainConfig, environment: dict[str, Any], done: int) -> str:
    versions = ", ".join(f"{name} {number}" for name, number in environment["versions"].items())
    devices = environment["devices"]
    kind = devices[0].split("device:")[-1].split(":")[0]
    accumulated = f" x {config.accumulation_steps} steps" if config.accumulation_steps > 1 else ""
    return (
        f"{versions}; commit {environment['commit']}; {environment['cpu_cores']} CPU cores, "
        f"{len(devices)} x {kind}, global batch {config.batch_size}{accumulated}, "
        f"{config.precision}, XLA {'on' if environment['xla'] else 'off'}"
        + (f"; {done} of {config.epochs} epochs are done" if done else "")
    )


def _environment(model: keras.Model, strategy: Any) -> dict[str, Any]:
    """What besides the settings decides a run's numbers."""
    packages = ("tensorflow", "keras", "numpy")
    commit = (
        subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=False,
        ).stdout.strip()
        if shutil.which("git")
        else ""
    )
    return {
        "versions": {
            "dynmix_tf": __version__,
            "python": platform.python_version(),
            **{name: metadata.version(name) for name in packages},
        },
        "commit": commit or "unknown",
        "devices": list(strategy.extended.worker_devices),
        "cpu_cores": os.cpu_count(),
        "backend": keras.backend.backend(),
        "xla": bool(model.jit_compile),
    }
