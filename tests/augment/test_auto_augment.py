from __future__ import annotations

from collections import Counter

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageEnhance, ImageOps

from dynmix_tf import randomness
from dynmix_tf.augment.auto_augment import AutoAugment, RandomAutoAugment, sub_policies
from dynmix_tf.augment.policies import OVERLAPPING, POLICIES, REDUCED_OPERATIONS
from dynmix_tf.errors import InputError
from dynmix_tf.layers.operations import OPERATION_LAYERS

pytestmark = pytest.mark.filterwarnings("ignore:these operations resemble")

LAYERS = {
    **{name: lambda name=name, **kw: AutoAugment(name, **kw) for name in ("cifar10", "imagenet")},
    "cifar10*": lambda **kw: AutoAugment("cifar10*", "operation", **kw),
    "imagenet*": lambda **kw: AutoAugment("imagenet*", "policy", **kw),
    "random": lambda **kw: RandomAutoAugment(**kw),
    "random 3": lambda **kw: RandomAutoAugment(3, ("color", "sharpness", "rotate"), **kw),
}
every_layer = pytest.mark.parametrize("make", list(LAYERS.values()), ids=list(LAYERS))


def apply_pillow(image, name, level, sign):
    """AutoAugment's `augmentation_transforms.py` (levels up to 10, 32 pixels), but bilinear."""
    assert image.size == (32, 32)

    def affine(*coefficients):
        return image.transform(
            image.size, Image.Transform.AFFINE, coefficients, resample=Image.Resampling.BILINEAR
        )

    match name:
        case "rotate":
            return image.rotate(sign * int(level * 30 / 10), resample=Image.Resampling.BILINEAR)
        case "shear_x":
            return affine(1, sign * level * 0.3 / 10, 0, 0, 1, 0)
        case "shear_y":
            return affine(1, 0, 0, sign * level * 0.3 / 10, 1, 0)
        case "translate_x":
            return affine(1, 0, sign * int(level * 10 / 10), 0, 1, 0)
        case "translate_y":
            return affine(1, 0, 0, 0, 1, sign * int(level * 10 / 10))
        case "posterize":
            return ImageOps.posterize(image, 4 - int(level * 4 / 10))
        case "solarize":
            return ImageOps.solarize(image, 256 - int(level * 256 / 10))
        case "autocontrast" | "equalize" | "invert":
            return getattr(ImageOps, name)(image)
    return getattr(ImageEnhance, name.capitalize())(image).enhance(level * 1.8 / 10 + 0.1)


def draws(layer, seed, count):
    keys = randomness.example_keys(seed, tf.range(count))
    drawn = layer.get_random_transformation(keys, tf.zeros((count, 1, 1, 3), tf.uint8))
    return {name: value.numpy() for name, value in drawn.items()}


# how often an operation occurs, and the sums of its probabilities and levels, taken from the
# tables as DeepVoltaire/AutoAugment prints them
PRINTED = {
    "cifar10": {
        "autocontrast": (7, 5.0, 26), "brightness": (4, 2.3, 25), "color": (5, 2.9, 27),
        "contrast": (2, 0.8, 13), "equalize": (9, 4.7, 41), "invert": (3, 0.2, 13),
        "posterize": (1, 0.3, 7), "rotate": (1, 0.7, 2), "sharpness": (5, 2.8, 24),
        "shear_y": (2, 0.7, 15), "solarize": (4, 1.9, 18), "translate_x": (2, 0.8, 17),
        "translate_y": (5, 3.4, 39),
    },
    "imagenet": {
        "autocontrast": (2, 1.2, 10), "color": (6, 3.8, 18), "contrast": (2, 2.0, 16),
        "equalize": (17, 11.2, 102), "invert": (3, 1.8, 16), "posterize": (5, 2.8, 32),
        "rotate": (6, 3.6, 45), "sharpness": (1, 0.4, 7), "shear_x": (1, 0.6, 5),
        "solarize": (7, 3.6, 36),
    },
}  # fmt: skip


