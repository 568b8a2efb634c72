"""The stream of training batches: which image comes when, and its views."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from dynmix_tf import randomness
from dynmix_tf.augment import DynamicMixup, StandardAugmentation, Views
from dynmix_tf.config import TrainConfig
from dynmix_tf.consistency import NUM_VIEWS
from dynmix_tf.data.image_data import ImageData

__all__ = ["make_views", "training_dataset"]


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
