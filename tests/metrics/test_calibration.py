from __future__ import annotations

import numpy as np
import pytest

from dynmix_tf.errors import InputError
from dynmix_tf.metrics import rms_calibration_error


def reference(confidence, correct, beta=100, all_bins=True):
    """The loop of andyzoujm/pixmix, calibration_tools.py; `all_bins` adds the bin it leaves out."""
    confidence, correct = np.asarray(confidence, np.float64), np.asarray(correct)
    idxs = np.argsort(confidence, kind="stable")
    confidence, correct = confidence[idxs], correct[idxs]
    bins = [[i * beta, (i + 1) * beta] for i in range(len(confidence) // beta)]
    if not bins:
        bins = [[0, 0]]
    bins[-1] = [bins[-1][0], len(confidence)]
    cerr = 0.0
    for i in range(len(bins) - (0 if all_bins else 1)):
        bin_confidence = confidence[bins[i][0] : bins[i][1]]
        bin_correct = correct[bins[i][0] : bins[i][1]]
        difference = np.abs(np.mean(bin_confidence) - np.mean(bin_correct))
        cerr += len(bin_confidence) / len(confidence) * np.square(difference)
    return np.sqrt(cerr)


def examples(count, seed):
    random = np.random.default_rng(seed)
    confidence = random.uniform(0.1, 1.0, count).astype(np.float32)
    return confidence, random.uniform(size=count) < confidence**2


@pytest.mark.parametrize("count", [1, 7, 99, 100, 101, 199, 200, 250, 1234])
@pytest.mark.parametrize("bin_size", [1, 30, 100])
def test_equals_the_reference_loop(count, bin_size):
    confidence, correct = examples(count, seed=count)
    assert rms_calibration_error(confidence, correct, bin_size) == pytest.approx(
        reference(confidence, correct, bin_size), rel=1e-12
    )


def test_ties_keep_their_order():
    # Half of the confidences are equal: which example falls into which bin is up to the sort.
    confidence, correct = examples(600, seed=3)
    confidence = np.where(np.arange(600) % 2, confidence, np.float32(0.75))
    value = rms_calibration_error(confidence, correct, 50)
    assert value == pytest.approx(reference(confidence, correct, 50), rel=1e-12)


def test_the_most_confident_bin_counts():
    # Calibrated but for the last bin, which is sure and wrong: the published loop sees nothing.
    confidence = np.concatenate([np.full(100, 0.5), np.ones(100)])
    correct = np.concatenate([np.arange(100) % 2 == 0, np.zeros(100, bool)])
    assert reference(confidence, correct, all_bins=False) == 0
    assert rms_calibration_error(confidence, correct) == pytest.approx(np.sqrt(0.5))


def test_the_last_bin_takes_the_rest():
    # 250 examples: bins of 100 and 150, gaps 0 and .2.
    confidence = np.concatenate([np.full(100, 0.5), np.full(150, 0.8)])
    correct = np.concatenate([np.arange(100) < 50, np.arange(150) < 90])
    assert rms_calibration_error(confidence, correct) == pytest.approx(np.sqrt(0.6 * 0.2**2))


def test_fewer_than_a_bin_make_one_bin():
    assert rms_calibration_error([0.9, 0.7], [1, 0]) == pytest.approx(0.3)
    assert rms_calibration_error([0.9], [False]) == pytest.approx(0.9)


def test_extremes():
    assert rms_calibration_error(np.ones(300), np.ones(300, bool)) == 0
    assert rms_calibration_error(np.ones(300), np.zeros(300, bool)) == 1


def test_does_not_depend_on_the_order_of_different_confidences():
    confidence, correct = examples(500, seed=1)
    order = np.random.default_rng(2).permutation(500)
    assert len(np.unique(confidence)) == 500
    assert rms_calibration_error(confidence, correct) == rms_calibration_error(
        confidence[order], correct[order]
    )


@pytest.mark.parametrize(
    ("confidence", "correct", "bin_size", "message"),
    [
        ([], [], 100, "same length"),
        ([0.5], [True, False], 100, r"\(1,\) and \(2,\)"),
        ([[0.5]], [[True]], 100, "same length"),
        ([0.5, 1.5], [1, 0], 100, r"Received: 1.5 \(example 1\)"),
        ([0.5, -0.1], [1, 0], 100, "Received: -0.1"),
        ([0.5, np.nan], [1, 0], 100, "Received: nan"),
        ([0.5, 0.5], [1, 7], 100, "right .1. or wrong .0.*up to 7"),
        ([0.5], [1], 0, "Received: bin_size=0"),
    ],
)
def test_malformed_input(confidence, correct, bin_size, message):
    with pytest.raises(InputError, match=message):
        rms_calibration_error(confidence, correct, bin_size)
