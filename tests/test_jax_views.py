"""The views made by JAX against those of the layers, which are held to Pillow."""

import numpy as np
import pytest
import tensorflow as tf

from dynmix_tf import randomness
from dynmix_tf.augment import AugMix, DynamicMixup, StandardAugmentation, Views
from dynmix_tf.augment.operation_sets import OPERATION_SETS
from dynmix_tf.errors import InputError

jax = pytest.importorskip("jax")
from dynmix_tf import jax_views  # noqa: E402

COUNT = 256


@pytest.fixture(scope="module")
def images(photo_crops):
    return photo_crops(32, COUNT)


def both(images, num_views=2, **settings):
    indices = np.arange(1000, 1000 + len(images))
    keys = randomness.example_keys((7, 0), indices)
    if settings.get("mixing") == "augmix":
        layer = AugMix("augmix", settings["severity"], alpha=settings["alpha"])
    else:
        layer = DynamicMixup(**settings) if num_views else None
    ours = Views(layer, num_views, before=StandardAugmentation()).augment(images, keys)
    made = jax.jit(jax_views.JaxViews(num_views, **settings))(
        images, jax_views.example_keys(7, indices)
    )
    return [view.numpy() for view in ours], [np.asarray(view) for view in made]


@pytest.mark.parametrize("seed", [0, 1, 2**31 - 1])
def test_keys_and_draws_are_those_of_the_layers(seed):
    indices = np.array([0, 1, 5_000_000, 2**31 - 1])
    keys = randomness.example_keys((seed, 0), indices).numpy()
    np.testing.assert_array_equal(jax_views.example_keys(seed, indices), keys)
    for purpose in ("weight", 1, 2):
        np.testing.assert_array_equal(
            jax_views.fold(keys, purpose), randomness.fold(keys, purpose).numpy()
        )
    np.testing.assert_array_equal(
        jax.jit(lambda key: jax_views.uniform(key, 0.1, 3.0))(keys),
        randomness.uniform(keys, 0.1, 3.0).numpy(),
    )
    for count in (2, 9, 11, 256):
        np.testing.assert_array_equal(
            jax_views.integers(keys, count), randomness.integers(keys, count).numpy()
        )
    for alpha in (0.2, 1.0, 5.0):
        np.testing.assert_allclose(
            jax_views.beta(keys, alpha), randomness.beta(keys, alpha).numpy(), atol=1e-6
        )
        for count in (2, 3):
            np.testing.assert_allclose(
                jax_views.dirichlet(keys, alpha, count),
                randomness.dirichlet(keys, alpha, count).numpy(),
                atol=2e-6,
            )


def test_the_operations_are_the_same_in_the_same_order():
    for name, operations in jax_views.OPERATIONS.items():
        assert operations == OPERATION_SETS[name]


def test_crop_and_flip_are_equal(images):
    (ours,), (made,) = both(images, num_views=0)
    np.testing.assert_array_equal(made, ours)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"severity": 10.0, "max_depth": 3},
        {"severity": 1.0, "alpha": 0.4, "operations": "augmix"},
        {"mixing": "linear"},
        {"weights": "independent", "alpha": 2.0},
        {"num_chains": 3, "alpha": 0.5},
        {
            "mixing": "augmix",
            "operations": "augmix",
            "severity": 3.0,
            "alpha": 1.0,
            "num_chains": 3,
            "max_depth": 3,
        },
    ],
    ids=str,
)
def test_views_equal_the_layers(images, settings):
    """A few pixels may differ: where float32 rounds otherwise, a value is cut to one level less."""
    ours, made = both(images, **settings)
    np.testing.assert_array_equal(made[0], ours[0])
    assert not np.array_equal(made[1], made[2])
    for view, wanted in zip(made[1:], ours[1:], strict=True):
        difference = np.abs(view - wanted)
        assert (difference > 1e-3).mean() < 2e-3
        # a later operation, equalize above all, or a weight above 1 may enlarge a level
        assert (difference > 1.001).mean() < 1e-4
        changed = np.abs(wanted - ours[0]).mean(axis=(1, 2, 3)) > 1
        assert changed.mean() > 0.5  # there was something to be equal in


@pytest.mark.parametrize("name", jax_views.OPERATIONS["standard"])
def test_each_operation_within_one_level(images, name):
    """Alone, at every strength, each operation is the layer's to one grey level."""
    from dynmix_tf.layers.operations import OPERATION_LAYERS

    strength = np.linspace(0.1, 10, COUNT).astype("float32")
    negative = np.arange(COUNT) % 2 == 1
    layer = OPERATION_LAYERS[name](severity=10.0)
    drawn = {"strength": tf.constant(strength), "negative": tf.constant(negative)}
    wanted = layer.transform_images(tf.constant(images), drawn).numpy().astype(int)
    number = np.full(COUNT, jax_views.OPERATIONS["standard"].index(name))
    apply = jax.jit(jax.vmap(jax_views.JaxViews()._apply))
    made = np.asarray(apply(images, number, strength, np.where(negative, -1.0, 1.0))).astype(int)
    difference = np.abs(made - wanted)
    if name == "equalize":
        assert difference.max() == 0
    inside = difference <= 1
    assert inside.mean() > 0.9999  # a point on the image's very border may fall outside
    assert (difference > 0).mean() < 0.02


def test_one_view_without_the_original(images):
    made = jax_views.JaxViews(1, original=False)(
        images[:4], jax_views.example_keys(0, np.arange(4))
    )
    assert len(made) == 1


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"operations": "imagenet"}, "unknown set of operations in JAX 'imagenet'"),
        ({"mixing": "quadratic"}, "`mixing`"),
        ({"num_views": 0, "original": False}, "nothing to make"),
    ],
)
def test_what_is_not_here_is_told(settings, told):
    with pytest.raises(InputError, match=told):
        jax_views.JaxViews(**settings)
