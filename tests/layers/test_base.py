from __future__ import annotations

import inspect
import subprocess
import sys
import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

from dynmix_tf import augment, layers
from dynmix_tf.augment import DynamicMixup, StandardAugmentation, Views
from dynmix_tf.errors import InputError
from dynmix_tf.layers import Rotate, base

IMAGES = np.random.default_rng(0).integers(0, 256, (4, 8, 10, 3), dtype="uint8")


def float_images(value):
    images = (IMAGES / 255).astype("float32")
    images[3, 7, 9, 2] = value
    return images


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("make", [np.asarray, tf.constant])
@pytest.mark.parametrize("call", [Rotate(value_range=(0, 1)), Views(Rotate(value_range=(0, 1)))])
def test_nan_and_infinity_are_refused(value, make, call):
    with pytest.raises(InputError, match=r"`images` .*NaN or infinity, in 1 of 960 values") as info:
        call(make(float_images(value)))
    assert "\n" not in str(info.value)


@pytest.mark.parametrize(
    ("value_range", "images", "message"),
    [
        ((0, 1), IMAGES * 1.0, r"in 0\.\.1 .*: 0\.\.255; .*uint8 or value_range=\(0, 255\)"),
        ((0, 255), IMAGES / 127.5 - 1, r"in 0\.\.255 .*: -1\.\.1; .*use value_range=\(-1, 1\)"),
        ((-1, 1), IMAGES * 3.0 - 100, r"in -1\.\.1 .*: -100\.\.665; rescale or clip"),
        ((2, 3), IMAGES / 255, r"in 2\.\.3 .*: 0\.\.1; images look like 0\.\.1: use"),
        ((0, 1), float_images(1.002), r"Received: 0\.\.1\.002"),
        ((0, 1), float_images(-0.002), r"Received: -0\.002\.\."),
    ],
)
def test_floats_outside_the_range_are_told_with_the_range(value_range, images, message):
    with pytest.raises(InputError, match=message):
        Rotate(value_range=value_range)(images)
    with pytest.raises(InputError, match=message):
        Views(None, before=StandardAugmentation(value_range=value_range))(images)


def test_rounding_noise_empty_batches_and_uint8_pass():
    layer = Rotate(value_range=(0, 1))
    for value in (1.0005, -0.0005):
        assert layer(float_images(value)).shape == IMAGES.shape
    assert layer(np.zeros((0, 8, 8, 3), "float32")).shape == (0, 8, 8, 3)
    assert layer(IMAGES).numpy().max() > 1  # uint8 is 0..255 whatever the range
    assert Views(None)(IMAGES * 100.0).numpy().max() > 255  # no layer, no range


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "bfloat16"])
def test_all_floats_are_taken(dtype):
    images = tf.cast(IMAGES, dtype)
    want = Rotate()(np.asarray(tf.cast(images, tf.float32)), seed=(1, 2))
    np.testing.assert_array_equal(Rotate()(images, seed=(1, 2)), want)


