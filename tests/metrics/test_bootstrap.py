"""Intervals over images: against loops, the normal distribution, SciPy, and simulated data."""

import numpy as np
import pytest
import scipy.stats

from dynmix_tf import metrics
from dynmix_tf.errors import InputError
from dynmix_tf.metrics import bootstrap

CORRUPTIONS = list(metrics.ALEXNET_IMAGENET_C)
CONDITIONS = [(name, severity) for name in CORRUPTIONS for severity in range(1, 6)]


def shared_errors(count, seed=0):
    """Errors that hard images have in common, of every condition."""
    draws = np.random.default_rng(seed)
    hard = draws.random(count)
    return {
        (name, severity): 0.6 * hard + 0.4 * draws.random(count)
        < metrics.ALEXNET_IMAGENET_C[name][severity - 1] * 0.8
        for name, severity in CONDITIONS
    }


def examples(count, seed, power=1.5):
    draws = np.random.default_rng(seed)
    confidence = (0.5 + draws.random(count) / 2).astype(np.float32)
    return confidence, draws.random(count) < confidence**power


def resamples(count, num_resamples, seed):
    """The draws that the module makes: rows of numbers of images."""
    return np.random.default_rng(seed).integers(0, count, (num_resamples, count))


def test_interval_of_a_mean_is_the_normal_one():
    values = np.random.default_rng(1).exponential(2.0, 2000)
    error = values.std() / np.sqrt(values.size)
    for level in (0.5, 0.95):
        (low, high), *_ = metrics.bootstrap_means(
            {"nll": values}, num_resamples=4000, confidence_level=level
        ).values()
        want = scipy.stats.norm.interval(level, values.mean(), error)
        assert (low, high) == pytest.approx(want, abs=0.06 * error)


def test_equals_scipy_of_each_condition_alone():
    draws = np.random.default_rng(2)
    values = {"a": draws.random(60), "b": draws.normal(size=60), "c": draws.integers(0, 2, 60)}
    found = metrics.bootstrap_means(values, seed=5)
    for name, column in values.items():
        want = scipy.stats.bootstrap(
            (column,),
            np.mean,
            n_resamples=1000,
            method="percentile",
            random_state=np.random.default_rng(5),
        ).confidence_interval
        assert found[name] == pytest.approx(tuple(want), rel=1e-9)


def test_paired_conditions_have_the_resamples_of_a_loop():
    wrong = shared_errors(200)
    clean = np.random.default_rng(3).random(200) < 0.2

    def scores(means):
        rates = {name: [means[name, severity] for severity in range(1, 6)] for name in CORRUPTIONS}
        return {
            "clean": means["clean", 0],
            "mCE": metrics.mean_corruption_error(rates),
            "mean": metrics.mean_corruption_error(rates, baseline=None),
            "relative": metrics.relative_mean_corruption_error(rates, means["clean", 0]),
            **metrics.unnormalized_corruption_error(rates),
        }

    values = {("clean", 0): clean, **wrong}
    found = metrics.bootstrap_means(values, scores, num_resamples=60, seed=7)
    drawn = [
        scores({name: column[images].mean() for name, column in values.items()})
        for images in resamples(200, 60, seed=7)
    ]
    assert list(found) == list(drawn[0])
    for name, interval in found.items():
        want = np.quantile([numbers[name] for numbers in drawn], [0.025, 0.975])
        assert interval == pytest.approx(tuple(want), rel=1e-9)


def test_what_images_have_in_common_widens_the_interval_of_a_mean():
    wrong = shared_errors(1000)

    def mean(means):
        return {"mean": np.mean(list(means.values()))}

    (low, high), *_ = metrics.bootstrap_means(wrong, mean).values()
    per_image = np.mean(list(wrong.values()), axis=0)
    want = 2 * 1.96 * per_image.std() / np.sqrt(1000)
    alone = 2 * 1.96 * np.sqrt(np.mean([v.var() for v in wrong.values()]) / 1000 / len(wrong))
    assert high - low == pytest.approx(want, rel=0.06)
    assert want > 3 * alone


def test_intervals_of_means_cover():
    covered = 0
    for seed in range(200):
        values = np.random.default_rng(seed).random(150) < 0.3
        low, high = metrics.bootstrap_means({"error": values}, num_resamples=200, seed=seed)[
            "error"
        ]
        covered += low <= 0.3 <= high
    assert 180 <= covered <= 198  # 190 are nominal; three standard deviations are 9