@pytest.mark.parametrize("name", list(PRINTED))
def test_tables_are_the_published_ones(name):
    policy = POLICIES[name]
    assert len(policy) == 25 and {len(steps) for steps in policy} == {2}
    steps = [step for steps in policy for step in steps]
    sums = {
        operation: (
            len(own := [step for step in steps if step[0] == operation]),
            round(sum(chance for _, chance, _ in own), 6),
            sum(level for _, _, level in own),
        )
        for operation in {operation for operation, _, _ in steps}
    }
    assert sums == PRINTED[name]
    for rule in ("operation", "policy"):  # which says something of starred policies alone
        assert AutoAugment(name, rule).sub_policies == sub_policies(name, rule) == policy


def test_tables_in_places():
    assert POLICIES["cifar10"][0] == (("invert", 0.1, 7), ("contrast", 0.2, 6))
    assert POLICIES["cifar10"][-1] == (("translate_y", 0.7, 9), ("autocontrast", 0.9, 1))
    assert POLICIES["imagenet"][0] == (("posterize", 0.4, 8), ("rotate", 0.6, 9))
    assert POLICIES["imagenet"][10] == (("rotate", 0.8, 8), ("color", 0.4, 0))
    twice = {steps for steps, count in Counter(POLICIES["imagenet"]).items() if count == 2}
    assert set(POLICIES["imagenet"][20:]) == twice and len(twice) == 5


@pytest.mark.parametrize(
    ("policy", "overlapping", "empty", "by_operation", "by_policy"),
    [("cifar10", 10, 6, 19, 15), ("imagenet", 7, 2, 23, 18)],
)
def test_what_a_star_leaves(policy, overlapping, empty, by_operation, by_policy):
    whole = POLICIES[policy]
    hit = [steps for steps in whole if {step[0] for step in steps} & set(OVERLAPPING)]
    gone = [steps for steps in whole if {step[0] for step in steps} <= set(OVERLAPPING)]
    assert (len(hit), len(gone)) == (overlapping, empty)
    reduced = {rule: sub_policies(policy + "*", rule) for rule in ("operation", "policy")}
    assert len(reduced["operation"]) == by_operation and len(reduced["policy"]) == by_policy
    assert reduced["policy"] == tuple(steps for steps in whole if steps not in hit)
    steps = [step for steps in reduced["operation"] for step in steps]
    assert Counter(steps) == Counter(
        step for steps in whole for step in steps if step[0] not in OVERLAPPING
    )
    for rule in reduced:
        layer = AutoAugment(policy + "*", rule)
        own = {operation.name_of_operation for operation in layer.operation_layers}
        assert own and not own & set(OVERLAPPING) and own <= set(REDUCED_OPERATIONS)


def test_random_policies_use_what_does_not_overlap():
    assert not set(REDUCED_OPERATIONS) & set(OVERLAPPING) and len(set(REDUCED_OPERATIONS)) == 10
    assert set(OVERLAPPING) - {"cutout"} | set(REDUCED_OPERATIONS) <= set(OPERATION_LAYERS)
    layer = RandomAutoAugment()
    assert [own.name_of_operation for own in layer.operation_layers] == list(REDUCED_OPERATIONS)


@pytest.mark.parametrize(
    ("policy", "rule"),
    [
        ("cifar10", "operation"),
        ("imagenet", "policy"),
        *(
            (policy, rule)
            for policy in ("cifar10*", "imagenet*")
            for rule in ("operation", "policy")
        ),
    ],
)
def test_images_are_those_of_pillow(policy, rule, photo_crops):
    batch, layer = photo_crops(32, 64), AutoAugment(policy, rule)
    drawn = draws(layer, (1, 2), len(batch))
    got = layer(batch, seed=(1, 2)).numpy()
    assert len(set(drawn["sub_policy"])) > 0.8 * len(layer.sub_policies)
    for i, image in enumerate(batch):
        want = Image.fromarray(image)
        for step, (name, _, level) in enumerate(layer.sub_policies[drawn["sub_policy"][i]]):
            if drawn["applied"][i, step]:
                sign = -1 if drawn["negative"][i, step] else 1
                want = apply_pillow(want, name, level, sign)
        np.testing.assert_array_equal(got[i], want)