def test_zero_to_one_in_the_default_range_is_warned_of():
    with pytest.warns(UserWarning, match=r"almost black .*give value_range=\(0, 1\)") as record:
        Rotate()(IMAGES / 255)
    assert record[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Rotate()((IMAGES > 100).astype("float32"))  # whole numbers: may well be grey levels
        Rotate()(np.zeros((2, 8, 8, 3), "float32"))


def test_nothing_is_looked_at_inside_a_graph():
    layer = Rotate(value_range=(0, 1))
    ds = tf.data.Dataset.from_tensors(float_images(2.0)).map(layer)
    assert next(iter(ds)).numpy().max() <= 1  # clipped
    assert tf.function(layer)(tf.constant(float_images(np.nan))).shape == IMAGES.shape


def test_values_are_looked_at_once(monkeypatch):
    seen = []
    monkeypatch.setattr(base, "_check_values", lambda *arguments: seen.append(arguments))
    Rotate()(IMAGES.astype("float32"))
    assert len(seen) == 1
    Views(Rotate(), before=StandardAugmentation())(IMAGES.astype("float32"))
    assert len(seen) == 2
    Rotate()(IMAGES)
    assert len(seen) == 2


@pytest.mark.parametrize("dtype", ["int32", "int64", "uint16", "bool", "str", "complex64"])
def test_other_dtypes_are_refused(dtype):
    received = "string" if dtype == "str" else dtype
    with pytest.raises(InputError, match=f"uint8 .* or float. Received: dtype={received}; cast"):
        Rotate()(IMAGES.astype(dtype))
    ds = tf.data.Dataset.from_tensors(IMAGES.astype(dtype))
    with pytest.raises(Exception, match="uint8 .* or float. Received: dtype="):
        ds.map(Rotate())
    with pytest.raises(InputError, match="uint8 .* or float. Received: dtype="):
        Views(Rotate()).over(ds)


@pytest.mark.parametrize("shape", [(8, 8), (2, 8, 8, 4), (8, 8, 2), (1, 2, 8, 8, 3), ()])
def test_other_shapes_are_refused(shape):
    for call in (Rotate(), Views(Rotate())):
        with pytest.raises(InputError, match="1 or 3 channels.* Received: shape=") as info:
            call(np.zeros(shape, "uint8"))
        assert str(shape) in str(info.value)


def test_channels_unknown_in_a_graph_are_refused():
    @tf.function(input_signature=[tf.TensorSpec((None, None, None, None), tf.uint8)])
    def rotate(images):
        return Rotate()(images)

    with pytest.raises(Exception, match=r"known in a graph \(set_shape\)"):
        rotate(IMAGES)


@pytest.mark.parametrize("images", [{"image": IMAGES}, (IMAGES, np.arange(4)), [IMAGES], None])
def test_what_is_no_array_is_refused(images):
    with pytest.raises(InputError, match=f"must be one array.* {type(images).__name__}; stack"):
        Rotate()(images)


def test_labels_beside_the_images_are_refused():
    # two labels would pass for a seed
    labels = np.arange(2)
    with pytest.raises(InputError, match=r"Rotate takes images alone.*dynmix_tf.Views\(Rotate"):
        Rotate()(IMAGES[:2], labels)
    ds = tf.data.Dataset.from_tensor_slices((IMAGES[:2], labels)).batch(2, drop_remainder=True)
    with pytest.raises(Exception, match="Rotate takes images alone .* Received: 2 arguments"):
        ds.map(Rotate())


@pytest.mark.parametrize("seed", [None, 5])
def test_calls_without_a_seed_never_repeat(seed, photo_crops):
    keras.utils.set_random_seed(1)
    image = photo_crops(32, 1)[0]
    layer = DynamicMixup(seed=seed)
    twice = tf.data.Dataset.from_tensors(image).map(lambda x: (layer(x), layer(x)))
    epochs = [view.numpy().tobytes() for _ in range(2) for pair in twice for view in pair]
    views = Views(DynamicMixup(seed=seed), num_views=1, original=False)
    mapped = tf.data.Dataset.from_tensors(image).map(views)
    epochs += [view.numpy().tobytes() for _ in range(2) for view in mapped]
    call = tf.function(layer)
    epochs += [call(image).numpy().tobytes() for _ in range(2)]
    assert len(set(epochs)) == len(epochs) == 8


REPLICAS = """
import numpy as np, tensorflow as tf

(cpu,) = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from dynmix_tf import DynamicMixup

strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
image = tf.constant(np.random.default_rng(0).integers(0, 256, (16, 16, 3), "uint8"))
outside = DynamicMixup(("rotate", "solarize"), seed=3)
with strategy.scope():
    inside = DynamicMixup(("rotate", "solarize"), seed=3)
for layer in (outside, inside):
    views = strategy.experimental_local_results(strategy.run(tf.function(layer), [image]))
    assert len(views) == 2 and (views[0].numpy() != views[1].numpy()).any()
"""


def test_two_replicas_draw_apart():
    subprocess.run([sys.executable, "-c", REPLICAS], check=True, capture_output=True)


def test_a_program_that_sets_the_seed_repeats_itself(photo_crops):
    image = photo_crops(32, 1)[0]
    results = []
    for _ in range(2):
        keras.utils.set_random_seed(7)
        results.append(DynamicMixup()(image).numpy())
    np.testing.assert_array_equal(*results)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: DynamicMixup(severity="3"), "`severity`.*'3'"),
        (lambda: DynamicMixup(severity=float("nan")), "`severity`.*nan"),
        (lambda: DynamicMixup(severity=True), "`severity`.*True"),
        (lambda: DynamicMixup(alpha=float("inf")), "`alpha`.*inf"),
        (lambda: DynamicMixup(num_chains=float("nan")), "`num_chains`.*whole.*nan"),
        (lambda: DynamicMixup(operations=5), "`operations`.*tuple.*5"),
        (lambda: DynamicMixup(operations=(["rotate"],)), "unknown operation"),
        (lambda: DynamicMixup(value_range="ab"), "`value_range`.*low < high.*'ab'"),
        (lambda: DynamicMixup(value_range=(0, float("inf"))), "`value_range`.*inf"),
        (lambda: DynamicMixup(value_range=None), "`value_range`.*None"),
        (lambda: DynamicMixup(seed="a"), "`seed`.*whole number.*'a'"),
        (lambda: DynamicMixup(seed=1.5), "`seed`.*1.5"),
        (lambda: DynamicMixup(jit_compile="no"), "`jit_compile`.*True or False.*'no'"),
        (lambda: DynamicMixup()(np.zeros((2, 8, 8, 3), "uint8"), seed=5), "two integers"),
        (lambda: DynamicMixup()(np.zeros((2, 0, 8, 3), "uint8")), "height and a width"),
    ],
)
def test_arguments_are_checked_in_one_line(make, message):
    with pytest.raises(InputError, match=message) as error:
        make()
    assert "\n" not in str(error.value) and type(error.value) is InputError


