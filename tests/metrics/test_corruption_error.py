from __future__ import annotations

import numpy as np
import pytest

from dynmix_tf.errors import InputError
from dynmix_tf.metrics import (
    ALEXNET_CLEAN_ERROR,
    ALEXNET_IMAGENET_C,
    ALEXNET_IMAGENET_C_EXTRA,
    corruption_error,
    mean_corruption_error,
    relative_mean_corruption_error,
    unnormalized_corruption_error,
)

# The averages printed in google-research/augmix, imagenet.py (ALEXNET_ERR), and for the extras
# the means of the leaderboard table of hendrycks/robustness.
PUBLISHED_MEANS = {
    "gaussian_noise": 0.886428,
    "shot_noise": 0.894468,
    "impulse_noise": 0.922640,
    "defocus_blur": 0.819880,
    "glass_blur": 0.826268,
    "motion_blur": 0.785948,
    "zoom_blur": 0.798360,
    "snow": 0.866816,
    "frost": 0.826572,
    "fog": 0.819324,
    "brightness": 0.564592,
    "contrast": 0.853204,
    "elastic_transform": 0.646056,
    "pixelate": 0.717840,
    "jpeg_compression": 0.606500,
}
PUBLISHED_EXTRA_MEANS = {
    "speckle_noise": 0.845388,
    "gaussian_blur": 0.787108,
    "spatter": 0.717512,
    "saturate": 0.658248,
}
# Per-corruption CE of a ResNet-50 on ImageNet-C and the printed mCE (Dynamic Mixup paper, table 3).
PUBLISHED_CE = {
    "Standard": ([79, 80, 82, 82, 90, 84, 80, 86, 81, 75, 65, 79, 91, 77, 80], 80.6),
    "AutoAugment*": ([69, 68, 72, 77, 83, 80, 81, 79, 75, 64, 56, 70, 88, 57, 71], 72.7),
    "Random AutoAugment*": ([70, 71, 72, 80, 86, 82, 81, 81, 77, 72, 61, 75, 88, 73, 72], 76.1),
    "SIN": ([69, 70, 70, 77, 84, 76, 82, 74, 75, 69, 65, 69, 80, 64, 77], 73.3),
    "AugMix": ([65, 66, 67, 70, 80, 66, 66, 75, 72, 67, 58, 58, 79, 69, 69], 68.4),
    "Dynamic Mixup": ([60, 61, 63, 66, 75, 61, 63, 71, 68, 63, 52, 51, 78, 69, 65], 64.4),
}


def test_alexnet_rates_average_to_the_published_means():
    means = {name: np.mean(rates) for name, rates in ALEXNET_IMAGENET_C.items()}
    assert means == pytest.approx(PUBLISHED_MEANS, abs=1e-9)
    extra = {name: np.mean(rates) for name, rates in ALEXNET_IMAGENET_C_EXTRA.items()}
    assert extra == pytest.approx(PUBLISHED_EXTRA_MEANS, abs=1e-9)
    assert list(ALEXNET_IMAGENET_C) == list(PUBLISHED_MEANS)


def test_alexnet_mean_error_without_a_baseline():
    assert mean_corruption_error(ALEXNET_IMAGENET_C, baseline=None) == pytest.approx(
        78.8993, abs=1e-4
    )


def test_alexnet_scores_a_hundred_against_itself():
    assert corruption_error(ALEXNET_IMAGENET_C) == pytest.approx(
        dict.fromkeys(ALEXNET_IMAGENET_C, 100.0)
    )
    assert mean_corruption_error(ALEXNET_IMAGENET_C) == pytest.approx(100.0)
    assert relative_mean_corruption_error(ALEXNET_IMAGENET_C, ALEXNET_CLEAN_ERROR) == pytest.approx(
        100.0
    )


@pytest.mark.parametrize("method", PUBLISHED_CE)
def test_mce_of_published_rows(method):
    published, mean = PUBLISHED_CE[method]
    # Rates that have exactly the published CE, spread over the severities as AlexNet's.
    errors = {
        name: np.array(rates) * ce / 100
        for (name, rates), ce in zip(ALEXNET_IMAGENET_C.items(), published, strict=True)
    }
    assert list(corruption_error(errors).values()) == pytest.approx(published)
    # The printed mCE comes from unrounded CEs: the mean of 15 roundings moves by .13 (one s.d.:
    # .5 / sqrt(3 * 15) = .07).
    assert mean_corruption_error(errors) == pytest.approx(mean, abs=0.15)


