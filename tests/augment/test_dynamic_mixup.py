from __future__ import annotations

import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageEnhance, ImageOps

from dynmix_tf import config, corruptions, randomness
from dynmix_tf.augment import OPERATION_SETS, OVERLAPS, DynamicMixup
from dynmix_tf.augment.dynamic_mixup import mixing_coefficients
from dynmix_tf.errors import InputError

BILINEAR, AFFINE = Image.Resampling.BILINEAR, Image.Transform.AFFINE
PILLOW = {
    "flip_left_right": lambda x, s, sign: ImageOps.mirror(x),
    "flip_up_down": lambda x, s, sign: ImageOps.flip(x),
    "rotate": lambda x, s, sign: x.rotate(sign * int(s * 30 / 10), BILINEAR),
    "translate_x": lambda x, s, sign: x.transform(
        x.size, AFFINE, (1, 0, sign * int(s * (x.size[0] / 3) / 10), 0, 1, 0), resample=BILINEAR
    ),
    "translate_y": lambda x, s, sign: x.transform(
        x.size, AFFINE, (1, 0, 0, 0, 1, sign * int(s * (x.size[1] / 3) / 10)), resample=BILINEAR
    ),
    "shear_x": lambda x, s, sign: x.transform(
        x.size, AFFINE, (1, sign * s * 0.3 / 10, 0, 0, 1, 0), resample=BILINEAR
    ),
    "shear_y": lambda x, s, sign: x.transform(
        x.size, AFFINE, (1, 0, 0, sign * s * 0.3 / 10, 1, 0), resample=BILINEAR
    ),
    "autocontrast": lambda x, s, sign: ImageOps.autocontrast(x),
    "equalize": lambda x, s, sign: ImageOps.equalize(x),
    "solarize": lambda x, s, sign: ImageOps.solarize(x, 256 - int(s * 256 / 10)),
    "posterize": lambda x, s, sign: ImageOps.posterize(x, 4 - int(s * 4 / 10)),
    "color": lambda x, s, sign: ImageEnhance.Color(x).enhance(s * 1.8 / 10 + 0.1),
    "contrast": lambda x, s, sign: ImageEnhance.Contrast(x).enhance(s * 1.8 / 10 + 0.1),
    "brightness": lambda x, s, sign: ImageEnhance.Brightness(x).enhance(s * 1.8 / 10 + 0.1),
    "sharpness": lambda x, s, sign: ImageEnhance.Sharpness(x).enhance(s * 1.8 / 10 + 0.1),
}
ALL_OPS_ADDS = ("color", "contrast", "brightness", "sharpness")


def written_from_the_paper(image, names, drawn, linear):
    """One image with Pillow, one product term at a time."""
    ends = []
    for chain in range(len(drawn["depth"])):
        x = Image.fromarray(image)
        for step in range(drawn["depth"][chain]):
            sign = -1 if drawn["negative"][chain, step] else 1
            strength = float(drawn["strength"][chain, step])
            x = PILLOW[names[drawn["operation"][chain, step]]](x, strength, sign)
        ends.append(np.asarray(x, np.float64))
    m = drawn["weight"].astype(np.float64)
    mixed = sum(weight * end for weight, end in zip(m, ends, strict=True))
    for i in range(len(m)):
        for j in range(i + 1, len(m)):
            if not linear:
                mixed = mixed + m[i] * m[j] * (ends[i] - ends[j])
    share = float(drawn.get("share", 0))
    return share * image + (1 - share) * mixed


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"mixing": "linear"},
        {"severity": 10.0, "weights": "independent", "alpha": 0.5},
        {"num_chains": 3, "max_depth": 3, "operations": "augmix"},
        {"operations": ("rotate", "equalize"), "severity": 0.05},
        {"keep_original": True, "weights": "normalized", "num_chains": 3},
        {"operations": "all", "severity": 10.0},
    ],
    ids=str,
)
@pytest.mark.filterwarnings("ignore:these operations resemble")
def test_equals_the_paper_written_with_pillow(settings, photo_crops):
    batch = photo_crops(40, 32)[:, :, :36]
    layer = DynamicMixup(**settings)
    drawn = layer.get_random_transformation(
        randomness.example_keys((5, 6), tf.range(len(batch))), tf.constant(batch)
    )
    drawn = {name: value.numpy() for name, value in drawn.items()}
    names = settings.get("operations", "standard")
    names = OPERATION_SETS[names] if isinstance(names, str) else names
    got = layer(batch, seed=(5, 6)).numpy()
    for i, image in enumerate(batch):
        one = {name: value[i] for name, value in drawn.items()}
        want = written_from_the_paper(image, names, one, settings.get("mixing") == "linear")
        np.testing.assert_allclose(got[i], want, atol=2e-3)


