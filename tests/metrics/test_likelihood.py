"""ECE, NLL and Brier score against loops and scikit-learn."""

import numpy as np
import pytest
import sklearn.metrics

from dynmix_tf import metrics
from dynmix_tf.errors import InputError


@pytest.fixture
def predictions():
    draws = np.random.default_rng(0)
    logits = draws.normal(0, 2, (500, 7))
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return p, draws.integers(0, 7, 500)


def test_nll_is_scikit_learns_log_loss(predictions):
    p, labels = predictions
    want = sklearn.metrics.log_loss(labels, p, labels=range(7))
    assert metrics.negative_log_likelihood(p, labels) == pytest.approx(want)


def test_brier_score_is_the_sum_over_classes(predictions):
    p, labels = predictions
    want = np.mean([sum((q - (c == t)) ** 2 for c, q in enumerate(row))
                    for row, t in zip(p, labels, strict=True)])  # fmt: skip
    assert metrics.brier_score(p, labels) == pytest.approx(want)
    two = p[:, :2] / p[:, :2].sum(axis=1, keepdims=True)
    halved = sklearn.metrics.brier_score_loss(labels % 2, two[:, 1])
    assert metrics.brier_score(two, labels % 2) == pytest.approx(2 * halved)


def test_certain_predictions():
    right, wrong = np.eye(3), np.eye(3)[[1, 2, 0]]
    labels = np.arange(3)
    assert metrics.negative_log_likelihood(right, labels) == metrics.brier_score(right, labels) == 0
    assert metrics.negative_log_likelihood(wrong, labels) == pytest.approx(-np.log(1e-12))
    assert metrics.brier_score(wrong, labels) == 2


@pytest.mark.parametrize("num_bins", [1, 10, 15])
def test_ece_is_the_loop_over_bins(predictions, num_bins):
    p, labels = predictions
    confidence, correct = p.max(axis=1), p.argmax(axis=1) == labels
    confidence[:3] = (0.2, 1.0, 0.0)  # on the borders of bins
    want = 0.0
    for number in range(num_bins):
        low, high = number / num_bins, (number + 1) / num_bins
        inside = (confidence > low) & (confidence <= high)
        inside |= (confidence == 0) & (number == 0)
        if inside.any():
            want += inside.mean() * abs(confidence[inside].mean() - correct[inside].mean())
    found = metrics.expected_calibration_error(confidence, correct, num_bins)
    assert found == pytest.approx(want)


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda: metrics.brier_score([[2.0, -1.0]], [0]), "logits are no probabilities"),
        (lambda: metrics.brier_score([[0.5, 0.2]], [0]), "add up to 1"),
        (lambda: metrics.brier_score([[0.5, 0.5]], [2]), r"must be in \[0, 2\)"),
        (lambda: metrics.brier_score([0.5, 0.5], [0, 1]), r"must be \(N, classes\)"),
        (lambda: metrics.negative_log_likelihood([[0.5, 0.5]], [0.0]), "class numbers"),
        (lambda: metrics.expected_calibration_error([0.5], [1], 0), "`num_bins`"),
        (lambda: metrics.expected_calibration_error([50.0], [1]), "probabilities in 0..1"),
    ],
)
def test_mistakes_are_told(call, told):
    with pytest.raises(InputError, match=told):
        call()
