import os
import subprocess
import sys

import keras
import numpy as np
import pytest

from dynmix_tf import models
from dynmix_tf.errors import InputError

SIDES = {name: {"resnet50": 64, "alexnet": 224}.get(name, 32) for name in models.names()}


@pytest.fixture(scope="module")
def networks():
    return {name: models.build(name, (side, side, 3), seed=0) for name, side in SIDES.items()}


def trainable(network):
    return sum(int(np.prod(weight.shape)) for weight in network.trainable_weights)


@pytest.mark.parametrize("name", models.names())
def test_takes_bytes_or_floats_and_returns_float32_logits(networks, photo_crops, name):
    images = photo_crops(SIDES[name], 4)
    logits = keras.ops.convert_to_numpy(networks[name](images))
    assert logits.shape == (4, 10)
    assert logits.dtype == np.float32
    assert logits.min() < 0  # no softmax
    np.testing.assert_array_equal(logits, networks[name](images.astype(np.float32)))
    assert networks[name].name == name


@pytest.mark.parametrize("name", models.names())
def test_pixels_are_normalised_inside(networks, photo_crops, name):
    images = photo_crops(SIDES[name], 2)
    mean, deviation = np.float64(0.5), np.float64(0.5)
    if name in ("resnet50", "alexnet"):
        mean, deviation = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    first = keras.Model(networks[name].input, networks[name].layers[1].output)
    np.testing.assert_allclose(first(images), (images / 255 - mean) / deviation, atol=1e-5)


@pytest.mark.parametrize("name", ["small_cnn", "wrn_10_1"])
def test_the_seed_decides_the_weights(name):
    same, again, other = (models.build(name, seed=seed).get_weights() for seed in (3, 3, 4))
    for first, second in zip(same, again, strict=True):
        np.testing.assert_array_equal(first, second)
    kernels = [(a, b) for a, b in zip(same, other, strict=True) if a.ndim > 1]
    assert all((a != b).all() for a, b in kernels)


def test_without_a_seed_every_build_differs():
    first, second = (models.build("small_cnn").get_weights()[0] for _ in range(2))
    assert (first != second).all()


def test_no_two_layers_share_their_draws(networks):
    layers = [layer for layer in networks["wrn_40_2"].layers if "_conv2" in layer.name]
    kernels = [keras.ops.convert_to_numpy(layer.kernel).ravel()[:1000] for layer in layers]
    correlations = np.corrcoef(kernels)[np.triu_indices(len(kernels), 1)]
    assert np.abs(correlations).max() < 0.2


@pytest.mark.parametrize("name", models.names())
def test_constants_of_the_layers(networks, name):
    for layer in networks[name].layers:
        if isinstance(layer, keras.layers.Conv2D):
            assert layer.use_bias == (name in ("allconvnet", "alexnet"))
            assert not layer.use_bias or not np.any(layer.bias)
            kernel = keras.ops.convert_to_numpy(layer.kernel)
            deviation = np.sqrt(2 / (kernel.shape[0] * kernel.shape[1] * kernel.shape[3]))
            # Five standard errors of a sample deviation.
            assert kernel.std() == pytest.approx(deviation, rel=5 / np.sqrt(2 * kernel.size))
        if isinstance(layer, keras.layers.BatchNormalization):
            assert (layer.epsilon, layer.momentum) == (1e-5, 0.9)
        if isinstance(layer, keras.layers.Dense):
            kernel, bias = layer.get_weights()
            limit = np.float32(1 / np.sqrt(kernel.shape[0]))
            assert 0.9 * limit < np.abs(kernel).max() <= limit
            assert not bias.any()


@pytest.mark.parametrize(
    ("name", "ten", "hundred"),
    [
        ("allconvnet", 1_409_674, 1_427_044),
        ("densenet_40_12", 1_059_298, 1_100_428),
        ("densenet_bc_100_12", 769_162, 800_032),
        ("resnext29_4x32d", 6_807_882, 6_900_132),
    ],
)
def test_parameters_are_those_of_the_reference_code(networks, name, ten, hundred):
    assert trainable(networks[name]) == ten
    assert trainable(models.build(name, num_classes=100)) == hundred


@pytest.mark.parametrize(("name", "thousand"), [("resnet50", 25_557_032), ("alexnet", 61_100_840)])
def test_parameters_are_those_of_torchvision(name, thousand):
    assert trainable(models.build(name, (224, 224, 3), num_classes=1000)) == thousand


def test_features_of_32_px_images(networks):
    for name, features in {
        "allconvnet": (8, 192), "densenet_40_12": (8, 456), "densenet_bc_100_12": (8, 342),
        "resnext29_4x32d": (8, 1024),
    }.items():  # fmt: skip
        pool = networks[name].get_layer("global_pool")
        assert pool.input.shape[1:] == (features[0], features[0], features[1])


def test_allconvnet_averages_the_top_left_8_px(networks):
    assert networks["allconvnet"].get_layer("stage3_conv3").output.shape[1:3] == (10, 10)
    rows = np.arange(10.0)[None, :, None, None] + np.zeros((1, 10, 10, 192))
    assert float(networks["allconvnet"].get_layer("top_left")(rows)[0].numpy().max()) == 7