@pytest.mark.parametrize("settings", [(2, REDUCED_OPERATIONS), (4, ("color", "rotate", "invert"))])
def test_random_images_are_those_of_pillow(settings, photo_crops):
    count, names = settings
    batch, layer = photo_crops(32, 64), RandomAutoAugment(count, names)
    drawn = draws(layer, (1, 2), len(batch))
    got = layer(batch, seed=(1, 2)).numpy()
    for i, image in enumerate(batch):
        want = Image.fromarray(image)
        for step in np.flatnonzero(drawn["applied"][i]):
            sign = -1 if drawn["negative"][i, step] else 1
            name, level = names[drawn["operation"][i, step]], int(drawn["strength"][i, step])
            want = apply_pillow(want, name, level, sign)
        np.testing.assert_array_equal(got[i], want)


@pytest.mark.parametrize("policy", ["cifar10", "imagenet*"])
def test_operations_are_applied_as_often_as_the_table_says(policy):
    count, layer = 60_000, AutoAugment(policy)
    drawn = draws(layer, (3, 4), count)
    total = len(layer.sub_policies)
    share = np.bincount(drawn["sub_policy"], minlength=total) / count
    np.testing.assert_allclose(share, 1 / total, atol=0.005)
    for number, steps in enumerate(layer.sub_policies):
        applied = drawn["applied"][drawn["sub_policy"] == number]
        chances = [chance for _, chance, _ in steps] + [0.0] * (2 - len(steps))
        np.testing.assert_allclose(applied.mean(axis=0), chances, atol=0.04)
        for step, chance in enumerate(chances):  # never and always are exact
            assert chance not in (0.0, 1.0) or (applied[:, step] == chance).all()
        both = applied.all(axis=1).mean()
        assert abs(both - chances[0] * chances[1]) < 0.04  # independent of each other
    for step in range(2):  # signs do not depend on what else is drawn
        for applied in (False, True):
            negative = drawn["negative"][drawn["applied"][:, step] == applied, step]
            assert abs(negative.mean() - 0.5) < 0.015


def test_random_policies_draw_from_the_grid():
    count = 40_000
    drawn = draws(RandomAutoAugment(), (3, 4), count)
    for step in range(2):
        share = np.bincount(drawn["operation"][:, step], minlength=10) / count
        np.testing.assert_allclose(share, 1 / 10, atol=0.01)
        share = np.bincount(drawn["strength"][:, step].astype(int), minlength=10) / count
        np.testing.assert_allclose(share, 1 / 10, atol=0.01)
        tenths = np.round(drawn["probability"][:, step] * 10).astype(int)
        np.testing.assert_allclose(drawn["probability"][:, step], tenths / 10, atol=1e-7)
        np.testing.assert_allclose(np.bincount(tenths, minlength=11) / count, 1 / 11, atol=0.01)
        for tenth in range(11):
            applied = drawn["applied"][tenths == tenth, step]
            assert abs(applied.mean() - tenth / 10) < 0.04
    names = ("operation", "probability", "strength", "negative")
    columns = [drawn[name][:, step] for name in names for step in range(2)]
    correlation = np.corrcoef(np.array(columns, float)) - np.eye(len(columns))
    assert np.abs(correlation).max() < 0.03
    same = (drawn["operation"][:, 0] == drawn["operation"][:, 1]).mean()
    assert abs(same - 1 / 10) < 0.01  # with replacement
    assert abs(drawn["applied"].all(axis=1).mean() - 1 / 4) < 0.01
    rows = np.concatenate([value.reshape(count, -1) for value in drawn.values()], axis=1)
    assert len(np.unique(rows[:8], axis=0)) == 8  # images of a batch have policies of their own


