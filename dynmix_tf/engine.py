"""One training run from data to exported model; the same call continues an interrupted one."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import keras
import tensorflow as tf

from dynmix_tf import runs
from dynmix_tf.callbacks import RunRecord
from dynmix_tf.checkpoint import restore_checkpoint
from dynmix_tf.config import TrainConfig
from dynmix_tf.data import ImageData, ImageFiles
from dynmix_tf.data.class_folders import damaged, tell_damaged
from dynmix_tf.distribution import make_strategy
from dynmix_tf.errors import InputError
from dynmix_tf.export import export_saved_model
from dynmix_tf.model_from_config import model_from_config
from dynmix_tf.pipeline import training_dataset

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
        model = model_from_config(config, data.image_shape, data.num_classes, steps)
    checkpoint = workdir / "checkpoints" / "last.npz"
    done = restore_checkpoint(checkpoint, model) if checkpoint.exists() else 0
    if done < config.epochs:
        devices = list(strategy.extended.worker_devices)
        environment = runs.environment("tensorflow", devices, bool(model.jit_compile))
        runs.record_start(config, workdir, done, environment)
        print(runs.first_line(config, environment, done))
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