def test_small_cnn_parameters(networks):
    convolutions = 9 * (3 * 16 + 16 * 32 + 32 * 64 + 64 * 128)
    norms = 2 * (16 + 32 + 64 + 128)
    assert trainable(networks["small_cnn"]) == convolutions + norms + 128 * 10 + 10


def test_mixed_precision_returns_float32_and_keeps_the_grey_levels(photo_crops):
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        network = models.build("small_cnn", seed=0)
    finally:
        keras.config.set_dtype_policy(policy)
    assert network.get_layer("conv1").compute_dtype == "bfloat16"
    assert network.get_layer("rescaling").compute_dtype == "float32"
    images = photo_crops(32, 4)
    logits = keras.ops.convert_to_numpy(network(images))
    assert logits.dtype == np.float32
    expected = models.build("small_cnn", seed=0)(images)
    np.testing.assert_allclose(logits, expected, atol=0.05)


def test_any_size_and_any_channels():
    network = models.build("small_cnn", input_shape=(None, None, 1), num_classes=3)
    for shape in ((2, 28, 28, 1), (2, 40, 33, 1)):
        assert network(np.zeros(shape, np.uint8)).shape == (2, 3)


def test_saved_network_loads_without_this_package(networks, photo_crops, tmp_path):
    images = photo_crops(32, 4)
    np.save(tmp_path / "images.npy", images)
    for name in ("small_cnn", "wrn_16_4"):
        networks[name].save(tmp_path / f"{name}.keras")
    code = """
import sys, keras, numpy as np
images = np.load("images.npy")
for name in ("small_cnn", "wrn_16_4"):
    network = keras.saving.load_model(f"{name}.keras", safe_mode=True)
    np.save(f"{name}.npy", network(images))
sys.exit("dynmix_tf" in sys.modules)
"""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, check=True)
    for name in ("small_cnn", "wrn_16_4"):
        expected = keras.ops.convert_to_numpy(networks[name](images))
        np.testing.assert_allclose(np.load(tmp_path / f"{name}.npy"), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "convolutions", "features"),
    [
        ("densenet_10_4", 9, 32),
        ("densenet_bc_16_4", 15, 16),
        ("resnext29_2x8d", 31, 1024),
    ],
)
def test_other_sizes(name, convolutions, features):
    network = models.build(name, (32, 32, 3))
    found = [layer for layer in network.layers if isinstance(layer, keras.layers.Conv2D)]
    assert len(found) == convolutions and network.name == name
    assert network.layers[-1].kernel.shape == (features, 10)
    if name.startswith("resnext"):
        middle = [layer for layer in found if layer.groups == 2]
        assert [layer.filters for layer in middle] == [16] * 3 + [32] * 3 + [64] * 3


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("small_cn", "unknown model 'small_cn'; did you mean 'small_cnn'"),
        ("resnet", "unknown model 'resnet'; did you mean 'resnet50'"),
        ("wrn_40", "unknown model 'wrn_40'"),
        ("wrn_40_2_1", "unknown model"),
        ("WRN_40_2", "unknown model"),
        ("wrn_41_2", "must be 6n . 4 .10, 16, 22, ....*Received: 41"),
        ("densenet_41_12", "must be 3n . 4 .7, 10, 13, ....*Received: 41"),
        ("densenet_bc_40_0", "the numbers of densenet_bc_<depth>_<growth> must be 1 or more"),
        ("resnext29_0x4d", "the numbers of resnext29_<groups>x<width>d must be 1 or more"),
        ("wrn_4_2", "Received: 4"),
        ("wrn_16_0", "numbers of wrn_<depth>_<width> must be 1 or more"),
    ],
)
def test_bad_names(name, message):
    for check in (models.check_name, models.build):
        with pytest.raises(InputError, match=message):
            check(name)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"input_shape": (32, 32)}, "`input_shape`"),
        ({"input_shape": (7, 32, 3)}, "8 px or more"),
        ({"input_shape": (32, 32, 0)}, "`input_shape`"),
        ({"input_shape": (32, 32, None)}, "`input_shape`"),
        ({"num_classes": 1}, "`num_classes` must be 2 or more"),
        ({"seed": -1}, "`seed` must be 0 or more"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(InputError, match=message):
        models.build("small_cnn", **arguments)


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        ("allconvnet", (23, 32, 3), "'allconvnet' must be .* 24 px or more"),
        ("resnet50", (31, 31, 3), "32 px or more"),
        ("resnet50", (32, 32, 1), "red, green and blue"),
        ("alexnet", (256, 256, 3), "224 x 224 px"),
        ("alexnet", (None, None, 3), "224 x 224 px"),
    ],
)
def test_sizes_that_a_network_does_not_take(name, shape, message):
    with pytest.raises(InputError, match=message):
        models.build(name, shape)


def test_names_are_checked_without_keras():
    code = (
        "import sys; from dynmix_tf import models; models.check_name('wrn_28_10'); "
        "models.names(); sys.exit(bool({'tensorflow', 'keras'} & set(sys.modules)))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