def test_same_seed_same_bits_whatever_the_batch(monkeypatch):
    draws = np.random.default_rng(4)
    values = {
        "nll": draws.exponential(size=501).astype(np.float32),
        "error": draws.random(501) < 0.5,
    }
    confidence, correct = examples(501, seed=4)

    def run(seed=1):
        return (
            metrics.bootstrap_means(values, num_resamples=100, seed=seed),
            metrics.bootstrap_calibration(confidence, correct, num_resamples=100, seed=seed),
        )

    first = run()
    assert run() == first
    assert all(one != other for one, other in zip(run(seed=2), first, strict=True))
    for batch in (1, 7, 100):
        monkeypatch.setattr(bootstrap, "_BATCH", batch)
        assert run() == first


def test_sums_are_exact_in_any_order():
    draws = np.random.default_rng(5)
    values = {"nll": (27 * draws.random(1000)).astype(np.float32), "brier": 2 * draws.random(1000)}
    table, unit = bootstrap._whole_numbers(values)
    assert (table == np.rint(table)).all()
    assert (np.abs(table).sum(axis=0) < 2**53).all()
    order = draws.permutation(1000)
    assert (np.cumsum(table, axis=0)[-1] == np.cumsum(table[order], axis=0)[-1]).all()
    for column, name in enumerate(values):
        np.testing.assert_allclose(table[:, column] * unit, values[name], atol=1e-10)
    assert bootstrap._whole_numbers({"none": np.zeros(5)})[0].tolist() == [[0]] * 5


@pytest.mark.parametrize("conditions", [0, 1, 3])
@pytest.mark.parametrize("count", [30, 250, 437])
def test_calibration_errors_are_those_of_each_resample(conditions, count):
    confidence, correct = examples(max(conditions, 1) * count, seed=count)
    confidence[::3] = np.float32(0.8)  # ties, and borders of bins of equal width
    confidence[1::5] = np.float32(1)
    shape = (conditions, count) if conditions else (count,)
    confidence, correct = confidence.reshape(shape), correct.reshape(shape)
    found = metrics.bootstrap_calibration(
        confidence, correct, num_resamples=40, num_bins=10, seed=3
    )
    for name, function in (
        ("rms_calibration_error", metrics.rms_calibration_error),
        ("expected_calibration_error", lambda *args: metrics.expected_calibration_error(*args, 10)),
    ):
        values = []
        for images in resamples(count, 40, seed=3):
            # sorted, as equal confidences keep the order of the images, whatever that of the draws
            taken = np.sort(images)
            values.append(function(confidence[..., taken].ravel(), correct[..., taken].ravel()))
        excess = np.mean(values) - function(confidence.ravel(), correct.ravel())
        want = np.clip(np.quantile(values, [0.025, 0.975]) - excess, 0, 1)
        assert found[name] == pytest.approx(tuple(want), abs=1e-9)


def test_intervals_of_calibration_errors_cover():
    # A model that is well calibrated: the plain percentile interval never covers.
    truth = np.mean([metrics.rms_calibration_error(*examples(4000, s, 1)) for s in range(300)])
    covered = 0
    for seed in range(60):
        found = metrics.bootstrap_calibration(*examples(4000, seed, 1), num_resamples=100)
        low, high = found["rms_calibration_error"]
        covered += low <= truth <= high
    assert covered >= 54


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda: metrics.bootstrap_means({}), "Received shapes: none"),
        (lambda: metrics.bootstrap_means({"a": [1, 2], "b": [1]}), r"\(1,\), \(2,\)"),
        (lambda: metrics.bootstrap_means({"a": [[1, 2]]}), r"\(1, 2\)"),
        (lambda: metrics.bootstrap_means({"a": [1]}), "two or more. Received: 1"),
        (lambda: metrics.bootstrap_means({"a": [1, np.nan]}), "no finite numbers"),
        (lambda: metrics.bootstrap_means({"a": [1, 2]}, num_resamples=0), "num_resamples=0"),
        (lambda: metrics.bootstrap_means({"a": [1, 2]}, confidence_level=95), "Received: 95"),
        (lambda: metrics.bootstrap_means({"a": [1, 2]}, seed=-1), "seed=-1"),
        (lambda: metrics.bootstrap_calibration([0.5, 0.6], [1]), r"\(2,\) and \(1,\)"),
        (lambda: metrics.bootstrap_calibration([0.5, 1.6], [1, 0]), "Received: 1.6"),
        (lambda: metrics.bootstrap_calibration([0.5], [1]), "two or more"),
        (lambda: metrics.bootstrap_calibration([0.5] * 2, [1, 0], bin_size=0), "bin_size=0"),
        (lambda: metrics.bootstrap_calibration([0.5] * 2, [1, 0], num_bins=0), "num_bins=0"),
    ],
)
def test_mistakes_are_told(call, told):
    with pytest.raises(InputError, match=told):
        call()
