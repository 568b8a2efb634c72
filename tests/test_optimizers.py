from __future__ import annotations

import keras
import numpy as np
import pytest

from dynmix_tf.errors import InputError
from dynmix_tf.optimizers import CoupledSGD, WarmUp, cosine_schedule, imagenet_schedule


def pytorch_sgd(weight, gradients, rates, l2, momentum=0.9):
    """torch.optim.SGD(momentum, weight_decay, nesterov=True), written from its documentation."""
    velocity = None
    for gradient, rate in zip(gradients, rates, strict=True):
        step = gradient + l2 * weight
        velocity = step if velocity is None else momentum * velocity + step
        weight = weight - rate * (step + momentum * velocity)
    return weight


@pytest.mark.parametrize("l2", [0.0, 5e-4, 0.1])
def test_constant_rate_equals_pytorch(l2):
    rng = np.random.default_rng(0)
    start, gradients = rng.normal(size=5), rng.normal(size=(20, 5))
    variable = keras.Variable(start, dtype="float32")
    optimizer = CoupledSGD(0.05, l2=l2)
    for gradient in gradients:
        optimizer.apply([keras.ops.convert_to_tensor(gradient, "float32")], [variable])
    want = pytorch_sgd(start, gradients, [0.05] * 20, l2)
    np.testing.assert_allclose(variable.numpy(), want, rtol=1e-4, atol=1e-6)


def test_it_is_not_the_decoupled_decay_of_keras():
    rng = np.random.default_rng(0)
    start, gradients = rng.normal(size=5), rng.normal(size=(20, 5))
    ends = []
    for optimizer in (
        CoupledSGD(0.05, l2=0.1),
        keras.optimizers.SGD(0.05, momentum=0.9, nesterov=True, weight_decay=0.1),
    ):
        variable = keras.Variable(start, dtype="float32")
        for gradient in gradients:
            optimizer.apply([keras.ops.convert_to_tensor(gradient, "float32")], [variable])
        ends.append(variable.numpy())
    assert np.abs(ends[0] - ends[1]).max() > 0.05


def test_cosine_equals_the_formula_of_augmix():
    schedule = cosine_schedule(0.1, steps=200)
    for step in (0, 1, 50, 100, 199, 200):
        want = 1e-6 + (0.1 - 1e-6) / 2 * (1 + np.cos(np.pi * step / 200))
        assert float(schedule(step)) == pytest.approx(want, rel=1e-4, abs=1e-8)


def test_config_comes_back():
    optimizer = CoupledSGD(cosine_schedule(0.1, 10), momentum=0.8, nesterov=False, l2=0.3)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(optimizer))
    assert again.get_config() == optimizer.get_config()


@pytest.mark.parametrize("decay", ["step", "cosine"])
@pytest.mark.parametrize("epochs", [90, 180, 100])
def test_imagenet_schedule_equals_the_formula(decay, epochs):
    schedule = imagenet_schedule(64, steps_per_epoch=7, epochs=epochs, decay=decay)
    for step in range(0, epochs * 7, 3):
        rate = 0.1 * 64 / 256
        if decay == "step":  # AugMix, imagenet.py: lr * 0.1 ** (epoch // (epochs // 3))
            want = rate * 0.1 ** (step // (epochs * 7 // 3))
        else:
            want = 1e-6 + (rate - 1e-6) / 2 * (1 + np.cos(np.pi * step / (epochs * 7)))
        want *= min(1, (step + 1) / 35)
        assert float(schedule(step)) == pytest.approx(want, rel=1e-3, abs=1e-8)


def test_warm_up_comes_back_from_its_config():
    schedule = imagenet_schedule(64, steps_per_epoch=7, decay="cosine")
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(schedule))
    assert isinstance(again, WarmUp)
    assert [float(again(n)) for n in (0, 20, 300)] == [float(schedule(n)) for n in (0, 20, 300)]


def test_schedules_that_make_no_sense():
    with pytest.raises(InputError, match="unknown `decay` 'cosin'; did you mean 'cosine'"):
        imagenet_schedule(64, 7, decay="cosin")
    with pytest.raises(InputError, match="`steps` must be a whole number, at least 1"):
        cosine_schedule(0.1, 0)
    with pytest.raises(InputError, match="`learning_rate` must be above 0"):
        cosine_schedule(0.0, 10)
    with pytest.raises(InputError, match="`l2` must be a number, 0 or more. Received: l2=-1"):
        CoupledSGD(l2=-1)
    with pytest.raises(InputError, match="Received: 5 of 5"):
        imagenet_schedule(64, 7, epochs=5)


def test_the_gradient_is_clipped_before_the_decay_is_added():
    """By its norm over all weights, as torch.nn.utils.clip_grad_norm_ before the step."""
    rng = np.random.default_rng(0)
    starts = [rng.normal(size=size) for size in (5, 3)]
    gradients = [[rng.normal(size=size) for size in (5, 3)] for _ in range(10)]
    norms = [np.sqrt(sum(np.sum(part**2) for part in step)) for step in gradients]
    limit = float(np.median(norms))
    clipped = [
        [part * min(1, limit / norm) for part in step]
        for step, norm in zip(gradients, norms, strict=True)
    ]
    variables = [keras.Variable(start, dtype="float32") for start in starts]
    optimizer = CoupledSGD(0.05, l2=0.1, global_clipnorm=limit)
    for step in gradients:
        optimizer.apply([keras.ops.convert_to_tensor(part, "float32") for part in step], variables)
    for index, (variable, start) in enumerate(zip(variables, starts, strict=True)):
        want = pytorch_sgd(start, [step[index] for step in clipped], [0.05] * 10, 0.1)
        np.testing.assert_allclose(variable.numpy(), want, rtol=1e-4, atol=1e-6)
    assert CoupledSGD.from_config(optimizer.get_config()).global_clipnorm == limit