@pytest.mark.parametrize(("width", "height"), [(32, 32), (64, 40), (224, 32)])
def test_translation_grows_with_the_image(width, height):
    ramp = np.broadcast_to(1 + np.arange(width, dtype="uint8"), (60, height, width))[..., None]
    for name, side in (("translate_x", width), ("translate_y", height)):
        batch = ramp if name == "translate_x" else 1 + ramp * 0 + np.arange(height)[:, None, None]
        layer = RandomAutoAugment(1, (name,))
        drawn = draws(layer, (0, 9), 60)
        got = layer(batch.astype("uint8"), seed=(0, 9)).numpy()
        black = (got == 0).mean(axis=(1, 2, 3)) * side  # pixels that came in from outside
        level = drawn["strength"][:, 0] * drawn["applied"][:, 0]
        pixels = np.floor(level if side == 32 else level * side / 30)
        np.testing.assert_allclose(black, pixels, atol=1e-3)
        assert len(set(level)) > 5


@every_layer
def test_an_image_does_not_depend_on_its_batch(make, photo_crops):
    batch, layer = photo_crops(32, 8), make()
    keys = randomness.example_keys((1, 1), tf.range(8))
    whole = layer.augment(tf.constant(batch), keys).numpy()
    order = np.random.default_rng(0).permutation(8)
    for part in (order[:4], order[4:], order):
        got = layer.augment(tf.constant(batch[part]), tf.gather(keys, part)).numpy()
        np.testing.assert_array_equal(got, whole[part])


@pytest.mark.parametrize(("make", "channels"), [("imagenet*", 3), ("random 3", 1)])
def test_in_tf_data_as_outside(make, channels, photo_crops):
    batch, layer = photo_crops(32, 8)[..., :channels], LAYERS[make]()
    eager = layer(batch, seed=(7, 42)).numpy()
    spec = tf.TensorSpec((None, None, None, channels), tf.uint8)
    ds = tf.data.Dataset.from_generator(lambda: [batch, batch[:0]], output_signature=spec)
    seeded, empty = ds.map(lambda x: layer(x, seed=(7, 42)))
    np.testing.assert_array_equal(seeded, eager)
    assert empty.shape == batch[:0].shape
    fresh = [x.numpy().tobytes() for x in ds.take(1).repeat(3).map(layer)]
    assert len(set(fresh)) == 3  # not frozen when the map is traced
    np.testing.assert_array_equal(layer(batch[0], seed=(7, 42)), eager[0])


@every_layer
def test_config_comes_back(make, photo_crops):
    layer = make(value_range=(0, 1), seed=3)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert type(again) is type(layer) and again.get_config() == layer.get_config()
    batch = tf.constant((photo_crops(32, 8) / 255).astype("float32"))
    keys = randomness.example_keys((0, 1), tf.range(8))
    # not compiled, as layers of one config share what is
    one, two = (each.augment_here(batch, keys) for each in (layer, again))
    np.testing.assert_array_equal(one, two)
    np.testing.assert_array_equal(layer(batch, training=False), batch)


def test_config_says_what_was_given():
    config = AutoAugment("imagenet*", "policy").get_config()
    assert (config["policy"], config["dropped"]) == ("imagenet*", "policy")
    config = RandomAutoAugment(3, ("rotate",)).get_config()
    assert (config["num_operations"], config["operations"]) == (3, ("rotate",))
    assert RandomAutoAugment(operations="augmix").get_config()["operations"] == "augmix"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: AutoAugment("cifar"), "unknown `policy` 'cifar'; did you mean 'cifar10'"),
        (lambda: AutoAugment("svhn"), "unknown `policy` 'svhn'.*imagenet*"),
        (lambda: AutoAugment(None), "unknown `policy` 'None'"),
        (lambda: AutoAugment(dropped="ops"), "unknown `dropped` 'ops'.*operation, policy"),
        (lambda: RandomAutoAugment(0), "`num_operations` must be a whole number, at least 1.*=0"),
        (lambda: RandomAutoAugment(1.5), "`num_operations` must be a whole number.*=1.5"),
        (lambda: RandomAutoAugment("2"), "`num_operations` must be a whole number.*='2'"),
        (lambda: RandomAutoAugment(operations=("rotat",)), "unknown operation 'rotat'"),
        (lambda: RandomAutoAugment(operations="cifar"), "unknown set of operations 'cifar'"),
        (lambda: RandomAutoAugment(operations=()), "names no operation"),
    ],
)
def test_bad_arguments_are_named(make, message):
    with pytest.raises(InputError, match=message):
        make()
