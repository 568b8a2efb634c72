"""What is asked of a model's outputs, whatever the model."""

from __future__ import annotations

import numpy as np
import pytest

from dynmix_tf.errors import InputError
from dynmix_tf.predictors import callable_predictor

LOGITS = np.array([[1.0, 2.0, -3.0], [0.0, 0.5, 0.25], [9.0, -9.0, 0.0]])
SOFTMAX = np.exp(LOGITS) / np.exp(LOGITS).sum(axis=1, keepdims=True)


@pytest.fixture
def images(photo_crops):
    return photo_crops(32, 3)


def of(outputs, output="auto"):
    return callable_predictor(lambda images: outputs, output)


def test_logits_and_probabilities_are_told_apart(images):
    for logits in (LOGITS, LOGITS + 1000, LOGITS.astype("float16"), LOGITS.tolist()):
        got = of(logits)(images)
        assert got.dtype == np.float32
        np.testing.assert_allclose(got, SOFTMAX, atol=1e-6)
    with pytest.warns(UserWarning, match="gives probabilities where logits are expected") as told:
        predict = of(SOFTMAX)
        np.testing.assert_array_equal(predict(images), SOFTMAX.astype("float32"))
        predict(images)
    assert len(told) == 1
    np.testing.assert_array_equal(of(SOFTMAX, "probabilities")(images), SOFTMAX.astype("float32"))
    one_hot = np.eye(3)
    as_logits = np.exp(one_hot) / (np.e + 2)
    np.testing.assert_allclose(of(one_hot, "logits")(images), as_logits, atol=1e-6)
    masked = np.where(LOGITS < 0, -np.inf, LOGITS)
    got = of(masked)(images)
    assert (got[LOGITS < 0] == 0).all() and got.sum(axis=1) == pytest.approx(np.ones(3))


def test_sums_that_are_off_are_no_probabilities(images):
    off = SOFTMAX * [[1.0], [1.002], [1.0]]  # one image of three
    assert of(off)(images).max() < 0.6  # taken as logits
    balanced = LOGITS + (1 - LOGITS.sum(axis=1, keepdims=True)) / 3  # sums of 1, some negative
    np.testing.assert_allclose(of(balanced)(images), SOFTMAX, atol=1e-6)
    for outputs in (LOGITS, SOFTMAX * 0.9, balanced):
        with pytest.raises(InputError, match="are no probabilities: .*'logits' takes them as"):
            of(outputs, "probabilities")(images)


def test_what_comes_out_is_checked(images):
    for outputs in (LOGITS[:2], LOGITS[0], LOGITS[..., None], 3.0):
        with pytest.raises(InputError, match=r"gives outputs of shape .* expected \(3, classes\)"):
            of(outputs)(images)
    for bad in (np.nan, np.inf):
        outputs = LOGITS.copy()
        outputs[1, 2] = bad
        for output in ("auto", "logits", "probabilities"):
            told = "gives NaN or infinity for 1 of 3 images of a batch, first for number 1 "
            with pytest.raises(InputError, match=told):
                of(outputs, output)(images)
    with pytest.raises(InputError, match="unknown output 'probability'; did you mean 'probabil"):
        of(LOGITS, "probability")


def test_what_goes_in_is_checked(images):
    for wrong in (images.astype("float32"), images[0], images.astype("int64")):
        with pytest.raises(InputError, match=r"takes uint8 images \(N, H, W, C\). Received: "):
            of(LOGITS)(wrong)
    predict = callable_predictor(lambda images: LOGITS, image_shape=(None, 32, 1))
    with pytest.raises(InputError, match=r"of shape \(None, 32, 1\), not \(32, 32, 3\)"):
        predict(images)
