from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageEnhance, ImageOps

from dynmix_tf import randomness
from dynmix_tf.augment import OPERATION_SETS
from dynmix_tf.augment.augmix import AugMix
from dynmix_tf.errors import InputError

pytestmark = pytest.mark.filterwarnings("ignore:these operations resemble")


def augmentation(image, name, level, sign):
    """One operation of AugMix's `augmentations.py`, the sides of the image in place of 32."""

    def whole(largest):
        return int(level * largest / 10)

    def affine(*coefficients):
        return image.transform(
            image.size, Image.Transform.AFFINE, coefficients, resample=Image.Resampling.BILINEAR
        )

    match name:
        case "autocontrast":
            return ImageOps.autocontrast(image)
        case "equalize":
            return ImageOps.equalize(image)
        case "posterize":
            return ImageOps.posterize(image, 4 - whole(4))
        case "rotate":
            return image.rotate(sign * whole(30), resample=Image.Resampling.BILINEAR)
        case "solarize":
            return ImageOps.solarize(image, 256 - whole(256))
        case "shear_x":
            return affine(1, sign * level * 0.3 / 10, 0, 0, 1, 0)
        case "shear_y":
            return affine(1, 0, 0, sign * level * 0.3 / 10, 1, 0)
        case "translate_x":
            return affine(1, 0, sign * whole(image.size[0] / 3), 0, 1, 0)
        case "translate_y":
            return affine(1, 0, 0, 0, 1, sign * whole(image.size[1] / 3))
    return getattr(ImageEnhance, name.capitalize())(image).enhance(level * 1.8 / 10 + 0.1)


def augment_and_mix(image, names, drawn):
    mix = np.zeros(image.shape)
    for chain, weight in enumerate(drawn["weight"]):
        augmented = Image.fromarray(image)
        for step in range(drawn["depth"][chain]):
            augmented = augmentation(
                augmented,
                names[drawn["operation"][chain, step]],
                float(drawn["strength"][chain, step]),
                -1 if drawn["negative"][chain, step] else 1,
            )
        mix += weight * np.asarray(augmented, np.float64)
    return (1 - drawn["mix"]) * image + drawn["mix"] * mix


def draws(layer, seed, count):
    keys = randomness.example_keys(seed, tf.range(count))
    drawn = layer.get_random_transformation(keys, tf.zeros((count, 1, 1, 3), tf.uint8))
    return {name: value.numpy() for name, value in drawn.items()}


ENHANCE = ("color", "contrast", "brightness", "sharpness")


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"severity": 10.0, "alpha": 0.3},
        {"width": 1, "depth": 1, "severity": 1.0},
        {"width": 4, "depth": 4, "operations": ("equalize", "shear_y", "solarize")},
        {"operations": "standard", "width": 2},
        {"operations": (*OPERATION_SETS["augmix"], *ENHANCE), "severity": 10.0},
    ],
    ids=str,
)
def test_equals_the_method_written_with_pillow(settings, photo_crops):
    batch = photo_crops(40, 24)[:, :, :36]
    names = settings.get("operations", "augmix")
    if names == "standard":  # flips are no part of the reference
        names = settings["operations"] = OPERATION_SETS["standard"][2:]
    names = OPERATION_SETS[names] if isinstance(names, str) else names
    layer = AugMix(**settings)
    drawn = draws(layer, (5, 6), len(batch))
    got = layer(batch, seed=(5, 6)).numpy()
    assert got.dtype == np.float32
    for i, image in enumerate(batch):
        one = {name: value[i] for name, value in drawn.items()}
        np.testing.assert_allclose(got[i], augment_and_mix(image, names, one), atol=1e-3)


def test_an_image_does_not_depend_on_its_batch(photo_crops):
    batch, layer = photo_crops(32, 8), AugMix()
    keys = randomness.example_keys((1, 1), tf.range(8))
    whole = layer.augment(tf.constant(batch), keys).numpy()
    order = np.random.default_rng(0).permutation(8)
    for part in (order[:4], order[4:], order):
        got = layer.augment(tf.constant(batch[part]), tf.gather(keys, part)).numpy()
        np.testing.assert_array_equal(got, whole[part])


def test_every_image_draws_its_own():
    count = 20_000
    drawn = draws(AugMix(), (0, 0), count)
    depth, operation = drawn["depth"], drawn["operation"]
    assert depth.shape == (count, 3) and operation.shape == (count, 3, 3)
    for chain in range(3):
        share = np.bincount(depth[:, chain], minlength=4) / count
        np.testing.assert_allclose(share, [0, 1 / 3, 1 / 3, 1 / 3], atol=0.015)
        for step in range(3):
            share = np.bincount(operation[:, chain, step], minlength=9) / count
            np.testing.assert_allclose(share, 1 / 9, atol=0.01)
    # with replacement, and neither chains nor steps nor depths depend on each other
    assert abs((operation[:, 0, 0] == operation[:, 0, 1]).mean() - 1 / 9) < 0.01
    assert abs((operation[:, 0, 0] == operation[:, 1, 0]).mean() - 1 / 9) < 0.01
    assert abs((depth[:, 0] == depth[:, 1]).mean() - 1 / 3) < 0.015
    strength = drawn["strength"]
    assert strength.min() >= 0.1 and strength.max() < 3.0 and abs(strength.mean() - 1.55) < 0.02
    assert abs(drawn["negative"].mean() - 0.5) < 0.01
    rows = np.concatenate([value.reshape(count, -1) for value in drawn.values()], axis=1)
    assert len(np.unique(rows, axis=0)) == count
    assert len(np.unique(drawn["strength"][:, :, 0].ravel())) > 2.9 * count


