"""The stream of training batches: which image comes when, and its views."""

from __future__ import annotations

import os
from typing import Any

import tensorflow as tf

from dynmix_tf import randomness
from dynmix_tf.augment import StandardAugmentation, Views
from dynmix_tf.augment.mixup import LabelMixing
from dynmix_tf.config import TrainConfig
from dynmix_tf.consistency import NUM_VIEWS
from dynmix_tf.data import ImageData, ImageFiles
from dynmix_tf.errors import InputError
from dynmix_tf.methods import METHODS

__all__ = ["make_views", "training_dataset"]

_PADDED_UP_TO = 64  # px


def training_dataset(
    config: TrainConfig, data: ImageData, start: int = 0, shard: tuple[int, int] = (0, 1)
) -> tf.data.Dataset:
    """The endless stream of training batches, from step `start` on.

    Position n of the stream is a function of n and the seed alone: a new permutation of the
    images for each pass over them, and augmentation drawn for n. So it starts anywhere at no
    cost, and is the same on any number of devices. Of `ImageFiles`, the part that a crop needs
    is decoded.

    Args:
        config: The settings.
        data: The images.
        start: Steps to leave out.
        shard: (i, n) gives the i-th of n equal parts of every batch, and computes only that
            (of mixup and cutmix, which find partners in the whole batch, all of it).

    Returns:
        `(views, labels)`, or `(images, labels)` where the method has one view; float32 images
        0..255 `(batch_size / n, H, W, 3)`, int32 labels, or float32 probabilities
        `(batch_size / n, classes)` of mixup and cutmix.
    """
    source = data.train_images
    in_files = isinstance(source, ImageFiles)
    crop = _make_crop(config, data.image_shape[:2], in_files)
    views = make_views(config, None if in_files else crop, data.image_shape, data.num_classes)
    count = len(source)
    mixes = isinstance(views.layer, LabelMixing)
    part, parts = (0, 1) if mixes else shard
    share = config.batch_size // parts
    seed = tf.constant([config.seed, 0], tf.int64)
    with tf.device("cpu"):
        labels = tf.constant(data.train_labels)
        # bytes, as not every name of a file is UTF-8
        images = tf.constant(
            [os.fsencode(path) for path in source.paths]
            if isinstance(source, ImageFiles)
            else source
        )

    def place(positions: Any) -> Any:
        passes = tf.cast(positions // count, tf.int32)
        words = tf.stack([tf.fill(tf.shape(passes), config.seed), passes, 0 * passes], axis=1)
        # tf.random.experimental.index_shuffle is this with one seed for all indices
        return tf.raw_ops.RandomIndexShuffle(
            index=tf.cast(positions % count, tf.int32), seed=words, max_index=count - 1
        )

    def position_of(number: Any) -> Any:
        # where in the whole stream the example of this number in this part stands
        return number // share * config.batch_size + part * share + number % share

    def read(number: Any) -> Any:
        position = position_of(number)
        key = randomness.fold(randomness.example_keys(seed, position[None]), "before")[0]
        path = tf.gather(images, place(position[None])[0])
        return position, crop.decode(tf.io.read_file(path), key)

    def augment(positions: Any, batch: Any) -> Any:
        keys = randomness.example_keys(seed, positions)
        return views.apply(batch, tf.gather(labels, place(positions)), keys=keys)

    def cut(*batch: Any) -> Any:
        index, count = shard
        return tf.nest.map_structure(lambda values: tf.split(values, count)[index], batch)

    ds = tf.data.Dataset.counter(start * share)
    if in_files:
        ds = ds.map(read, num_parallel_calls=tf.data.AUTOTUNE)
        ds = ds.batch(share, drop_remainder=True)
        ds = ds.map(augment, num_parallel_calls=tf.data.AUTOTUNE)
    else:
        ds = ds.batch(share, drop_remainder=True).map(position_of)
        ds = ds.map(
            lambda positions: augment(positions, tf.gather(images, place(positions))),
            num_parallel_calls=tf.data.AUTOTUNE,
        )
    if mixes and shard[1] > 1:
        ds = ds.map(cut)
    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    return ds.with_options(options).prefetch(tf.data.AUTOTUNE)


def _make_crop(config: TrainConfig, size: tuple[int, int], in_files: bool) -> StandardAugmentation:
    if config.crop == "resized" or (config.crop == "auto" and max(size) > _PADDED_UP_TO):
        return StandardAugmentation(crop="resized", size=size)
    if in_files:
        raise InputError(
            f"--crop=pad is for images in memory, which those of {size[0]} px in files are not; "
            "leave it out, or take a smaller --image_size"
        )
    return StandardAugmentation()


def make_views(
    config: TrainConfig,
    before: StandardAugmentation | None,
    image_shape: tuple[int, int, int],
    num_classes: int,
) -> Views:
    """The method's own views, after what comes `before` all of them."""
    layer = METHODS[config.method].layer
    if layer is None:
        return Views(None, before=before)
    made = layer(config, image_shape, num_classes)
    if config.consistency == "none":
        return Views(made, num_views=1, before=before, original=False)
    return Views(made, num_views=NUM_VIEWS[config.consistency] - 1, before=before)
