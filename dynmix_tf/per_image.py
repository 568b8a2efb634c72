"""What a model makes of each image, or each sequence of frames, of one condition of a benchmark."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from dynmix_tf.errors import InputError
from dynmix_tf.metrics import expected_calibration_error, rms_calibration_error

__all__ = ["flips", "image_means", "image_values", "sequence_means", "sequence_values"]

Predict = Callable[[np.ndarray], np.ndarray]
Values = dict[str, np.ndarray]

_SMALLEST = 1e-12  # a probability of 0 would make one image count for ever
_END = object()


def image_values(
    predict: Predict,
    batches: Iterable[tuple[np.ndarray, np.ndarray]],
    num_classes: int,
    told: Callable[[int], Any] = lambda images: None,
) -> tuple[Values, np.ndarray]:
    """What each image got, and the image that the model found least likely.

    Args:
        predict: uint8 `(N, H, W, C)` to probabilities `(N, classes)`.
        batches: Images and their class numbers; the next batch is read while one is predicted.
        num_classes: Of the benchmark.
        told: Called after each batch with its number of images.

    Returns:
        Arrays `(N,)`: `confidence`, `negative_log_likelihood` and `brier_score`, float32,
        `correct`, bool, `label` and `predicted`, int32; and the image whose likelihood is lowest,
        uint8 `(H, W, C)`.

    Raises:
        InputError: The model has another number of classes.

    Example:
        >>> values, worst = image_values(lambda batch: np.eye(10)[labels], [(images, labels)], 10)
        >>> image_means(values)["error"]
        0.0
    """
    parts: list[Values] = []
    worst, worst_likelihood = np.empty(0), -np.inf
    for images, labels in _read_ahead(batches):
        probabilities = _checked(predict(images), num_classes)
        given = probabilities[np.arange(len(labels)), labels]
        predicted = probabilities.argmax(axis=1)
        likelihood = -np.log(np.maximum(given, _SMALLEST))
        squares = np.einsum("ij,ij->i", probabilities, probabilities)
        parts.append(
            {
                "confidence": probabilities.max(axis=1).astype(np.float32),
                "correct": predicted == labels,
                "negative_log_likelihood": likelihood.astype(np.float32),
                "brier_score": (squares - 2 * given + 1).astype(np.float32),
                "label": np.asarray(labels, np.int32),
                "predicted": predicted.astype(np.int32),
            }
        )
        if likelihood.max() > worst_likelihood:
            worst, worst_likelihood = images[likelihood.argmax()], likelihood.max()
        told(len(images))
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}, worst


def image_means(values: Values) -> dict[str, float]:
    """The columns of a row of results, from what `image_values` gives."""
    confidence, correct = values["confidence"], values["correct"]
    return {
        "error": float(1 - correct.mean()),
        "rms_calibration_error": rms_calibration_error(confidence, correct),
        "expected_calibration_error": expected_calibration_error(confidence, correct),
        "mean_confidence": _mean(confidence),
        "negative_log_likelihood": _mean(values["negative_log_likelihood"]),
        "brier_score": _mean(values["brier_score"]),
    }


def sequence_values(
    predict: Predict,
    sequences: Iterable[np.ndarray],
    batch_size: int,
    told: Callable[[int], Any] = lambda sequences: None,
) -> np.ndarray:
    """The five likeliest classes of each frame, the likeliest first; equal ones in their order.

    Args:
        predict: uint8 `(N, H, W, C)` to probabilities `(N, classes)`.
        sequences: uint8 `(frames, H, W, C)` each, all of as many frames.
        batch_size: Frames in a forward pass, if a sequence has no more.
        told: Called after each batch with its number of sequences.

    Returns:
        int32 `(sequences, frames, 5)`, or as many as there are classes.

    Example:
        >>> frames = np.zeros((31, 32, 32, 3), np.uint8)
        >>> sequence_values(lambda batch: np.full((len(batch), 10), 0.1), [frames], 256).shape
        (1, 31, 5)
    """
    parts = []
    for group in _read_ahead(_grouped(sequences, batch_size)):
        probabilities = _checked(predict(np.concatenate(group)), None)
        likeliest = np.argsort(-probabilities, axis=1, kind="stable")[:, :5].astype(np.int32)
        parts.append(likeliest.reshape(len(group), -1, likeliest.shape[1]))
        told(len(group))
    return np.concatenate(parts)


def sequence_means(values: Values) -> dict[str, float]:
    """The columns of a row of results, from flips and distances per sequence."""
    columns = {"flip_probability": _mean(values["flips"])}
    if "top5_distance" in values:
        columns["top5_distance"] = _mean(values["top5_distance"])
    return columns


def flips(top5: np.ndarray, noise: bool, step: int) -> Values:
    """Flips, and how far the first five moved, of each sequence, from `sequence_values`."""
    from dynmix_tf.metrics import flips_per_sequence, top5_distances_per_sequence

    values = {"flips": flips_per_sequence(top5[..., 0], noise, step).astype(np.float32)}
    if top5.shape[2] == 5:
        moved = top5_distances_per_sequence(top5, noise, step)
        values["top5_distance"] = moved.astype(np.float32)
    return values


def _checked(probabilities: np.ndarray, num_classes: int | None) -> np.ndarray:
    wrong = probabilities.ndim != 2 or num_classes not in (None, probabilities.shape[1])
    if wrong:
        raise InputError(
            f"the model gives {probabilities.shape[1:]} values for an image, the benchmark has "
            f"{num_classes} classes; evaluate it on the data it was trained for, or tell the "
            "benchmark the number with `num_classes`"
        )
    return probabilities


def _grouped(sequences: Iterable[np.ndarray], batch_size: int) -> Iterator[list[np.ndarray]]:
    group: list[np.ndarray] = []
    for sequence in sequences:
        group.append(sequence)
        if len(group) * len(sequence) + len(sequence) > batch_size:
            yield group
            group = []
    if group:
        yield group


def _read_ahead(items: Iterable[Any]) -> Iterator[Any]:
    """The items, each read by a thread while its forerunner is used."""
    iterator = iter(items)
    with ThreadPoolExecutor(1) as thread:
        upcoming = thread.submit(next, iterator, _END)
        while (item := upcoming.result()) is not _END:
            upcoming = thread.submit(next, iterator, _END)
            yield item


def _mean(values: np.ndarray) -> float:
    return float(values.mean(dtype=np.float64))
