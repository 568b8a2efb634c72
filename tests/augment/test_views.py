from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from dynmix_tf import randomness
from dynmix_tf.augment import DynamicMixup, StandardAugmentation, Views
from dynmix_tf.augment.cutmix import CutMix
from dynmix_tf.augment.mixup import MixUp
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


def test_resized_crops_come_before_the_views(data):
    before = StandardAugmentation(crop="resized", size=20)
    views = Views(FlipLeftRight(), 2, before)
    whole = Views(None, before=before)
    for made in (views(data[0], seed=(0, 0)), views(data[0][0], seed=(0, 0))):
        assert [view.shape[-3:] for view in made] == [(20, 20, 3)] * 3
        np.testing.assert_array_equal(made[1], made[0].numpy()[..., ::-1, :])
    ds = whole.over(tf.data.Dataset.from_tensor_slices(data), seed=5)
    assert ds.element_spec[0].shape == (20, 20, 3)
    batched = whole.over(batches(data, 8), seed=5)
    first = np.concatenate([images.numpy() for images, _ in batched])
    np.testing.assert_array_equal(np.stack([image.numpy() for image, _ in ds]), first)
    # views may have another size than the original
    made = Views(before, 2)(data[0], seed=(0, 0))
    assert [view.shape for view in made] == [(40, 32, 32, 3)] + [(40, 20, 20, 3)] * 2


MIXING = [MixUp(num_classes=40), CutMix(num_classes=40, probability=0.5)]
mixing = pytest.mark.parametrize("layer", MIXING, ids=["mixup", "cutmix"])


def mixed(ds):
    images, labels = zip(*ds, strict=True)
    return np.concatenate(images), np.concatenate(labels)


@mixing
def test_labels_are_mixed_with_the_images_that_were_cropped(data, layer):
    images, labels = data
    before = StandardAugmentation()
    made = Views(layer, 1, before, original=False)(images, labels, seed=(1, 2))
    # the same by hand, from the keys
    keys = randomness.example_keys((1, 2), tf.range(40))
    cropped = before.augment(tf.constant(images), randomness.fold(keys, "before"))
    want = layer.augment(cropped, tf.constant(labels), randomness.fold(keys, 1))
    for got, wanted in zip(made, want, strict=True):
        np.testing.assert_array_equal(got, wanted)
    assert made[0].shape == images.shape and made[1].shape == (40, 40)
    assert (made[1].numpy() > 0).sum() > 40


@mixing
def test_mixing_over_a_data_set_is_drawn_afresh_and_repeatable(data, layer):
    views = Views(layer, 1, StandardAugmentation(), original=False)
    ds, again = (views.over(batches(data, 8), seed=5) for _ in range(2))
    passes = [mixed(ds) for _ in range(2)]
    for images, labels in passes:
        assert images.shape == (40, 32, 32, 3) and labels.shape == (40, 40)
        for got, want in zip(mixed(again), (images, labels), strict=True):
            np.testing.assert_array_equal(got, want)
    for first, second in zip(*passes, strict=True):
        assert (first != second).any()
    endless = batches(data, 8).repeat()
    first = mixed(views.over(endless, seed=5).take(10))
    later = mixed(views.over(endless.skip(6), seed=5, start=48).take(4))
    for got, want in zip(later, first, strict=True):
        np.testing.assert_array_equal(got, want[48:])
    # a map, too, mixes labels, only not repeatably
    assert mixed(batches(data, 8).map(views))[1].shape == (40, 40)


@mixing
def test_given_keys_make_what_a_call_makes(data, layer):
    images, labels = data
    keys = randomness.example_keys((1, 2), tf.range(40))
    for views in (Views(layer, 1, original=False), VIEWS):
        called = views(images, labels, seed=(1, 2))
        applied = views.apply(tf.constant(images), labels, keys=keys)
        for got, want in zip(tf.nest.flatten(applied), tf.nest.flatten(called), strict=True):
            np.testing.assert_array_equal(got, want)


@mixing
def test_mixing_makes_one_view_of_whole_batches_with_labels(data, layer):
    name = type(layer).__name__
    for settings in ({}, {"num_views": 1}, {"original": False}, {"num_views": 0}):
        with pytest.raises(InputError, match=f"{name} mixes labels too, so it makes one view"):
            Views(layer, **settings)
    with pytest.raises(InputError, match="`before` must be an augmentation layer of images alone"):
        Views(DynamicMixup(), before=layer)
    views = Views(layer, 1, original=False)
    images, labels = data
    takes = rf"{name} takes \(images, labels\).* Received: "
    with pytest.raises(InputError, match=takes + "1 of them"):
        views(images)
    with pytest.raises(InputError, match=takes + "3 of them"):
        views.over(batches((images, labels, labels), 8))
    with pytest.raises(InputError, match="needs labels: use `apply`"):
        views.augment(images, randomness.example_keys((1, 2), tf.range(40)))
    with pytest.raises(InputError, match="batch the data set first"):
        views.over(tf.data.Dataset.from_tensor_slices(data))
    with pytest.raises(InputError, match="batch the data set first"):
        views(images[0], labels[0])
    with pytest.raises(InputError, match=r"in 0\.\.39 .* Received: 1\.\.40"):
        views(images, labels + 1)


def test_data_of_unknown_length(data):
    def generate():
        yield from zip(*data, strict=True)

    specs = (tf.TensorSpec((32, 32, 3), tf.uint8), tf.TensorSpec((), tf.int64))
    ds = tf.data.Dataset.from_generator(generate, output_signature=specs).batch(10)
    assert ds.cardinality() == tf.data.UNKNOWN_CARDINALITY
    known = collect(VIEWS.over(batches(data, 10), seed=5))[0]
    np.testing.assert_array_equal(collect(VIEWS.over(ds, seed=5))[0], known)


@pytest.mark.parametrize("value", [np.nan, np.inf, -2.0, 300.0])
def test_float_images_out_of_range_end_the_iteration(data, value):
    images, labels = data[0].astype("float32"), data[1]
    fine = [part.numpy() for part in next(iter(VIEWS.over(batches((images, labels), 4))))[0]]
    np.testing.assert_array_equal(fine, next(iter(VIEWS.over(batches(data, 4))))[0])
    images[5, 3, 3, 0] = value
    iterator = iter(VIEWS.over(batches((images, labels), 4)))
    next(iterator)
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"finite and in 0..255 .value_range"):
        next(iterator)


def test_float_images_in_another_range_are_told_once(data, capfd):
    list(VIEWS.over(batches((data[0].astype("float32") / 255, data[1]), 4)))
    assert capfd.readouterr().err.count("are almost black in value_range=(0, 255)") == 1


def test_bad_arguments_are_named(data):
    with pytest.raises(InputError, match="as_supervised=True"):
        VIEWS.over(tf.data.Dataset.from_tensor_slices({"image": data[0]}).batch(4))
    with pytest.raises(InputError, match="must be a tf.data.Dataset; of arrays, .*Received: tuple"):
        VIEWS.over(data)
    with pytest.raises(InputError, match=r"value_range=\(0, 1\), `before` \(0, 255\)"):
        Views(DynamicMixup(value_range=(0, 1)), before=StandardAugmentation())
    with pytest.raises(InputError, match="`layer` must be an augmentation layer"):
        Views("dynmix")
    with pytest.raises(InputError, match="nothing to make"):
        Views(None, original=False)
