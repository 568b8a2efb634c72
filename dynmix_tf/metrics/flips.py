"""How much predictions change along the sequences of ImageNet-P and CIFAR-10-P.

Of a temporal perturbation each frame is compared with the one `step` frames before; of a noise
perturbation with the first frame, which is clean. Definitions: Hendrycks and Dietterich 2019,
section 4.2; code: hendrycks/robustness, `ImageNet-P/test.py`.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dynmix_tf.errors import InputError, unknown_name
from dynmix_tf.metrics.alexnet import ALEXNET_IMAGENET_P

__all__ = [
    "flip_probability",
    "flips_per_sequence",
    "mean_flip_rate",
    "top5_distance",
    "top5_distances_per_sequence",
]

_TOP = 5


def flip_probability(predictions: ArrayLike, noise: bool = False, step: int = 1) -> float:
    """How often the predicted class changes from a frame to the one it is compared with.

    Args:
        predictions: Class numbers `(videos, frames)`.
        noise: Whether the perturbation is noise: every frame is compared with the first.
        step: Frames between those compared, the difficulty 1, 2 or 3 of a temporal perturbation.

    Returns:
        The mean over comparisons and videos, 0..1.

    Raises:
        InputError: No whole numbers `(videos, frames)`, too few frames, or a step with noise.

    Example:
        >>> flip_probability([[1, 1, 2, 2, 1]])
        0.5
        >>> flip_probability([[1, 1, 2, 2, 1]], noise=True)
        0.5
    """
    return float(flips_per_sequence(predictions, noise, step).mean())


def flips_per_sequence(
    predictions: ArrayLike, noise: bool = False, step: int = 1
) -> NDArray[np.float64]:
    """The flip probability of each video: what its mean over a benchmark is uncertain by.

    Args:
        predictions: As `flip_probability`.
        noise: As `flip_probability`.
        step: As `flip_probability`.

    Returns:
        float64 `(videos,)`, the means over the comparisons of a video, 0..1.

    Raises:
        InputError: As `flip_probability`.

    Example:
        >>> flips_per_sequence([[1, 1, 2, 2, 1], [3, 3, 3, 3, 3]])
        array([0.5, 0. ])
    """
    classes = _class_numbers("predictions", predictions, 2, "(videos, frames)")
    before, after = _pairs(classes, noise, step)
    return (before != after).mean(axis=1)


def top5_distance(scores: ArrayLike, noise: bool = False, step: int = 1) -> float:
    """How far the five likeliest classes move in rank from a frame to the one compared with it.

    Of two frames it is `sum_{i=1..5} |min(i - 1, 5) - min(r_i - 1, 5)|`, r_i being the rank in
    the later frame of the class that has rank i in the earlier: 0 where all five keep their
    places, 15 where all leave the first five. Equal scores rank in the order of the classes.

    Args:
        scores: Logits or probabilities `(videos, frames, classes)`, five classes or more.
        noise: As `flip_probability`.
        step: As `flip_probability`.

    Returns:
        The mean over comparisons and videos, 0..15.

    Raises:
        InputError: Another shape, fewer than five classes, scores that are no numbers, too few
            frames, or a step with noise.

    Example:
        >>> scores = np.array([[[6, 5, 4, 3, 2, 1], [5, 6, 4, 3, 2, 1]]])
        >>> top5_distance(scores)
        2.0
    """
    values = _rectangular("scores", scores)
    if values.ndim != 3 or values.shape[2] < _TOP or values.dtype.kind not in "fiu":
        raise InputError(
            "`scores` must be numbers (videos, frames, classes), five classes or more. "
            f"Received: {values.dtype} {values.shape}"
        )
    if np.isnan(values).any():
        raise InputError("`scores` holds values that are no numbers (NaN)")
    order = np.argsort(-values.astype(np.float64), axis=2, kind="stable")
    return float(top5_distances_per_sequence(order[..., :_TOP], noise, step).mean())


def top5_distances_per_sequence(
    top5: ArrayLike, noise: bool = False, step: int = 1
) -> NDArray[np.float64]:
    """The top-5 distance of each video, from the five likeliest classes of its frames.

    These are all that `top5_distance` looks at: a class that left the first five has the same
    part in the sum wherever it went.

    Args:
        top5: Class numbers `(videos, frames, 5)`, the likeliest first.
        noise: As `flip_probability`.
        step: As `flip_probability`.

    Returns:
        float64 `(videos,)`, the means over the comparisons of a video, 0..15.

    Raises:
        InputError: No whole numbers `(videos, frames, 5)`, a class twice in a frame, too few
            frames, or a step with noise.

    Example:
        >>> top5_distances_per_sequence([[[0, 1, 2, 3, 4], [1, 0, 2, 3, 4], [1, 0, 2, 3, 9]]])
        array([1.5])
    """
    classes = _class_numbers("top5", top5, 3, "(videos, frames, 5), five of each frame")
    if classes.shape[2] != _TOP:
        raise InputError(f"`top5` must hold five classes of each frame. Received: {classes.shape}")
    in_order = np.sort(classes, axis=2)
    if (in_order[..., 1:] == in_order[..., :-1]).any():
        raise InputError(
            "`top5` must hold five different classes of each frame; one is there twice"
        )
    before, after = _pairs(classes, noise, step)
    same = before[..., :, None] == after[..., None, :]
    ranks = np.where(same.any(axis=3), same.argmax(axis=3), _TOP)  # 0 for the likeliest
    return np.abs(ranks - np.arange(_TOP)).sum(axis=2).mean(axis=1)


def mean_flip_rate(
    probabilities: Mapping[str, float], baseline: Mapping[str, float] | None = ALEXNET_IMAGENET_P
) -> float:
    """mFR: flip probabilities relative to a baseline's; without one mFP, their plain mean.

    Args:
        probabilities: `{perturbation: flip probability in 0..1}`.
        baseline: The same of the baseline network, which says what counts; None for mFP, as on
            CIFAR-10-P. The default is recalled: see `ALEXNET_IMAGENET_P`.

    Returns:
        Per cent; 100 is the baseline's own mFR.

    Raises:
        InputError: A perturbation of the baseline is missing or one is not in it, or a
            probability outside 0..1.

    Example:
        >>> round(mean_flip_rate(ALEXNET_IMAGENET_P), 6)
        100.0
        >>> mean_flip_rate({"tilt": 0.25, "scale": 0.5}, baseline=None)
        37.5
    """
    if not probabilities:
        raise InputError("`probabilities` holds no perturbation")
    for name, value in [*probabilities.items(), *(baseline or {}).items()]:
        if not 0 <= value <= 1:
            raise InputError(f"the flip probability of '{name}' must be in 0..1. Received: {value}")
    if baseline is None:
        return 100 * float(np.mean(list(probabilities.values())))
    for name in probabilities:
        if name not in baseline:
            raise unknown_name("perturbation of the baseline", name, baseline)
    if missing := [name for name in baseline if name not in probabilities]:
        raise InputError(
            f"a mean over part of the benchmark is no mFR: `probabilities` lacks "
            f"{', '.join(missing)}"
        )
    if still := [name for name, value in baseline.items() if value == 0]:
        raise InputError(f"the baseline never flips on {', '.join(still)}: nothing to divide by")
    return 100 * float(np.mean([probabilities[name] / baseline[name] for name in baseline]))


def _rectangular(name: str, values: ArrayLike) -> NDArray:
    try:
        return np.asarray(values)
    except ValueError:
        raise InputError(f"`{name}` must have as many frames for every video") from None


def _class_numbers(name: str, values: ArrayLike, ndim: int, shape: str) -> NDArray:
    classes = _rectangular(name, values)
    if classes.ndim != ndim or classes.dtype.kind not in "iu":
        raise InputError(
            f"`{name}` must be class numbers {shape}. Received: {classes.dtype} {classes.shape}"
        )
    return classes


def _pairs(frames: NDArray, noise: bool, step: int) -> tuple[NDArray, NDArray]:
    """The frames that are compared, earlier and later ones: `(videos, comparisons, ...)` each."""
    if step < 1 or int(step) != step or (noise and step != 1):
        raise InputError(
            f"`step` must be a whole number, 1 or more, and 1 for noise. Received: {step}"
        )
    if not len(frames) or frames.shape[1] <= step:
        raise InputError(
            f"a step of {step} needs videos of more than {step} frames. "
            f"Received: {frames.shape[0]} videos of {frames.shape[1]} frames"
        )
    if noise:
        later = frames[:, 1:]
        return np.broadcast_to(frames[:, :1], later.shape), later
    return frames[:, :-step], frames[:, step:]
