from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from dynmix_tf.losses import JensenShannonConsistency


def written_from_the_paper(logits):
    """Appendix A, equations 1 and 2, in float64; the mean clipped as in AugMix's code."""
    p = np.exp(logits - logits.max(axis=-1, keepdims=True)).astype(np.float64)
    p /= p.sum(axis=-1, keepdims=True)
    mean = np.clip(p.mean(axis=1, keepdims=True), 1e-7, 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(p > 0, p * (np.log(p) - np.log(mean)), 0)
    return terms.sum(axis=-1).mean(axis=-1)


@pytest.mark.parametrize("views", [2, 3, 5])
@pytest.mark.parametrize("scale", [0.1, 3.0, 30.0])
def test_equals_the_paper(views, scale):
    logits = np.random.default_rng(0).normal(0, scale, (64, views, 10)).astype("float32")
    want = written_from_the_paper(logits)
    loss = JensenShannonConsistency(reduction=None)
    np.testing.assert_allclose(loss(np.zeros(64), logits), want, rtol=2e-4, atol=1e-6)
    np.testing.assert_allclose(
        JensenShannonConsistency()(np.zeros(64), logits), want.mean(), rtol=2e-4
    )


def test_bounds_and_gradients_far_out():
    logits = tf.Variable(np.eye(3, dtype="float32")[None] * 120 - 60)  # three views, three classes
    with tf.GradientTape() as tape:
        loss = JensenShannonConsistency()(np.zeros(1), logits)
    assert float(loss) == pytest.approx(np.log(3), rel=1e-5)
    assert np.isfinite(tape.gradient(loss, logits)).all()
    same = np.random.default_rng(0).normal(size=(4, 1, 10)).astype("float32").repeat(3, axis=1)
    assert float(JensenShannonConsistency()(np.zeros(4), same)) == pytest.approx(0, abs=1e-6)


def test_config_comes_back():
    loss = JensenShannonConsistency(reduction="sum", name="mine")
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(loss))
    assert again.get_config() == loss.get_config()