def test_an_image_does_not_depend_on_its_batch(photo_crops):
    batch = photo_crops(32, 256)
    layer = DynamicMixup()
    keys = randomness.example_keys((1, 1), tf.range(256))
    whole = layer.augment(tf.constant(batch), keys).numpy()
    order = np.random.default_rng(0).permutation(256)
    for part in np.split(order, [1, 8, 16])[:3]:  # of 1, 7 and 8 images
        got = layer.augment(tf.constant(batch[part]), tf.gather(keys, part)).numpy()
        np.testing.assert_array_equal(got, whole[part])


def test_every_image_draws_its_own():
    layer = DynamicMixup()
    images = tf.zeros((20_000, 1, 1, 3), tf.uint8)
    drawn = layer.get_random_transformation(
        randomness.example_keys((0, 0), tf.range(20_000)), images
    )
    depth, operation = drawn["depth"].numpy(), drawn["operation"].numpy()
    for chain in range(2):
        assert abs((depth[:, chain] == 1).mean() - 0.5) < 0.02
        for step in range(2):
            share = np.bincount(operation[:, chain, step], minlength=11) / 20_000
            np.testing.assert_allclose(share, 1 / 11, atol=0.01)
    same = (operation[:, 0, 0] == operation[:, 1, 0]).mean()
    assert abs(same - 1 / 11) < 0.01  # with replacement, and chains independent of each other
    assert abs(drawn["negative"].numpy().mean() - 0.5) < 0.01
    strength = drawn["strength"].numpy()
    assert abs(strength.mean() - 1.55) < 0.02 and strength.min() >= 0.1 and strength.max() < 3.0


def test_weights():
    weight = randomness.dirichlet(randomness.example_keys((0, 1), tf.range(50_000)), 1.0, 2)
    first = mixing_coefficients(weight, "dynamic").numpy()
    m = weight.numpy()[:, 0]
    np.testing.assert_allclose(first[:, 0], 1 - (1 - m) ** 2, atol=1e-6)
    np.testing.assert_allclose(first.sum(axis=1), 1, atol=1e-6)
    # the spread of the weight around one half: 7/60, against 1/12 of the linear mix
    assert abs(((first[:, 0] - 0.5) ** 2).mean() - 7 / 60) < 1e-3
    np.testing.assert_array_equal(mixing_coefficients(weight, "linear"), weight)
    three = randomness.dirichlet(randomness.example_keys((0, 2), tf.range(1000)), 1.0, 3)
    np.testing.assert_allclose(
        mixing_coefficients(three, "dynamic").numpy().sum(axis=1), 1, atol=1e-5
    )


def test_weights_that_are_normalised_are_independent_ones_over_their_sum():
    keys = randomness.example_keys((4, 1), tf.range(5000))
    drawn = {
        rule: DynamicMixup(weights=rule).get_random_transformation(keys, None)["weight"].numpy()
        for rule in ("independent", "normalized")
    }
    sums = drawn["independent"].sum(axis=1, keepdims=True)
    np.testing.assert_allclose(drawn["normalized"], drawn["independent"] / sums, rtol=1e-6)
    assert 0.35 < sums.std() < 0.46  # a random brightness, which the division takes away


def test_the_share_of_the_original_is_a_draw_of_its_own():
    keys = randomness.example_keys((4, 2), tf.range(20_000))
    plain, kept = (
        DynamicMixup(keep_original=keep).get_random_transformation(keys, None)
        for keep in (False, True)
    )
    np.testing.assert_array_equal(plain["weight"], kept["weight"])
    share = kept["share"].numpy()
    assert "share" not in plain and abs(share.mean() - 0.5) < 0.01
    assert abs(share.var() - 1 / 12) < 0.003  # uniform
    assert abs(np.corrcoef(share, kept["weight"].numpy()[:, 0])[0, 1]) < 0.03


@pytest.mark.parametrize(
    ("mixing", "spread", "mean"), [("dynamic", 7 / 60, 2 / 3), ("linear", 1 / 12, 1 / 2)]
)
def test_weights_can_be_read_off_the_images(mixing, spread, mean):
    # one white corner: where the two chains flip it to different corners, each shows its weight
    layer = DynamicMixup(("flip_left_right", "flip_up_down"), max_depth=1, mixing=mixing)
    corner = np.zeros((2, 2, 1), "uint8")
    corner[0, 0] = 255
    keys = randomness.example_keys((2, 3), tf.range(40_000))
    mixed = layer.augment(tf.constant(np.tile(corner, (40_000, 1, 1, 1))), keys).numpy()[..., 0]
    operation = layer.get_random_transformation(keys, None)["operation"].numpy()[..., 0]
    differ = operation[:, 0] != operation[:, 1]
    assert abs(differ.mean() - 0.5) < 0.01
    weight = np.where(operation == 0, mixed[:, :1, 1], mixed[:, 1:, 0])[differ] / 255
    np.testing.assert_allclose(weight.sum(axis=1), 1, atol=1e-5)
    assert abs(((weight[:, 0] - 0.5) ** 2).mean() - spread) < 2e-3
    assert abs(weight[:, 0].mean() - mean) < 0.01
    assert len(set(weight[:256, 0])) == 256  # every image has its own


