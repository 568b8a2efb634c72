from __future__ import annotations

import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from dynmix_tf import models
from dynmix_tf.augment import DynamicMixup, Views
from dynmix_tf.augment.cutmix import CutMix
from dynmix_tf.augment.mixup import MixUp
from dynmix_tf.consistency import ConsistencyModel
from dynmix_tf.errors import InputError
from dynmix_tf.optimizers import CoupledSGD


def network(seed=0):
    return models.build("small_cnn", (32, 32, 3), 3, seed=seed)


@pytest.fixture(scope="module")
def views_and_labels(photo_crops):
    images = photo_crops(32, 24)
    views = Views(DynamicMixup(), 2)(images, seed=(1, 2))
    return tuple(view.numpy() for view in views), (np.arange(24) % 3).astype("int32")


def softmax(logits):
    p = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return p / p.sum(axis=-1, keepdims=True)


@pytest.mark.parametrize(("consistency", "count"), [("jsd", 3), ("jsd_single", 2)])
def test_loss_is_ce_of_the_original_plus_lambda_js(views_and_labels, consistency, count):
    views, labels = views_and_labels
    views = views[:count]
    model = ConsistencyModel(network(), consistency, consistency_weight=7.0)
    model.compile(CoupledSGD(0.0))
    # the logits as training sees them: BatchNorm over all views at once
    logits = model.network(np.concatenate(views), training=True).numpy()
    p = softmax(logits.astype(np.float64)).reshape(count, 24, 3)
    ce = -np.log(p[0, np.arange(24), labels])
    mean = p.mean(axis=0)
    js = np.mean([(q * np.log(q / mean)).sum(axis=1) for q in p], axis=0)
    logs = model.train_on_batch(views, labels, return_dict=True)
    assert logs["ce"] == pytest.approx(ce.mean(), rel=1e-4)
    assert logs["js"] == pytest.approx(js.mean(), rel=1e-3, abs=2e-6)
    assert logs["loss"] == pytest.approx(ce.mean() + 7 * js.mean(), rel=1e-4)
    assert logs["accuracy"] == pytest.approx((p[0].argmax(axis=1) == labels).mean())


def test_gradient_is_that_of_the_formula(views_and_labels):
    views, labels = views_and_labels
    stepped = ConsistencyModel(network(), "jsd", 12.0)
    stepped.compile(CoupledSGD(0.1, momentum=0.0, nesterov=False))
    by_hand = network()
    with tf.GradientTape() as tape:
        logits = tf.split(by_hand(np.concatenate(views), training=True), 3)
        p = [tf.nn.softmax(x) for x in logits]
        mean = tf.add_n(p) / 3
        js = tf.add_n([tf.reduce_sum(q * tf.math.log(q / mean), axis=1) for q in p]) / 3
        ce = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits[0])
        loss = tf.reduce_mean(ce) + 12 * tf.reduce_mean(js)
    gradients = tape.gradient(loss, by_hand.trainable_variables)
    stepped.train_on_batch(views, labels)
    pairs = zip(stepped.network.trainable_variables, by_hand.trainable_variables, strict=True)
    for (got, start), gradient in zip(pairs, gradients, strict=True):
        np.testing.assert_allclose(got, start - 0.1 * gradient, atol=2e-5)


