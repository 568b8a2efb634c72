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

from dynmix_tf import models, randomness, runs
from dynmix_tf.augment import DynamicMixup, StandardAugmentation, Views
from dynmix_tf.callbacks import RunRecord
from dynmix_tf.checkpoint import restore_checkpoint
from dynmix_tf.config import TrainConfig
from dynmix_tf.consistency import NUM_VIEWS, ConsistencyModel
from dynmix_tf.data.image_data import ImageData
from dynmix_tf.distribution import make_strategy
from dynmix_tf.export import export_saved_model
from dynmix_tf.optimizers import CoupledSGD, cosine_schedule
from dynmix_tf.version import __version__

__all__ = ["make_views", "train", "training_dataset"]


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
    """
    keras.utils.set_random_seed(config.seed)
    if config.deterministic:
        tf.config.experimental.enable_op_determinism()
    keras.config.set_dtype_policy(config.precision)
    strategy = make_strategy(config.strategy, config.batch_size)
    steps = -(-len(data.train_images) // config.batch_size)
    with strategy.scope():
        network = models.build(
            config.model, data.train_images.shape[1:], len(data.class_names), seed=config.seed
        )
        model = ConsistencyModel(network, config.consistency, config.consistency_weight)
        schedule = cosine_schedule(config.learning_rate, config.epochs * steps)
        model.compile(CoupledSGD(schedule, config.momentum, l2=config.l2))
        model.optimizer.build(model.trainable_variables)
    checkpoint = workdir / "checkpoints" / "last.npz"
    done = restore_checkpoint(checkpoint, model) if checkpoint.exists() else 0
    if done < config.epochs:
        runs.record_start(config, workdir, done, _environment(model, strategy))
        progress = RunRecord(workdir, steps, config.batch_size, f"train {config.method}", done)
        board = keras.callbacks.TensorBoard(workdir / "tensorboard", write_graph=False)
        model.fit(
            training_dataset(config, data, start=done * steps),
            steps_per_epoch=steps,
            initial_epoch=done,
            epochs=config.epochs,
            callbacks=[*callbacks, board, progress],
            shuffle=False,
            verbose=0,
        )
    if not (workdir / "final.keras").exists():
        temporary = workdir / ".final.keras"  # Keras wants the ending
        network.save(temporary)
        os.replace(temporary, workdir / "final.keras")
    if not (workdir / "export").exists():
        export_saved_model(network, workdir / "export")
    return network


def training_dataset(config: TrainConfig, data: ImageData, start: int = 0) -> tf.data.Dataset:
    """The endless stream of training batches, from step `start` on.

    Position n of the stream is a function of n and the seed alone: a new permutation of the
    images for each pass over them, and augmentation drawn for n. So it starts anywhere at no
    cost, and is the same on any number of devices.

    Returns:
        `(views, labels)`, or `(images, labels)` where the method has one view; float32 images
        0..255 `(batch_size, H, W, 3)`, int32 labels.
    """
    views = make_views(config)
    count = len(data.train_images)
    with tf.device("cpu"):
        images, labels = tf.constant(data.train_images), tf.constant(data.train_labels)

    def fetch(positions: Any) -> Any:
        passes = tf.cast(positions // count, tf.int32)
        words = tf.stack([tf.fill(tf.shape(passes), config.seed), passes, 0 * passes], axis=1)
        # tf.random.experimental.index_shuffle is this with one seed for all indices
        index = tf.raw_ops.RandomIndexShuffle(
            index=tf.cast(positions % count, tf.int32), seed=words, max_index=count - 1
        )
        keys = randomness.example_keys(tf.constant([config.seed, 0], tf.int64), positions)
        made = views.augment(tf.gather(images, index), keys)
        return (made if len(made) > 1 else made[0]), tf.gather(labels, index)

    positions = tf.data.Dataset.counter(start * config.batch_size)
    ds = positions.batch(config.batch_size, drop_remainder=True)
    ds = ds.map(fetch, num_parallel_calls=tf.data.AUTOTUNE)
    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    return ds.with_options(options).prefetch(tf.data.AUTOTUNE)


def make_views(config: TrainConfig) -> Views:
    """The augmentation of a run: crop and flip for all, and the method's own views."""
    before = StandardAugmentation()
    if config.method == "standard":
        return Views(None, before=before)
    layer = DynamicMixup(
        operations=config.operations,
        severity=config.severity,
        alpha=config.alpha,
        num_chains=config.num_chains,
        max_depth=config.max_depth,
        mixing=config.mixing,
        weights=config.mix_weights,
    )
    if config.consistency == "none":
        return Views(layer, num_views=1, before=before, original=False)
    return Views(layer, num_views=NUM_VIEWS[config.consistency] - 1, before=before)


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
        "jit_compile": bool(model.jit_compile),
    }
