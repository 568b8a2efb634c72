"""Flip probabilities and rank distances against loops written from the definitions."""

import numpy as np
import pytest
from scipy import stats

from dynmix_tf import metrics
from dynmix_tf.corruptions import sequence_names
from dynmix_tf.errors import InputError

# flip probabilities of AugMix's released ResNet-50, measured by nis-research/CorruptionBenchCV
AUGMIX = {
    "gaussian_noise": 0.096764, "shot_noise": 0.113621, "motion_blur": 0.027884,
    "zoom_blur": 0.032554, "snow": 0.044480, "brightness": 0.022561, "translate": 0.029642,
    "rotate": 0.042347, "tilt": 0.025642, "scale": 0.079488,
}  # fmt: skip


def walked(count, noise, step):
    """Pairs of frames in the order of the reference: for each offset, from frame to frame."""
    if noise:
        return [(0, frame) for frame in range(1, count)]
    return [
        (frame - step, frame)
        for offset in range(step)
        for frame in range(offset + step, count, step)
    ]


CASES = [(False, 1), (False, 2), (False, 3), (True, 1)]


@pytest.mark.parametrize(("noise", "step"), CASES)
def test_flip_probability_is_the_walk_over_the_frames(noise, step):
    classes = np.random.default_rng(step).integers(0, 3, (5, 31))
    videos = [
        np.mean([video[a] != video[b] for a, b in walked(31, noise, step)]) for video in classes
    ]
    assert metrics.flip_probability(classes, noise, step) == pytest.approx(np.mean(videos))
    np.testing.assert_allclose(metrics.flips_per_sequence(classes, noise, step), videos, rtol=1e-12)


def top5_distance_by_cumulative_sums(scores, noise, step):
    """The benchmark's way: all ranks from 1, the value of a rank the number of the first five
    places that it has left behind, looked up in a cumulative sum."""
    count = scores.shape[2]
    value_of_rank = np.cumsum([0] + [1] * 5 + [0] * (count - 6))
    videos = []
    for video in scores:
        ranks = [stats.rankdata([-score for score in frame], method="ordinal") for frame in video]
        distances = []
        for a, b in walked(len(video), noise, step):
            by_rank = np.argsort(ranks[a])  # the class at each rank of the earlier frame
            now = ranks[b][by_rank]
            distances.append(np.abs(value_of_rank[:5] - value_of_rank[now - 1][:5]).sum())
        videos.append(np.mean(distances))
    return np.array(videos)


@pytest.mark.parametrize("grid", [0, 3], ids=["no ties", "ties"])
@pytest.mark.parametrize("classes", [6, 12, 100])
@pytest.mark.parametrize(("noise", "step"), CASES)
def test_top5_distance_is_that_of_the_benchmark(noise, step, classes, grid):
    rng = np.random.default_rng([step, classes])
    scores = rng.normal(size=(4, 11, classes)) + 2 * rng.normal(size=(4, 1, classes))
    if grid:
        scores = np.round(scores * grid / np.ptp(scores))  # four values: most of them equal
        assert all(len(set(frame)) < 6 for video in scores for frame in video)
    expected = top5_distance_by_cumulative_sums(scores, noise, step)
    assert metrics.top5_distance(scores, noise, step) == pytest.approx(expected.mean(), abs=1e-9)
    likeliest = np.array([[sorted(range(classes), key=lambda c: (-frame[c], c))[:5]
                           for frame in video] for video in scores])  # fmt: skip
    for ids in (likeliest.astype(np.int32), likeliest.astype(np.uint16), likeliest.tolist()):
        moved = metrics.top5_distances_per_sequence(ids, noise, step)
        np.testing.assert_allclose(moved, expected, atol=1e-9, rtol=0)
    assert expected.min() > 0 and len(set(expected)) > 1


def test_top5_distance_from_nothing_to_everything():
    ranks = np.arange(12.0, 0, -1)
    assert metrics.top5_distance(np.tile(ranks, (1, 3, 1))) == 0
    assert metrics.top5_distance(np.stack([ranks, np.roll(ranks, 6)])[None]) == 15
    below = ranks.copy()
    below[5:] = below[5:][::-1]  # what happens after the fifth place does not count
    assert metrics.top5_distance(np.stack([ranks, below])[None]) == 0


def test_steady_and_restless_videos():
    assert metrics.flip_probability(np.zeros((2, 31), int)) == 0
    restless = np.arange(62).reshape(2, 31) % 2
    assert metrics.flip_probability(restless) == 1
    assert metrics.flip_probability(restless, step=2) == 0


