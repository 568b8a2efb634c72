"""Saved models of all kinds on photographs, against Keras and NumPy alone."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

import dynmix_tf
from dynmix_tf import models, predictors
from dynmix_tf.errors import InputError
from dynmix_tf.predictors.saved_models import saved_model_predictor


@pytest.fixture(scope="module")
def images():
    return dynmix_tf.data.load("photos", num_train=1, num_test=99).test_images


@pytest.fixture(scope="module")
def network():
    return models.build("small_cnn", (32, 32, 3), 9, seed=0)


def classifier(*layers):
    keras.utils.set_random_seed(1)
    return keras.Sequential(
        [
            keras.Input((32, 32, 3)),
            keras.layers.AveragePooling2D(8),
            keras.layers.Flatten(),
            *layers,
        ]
    )


def probabilities(model, images):
    """By NumPy, in double precision, of a model of logits."""
    logits = model.predict(images, verbose=0).astype("float64")
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def write(path, function, *specs):
    module = tf.Module()
    module.function = tf.function(function, input_signature=list(specs))
    tf.saved_model.save(module, str(path), signatures={"serving_default": module.function})


def image_spec(dtype="float32", shape=(None, 32, 32, 3), name="pixels"):
    return tf.TensorSpec(shape, dtype, name)


def test_export_and_keras_file_agree_on_every_image(network, images, tmp_path):
    """And with Keras itself."""
    network.save(tmp_path / "final.keras")
    dynmix_tf.export_saved_model(network, tmp_path / "export")
    ours, served = (
        np.concatenate([predict(images[:64]), predict(images[64:])])
        for predict in map(
            predictors.load_predictor, (tmp_path / "final.keras", tmp_path / "export")
        )
    )
    assert ours.dtype == served.dtype == np.float32 and ours.shape == (99, 9)
    np.testing.assert_array_equal(ours.argmax(axis=1), served.argmax(axis=1))
    np.testing.assert_allclose(ours, served, rtol=0, atol=1e-6)
    np.testing.assert_allclose(ours, probabilities(network, images), rtol=0, atol=1e-6)
    assert len(set(ours.argmax(axis=1))) > 1
    logits = saved_model_predictor(tmp_path / "export", signature="logits")
    np.testing.assert_allclose(logits(images), ours, rtol=0, atol=1e-6)


def test_what_keras_exports_scores_as_the_model(images, tmp_path):
    model = classifier(keras.layers.Rescaling(1 / 255), keras.layers.Dense(9))
    model.export(tmp_path / "logits", verbose=False)
    expected = probabilities(model, images)
    predict = predictors.load_predictor(tmp_path / "logits")
    np.testing.assert_allclose(predict(images), expected, rtol=0, atol=1e-6)
    model.add(keras.layers.Softmax())
    model.export(tmp_path / "probabilities", verbose=False)
    predict = predictors.load_predictor(tmp_path / "probabilities")
    with pytest.warns(UserWarning, match="gives probabilities where logits are expected"):
        predict(images[:9])
    np.testing.assert_allclose(predict(images), expected, rtol=0, atol=1e-6)  # told once


@pytest.mark.parametrize("last", ["dense", "activation", "softmax", "operation"])
def test_probabilities_of_a_keras_file_are_found(last, images, tmp_path):
    model = classifier(keras.layers.Rescaling(1 / 255), keras.layers.Dense(9))
    expected = probabilities(model, images)
    if last == "dense":
        model.layers[-1].activation = keras.activations.softmax
    elif last == "operation":  # which is no layer
        model = keras.Model(model.inputs, keras.ops.softmax(model.outputs[0]))
    else:
        model.add(
            keras.layers.Softmax() if last == "softmax" else keras.layers.Activation("softmax")
        )
    model.save(tmp_path / "model.keras")
    with pytest.warns(UserWarning, match="gives probabilities where logits are expected") as told:
        predict = predictors.load_predictor(tmp_path / "model.keras")
        first = predict(images)
    assert len(told) == 1
    np.testing.assert_allclose(first, expected, rtol=0, atol=1e-6)
    said = predictors.load_predictor(tmp_path / "model.keras", output="probabilities")
    np.testing.assert_array_equal(said(images), first)
    wrong = predictors.load_predictor(tmp_path / "model.keras", output="logits")
    assert wrong(images).max() < 0.5  # a softmax of a softmax, as was asked for


def test_outputs_that_are_neither(images):
    model = classifier(keras.layers.Dense(9, activation="sigmoid"))
    with pytest.raises(InputError, match="ends in a sigmoid"):
        predictors.network_predictor(model)
    predict = predictors.network_predictor(model, output="logits")
    np.testing.assert_allclose(predict(images), probabilities(model, images), atol=1e-6)
    predict = predictors.network_predictor(model, output="probabilities")
    with pytest.raises(InputError, match=r"are no probabilities: they are 0.* 'logits'|='logits'"):
        predict(images)
    with pytest.raises(InputError, match="unknown output 'logit'; did you mean 'logits'"):
        predictors.network_predictor(model, output="logit")


def test_half_precision_sums_are_probabilities(images):
    """bfloat16 has sums up to 1.01."""
    model = classifier(keras.layers.Dense(999, activation="softmax", dtype="mixed_bfloat16"))
    sums = np.asarray(model.predict(images, verbose=0), np.float32).sum(axis=1)
    assert np.abs(sums - 1).max() > 1e-3
    with pytest.warns(UserWarning, match="gives probabilities"):
        predict = predictors.network_predictor(model)
    np.testing.assert_allclose(predict(images).sum(axis=1), sums, atol=1e-5)


def test_values_of_another_range(images, tmp_path):
    inner = classifier(keras.layers.Dense(9))
    expected = probabilities(inner, images / np.float32(127.5) - 1)
    inner.save(tmp_path / "model.keras")
    inner.export(tmp_path / "export", verbose=False)
    for name in ("model.keras", "export"):
        predict = predictors.load_predictor(tmp_path / name, value_range=(-1, 1))
        np.testing.assert_allclose(predict(images), expected, rtol=0, atol=1e-6)
        with pytest.raises(InputError, match="must be two numbers, of black and of white"):
            predictors.load_predictor(tmp_path / name, value_range=(1, 0))


def test_saved_models_of_others(images, tmp_path):
    kernel = np.random.default_rng(3).normal(size=(3, 9)).astype("float32")
    write(tmp_path / "a", lambda pixels: tf.reduce_mean(pixels, [1, 2]) @ kernel, image_spec())
    expected = images.mean(axis=(1, 2)).astype("float64") / 255 @ kernel
    expected = np.exp(expected) / np.exp(expected).sum(axis=1, keepdims=True)
    predict = predictors.load_predictor(tmp_path / "a", value_range=(0, 1))
    np.testing.assert_allclose(predict(images), expected, rtol=0, atol=1e-5)
    with pytest.raises(InputError, match=r"has no endpoint 'serve' .*; its endpoints: serving_def"):
        predictors.load_predictor(tmp_path / "a", signature="serve")

    def mean(pixels):
        return tf.reduce_mean(tf.cast(pixels, "float32"), [1, 2])

    for number, (function, *specs) in enumerate(
        (
            (lambda pixels, scale: mean(pixels) * scale, image_spec(), tf.TensorSpec([], name="s")),
            (mean, image_spec("int32")),
            (mean, image_spec(shape=(8, 32, 32, 3))),
            (lambda pixels: pixels, image_spec(shape=(None, 3072))),
            (lambda pixels: {"a": mean(pixels), "b": mean(pixels)}, image_spec()),
        )
    ):
        write(tmp_path / str(number), function, *specs)
        with pytest.raises(InputError, match=r"expected one batch of images \(None, H, W, C\)"):
            predictors.load_predictor(tmp_path / str(number))
    tf.saved_model.save(tf.Module(), str(tmp_path / "nothing"))
    with pytest.raises(InputError, match="has no endpoint 'serve' or 'serving_default'.*: none"):
        predictors.load_predictor(tmp_path / "nothing")


def test_arguments_that_do_nothing_are_refused(network, tmp_path):
    network.save(tmp_path / "final.keras")
    dynmix_tf.export_saved_model(network, tmp_path / "export")
    for name, arguments in (
        ("final.keras", {"signature": "serve"}),
        ("final.keras", {"image_size": 32}),
        ("final.keras", {"weights": "w.h5"}),
        ("export", {"weights": "w.h5"}),
        ("export", {"value_range": (0, 1)}),
    ):
        with pytest.raises(InputError, match=f"`{next(iter(arguments))}` does nothing with"):
            predictors.load_predictor(tmp_path / name, **arguments)


def test_what_is_no_model_is_named(tmp_path):
    with pytest.raises(InputError, match="no model at"):
        predictors.load_predictor(tmp_path / "absent.keras")
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(InputError, match="is no model; expected a .keras file"):
        predictors.load_predictor(tmp_path / "notes.txt")
    with pytest.raises(InputError, match="is no model"):
        predictors.load_predictor(tmp_path)
    (tmp_path / "broken.keras").write_bytes(b"PK\x03\x04 no archive")
    with pytest.raises(InputError, match="is no Keras model"):
        predictors.load_predictor(tmp_path / "broken.keras")
    (tmp_path / "saved_model.pb").write_bytes(b"nothing")
    with pytest.raises(InputError, match="is no SavedModel: "):
        predictors.load_predictor(tmp_path)


def test_a_file_with_code_in_it_is_refused(tmp_path):
    classifier(keras.layers.Lambda(lambda x: x + 1)).save(tmp_path / "code.keras")
    with pytest.raises(InputError, match="is no Keras model: .*`Lambda` layer.*disallowed") as told:
        predictors.load_predictor(tmp_path / "code.keras")
    assert "\n" not in str(told.value)


def test_networks_that_take_something_else(images):
    two = [keras.Input((32, 32, 3)), keras.Input((32, 32, 3))]
    both = keras.layers.Flatten()(keras.layers.Add()(two))
    fixed = keras.Input(batch_shape=(4, 32, 32, 3))
    for network in (
        keras.Model(two, both),
        keras.Sequential([keras.Input((8,)), keras.layers.Dense(3)]),
        keras.Model(fixed, keras.layers.Flatten()(fixed)),
    ):
        with pytest.raises(InputError, match="must take one batch of images"):
            predictors.network_predictor(network)
    one = keras.Input((32, 32, 3))
    twice = predictors.network_predictor(keras.Model(one, [one, one]))
    with pytest.raises(InputError, match="the model gives 2 outputs; expected one"):
        twice(images[:2])
    named = {"name": keras.layers.GlobalAveragePooling2D()(one)}
    assert predictors.network_predictor(keras.Model(one, named))(images[:2]).shape == (2, 3)


def test_a_subclass_and_images_of_two_sizes():
    class Mean(keras.Model):
        def call(self, images):
            return keras.ops.mean(images, axis=(1, 2)) / 255

    predict = predictors.network_predictor(Mean())
    for side in (32, 48):
        images = dynmix_tf.data.load("photos", num_train=1, num_test=5, image_size=side).test_images
        means = images.mean(axis=(1, 2)) / 255
        expected = np.exp(means) / np.exp(means).sum(axis=1, keepdims=True)
        np.testing.assert_allclose(predict(images), expected, atol=1e-6)


def test_one_graph_for_batches_of_every_size(images):
    traced = []

    class Counted(keras.layers.Layer):
        def call(self, inputs):
            traced.append(inputs.shape)
            return inputs

    network = classifier(Counted(), keras.layers.Dense(9))
    traced.clear()
    predict = predictors.network_predictor(network)
    whole = predict(images)
    for batch_size in (64, 10, 1):
        parts = [predict(images[at : at + batch_size]) for at in range(0, 99, batch_size)]
        np.testing.assert_allclose(np.concatenate(parts), whole, rtol=0, atol=1e-6)
    assert len(traced) == 1
