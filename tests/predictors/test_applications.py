"""Networks of `keras.applications` with weights from a file, against Keras alone."""

from __future__ import annotations

import keras
import numpy as np
import pytest

import dynmix_tf
from dynmix_tf import predictors
from dynmix_tf.errors import InputError
from dynmix_tf.predictors import applications


@pytest.fixture(scope="module")
def images():
    return dynmix_tf.data.load("photos", num_train=1, num_test=9, image_size=64).test_images


@pytest.fixture(scope="module")
def weights(tmp_path_factory, images):
    """Of MobileNetV2 as Keras makes it, with a softmax; in three formats."""
    keras.utils.set_random_seed(2)
    network = keras.applications.MobileNetV2((64, 64, 3), weights=None)
    prepared = keras.applications.mobilenet_v2.preprocess_input(images.astype("float32"))
    features = keras.Model(network.inputs, network.layers[-2].output)
    kernel, _ = network.layers[-1].get_weights()
    logits = features.predict(prepared, verbose=0) @ kernel
    scale = 2 / logits.std(axis=0).mean()  # or all would be equally likely
    network.layers[-1].set_weights([scale * kernel, -scale * logits.mean(axis=0)])
    folder = tmp_path_factory.mktemp("weights")
    network.save(folder / "mobilenet.keras")
    network.save(folder / "mobilenet.h5")  # as the published files
    network.save_weights(folder / "mobilenet.weights.h5")
    return folder, network.predict(prepared, verbose=0)


@pytest.mark.parametrize("name", ["mobilenet.weights.h5", "mobilenet.h5", "mobilenet.keras"])
def test_an_application_scores_as_keras_does(name, weights, images):
    folder, expected = weights
    predict = predictors.load_predictor(
        "applications:MobileNetV2", weights=folder / name, image_size=64
    )
    got = predict(images)
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-5)
    np.testing.assert_array_equal(got.argmax(axis=1), expected.argmax(axis=1))
    assert len(set(got.argmax(axis=1))) > 3 and got.shape == (9, 1000)
    if name == "mobilenet.keras":  # the same without its preprocessing is something else
        bare = predictors.load_predictor(folder / name, output="probabilities")
        assert np.abs(bare(images) - expected).max() > 0.01
        right = predictors.load_predictor(
            folder / name, output="probabilities", value_range=(-1, 1)
        )
        np.testing.assert_allclose(right(images), expected, rtol=0, atol=1e-5)


def test_preprocessing_is_that_of_the_family():
    """By what each does to one pixel."""
    pixel = np.array([[[[0.0, 51.0, 255.0]]]], "float32")
    kinds = {
        "bgr": [255 - 103.939, 51 - 116.779, 0 - 123.68],
        "unit": [-1, -0.6, 1],
        "torch": [-0.485 / 0.229, (0.2 - 0.456) / 0.224, (1 - 0.406) / 0.225],
        "inside": [0, 51, 255],
    }
    families = {
        "bgr": ["ResNet50", "ResNet152", "VGG16", "VGG19"],
        "unit": ["ResNet50V2", "InceptionV3", "InceptionResNetV2", "Xception", "MobileNet"]
        + ["MobileNetV2", "NASNetMobile", "NASNetLarge"],
        "torch": ["DenseNet121", "DenseNet201"],
        "inside": ["EfficientNetB0", "EfficientNetV2S", "ConvNeXtTiny", "MobileNetV3Small"],
    }
    for kind, names in families.items():
        for name in names:
            got = applications._module(name).preprocess_input(pixel.copy())
            np.testing.assert_allclose(got[0, 0, 0], kinds[kind], atol=1e-4, err_msg=name)
    for name in applications.application_names():
        assert hasattr(applications._module(name), "preprocess_input")


def test_mistakes_are_told_in_one_line(weights, tmp_path):
    folder, _ = weights
    good = folder / "mobilenet.weights.h5"
    (tmp_path / "junk.weights.h5").write_bytes(b"no HDF5")
    for name, path, told in (
        ("MobileNetV2", None, "applications:MobileNetV2 needs `weights`"),
        ("MobileNetV2", tmp_path / "absent.h5", "no weights at .*absent.h5; expected a file"),
        ("MobileNetV2", tmp_path, "no weights at"),
        (
            "MobilNetV2",
            good,
            "unknown network of keras.applications .*; did you mean 'MobileNetV2'",
        ),
        ("MobileNet", good, "holds no weights for MobileNet: "),
        ("MobileNet", folder / "mobilenet.h5", "holds no weights for MobileNet: "),
        ("MobileNetV2", tmp_path / "junk.weights.h5", "junk.weights.h5 holds no weights for"),
    ):
        with pytest.raises(InputError, match=told) as error:
            predictors.load_predictor(f"applications:{name}", weights=path)
        assert "\n" not in str(error.value) and len(str(error.value)) < 1500
    with pytest.raises(InputError, match="MobileNetV2 cannot be made: "):
        predictors.load_predictor("applications:MobileNetV2", weights=good, image_size=8)
    with pytest.raises(InputError, match="`image_size` must be a whole number"):
        predictors.load_predictor("applications:MobileNetV2", weights=good, image_size=0)
    with pytest.raises(InputError, match="`value_range` does nothing with applications:Mob"):
        predictors.load_predictor("applications:MobileNetV2", weights=good, value_range=(0, 1))