CLASSES = [
    value
    for module in (augment, layers)
    for value in (getattr(module, name) for name in module.__all__)
    if inspect.isclass(value)
    and issubclass(value, base.AugmentationLayer)
    and value is not base.AugmentationLayer
]


def traces(*calls):
    before = base._compiled.experimental_get_tracing_count()
    for call in calls:
        call(IMAGES[:3])
    return base._compiled.experimental_get_tracing_count() - before


def test_layers_of_equal_settings_share_a_program_and_others_do_not():
    assert traces(Rotate(severity=2.125, seed=1)) == 1
    assert traces(Rotate(severity=2.125, seed=2, name="again"), Rotate(severity=2.125)) == 0
    assert traces(Rotate(severity=2.25), layers.ShearX(severity=2.125)) == 2
    crop = StandardAugmentation(padding=3)
    assert traces(Views(Rotate(severity=2.125), before=crop)) > 0
    assert traces(Views(Rotate(severity=2.125), before=StandardAugmentation(padding=3))) == 0
    assert traces(Views(Rotate(severity=2.125), original=False, before=crop)) > 0
    assert traces(Views(Rotate(severity=2.125), before=StandardAugmentation(padding=2))) > 0


def test_a_changed_setting_is_seen_and_does_not_change_an_equal_layer():
    first, second = Rotate(severity=10.0), Rotate(severity=10.0)
    want = first(IMAGES, seed=(1, 2)).numpy()
    first.severity = 0.1
    assert (first(IMAGES, seed=(1, 2)).numpy() != want).any()
    np.testing.assert_array_equal(second(IMAGES, seed=(1, 2)), want)


def test_layers_of_an_own_class_share_nothing():
    """Their settings may be missing in their config."""

    class Brighter(base.AugmentationLayer):
        def __init__(self, by):
            super().__init__()
            self.by = by

        def get_random_transformation(self, keys, images):
            return {}

        def transform_images(self, images, transformation):
            return tf.cast(images, tf.float32) + self.by

    for by in (1.0, 2.0):
        np.testing.assert_array_equal(Brighter(by)(IMAGES), IMAGES + by)
        np.testing.assert_array_equal(Views(Brighter(by), 1, original=False)(IMAGES), IMAGES + by)


@pytest.mark.parametrize("layer", CLASSES, ids=lambda layer: layer.__name__)
def test_the_config_holds_every_setting(layer):
    """As the program that layers share is found by it."""
    named = {
        name
        for kind in layer.__mro__
        if issubclass(kind, base.SeededLayer)
        for name in inspect.signature(kind.__init__).parameters
    } - {"self", "kwargs"}
    config = layer().get_config()
    assert named and named <= set(config)
    plain = (str, int, float, bool, tuple, dict, type(None))  # whose `repr` is whole
    assert all(isinstance(value, plain) for value in config.values())