def test_cifar_mean_is_the_plain_mean():
    # AugMix, WRN-40-2 on CIFAR-10-C as RobustBench measured it; its mean is printed as 11.18.
    published = [19.09, 14.0, 13.29, 6.32, 17.06, 7.92, 6.98, 10.37, 10.65, 8.46, 5.93, 9.68]
    published += [9.24, 16.79, 11.90]
    errors = {
        name: [value / 100] * 5 for name, value in zip(ALEXNET_IMAGENET_C, published, strict=True)
    }
    assert unnormalized_corruption_error(errors) == pytest.approx(
        dict(zip(ALEXNET_IMAGENET_C, published, strict=True))
    )
    assert corruption_error(errors, baseline=None) == unnormalized_corruption_error(errors)
    assert mean_corruption_error(errors, baseline=None) == pytest.approx(11.18, abs=0.005)


def test_ce_divides_sums_not_rates():
    errors = {"fog": [0.1, 0.1, 0.1, 0.1, 0.6]}
    baseline = {"fog": [0.2, 0.2, 0.2, 0.2, 0.2]}
    assert corruption_error(errors, baseline) == pytest.approx({"fog": 100.0})
    assert corruption_error(baseline, errors) == pytest.approx({"fog": 100.0})


def test_relative_mce_by_hand():
    errors = {"fog": [0.3] * 5, "snow": [0.5] * 5}
    baseline = {"fog": [0.5] * 5, "snow": [0.8] * 5}
    # gaps .2 and .4 against .3 and .6
    assert relative_mean_corruption_error(errors, 0.1, baseline, 0.2) == pytest.approx(200 / 3)


def test_extras_never_count_for_a_mean():
    extras = {name: [1.0] * 5 for name in ALEXNET_IMAGENET_C_EXTRA}
    errors = {**extras, **{name: [0.5] * 5 for name in ALEXNET_IMAGENET_C}}
    without = {name: [0.5] * 5 for name in ALEXNET_IMAGENET_C}
    assert mean_corruption_error(errors, baseline=None) == 50.0
    assert mean_corruption_error(errors) == mean_corruption_error(without)
    assert relative_mean_corruption_error(errors, 0.2) == relative_mean_corruption_error(
        without, 0.2
    )
    with pytest.raises(InputError, match="no corruption that counts for a mean.*spatter"):
        mean_corruption_error(extras, baseline=None)
    merged = {**ALEXNET_IMAGENET_C, **ALEXNET_IMAGENET_C_EXTRA}
    assert mean_corruption_error(merged, merged) == pytest.approx(100.0)


@pytest.mark.parametrize("function", [mean_corruption_error, relative_mean_corruption_error])
def test_a_partial_benchmark_has_no_mce(function):
    errors = {name: [0.5] * 5 for name in ALEXNET_IMAGENET_C if name not in ("frost", "fog")}
    arguments = (errors,) if function is mean_corruption_error else (errors, 0.2)
    with pytest.raises(InputError, match="lacks frost, fog"):
        function(*arguments)


@pytest.mark.parametrize(
    ("rates", "message"),
    [
        ([0.1] * 4, "five error rates"),
        ([0.1] * 6, "five error rates"),
        (0.1, "five error rates"),
        ([[0.1] * 5], "five error rates"),
        ([0.1, None, 0.1, 0.1, "x"], "five error rates"),
        ([26.9] * 5, r"in 0\.\.1 \(a rate, not per cent\). Received: 26.9"),
        ([0.1, 0.1, -0.1, 0.1, 0.1], "Received: -0.1"),
        ([0.1, 0.1, float("nan"), 0.1, 0.1], "Received: nan"),
    ],
)
def test_malformed_rates(rates, message):
    for function in (unnormalized_corruption_error, corruption_error):
        with pytest.raises(InputError, match=message):
            function({"fog": rates})
    with pytest.raises(InputError, match=message):
        mean_corruption_error({"fog": rates}, baseline=None)
    with pytest.raises(InputError, match=message):
        corruption_error({"fog": [0.1] * 5}, baseline={"fog": rates})


def test_other_malformed_input():
    with pytest.raises(InputError, match="unknown corruption of the baseline 'fogg'.*'fog'"):
        corruption_error({"fogg": [0.1] * 5})
    with pytest.raises(InputError, match="holds no corruption"):
        unnormalized_corruption_error({})
    with pytest.raises(InputError, match="nothing"):
        mean_corruption_error({}, baseline=None)
    with pytest.raises(InputError, match="nothing to divide by"):
        corruption_error({"fog": [0.1] * 5}, baseline={"fog": [0] * 5})
    with pytest.raises(InputError, match="clean_error.*Received: 23.9"):
        relative_mean_corruption_error(ALEXNET_IMAGENET_C, 23.9)
    with pytest.raises(InputError, match="must exceed its clean error"):
        relative_mean_corruption_error({"fog": [0.1] * 5}, 0.1, {"fog": [0.3] * 5}, 0.3)