def test_none_is_plain_training(views_and_labels):
    (images, *_), labels = views_and_labels
    model = ConsistencyModel(network(), "none")
    model.compile(CoupledSGD(0.1))
    plain = network()
    plain.compile(CoupledSGD(0.1), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    for _ in range(3):
        logs = model.train_on_batch(images, labels, return_dict=True)
        plain.train_on_batch(images, labels)
    assert set(logs) == {"loss", "ce", "accuracy"}
    for got, want in zip(model.network.weights, plain.weights, strict=True):
        np.testing.assert_allclose(got, want, atol=1e-5)


def test_fit_evaluate_predict(views_and_labels, photo_crops):
    images, labels = photo_crops(32, 24), views_and_labels[1]
    model = ConsistencyModel(network())
    model.compile(CoupledSGD(0.01))
    ds = tf.data.Dataset.from_tensor_slices((images, labels)).batch(8)
    history = model.fit(
        Views(DynamicMixup()).over(ds), epochs=2, verbose=0, shuffle=False, validation_data=ds
    )
    names = {"loss", "ce", "js", "accuracy", "val_loss", "val_ce", "val_accuracy"}
    assert set(history.history) == names
    assert model.predict(images, verbose=0).shape == (24, 3)
    scores = model.evaluate(ds, verbose=0, return_dict=True)
    one_hot = model.evaluate(images, np.eye(3)[labels], verbose=0, return_dict=True)
    assert set(scores) == {"loss", "ce", "accuracy"}
    assert scores["loss"] == pytest.approx(one_hot["loss"], rel=1e-5)


def test_penalties_of_the_network_count(views_and_labels):
    (images, *_), labels = views_and_labels
    inputs = keras.Input((32, 32, 3))
    x = keras.layers.GlobalAveragePooling2D()(inputs)
    outputs = keras.layers.Dense(3, kernel_regularizer=keras.regularizers.L2(10.0))(x)
    model = ConsistencyModel(keras.Model(inputs, outputs), "none")
    model.compile(CoupledSGD(0.0))
    logs = model.train_on_batch(images, labels, return_dict=True)
    penalty = 10 * float(np.square(model.network.layers[-1].kernel.numpy()).sum())
    assert logs["loss"] - logs["ce"] == pytest.approx(penalty, rel=1e-4)


def test_saved_and_loaded_it_trains_on_as_before(tmp_path, views_and_labels):
    views, labels = views_and_labels
    views = views[:2]
    model = ConsistencyModel(network(), "jsd_single", 3.0)
    model.compile(CoupledSGD(0.05, l2=5e-4))
    model.train_on_batch(views, labels)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert (again.consistency, again.consistency_weight) == ("jsd_single", 3.0)
    for each in (model, again):
        each.train_on_batch(views, labels)  # the momentum has come along
    for got, want in zip(again.network.weights, model.network.weights, strict=True):
        np.testing.assert_allclose(got, want, atol=1e-7)


def test_labels_in_a_column(views_and_labels):
    """As keras.datasets.cifar10 gives them."""
    views, labels = views_and_labels
    logs = []
    for given in (labels, labels[:, None]):
        model = ConsistencyModel(network())
        model.compile(CoupledSGD(0.0))
        logs.append(model.train_on_batch(views, given, return_dict=True))
    assert logs[0] == pytest.approx(logs[1])


@pytest.mark.parametrize("layer", [MixUp(num_classes=3), CutMix(num_classes=3)])
def test_mixed_labels_train_by_cross_entropy(photo_crops, layer):
    images, labels = layer(photo_crops(32, 24), np.arange(24) % 3, seed=(1, 2))
    assert (labels.numpy().max(axis=1) < 1).sum() > 8
    model = ConsistencyModel(network(), "none")
    model.compile(CoupledSGD(0.01))
    p = softmax(model.network(images, training=True).numpy().astype(np.float64))
    ce = -(labels.numpy() * np.log(p)).sum(axis=1)
    logs = model.train_on_batch(images, labels, return_dict=True)
    assert logs["loss"] == pytest.approx(ce.mean(), rel=1e-4)
    assert logs["ce"] == pytest.approx(ce.mean(), rel=1e-4)
    right = p.argmax(axis=1) == labels.numpy().argmax(axis=1)
    assert logs["accuracy"] == pytest.approx(right.mean())
    again = [model.train_on_batch(images, labels, return_dict=True)["loss"] for _ in range(8)]
    assert again[-1] < logs["loss"]


def test_mixup_over_a_data_set_trains(photo_crops):
    ds = tf.data.Dataset.from_tensor_slices((photo_crops(32, 24), np.arange(24) % 3)).batch(8)
    views = Views(MixUp(num_classes=3), 1, original=False)
    model = ConsistencyModel(network(), "none")
    model.compile(CoupledSGD(0.01))
    history = model.fit(views.over(ds), epochs=2, verbose=0, shuffle=False, validation_data=ds)
    assert np.isfinite(history.history["loss"]).all() and len(history.history["val_ce"]) == 2


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision(policy, views_and_labels):
    views, labels = views_and_labels
    keras.config.set_dtype_policy(policy)
    try:
        model = ConsistencyModel(network())
        model.compile(CoupledSGD(0.01))
        losses = [model.train_on_batch(views, labels, return_dict=True)["loss"] for _ in range(8)]
    finally:
        keras.config.set_dtype_policy("float32")
    assert np.isfinite(losses).all() and losses[-1] < losses[0]


def test_bad_arguments_are_named(views_and_labels):
    views, labels = views_and_labels
    with pytest.raises(InputError, match="unknown `consistency` 'jds'; did you mean 'jsd'"):
        ConsistencyModel(network(), "jds")
    with pytest.raises(InputError, match="must be 0 or more"):
        ConsistencyModel(network(), consistency_weight=-1)
    with pytest.raises(InputError, match="built keras.Model"):
        ConsistencyModel(keras.Sequential([keras.layers.Dense(3)]))
    for last, told in (
        (keras.layers.Softmax(), "ends in a softmax"),
        (keras.layers.Dense(3, activation="softmax"), "ends in a softmax"),
        (keras.layers.Dense(1), r"two or more. Received: an output of shape \(None, 1\)"),
    ):
        with pytest.raises(InputError, match=told):
            ConsistencyModel(keras.Sequential([network(), last]))
    model = ConsistencyModel(network())
    with pytest.raises(InputError, match="own loss and metrics"):
        model.compile("sgd", loss="mse")
    model.compile("sgd")
    with pytest.raises(
        InputError,
        match=r"trains on 3 views. Received: 1; make \(\(original, view_1, view_2\), labels\) .*"
        "MixUp and CutMix make, train with consistency='none'",
    ):
        model.train_on_batch(views[0], labels)
    single = ConsistencyModel(network(), "jsd_single")
    single.compile("sgd")
    with pytest.raises(InputError, match=r"2 views. Received: 3; make \(\(original, view_1\), lab"):
        single.train_on_batch(views, labels)
    none = ConsistencyModel(network(), "none")
    none.compile("sgd")
    with pytest.raises(InputError, match=r"1 views. Received: 3; give \(images, labels\), or"):
        none.train_on_batch(views, labels)


def test_labels_of_another_number_of_classes_are_named(views_and_labels):
    (images, *_), labels = views_and_labels
    mixed = MixUp(num_classes=10)(images, labels)
    model = ConsistencyModel(network(), "none")
    model.compile("sgd")
    message = r"the network has 3 classes. Received: shape=\(.*, 10\)"
    with pytest.raises(InputError, match=message):
        model.train_on_batch(*mixed)
    with pytest.raises(InputError, match=message):
        model.evaluate(*mixed, verbose=0)


TWO_REPLICAS = """
import sys, json
import numpy as np, tensorflow as tf, keras
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from dynmix_tf.consistency import ConsistencyModel
from dynmix_tf.distribution import make_strategy
from dynmix_tf.optimizers import CoupledSGD
data = np.load(sys.argv[1])
def weights(strategy):
    with strategy.scope():
        keras.utils.set_random_seed(0)
        inputs = keras.Input((32, 32, 3))
        x = keras.layers.Rescaling(1 / 127.5, -1)(inputs)
        x = keras.layers.Conv2D(8, 3, strides=2, activation="relu")(x)
        x = keras.layers.GlobalAveragePooling2D()(x)
        dense = keras.layers.Dense(3, kernel_regularizer=keras.regularizers.L2(0.1))
        model = ConsistencyModel(keras.Model(inputs, dense(x)))
        model.compile(CoupledSGD(0.1, l2=5e-4))
    views = tuple(data[f"view{i}"] for i in range(3))
    ds = tf.data.Dataset.from_tensor_slices((views, data["labels"])).batch(12).repeat()
    logs = model.fit(ds, steps_per_epoch=5, epochs=1, verbose=0).history
    return [w.numpy() for w in model.network.weights], {k: v[0] for k, v in logs.items()}
one, one_logs = weights(make_strategy("one_device", 12))
mirrored = make_strategy("mirrored", 12)
two, two_logs = weights(mirrored)
refused = []
with mirrored.scope():
    model = ConsistencyModel(keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)]))
    for optimizer, options in (
        ("sgd", {"jit_compile": True}),
        ("sgd", {"steps_per_execution": 2}),
        ("sgd", {"run_eagerly": True}),
        (CoupledSGD(0.1, gradient_accumulation_steps=2), {}),
    ):
        try:
            model.compile(optimizer, **options)
        except ValueError as error:
            refused.append(str(error))
    model.compile("sgd", jit_compile="auto", steps_per_execution=1)
print(json.dumps({
    "refused": refused,
    "replicas": mirrored.num_replicas_in_sync,
    "weights": max(float(np.abs(a - b).max()) for a, b in zip(one, two)),
    "moved": max(float(np.abs(a).max()) for a in two),
    "logs": [one_logs, two_logs],
}))
"""


def test_two_replicas_are_one(tmp_path, views_and_labels):
    views, labels = views_and_labels
    path = tmp_path / "data.npz"
    np.savez(path, labels=labels, **{f"view{i}": view for i, view in enumerate(views)})
    done = subprocess.run(
        [sys.executable, "-c", TWO_REPLICAS, str(path)],
        capture_output=True, text=True, check=True, env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
    )  # fmt: skip
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["replicas"] == 2
    assert result["weights"] < 1e-5
    one, two = result["logs"]
    assert one.keys() == two.keys() == {"loss", "ce", "js", "accuracy"}
    for name in one:
        assert one[name] == pytest.approx(two[name], rel=1e-4)
    names = ["jit_compile", "steps_per_execution", "run_eagerly", "gradient_accumulation_steps"]
    assert [message.split("`")[1] for message in result["refused"]] == names
    assert all(message.endswith("on 2 replicas") for message in result["refused"])


def test_what_several_replicas_refuse_trains_on_one(views_and_labels):
    views, labels = views_and_labels
    for optimizer, options in (
        (CoupledSGD(0.1), {"jit_compile": True}),
        (CoupledSGD(0.1), {"steps_per_execution": 2}),
        (CoupledSGD(0.1, gradient_accumulation_steps=2), {}),
    ):
        model = ConsistencyModel(network())
        before = model.get_weights()
        model.compile(optimizer, **options)
        ds = tf.data.Dataset.from_tensor_slices((views, labels)).batch(12)
        logs = model.fit(ds, epochs=1, shuffle=False, verbose=0).history
        assert np.isfinite(logs["loss"][0])
        assert (before[0] != model.get_weights()[0]).any()


def test_label_smoothing_while_training_only(views_and_labels):
    views, labels = views_and_labels
    smooth, plain = (ConsistencyModel(network(), "none", label_smoothing=e) for e in (0.3, 0.0))
    for model in (smooth, plain):
        model.compile(CoupledSGD(0.0))
    logits = smooth.network(views[0], training=True).numpy().astype(np.float64)
    target = 0.7 * np.eye(3)[labels] + 0.1
    want = -(target * np.log(softmax(logits))).sum(axis=1).mean()
    logs = smooth.train_on_batch(views[0], labels, return_dict=True)
    assert logs["loss"] == pytest.approx(want, rel=1e-4)
    plain.set_weights(smooth.get_weights())
    for model in (smooth, plain):
        model.reset_metrics()
    results = [model.test_on_batch(views[0], labels, return_dict=True) for model in (smooth, plain)]
    assert results[0]["loss"] == pytest.approx(results[1]["loss"], rel=1e-5)
    assert ConsistencyModel.from_config(smooth.get_config()).label_smoothing == 0.3


@pytest.mark.parametrize("value", [-0.1, 1.0, float("nan")])
def test_label_smoothing_out_of_range(value):
    with pytest.raises(InputError, match=r"`label_smoothing` must be in \[0, 1\)"):
        ConsistencyModel(network(), label_smoothing=value)


@pytest.mark.parametrize("label", [-1, 3, 255])
def test_a_class_that_the_network_does_not_have_is_not_trained_on(views_and_labels, label):
    views, labels = views_and_labels
    model = ConsistencyModel(network())
    model.compile(CoupledSGD(0.1))
    foreign = np.where(np.arange(24) == 5, label, labels).astype("int32")
    assert np.isnan(model.train_on_batch(views, foreign, return_dict=True)["loss"])
    assert np.isnan(model.test_on_batch(views[0], foreign, return_dict=True)["loss"])
    fresh = ConsistencyModel(network())
    fresh.compile(CoupledSGD(0.1))
    assert np.isfinite(fresh.train_on_batch(views, labels, return_dict=True)["loss"])
