from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from dynmix_tf.augment import DynamicMixup, StandardAugmentation, Views
from dynmix_tf.errors import InputError
from dynmix_tf.layers import FlipLeftRight


@pytest.fixture(scope="module")
def data(photo_crops):
    return photo_crops(32, 40), np.arange(40)


def batches(data, size):
    return tf.data.Dataset.from_tensor_slices(data).batch(size)


def collect(ds):
    views, labels = [], []
    for images, label in ds:
        views.append(np.stack([view.numpy() for view in images], axis=1))
        labels.append(label.numpy())
    return np.concatenate(views), np.concatenate(labels)


VIEWS = Views(DynamicMixup(), num_views=2, before=StandardAugmentation())


def test_the_same_in_a_rerun_in_any_batch_size_and_from_any_start(data):
    images, labels = collect(VIEWS.over(batches(data, 8), seed=5))
    assert images.shape == (40, 3, 32, 32, 3) and images.dtype == np.float32
    np.testing.assert_array_equal(labels, data[1])
    for size in (8, 7, 40):
        np.testing.assert_array_equal(collect(VIEWS.over(batches(data, size), seed=5))[0], images)
    endless = batches(data, 8).repeat()
    first = collect(VIEWS.over(endless, seed=5).take(10))[0]
    later = collect(VIEWS.over(endless.skip(6), seed=5, start=48).take(4))[0]
    np.testing.assert_array_equal(later, first[48:])
    assert (collect(VIEWS.over(batches(data, 8), seed=6))[0] != images).mean() > 0.5


def test_every_pass_draws_anew_and_a_rerun_repeats_it(data):
    ds, again = (VIEWS.over(batches(data, 8), seed=5) for _ in range(2))
    passes = [collect(ds)[0] for _ in range(3)]
    for i in range(3):
        np.testing.assert_array_equal(collect(again)[0], passes[i])
        assert (passes[i] != passes[i - 1]).mean() > 0.5
    counted = VIEWS.over(batches(data, 8).repeat(), seed=5)
    endless = collect(counted.take(10))[0]
    assert (endless[:40] != endless[40:]).mean() > 0.5


def test_single_images_are_batches_of_one(data):
    singles = VIEWS.over(tf.data.Dataset.from_tensor_slices(data), seed=5)
    assert singles.cardinality() == 40
    np.testing.assert_array_equal(
        collect(singles.batch(10))[0], collect(VIEWS.over(batches(data, 10), seed=5))[0]
    )


def test_map_and_call(data):
    images, labels = data
    (original, one, two), passed = VIEWS(images, labels, seed=(1, 2))
    again = VIEWS(images, seed=(1, 2))
    np.testing.assert_array_equal(passed, labels)
    np.testing.assert_array_equal(again[2], two)
    assert (one.numpy() != two.numpy()).mean() > 0.3
    before = StandardAugmentation()
    crops = [before(images, seed=(i, i)).numpy() for i in range(2)]
    assert (crops[0] != crops[1]).any()
    mapped = collect(batches(data, 8).repeat(2).map(VIEWS))[0]
    assert mapped.shape == (80, 3, 32, 32, 3)
    assert (mapped[:40] != mapped[40:]).any()
    assert original.dtype == tf.float32


def test_views_share_the_crop_and_flip(data):
    """With a layer that only mirrors, each view is the mirrored original."""
    original, *mirrored = Views(FlipLeftRight(), 3, StandardAugmentation())(data[0], seed=(0, 0))
    assert len(mirrored) == 3
    for view in mirrored:
        np.testing.assert_array_equal(view, original[:, :, ::-1])


def test_without_original_and_without_layer(data):
    images = data[0]
    only = Views(FlipLeftRight(), 1, original=False)(images, seed=(0, 0))
    np.testing.assert_array_equal(only, images[:, :, ::-1])
    np.testing.assert_array_equal(Views(None)(images, seed=(0, 0)), images)


def test_standard_augmentation_is_a_flip_and_a_crop_of_the_padded_image(data):
    images = data[0]
    layer = StandardAugmentation(padding=4)
    got = layer(images, seed=(3, 4)).numpy()
    found = []
    for image, result in zip(images, got, strict=True):
        candidates = {}
        for flip in (False, True):
            padded = np.pad(image[:, ::-1] if flip else image, ((4, 4), (4, 4), (0, 0)))
            for top in range(9):
                for left in range(9):
                    window = padded[top : top + 32, left : left + 32]
                    candidates[flip, top, left] = np.array_equal(window, result)
        found.append([place for place, equal in candidates.items() if equal])
    assert all(len(places) == 1 for places in found)
    flips, tops, lefts = zip(*(places[0] for places in found), strict=True)
    assert 8 < sum(flips) < 32 and len(set(tops)) > 5 and len(set(lefts)) > 5
    config = keras.saving.serialize_keras_object(layer)
    assert keras.saving.deserialize_keras_object(config).get_config() == layer.get_config()


def test_data_of_unknown_length(data):
    def generate():
        yield from zip(*data, strict=True)

    specs = (tf.TensorSpec((32, 32, 3), tf.uint8), tf.TensorSpec((), tf.int64))
    ds = tf.data.Dataset.from_generator(generate, output_signature=specs).batch(10)
    assert ds.cardinality() == tf.data.UNKNOWN_CARDINALITY
    known = collect(VIEWS.over(batches(data, 10), seed=5))[0]
    np.testing.assert_array_equal(collect(VIEWS.over(ds, seed=5))[0], known)


def test_bad_arguments_are_named(data):
    with pytest.raises(InputError, match="as_supervised=True"):
        VIEWS.over(tf.data.Dataset.from_tensor_slices({"image": data[0]}).batch(4))
    with pytest.raises(InputError, match=r"value_range=\(0, 1\), `before` \(0, 255\)"):
        Views(DynamicMixup(value_range=(0, 1)), before=StandardAugmentation())
    with pytest.raises(InputError, match="`layer` must be an augmentation layer"):
        Views("dynmix")
    with pytest.raises(InputError, match="nothing to make"):
        Views(None, original=False)
    with pytest.raises(InputError, match="whole number of pixels"):
        StandardAugmentation(padding=-1)
