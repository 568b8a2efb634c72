import keras
import numpy as np
import pytest

from dynmix_tf import ConsistencyModel, load_model, models
from dynmix_tf.errors import InputError
from dynmix_tf.optimizers import CoupledSGD


@pytest.fixture
def backbone():
    return keras.applications.MobileNetV2((32, 32, 3), alpha=0.35, weights=None, include_top=False)


def own(activation=None):
    return keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Flatten(),
            keras.layers.Dense(5, activation=activation, name="scores"),
        ]
    )


def test_a_backbone_trains_with_the_method_and_is_saved(backbone, photo_crops, tmp_path):
    network = models.wrap(backbone, 10, preprocess=keras.layers.Rescaling(1 / 127.5, -1.0), seed=0)
    images = photo_crops(32, 4)
    scaled = keras.ops.convert_to_numpy(backbone(images / np.float32(127.5) - 1)).mean((1, 2))
    kernel, bias = network.get_layer("logits").get_weights()
    np.testing.assert_allclose(network(images), scaled @ kernel + bias, atol=1e-4)

    model = ConsistencyModel(network, consistency="jsd_single")
    model.compile(CoupledSGD(0.01))
    before = backbone.get_weights()
    views = (images.astype("float32"), 255 - images.astype("float32"))
    model.train_on_batch(views, np.arange(4))
    pairs = zip(before, backbone.get_weights(), strict=True)
    assert any((old != new).any() for old, new in pairs)

    network.save(tmp_path / "network.keras")
    again = load_model(tmp_path / "network.keras")
    np.testing.assert_allclose(again(images), network(images), atol=1e-5)


def test_logits_of_an_own_model_stay_as_they_are(photo_crops):
    network = own()
    images = photo_crops(8, 3)
    wrapped = models.wrap(network)
    np.testing.assert_array_equal(wrapped(images), network(images))
    assert wrapped.output_shape == (None, 5)


def test_logits_are_float32_under_mixed_precision(photo_crops):
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        wrapped = models.wrap(own())
    finally:
        keras.config.set_dtype_policy(policy)
    assert keras.ops.convert_to_numpy(wrapped(photo_crops(8, 2))).dtype == np.float32


def test_an_open_size_is_named():
    network = keras.applications.MobileNetV2(
        (None, None, 3), alpha=0.35, weights=None, include_top=False
    )
    assert models.wrap(network, 4, input_shape=(40, 40, 3)).input_shape == (None, 40, 40, 3)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: models.wrap("resnet50"), "must be a keras.Model of one image input"),
        (lambda: models.wrap(own("softmax")), "'scores' ends in a softmax"),
        (lambda: models.wrap(own(), 1), "`num_classes` must be 2 or more"),
        (lambda: models.wrap(own(), preprocess=np.sqrt), "`preprocess` must be a Keras layer"),
        (
            lambda: models.wrap(
                keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3)])
            ),
            "feature map",
        ),
        (
            lambda: models.wrap(keras.Sequential([keras.Input((7,)), keras.layers.Dense(2)])),
            "must take images",
        ),
    ],
)
def test_what_cannot_be_wrapped(make, message):
    with pytest.raises(InputError, match=message):
        make()