def test_mean_flip_rate_of_a_published_network():
    assert metrics.mean_flip_rate(AUGMIX) == pytest.approx(37.4, abs=0.3)  # as it is published
    assert metrics.mean_flip_rate(metrics.ALEXNET_IMAGENET_P) == pytest.approx(100)
    plain = metrics.mean_flip_rate(AUGMIX, baseline=None)
    assert plain == pytest.approx(100 * np.mean(list(AUGMIX.values())))


# Table 4 of the paper: flip rates relative to AlexNet in per cent, and the mFR it prints for them
TABLE_4 = {
    "Standard": ((57, 55, 62, 65, 66, 65, 43, 53, 57, 49), 57.2),
    "AutoAugment*": ((50, 45, 57, 68, 63, 53, 40, 44, 50, 46), 51.7),
    "Random AutoAugment*": ((53, 46, 53, 63, 59, 57, 42, 48, 54, 47), 52.2),
    "SIN": ((53, 50, 57, 72, 51, 62, 43, 53, 57, 53), 55.0),
    "AugMix": ((46, 41, 30, 47, 38, 46, 25, 32, 35, 33), 37.4),
    "Dynamic Mixup": ((41, 37, 28, 41, 33, 41, 23, 28, 31, 30), 33.3),
}


@pytest.mark.parametrize("method", TABLE_4)
def test_mean_flip_rates_of_the_paper(method):
    rates, printed = TABLE_4[method]
    probabilities = {
        name: rate / 100 * metrics.ALEXNET_IMAGENET_P[name]
        for name, rate in zip(sequence_names(), rates, strict=True)
    }
    assert metrics.mean_flip_rate(probabilities) == pytest.approx(printed, abs=0.15)


def test_tables_of_alexnet_are_whole():
    assert tuple(metrics.ALEXNET_IMAGENET_P) == sequence_names()
    assert len(metrics.ALEXNET_IMAGENET_3DCC) == 12
    means = [np.mean(rates) for rates in metrics.ALEXNET_IMAGENET_3DCC.values()]
    published = (0.61068, 0.65152, 0.68336, 0.59620, 0.80124, 0.77356, 0.56740, 0.52520, 0.93152,
                 0.82248, 0.82484, 0.79588)  # fmt: skip
    np.testing.assert_allclose(means, published, atol=1e-6)
    errors = metrics.ALEXNET_IMAGENET_3DCC
    assert metrics.mean_corruption_error(errors, errors) == pytest.approx(100)


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda: metrics.flip_probability([1, 2]), "must be class numbers"),
        (lambda: metrics.flip_probability(np.zeros((2, 3))), "must be class numbers"),
        (lambda: metrics.flip_probability(np.zeros((2, 3), int), step=3), "more than 3 frames"),
        (lambda: metrics.flip_probability(np.zeros((0, 3), int)), "0 videos"),
        (
            lambda: metrics.flip_probability(np.zeros((2, 3), int), noise=True, step=2),
            "1 for noise",
        ),
        (lambda: metrics.top5_distance(np.zeros((2, 3, 4))), "five classes or more"),
        (lambda: metrics.top5_distance(np.full((2, 3, 5), np.nan)), "NaN"),
        (lambda: metrics.flip_probability([[1, 2, 2], [1, 2]]), "as many frames for every video"),
        (lambda: metrics.top5_distance([[[1] * 5] * 3, [[1] * 5] * 2]), "as many frames"),
        (
            lambda: metrics.top5_distances_per_sequence([[range(4), range(4)]]),
            r"five classes of each frame. Received: \(1, 2, 4\)",
        ),
        (
            lambda: metrics.top5_distances_per_sequence(np.zeros((1, 2, 5))),
            "must be class numbers",
        ),
        (
            lambda: metrics.top5_distances_per_sequence([[[1, 2, 3, 4, 5], [1, 2, 3, 4, 1]]]),
            "five different classes",
        ),
        (
            lambda: metrics.top5_distances_per_sequence([[range(5)] * 3], step=3),
            "more than 3 frames",
        ),
        (lambda: metrics.mean_flip_rate({}), "no perturbation"),
        (lambda: metrics.mean_flip_rate({"tilt": 7.05}, None), "must be in 0..1"),
        (lambda: metrics.mean_flip_rate({"tilt": 0.1}), "lacks gaussian_noise"),
        (lambda: metrics.mean_flip_rate({**AUGMIX, "tlt": 0.1}), "did you mean 'tilt'"),
        (lambda: metrics.mean_flip_rate({"tilt": 0.1}, {"tilt": 0.0}), "never flips on tilt"),
    ],
)
def test_mistakes_are_told(call, told):
    with pytest.raises(InputError, match=told):
        call()
