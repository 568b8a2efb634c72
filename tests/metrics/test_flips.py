"""Flip probabilities and rank distances against loops written from the definitions."""

import numpy as np
import pytest

from dynmix_tf import metrics
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


@pytest.mark.parametrize(("noise", "step"), CASES)
def test_top5_distance_is_the_sum_over_ranks(noise, step):
    scores = np.random.default_rng(step).normal(size=(3, 9, 12))
    videos = []
    for video in scores:
        distances = []
        for a, b in walked(9, noise, step):
            rank = {kind: {c: i + 1 for i, c in enumerate(sorted(range(12), key=lambda c: -x[c]))}
                    for kind, x in (("a", video[a]), ("b", video[b]))}  # fmt: skip
            at_rank = {i: c for c, i in rank["a"].items()}
            distances.append(
                sum(abs(min(i - 1, 5) - min(rank["b"][at_rank[i]] - 1, 5)) for i in range(1, 6))
            )
        videos.append(np.mean(distances))
    assert metrics.top5_distance(scores, noise, step) == pytest.approx(np.mean(videos))


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


def test_tables_of_alexnet_are_whole():
    assert len(metrics.ALEXNET_IMAGENET_P) == 10
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