def test_seeds(photo_crops):
    batch, layer = photo_crops(32, 8), DynamicMixup()
    np.testing.assert_array_equal(
        layer(batch, seed=(7, 42)), layer(batch, seed=tf.constant([7, 42]))
    )
    assert (layer(batch, seed=(7, 42)).numpy() != layer(batch, seed=(7, 43)).numpy()).any()
    assert (layer(batch).numpy() != layer(batch).numpy()).any()


def test_config_comes_back(photo_crops):
    layer = DynamicMixup(
        ("rotate", "solarize"), 5.0, 0.5, 3, 1, "linear", "independent", value_range=(0, 1), seed=1
    )
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert again.get_config() == layer.get_config()
    batch = photo_crops(32, 4)
    np.testing.assert_array_equal(layer(batch, seed=(0, 1)), again(batch, seed=(0, 1)))


def test_sets_of_operations():
    assert len(OPERATION_SETS["standard"]) == 11 and len(OPERATION_SETS["augmix"]) == 9
    assert OPERATION_SETS["all"] == (*OPERATION_SETS["standard"], *ALL_OPS_ADDS)
    assert set(config.OPERATIONS) == set(OPERATION_SETS)
    names = corruptions.names(extra=True)
    assert all(corruption in names for found in OVERLAPS.values() for corruption in found)


def test_operations_that_overlap_with_corruptions_are_told():
    told = r"contrast: contrast; brightness: brightness; .*\"standard\""
    with pytest.warns(UserWarning, match=told) as warned:
        layer = DynamicMixup("all")
    assert len(warned) == 1 and warned[0].filename == __file__
    assert layer.overlaps == {name: OVERLAPS[name] for name in ALL_OPS_ADDS}
    text = str(warned[0].message)
    for corruption in (found for name in ALL_OPS_ADDS for found in OVERLAPS[name]):
        assert corruption in text
    with pytest.warns(UserWarning, match=r"\(color: saturate\)"):
        layer = DynamicMixup(("rotate", "downscale", "color"))
    assert layer.overlaps == {"downscale": ("pixelate",), "color": ("saturate",)}
    with pytest.warns(UserWarning, match=r"\(color: saturate\)"):
        again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert again.overlaps == layer.overlaps
    with pytest.raises(AttributeError):
        layer.overlaps = {}


@pytest.mark.parametrize("operations", ["standard", "augmix", "imagenet", ("autocontrast",)])
def test_other_operations_are_used_in_silence(operations):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        layer = DynamicMixup(operations)
    assert layer.overlaps == ({"downscale": ("pixelate",)} if operations == "imagenet" else {})


def test_inside_a_saved_model(tmp_path, photo_crops):
    batch = photo_crops(32, 4)
    inputs = keras.Input((32, 32, 3))
    x = keras.layers.GlobalAveragePooling2D()(DynamicMixup()(inputs))
    outputs = keras.layers.Dense(3, kernel_initializer="identity")(x)
    model = keras.Model(inputs, outputs)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(again.predict(batch, verbose=0), batch.mean(axis=(1, 2)), rtol=1e-5)
    first, second = (again(batch.astype("float32"), training=True).numpy() for _ in range(2))
    assert (first != second).any()
    again.compile("sgd", "mse")
    again.fit(batch, batch.mean(axis=(1, 2)), verbose=0)
    assert not again.layers[1].supports_jit


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"operations": "standart"},
            "unknown set of operations 'standart'; did you mean 'standard'",
        ),
        ({"operations": ("rotat",)}, "unknown operation 'rotat'; did you mean 'rotate'"),
        ({"operations": ()}, "names no operation"),
        ({"severity": -1}, r"`severity` must be in \[0, 10\]"),
        ({"alpha": 0}, "`alpha` must be in .0.001, 1000"),
        ({"num_chains": 0}, "`num_chains` must be a whole number"),
        ({"max_depth": 1.5}, "`max_depth` must be a whole number"),
        ({"mixing": "linar"}, "unknown `mixing` 'linar'; did you mean 'linear'"),
        ({"weights": "free"}, "unknown `weights` 'free'"),
    ],
)
def test_bad_arguments_are_named(settings, message):
    with pytest.raises(InputError, match=message):
        DynamicMixup(**settings)
