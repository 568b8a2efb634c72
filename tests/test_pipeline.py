"""The stream of training batches, from images in memory and in files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from dynmix_tf import data, engine, pipeline, randomness, runs
from dynmix_tf.augment import StandardAugmentation
from dynmix_tf.config import TrainConfig
from dynmix_tf.errors import InputError

SETTINGS = {"dataset": "folder", "batch_size": 6, "image_size": 72, "model": "small_cnn"}


@pytest.fixture
def folder(photo_crops, tmp_path):
    for split, count in (("train", 20), ("val", 6)):
        for index, image in enumerate(photo_crops(96, count)):
            path = tmp_path / "birds" / split / ("robin", "wren")[index % 2] / f"{index}.JPEG"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image[: 80 + index % 10]).save(path, "PNG" if index == 3 else "JPEG")
    return tmp_path / "birds"


@pytest.fixture
def birds(folder):
    return data.load("folder", data_dir=folder, image_size=72)


def take(ds, count):
    return [tf.nest.map_structure(np.asarray, batch) for batch in ds.take(count)]


def test_files_are_cropped_as_they_are_decoded(birds):
    config = TrainConfig(**SETTINGS, method="standard", seed=5)
    images, labels = zip(*take(pipeline.training_dataset(config, birds), 3), strict=True)
    images, labels = np.concatenate(images), np.concatenate(labels)
    assert images.shape == (18, 72, 72, 3) and images.dtype == np.float32
    # every image comes from the place that its label was read from
    crop = StandardAugmentation(crop="resized", size=72)
    keys = randomness.fold(
        randomness.example_keys(tf.constant([5, 0], tf.int64), tf.range(18, dtype=tf.int64)),
        "before",
    )
    contents = [tf.io.read_file(path) for path in birds.train_images.paths]
    seen = set()
    for image, label, key in zip(images, labels, keys, strict=True):
        same = [
            index
            for index, content in enumerate(contents)
            if np.array_equal(crop.decode(content, key), image)
        ]
        assert len(same) == 1 and birds.train_labels[same[0]] == label
        seen.add(same[0])
    assert len(seen) == 18  # none twice in one pass


@pytest.mark.parametrize("method", ["standard", "dynmix"])
def test_files_start_at_any_step(birds, method):
    config = TrainConfig(**SETTINGS, method=method)
    whole = take(pipeline.training_dataset(config, birds), 6)
    rest = take(pipeline.training_dataset(config, birds, start=4), 2)
    for got, want in zip(tf.nest.flatten(rest), tf.nest.flatten(whole[4:]), strict=True):
        np.testing.assert_array_equal(got, want)


def test_padding_is_for_images_in_memory(birds):
    with pytest.raises(InputError, match="--crop=pad is for images in memory"):
        pipeline.training_dataset(TrainConfig(**SETTINGS, crop="pad"), birds)


def test_resized_crops_of_images_in_memory(folder):
    small = data.load("folder", data_dir=folder, image_size=32)
    settings = {**SETTINGS, "image_size": 32, "method": "standard"}
    padded, cut, auto = (
        take(pipeline.training_dataset(TrainConfig(**settings, crop=crop), small), 1)[0][0]
        for crop in ("pad", "resized", "auto")
    )
    np.testing.assert_array_equal(auto, padded)
    assert (padded == 0).all(-1).any() and not np.array_equal(cut, padded)


@pytest.mark.parametrize("count", [1, 20])  # all: the very first batch fails, too
def test_files_found_damaged_in_training_are_named(folder, tmp_path, count):
    path = next((folder / "train/wren").iterdir())
    loaded = data.load("folder", data_dir=folder, image_size=72)
    for each in [path] if count == 1 else loaded.train_images.paths:
        content = bytearray(Path(each).read_bytes())
        content[4:300] = bytes(296)
        Path(each).write_bytes(content)
    config = TrainConfig(**SETTINGS, data_dir=str(folder), epochs=1, deterministic=False)
    runs.open_run(config, tmp_path / "run")
    with pytest.raises(InputError, match=rf"{count} of 20 files .*repair them") as error:
        engine.train(config, loaded, tmp_path / "run")
    assert count > 1 or f"wren/{path.name}" in str(error.value)


def test_padded_crops_of_files_are_refused_before_anything_is_written(folder, tmp_path):
    config = TrainConfig(**SETTINGS, data_dir=str(folder), epochs=1, crop="pad")
    loaded = data.load("folder", data_dir=folder, image_size=72)
    with pytest.raises(InputError, match="--crop=pad is for images in memory"):
        engine.train(config, loaded, tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("method", ["dynmix", "cutmix", "standard"])
def test_the_parts_of_workers_are_the_whole_batch(method):
    photos = data.load("photos", num_train=30, num_test=9)
    config = TrainConfig("photos", method=method, batch_size=12, seed=3)
    whole = take(pipeline.training_dataset(config, photos, start=4), 3)
    parts = [
        take(pipeline.training_dataset(config, photos, start=4, shard=(part, 3)), 3)
        for part in range(3)
    ]
    for want, *got in zip(whole, *parts, strict=True):
        for tensor, *pieces in zip(*map(tf.nest.flatten, (want, *got)), strict=True):
            assert all(len(piece) == 4 for piece in pieces)
            np.testing.assert_array_equal(np.concatenate(pieces), tensor)


def test_a_worker_reads_only_its_part_of_the_files(birds):
    config = TrainConfig(**SETTINGS, method="standard", seed=5)
    whole = take(pipeline.training_dataset(config, birds), 2)
    parts = [take(pipeline.training_dataset(config, birds, shard=(i, 2)), 2) for i in (0, 1)]
    for (images, labels), (first, labels_1), (second, labels_2) in zip(whole, *parts, strict=True):
        np.testing.assert_array_equal(np.concatenate([first, second]), images)
        np.testing.assert_array_equal(np.concatenate([labels_1, labels_2]), labels)