@pytest.mark.parametrize("alpha", [1.0, 0.4])
def test_weights(alpha):
    drawn = draws(AugMix(alpha=alpha), (0, 1), 20_000)
    mix, weight = drawn["mix"], drawn["weight"]
    # mean and variance of Beta(a, a) and of Dirichlet(a, a, a)
    assert abs(mix.mean() - 1 / 2) < 0.01 and abs(mix.var() - 1 / (4 * (2 * alpha + 1))) < 0.005
    np.testing.assert_allclose(weight.sum(axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(weight.mean(axis=0), 1 / 3, atol=0.01)
    np.testing.assert_allclose(weight.var(axis=0), 2 / 9 / (3 * alpha + 1), atol=0.005)
    for width in (2, 3):
        drawn = draws(AugMix(alpha=alpha, width=width), (0, 1), 20_000)
        assert abs(np.corrcoef(drawn["mix"], drawn["weight"][:, 0])[0, 1]) < 0.03


def test_depth_can_be_fixed():
    drawn = draws(AugMix(depth=4), (0, 2), 100)
    assert (drawn["depth"] == 4).all() and drawn["operation"].shape == (100, 3, 4)


@pytest.mark.parametrize(
    ("channels", "settings"), [(3, {"depth": 1}), (1, {"operations": ("rotate", "equalize")})]
)
def test_in_tf_data_as_outside(channels, settings, photo_crops):
    batch, layer = photo_crops(32, 6)[..., :channels], AugMix(**settings)
    eager = layer(batch, seed=(7, 42)).numpy()
    spec = tf.TensorSpec((None, None, None, channels), tf.uint8)
    ds = tf.data.Dataset.from_generator(lambda: [batch, batch[:0]], output_signature=spec)
    seeded, empty = ds.map(lambda x: layer(x, seed=(7, 42)))
    np.testing.assert_array_equal(seeded, eager)
    assert empty.shape == (0, 32, 32, channels)
    fresh = [x.numpy().tobytes() for x in ds.take(1).repeat(4).map(layer)]
    assert len(set(fresh)) == 4  # not frozen when the map is traced
    np.testing.assert_array_equal(layer(batch[0], seed=(7, 42)), eager[0])


def test_seeds_ranges_and_not_training(photo_crops):
    batch, layer = photo_crops(32, 8), AugMix()
    want = layer(batch, seed=(7, 42)).numpy()
    assert (want != layer(batch, seed=(7, 43)).numpy()).any()
    assert (layer(batch).numpy() != layer(batch).numpy()).any()
    unit = AugMix(value_range=(0, 1))(batch.astype("float32") / 255, seed=(7, 42)).numpy()
    np.testing.assert_allclose(unit * 255, want, atol=1e-3)
    np.testing.assert_array_equal(layer(batch, training=False), batch)


@pytest.mark.parametrize("operations", ["augmix", ("rotate", "solarize")])
def test_config_comes_back(operations, photo_crops):
    layer = AugMix(operations, 5.0, 2, 3, 0.5, value_range=(0, 1), seed=1)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert type(again) is AugMix and again.get_config() == layer.get_config()
    changed = {"severity": 5.0, "width": 2, "depth": 3, "alpha": 0.5}
    assert changed.items() <= again.get_config().items()
    # not compiled, as layers of one config share what is
    given = tf.constant(photo_crops(32, 4)), randomness.example_keys((0, 1), tf.range(4))
    np.testing.assert_array_equal(layer.augment_here(*given), again.augment_here(*given))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"operations": "augmx"}, "unknown set of operations 'augmx'; did you mean 'augmix'"),
        ({"operations": ("rotat",)}, "unknown operation 'rotat'; did you mean 'rotate'"),
        ({"operations": ()}, "names no operation"),
        ({"severity": 11}, r"`severity` must be in \[0, 10\].*severity=11"),
        ({"width": 0}, "`width` must be a whole number, at least 1.*width=0"),
        ({"width": 2.5}, "`width` must be a whole number.*width=2.5"),
        ({"width": None}, "`width` must be a whole number.*width=None"),
        ({"depth": 0}, "`depth` must be a whole number, at least 1, or -1.*depth=0"),
        ({"depth": -2}, "`depth` must be a whole number, at least 1, or -1.*depth=-2"),
        ({"depth": "3"}, "`depth` must be a whole number, at least 1, or -1.*depth='3'"),
        ({"alpha": 0}, "`alpha` must be in .0.001, 1000.*alpha=0"),
    ],
)
def test_bad_arguments_are_named(settings, message):
    with pytest.raises(InputError, match=message):
        AugMix(**settings)
