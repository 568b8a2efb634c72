"""The attack against arithmetic written from its definition, and the training on it."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from dynmix_tf import AdversarialModel, ConsistencyModel, data, models
from dynmix_tf.checkpoint import restore_checkpoint, save_checkpoint
from dynmix_tf.errors import InputError
from dynmix_tf.optimizers import CoupledSGD


@pytest.fixture(scope="module")
def photos():
    return data.load("photos", num_train=48, num_test=18)


def linear(seed=0):
    layer = keras.layers.Dense(
        9, kernel_initializer=keras.initializers.RandomNormal(stddev=1e-3, seed=seed)
    )
    return keras.Sequential([keras.Input((32, 32, 3)), keras.layers.Flatten(), layer])


def attacked(network, photos, **settings):
    model = AdversarialModel(network, seed=3, **settings)
    images = model.attack(photos.train_images[:16], photos.train_labels[:16])
    return keras.ops.convert_to_numpy(images)


@pytest.mark.parametrize("epsilon, step_size, num_steps", [(8, 2, 10), (4, 3, 2), (30, 1, 1)])
def test_the_attack_is_projected_gradient_descent(photos, epsilon, step_size, num_steps):
    network = linear()
    settings = {"epsilon": epsilon, "step_size": step_size}
    images = photos.train_images[:16].astype("float64")
    truth = np.eye(9)[photos.train_labels[:16]]
    kernel = network.get_weights()[0].astype("float64")
    place = attacked(network, photos, num_steps=0, **settings).astype("float64")
    noise = place - np.clip(place, images - epsilon, images + epsilon)
    assert np.abs(noise).max() < 1e-4 and np.abs(place - images).max() > 0.9 * epsilon
    for _ in range(num_steps):
        logits = place.reshape(16, -1) @ kernel
        p = np.exp(logits - logits.max(axis=1, keepdims=True))
        p /= p.sum(axis=1, keepdims=True)
        gradient = ((p - truth) @ kernel.T).reshape(images.shape)
        place = np.clip(place + step_size * np.sign(gradient), images - epsilon, images + epsilon)
        place = np.clip(place, 0, 255)
    got = attacked(network, photos, num_steps=num_steps, **settings)
    assert (np.abs(got - place) < 1e-3).mean() > 0.999  # a gradient near 0 may round to either sign


def test_the_attack_raises_the_loss_inside_the_ball(photos):
    network = models.build("small_cnn", num_classes=9, seed=0)
    trained(ConsistencyModel(network, "none"), photos, epochs=8)
    before = network.get_weights()
    labels = photos.train_labels[:16]
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    images = attacked(network, photos)
    assert np.abs(images - photos.train_images[:16]).max() <= 8
    assert images.min() >= 0 and images.max() <= 255
    clean, noisy, worst = (
        float(loss(labels, network.predict_on_batch(batch)))
        for batch in (photos.train_images[:16], attacked(network, photos, num_steps=0), images)
    )
    assert worst > clean + 0.2 and worst > noisy + 0.2
    for got, want in zip(network.get_weights(), before, strict=True):
        np.testing.assert_array_equal(got, want)


def trained(model, photos, epochs=1):
    model.compile(CoupledSGD(0.05))
    model.optimizer.build(model.trainable_variables)
    history = model.fit(
        photos.train_images, photos.train_labels, 16, epochs, shuffle=False, verbose=0
    )
    return history.history, model.network.get_weights()


def test_without_an_attack_it_is_ordinary_training(photos):
    build = lambda: models.build("small_cnn", num_classes=9, seed=0)  # noqa: E731
    _, ordinary = trained(ConsistencyModel(build(), "none"), photos)
    _, ball_of_nothing = trained(AdversarialModel(build(), epsilon=0, num_steps=2), photos)
    _, adversarial = trained(AdversarialModel(build(), num_steps=2, seed=0), photos)
    for got, want in zip(ball_of_nothing, ordinary, strict=True):
        np.testing.assert_allclose(got, want, atol=1e-5)
    assert any(
        np.abs(got - want).max() > 1e-3 for got, want in zip(adversarial, ordinary, strict=True)
    )


def test_evaluation_does_not_attack_and_training_learns(photos):
    model = AdversarialModel(models.build("small_cnn", num_classes=9, seed=0), 4, 2, 2, seed=0)
    history, _ = trained(model, photos, epochs=6)
    assert history["loss"][-1] < 0.8 * history["loss"][0]
    assert history.keys() == {"loss", "ce", "accuracy"}
    once, again = (
        model.evaluate(photos.test_images, photos.test_labels, verbose=0, return_dict=True)
        for _ in range(2)
    )
    assert once == again and "js" not in once


def test_the_random_starts_continue_from_a_checkpoint(photos, tmp_path):
    def model():
        made = AdversarialModel(models.build("small_cnn", num_classes=9, seed=0), 8, 2, 1, seed=5)
        return made

    first = model()
    trained(first, photos)
    save_checkpoint(tmp_path / "last.npz", first, 1)
    _, straight = trained(first, photos)
    second = model()
    second.compile(CoupledSGD(0.05))
    second.optimizer.build(second.trainable_variables)
    restore_checkpoint(tmp_path / "last.npz", second)
    second.compile(CoupledSGD(0.05))  # as the first was compiled again, momentum anew
    _, resumed = trained(second, photos)
    for got, want in zip(resumed, straight, strict=True):
        np.testing.assert_allclose(got, want, atol=1e-6)


def test_it_is_saved_whole(photos, tmp_path):
    model = AdversarialModel(linear(), 6, 1.5, 4, seed=2, label_smoothing=0.1)
    model.compile(CoupledSGD(0.05))
    model.optimizer.build(model.trainable_variables)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert isinstance(loaded, AdversarialModel)
    names = ("epsilon", "step_size", "num_steps", "seed", "label_smoothing")
    assert [getattr(loaded, n) for n in names] == [getattr(model, n) for n in names]
    np.testing.assert_array_equal(
        loaded.attack(photos.train_images[:4], photos.train_labels[:4]),
        model.attack(photos.train_images[:4], photos.train_labels[:4]),
    )


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"epsilon": -1}, "`epsilon` must be in"),
        ({"epsilon": 300}, "`epsilon` must be in"),
        ({"step_size": "2"}, "`step_size` must be in"),
        ({"num_steps": 2.5}, "`num_steps` must be a whole number"),
    ],
)
def test_settings_out_of_range(settings, message):
    with pytest.raises(InputError, match=message):
        AdversarialModel(linear(), **settings)
