from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from dynmix_tf import layers, ops, randomness
from dynmix_tf.errors import InputError
from dynmix_tf.layers.levels import LEVELS
from dynmix_tf.layers.operations import OPERATION_LAYERS

NAMES = tuple(OPERATION_LAYERS)


def augmix_argument(name, strength, negative, width, height):
    """The argument as AugMix's `augmentations.py` computes it, with 32 for the image's side."""
    sign = -1 if negative else 1
    return {
        "rotate": lambda: sign * int(strength * 30 / 10),
        "translate_x": lambda: sign * int(strength * (width / 3) / 10),
        "translate_y": lambda: sign * int(strength * (height / 3) / 10),
        "shear_x": lambda: sign * strength * 0.3 / 10,
        "shear_y": lambda: sign * strength * 0.3 / 10,
        "solarize": lambda: 256 - int(strength * 256 / 10),
        "posterize": lambda: 4 - int(strength * 4 / 10),
        "downscale": lambda: 1 - 0.08 * strength,
        "color": lambda: strength * 1.8 / 10 + 0.1,
        "contrast": lambda: strength * 1.8 / 10 + 0.1,
        "brightness": lambda: strength * 1.8 / 10 + 0.1,
        "sharpness": lambda: strength * 1.8 / 10 + 0.1,
    }.get(name, lambda: None)()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("severity", [1.0, 3.0, 10.0])
def test_layer_is_the_operation_at_the_drawn_level(name, severity, photo_crops):
    batch = photo_crops(48, 24)[:, :, :36]
    layer = OPERATION_LAYERS[name](severity=severity)
    keys = randomness.example_keys((1, 2), tf.range(24))
    drawn = layer.get_random_transformation(keys, tf.constant(batch))
    strength, negative = drawn["strength"].numpy().astype(float), drawn["negative"].numpy()
    assert strength.min() >= 0.1 and strength.max() <= severity and len(set(negative)) == 2
    got = layer(batch, seed=(1, 2)).numpy()
    for i in range(24):
        argument = augmix_argument(name, strength[i], negative[i], width=36, height=48)
        want = getattr(ops, name)(batch[i : i + 1], argument).numpy()[0]
        np.testing.assert_array_equal(got[i], want)


def test_every_operation_has_a_level_and_a_public_layer():
    assert set(LEVELS) == set(NAMES) == set(ops.__all__)
    public = {getattr(layers, name) for name in layers.__all__} - {layers.AugmentationLayer}
    assert public == set(OPERATION_LAYERS.values())


@pytest.mark.parametrize(
    ("name", "weakest", "strongest"),
    [
        ("rotate", 0, 30), ("translate_x", 0, 15), ("translate_y", 0, 15), ("shear_x", 0, 0.3),
        ("shear_y", 0, 0.3), ("solarize", 256, 0), ("posterize", 4, 0), ("downscale", 1, 0.2),
        ("color", 0.1, 1.9), ("contrast", 0.1, 1.9), ("brightness", 0.1, 1.9),
        ("sharpness", 0.1, 1.9),
    ],
)  # fmt: skip
def test_range_of_the_levels(name, weakest, strongest):
    strengths = tf.linspace(tf.constant(0.0, tf.float64), 10.0, 101)
    arguments = LEVELS[name].argument(strengths, tf.constant(45.0, tf.float64)).numpy()
    np.testing.assert_allclose(arguments[[0, -1]], [weakest, strongest], atol=1e-12)
    assert (np.diff(arguments) * np.sign(strongest - weakest) >= 0).all()
    assert LEVELS[name].signed == name.startswith(("rotate", "translate", "shear"))


@pytest.mark.parametrize("name", NAMES)
def test_config_comes_back_and_gives_the_same(name, photo_crops):
    layer = OPERATION_LAYERS[name](severity=5.0, value_range=(-1.0, 1.0), seed=3)
    text = keras.saving.serialize_keras_object(layer)
    again = keras.saving.deserialize_keras_object(text)
    assert type(again) is type(layer) and again.get_config() == layer.get_config()
    # not compiled, as layers of one config share what is
    given = tf.constant(photo_crops(32, 4)), randomness.example_keys((4, 4), tf.range(4))
    np.testing.assert_array_equal(layer.augment_here(*given), again.augment_here(*given))


@pytest.mark.parametrize("name", NAMES)
def test_eager_is_tf_data_batched_and_single(name, photo_crops):
    batch = photo_crops(32, 6)
    layer = OPERATION_LAYERS[name](severity=10.0)
    eager = layer(batch, seed=(7, 42)).numpy()
    ds = tf.data.Dataset.from_tensors(batch).map(lambda x: layer(x, seed=(7, 42)))
    np.testing.assert_array_equal(next(iter(ds)), eager)
    np.testing.assert_array_equal(layer(batch[0], seed=(7, 42)), eager[0])


def test_value_ranges_give_the_same_image(photo_crops):
    batch = photo_crops(32, 8)
    want = layers.Rotate(severity=10.0)(batch, seed=(0, 0)).numpy()
    for low, high in ((0, 1), (-1, 1), (0, 255)):
        layer = layers.Rotate(severity=10.0, value_range=(low, high))
        scaled = (batch / 255 * (high - low) + low).astype("float32")
        got = layer(scaled, seed=(0, 0)).numpy()
        np.testing.assert_allclose((got - low) / (high - low) * 255, want, atol=1e-3)


def test_fresh_draws_differ_from_call_to_call_and_in_a_map(photo_crops):
    layer, image = layers.Rotate(severity=10.0), photo_crops(32, 1)[0]
    assert len({layer(image).numpy().tobytes() for _ in range(8)}) > 2
    ds = tf.data.Dataset.from_tensors(image).repeat(16).map(layer)
    assert len({x.numpy().tobytes() for x in ds}) > 4  # not frozen when the map is traced


def test_a_seeded_layer_repeats_its_calls(photo_crops):
    batch = photo_crops(32, 4)
    one, two = (layers.Rotate(severity=10.0, seed=3) for _ in range(2))
    calls = [[layer(batch).numpy() for _ in range(3)] for layer in (one, two)]
    np.testing.assert_array_equal(calls[0], calls[1])
    assert (calls[0][0] != calls[0][1]).any()


def test_not_training_leaves_the_image(photo_crops):
    batch = photo_crops(32, 2)
    np.testing.assert_array_equal(layers.Equalize()(batch, training=False), batch)


def test_stays_float32_under_mixed_precision(photo_crops):
    keras.config.set_dtype_policy("mixed_float16")
    try:
        assert layers.Solarize()(photo_crops(32, 2)).dtype == tf.float32
    finally:
        keras.config.set_dtype_policy("float32")


def test_bad_input_is_named(photo_crops):
    with pytest.raises(InputError, match=r"in \[0, 10\].*severity=11"):
        layers.Rotate(severity=11)
    with pytest.raises(InputError, match="low < high"):
        layers.Rotate(value_range=(1, 0))
    with pytest.raises(InputError, match=r"\(H, W, C\).*\(32, 32\)"):
        layers.Rotate()(photo_crops(32, 1)[0, ..., 0])
    with pytest.raises(InputError, match="1 or 3 channels"):
        layers.Rotate()(np.zeros((2, 8, 8, 4), "uint8"))
    with pytest.raises(InputError, match="two integers"):
        layers.Rotate()(photo_crops(32, 1), seed=5)
