"""One training run from data to exported model; the same call continues an interrupted one."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from dynmix_tf import cluster as clusters
from dynmix_tf import distribution, models, runs, train_loop
from dynmix_tf.callbacks import RunRecord, WaitingTime
from dynmix_tf.checkpoint import restore_checkpoint
from dynmix_tf.config import TrainConfig
from dynmix_tf.data import ImageData, ImageFiles
from dynmix_tf.data.class_folders import damaged, tell_damaged
from dynmix_tf.errors import InputError
from dynmix_tf.export import export_saved_model, load_model
from dynmix_tf.model_from_config import model_from_config
from dynmix_tf.pipeline import training_dataset

__all__ = ["train"]

_PROFILED = (11, 20)  # steps of a command, when all that is compiled or allocated once has been


def train(
    config: TrainConfig,
    data: ImageData,
    workdir: Path,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    profile: bool = False,
) -> keras.Model:
    """Trains, saves and exports a network.

    Writes `config.json`, `metrics.jsonl`, `checkpoints/`, TensorBoard events, `final.keras` and
    `export/` into `workdir`, and with `ema` the weights that were not averaged, as
    `final_raw.keras`. A run that is complete returns at once. Of several workers, the chief alone
    reads and writes `workdir`.

    Args:
        config: The settings.
        data: The images.
        workdir: Folder of the run, opened by `runs.open_run`.
        callbacks: More Keras callbacks, such as `RobustnessEvaluation`; what they put into the
            logs is kept in `metrics.jsonl`. Of several workers, the chief alone has them.
        profile: Whether TensorBoard's profiler is to look at steps 11 to 20 (in a shorter run at
            its last one).

    Returns:
        The trained network, from images 0..255 to logits.

    Raises:
        InputError: Devices, cluster or settings that do not fit together, a training that
            diverges, a checkpoint or an image that is damaged.
        Interrupted: A worker was lost.

    Example:
        >>> config = TrainConfig(dataset="photos", method="dynmix", epochs=1, batch_size=30)
        >>> data = dynmix_tf.data.load("photos", num_train=90, num_test=9)
        >>> network = train(config, data, Path("runs/a"))
        dynmix_tf ... global batch 30, float32, XLA ...
    """
    # first: several workers must join before TensorFlow starts
    strategy = distribution.make_strategy(config.strategy, config.batch_size)
    distribution.check_replicas(config, strategy)
    cluster = clusters.cluster_of(config.strategy)
    is_chief = cluster is None or cluster.is_chief
    keras.utils.set_random_seed(config.seed)
    if config.deterministic and keras.backend.backend() == "tensorflow":
        tf.config.experimental.enable_op_determinism()
    keras.config.set_image_data_format("channels_last")
    keras.config.set_dtype_policy(distribution.dtype_policy(config.precision))
    steps = -(-len(data.train_images) // config.batch_size)
    with strategy.scope():
        model = model_from_config(config, data.image_shape, data.num_classes, steps)
    environment = _environment(strategy, cluster, model)
    checkpoint = workdir / "checkpoints" / "last.npz"
    content = checkpoint.read_bytes() if is_chief and checkpoint.exists() else b""
    if cluster:
        versions = {**environment["versions"], "dtype_policy": environment["dtype_policy"]}
        seen = {"images": (len(data.train_images), *data.image_shape)}
        with clusters.losses_told(cluster):
            clusters.check_equal(strategy, cluster, {**config.to_json(), **versions, **seen})
            content = clusters.broadcast(strategy, cluster, content)
    if content and is_chief:
        runs.check_data(workdir, data)
    done = restore_checkpoint(checkpoint, model, content) if content else 0
    if done < config.epochs:
        waiting = WaitingTime()
        watching: list[keras.callbacks.Callback] = []
        record = None
        if is_chief:
            first_views = training_dataset(config, data) if done == 0 else None
            runs.record_start(config, workdir, done, environment, data)
            print(runs.first_line(config, environment, done), flush=True)
        try:
            if is_chief:
                board = workdir / "tensorboard"
                profiled = tuple(min(step, (config.epochs - done) * steps) for step in _PROFILED)
                if first_views:
                    _log_views(board / "views", first_views)
                watching = [
                    *callbacks,
                    keras.callbacks.TensorBoard(
                        board, write_graph=False, profile_batch=profiled if profile else 0
                    ),
                    record := RunRecord(
                        workdir, steps, config.batch_size, f"train {config.method}", done
                    ),
                ]
            with clusters.losses_told(cluster):
                _fit(model, strategy, config, data, done, steps, waiting, watching)
        except (tf.errors.InvalidArgumentError, tf.errors.NotFoundError):
            _refuse_damaged(data)
            raise
        finally:
            if record:
                record.close()
        if is_chief:
            print(waiting.verdict())
    if not is_chief:
        return model.network
    return _finish(config, data, workdir, model, on_one_device=cluster is not None)


def _environment(strategy: Any, cluster: clusters.Cluster | None, model: Any) -> dict[str, Any]:
    devices = distribution.device_names(strategy)
    if cluster:
        devices = [
            name.replace("/task:0/", f"/task:{index}/")
            for index in range(len(cluster.workers))
            for name in devices
        ]
    backend = keras.backend.backend()
    environment = runs.environment(backend, devices, backend == "jax" or bool(model.jit_compile))
    return {**environment, "dtype_policy": keras.config.dtype_policy().name}


def _fit(
    model: keras.Model,
    strategy: Any,
    config: TrainConfig,
    data: ImageData,
    done: int,
    steps: int,
    waiting: WaitingTime,
    callbacks: list[keras.callbacks.Callback],
) -> None:
    """Trains the epochs that are not done, of so many steps each."""
    options: dict[str, Any] = {
        "epochs": config.epochs,
        "initial_epoch": done,
        "callbacks": [waiting, *callbacks],
    }
    if keras.backend.backend() != "tensorflow":
        ds = waiting.over(training_dataset(config, data, start=done * steps))
        with strategy.scope():
            model.fit(ds, steps_per_epoch=steps, shuffle=False, verbose=0, **options)
        return

    def of_worker(context: tf.distribute.InputContext) -> tf.data.Dataset:
        shard = (context.input_pipeline_id, context.num_input_pipelines)
        ds = training_dataset(config, data, start=done * steps, shard=shard)
        each = context.get_per_replica_batch_size(config.batch_size)
        return ds if each == config.batch_size // shard[1] else ds.rebatch(each)

    train_loop.fit(model, of_worker, steps=steps, waiting=waiting, **options)


def _finish(
    config: TrainConfig, data: ImageData, workdir: Path, model: Any, on_one_device: bool
) -> keras.Model:
    """Saves and exports what was trained, if that is not done."""
    final = workdir / "final.keras"
    if final.exists():
        network = load_model(final)
    else:
        network = model.network
        if on_one_device:  # the other workers have left
            network = models.build(config.model, data.image_shape, data.num_classes)
            network.set_weights(model.network.get_weights())
        if config.ema:
            # Keras' own `fit` has put the averages in the place of the weights
            restore_checkpoint(workdir / "checkpoints" / "last.npz", model)
            _save(model.network, workdir / "final_raw.keras")
            model.optimizer.finalize_variable_values(model.trainable_variables)
            network.set_weights(model.network.get_weights())
            _estimate_moments(network, config, data)
        _save(network, final)
    if not (workdir / "export").exists():
        if keras.backend.backend() == "tensorflow":
            export_saved_model(network, workdir / "export")
        else:
            print("no export/: SavedModels are written with KERAS_BACKEND=tensorflow only")
    return network


def _save(network: keras.Model, path: Path) -> None:
    temporary = path.with_name(f".{path.name}")  # Keras wants the ending
    temporary.unlink(missing_ok=True)  # through a link it would be written where that leads
    network.save(temporary)
    os.replace(temporary, path)


def _refuse_damaged(data: ImageData) -> None:
    """Names the files that no look at their beginnings and ends found out, if there are any."""
    if isinstance(data.train_images, ImageFiles):
        paths = [Path(path) for path in data.train_images.paths]
        if bad := damaged(paths, decode_all=True):
            raise InputError(
                f"{tell_damaged(bad, len(paths))}; repair them, or give --skip_damaged in another "
                "--workdir"
            )


def _estimate_moments(network: keras.Model, config: TrainConfig, data: ImageData) -> None:
    """Sets BatchNorm's moving averages, which belong to the last weights, to the averaged ones."""
    steps = min(-(-len(data.train_images) // config.batch_size), 100)
    for views, _ in training_dataset(config, data).take(steps):
        images = tf.concat(views, axis=0) if isinstance(views, tuple) else views
        network(keras.ops.convert_to_tensor(images), training=True)


def _log_views(folder: Path, ds: tf.data.Dataset) -> None:
    """Shows TensorBoard the first images of the first batch, a row for each, a column a view."""
    views, _ = next(iter(ds.take(1)))
    views = views if isinstance(views, tuple) else (views,)
    rows = tf.concat([view[:8] for view in views], axis=2)
    grid = tf.reshape(rows, (1, -1, *rows.shape[2:]))
    with tf.summary.create_file_writer(str(folder)).as_default(step=0):
        tf.summary.image("views", tf.clip_by_value(grid / 255, 0, 1))
