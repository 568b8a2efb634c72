"""Scores a model on a benchmark, row by row, so that nothing measured is lost."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import warnings
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from dynmix_tf import per_image, results
from dynmix_tf.files import locked
from dynmix_tf.predictors import Predict

__all__ = ["score", "warn_of_overlap"]

Told = Callable[[int], Any]

_KNOWN_BY = 1000  # images by which a model is known again


def score(
    predict: Predict,
    benchmark: Any,
    csv_path: str | Path,
    images_folder: str | Path,
    identity: dict[str, Any],
    batch_size: int = 256,
    label: str = "",
) -> list[dict[str, Any]]:
    """Measures every condition of a benchmark and appends a row for each as it is measured.

    What `csv_path` holds already of this model is not measured again, so an interrupted call
    continues. The first 1,000 images are always looked at: which of them the model classifies
    right, its mean confidence to three digits, the identity and the benchmark are the rows'
    `measurement`, so that rows of another model of the same name are not taken for this one's.
    Models that agree in all of that share rows, and corrupted files that were made anew with
    other settings are noticed by the `manifest.json` beside them only: without one, score those
    into another folder.

    Args:
        predict: uint8 `(N, H, W, C)` to probabilities `(N, classes)`.
        benchmark: A `benchmarks.Benchmark` of corrupted images, or a
            `benchmarks.SequenceBenchmark`.
        csv_path: The long CSV; rows of other measurements may stand in it too.
        images_folder: Gets what each image, or each sequence, got: a folder for the measurement,
            a file for each condition. See `results.load_images`.
        identity: The rows' `model`, `method` and `epoch`.
        batch_size: Images in a forward pass; does not change the result.
        label: For the progress bar.

    Returns:
        The rows of this measurement, in the order of the conditions.

    Raises:
        InputError: The model does not fit the images or the classes, `csv_path` is no such CSV, or
            another process makes the same measurement.

    Example:
        >>> benchmark = dynmix_tf.GeneratedBenchmark(images, labels, names=["fog"])
        >>> predict = dynmix_tf.predictors.network_predictor(network)
        >>> identity = {"model": "mine", "method": "standard", "epoch": 10}
        >>> rows = score(predict, benchmark, "out.csv", "images", identity)
        >>> len(rows)
        6
    """
    measure = (_Sequences if hasattr(benchmark, "sequences") else _Images)(
        predict, benchmark, batch_size
    )
    common = {
        **identity,
        "dataset": benchmark.dataset,
        "benchmark": benchmark.name,
        "num_images": len(benchmark),
        "strengths": benchmark.strengths,
        "benchmark_seed": benchmark.seed,
    }
    with contextlib.ExitStack() as held, tqdm(
        desc=label or "evaluate", unit=f" {measure.unit}", total=min(len(benchmark), _KNOWN_BY),
        mininterval=0.5 if os.isatty(2) else 10, delay=1,
    ) as progress:  # fmt: skip
        known_by = json.dumps([*common.values(), *measure.first_predictions(progress.update)])
        common["measurement"] = f"{zlib.crc32(known_by.encode()):08x}"
        folder = Path(images_folder) / common["measurement"]
        folder.mkdir(parents=True, exist_ok=True)
        held.enter_context(locked(folder))
        known = {
            (row["corruption"], row[measure.level]): row
            for row in (results.read(csv_path) if Path(csv_path).exists() else [])
            if all(row[name] == value for name, value in common.items())
        }
        todo = [condition for condition in benchmark.conditions if condition not in known]
        if todo:
            progress.reset(total=len(todo) * len(benchmark))
        for corruption, level in todo:
            progress.set_postfix_str(f"{corruption} {level}", refresh=False)
            values, columns, worst = measure(corruption, level, progress.update)
            row = {**common, "corruption": corruption, measure.level: level, **columns}
            results.save_images(folder, corruption, level, values, worst)
            results.append(csv_path, row)
            known[corruption, level] = {name: row.get(name) for name in results.FIELDS}
    return [known[condition] for condition in benchmark.conditions]


def warn_of_overlap(operations: str | Sequence[str], benchmark: Any) -> None:
    """Warns where a benchmark holds corruptions that resemble what a model was trained with.

    Args:
        operations: The set of operations by its name, or names of operations.
        benchmark: With `conditions`, as `score` takes it.

    Raises:
        InputError: An unknown set or operation.

    Warns:
        UserWarning: Once for all of them.

    Example:
        >>> benchmark = dynmix_tf.GeneratedBenchmark(images, labels, names=["pixelate", "fog"])
        >>> with warnings.catch_warnings(record=True, action="always") as told:
        ...     warn_of_overlap("imagenet", benchmark)
        >>> "(downscale: pixelate)" in str(told[0].message)
        True
    """
    from dynmix_tf.augment import overlapping_corruptions

    present = {corruption for corruption, _ in benchmark.conditions}
    shared = {
        operation: [corruption for corruption in corruptions if corruption in present]
        for operation, corruptions in overlapping_corruptions(operations).items()
    }
    pairs = [f"{operation}: {', '.join(found)}" for operation, found in shared.items() if found]
    if pairs:
        warnings.warn(
            "the model was trained with operations that resemble corruptions of this benchmark "
            f"({'; '.join(pairs)}); its scores on these, and means over them, do not measure "
            "unseen corruptions",
            stacklevel=2,
        )


class _Images:
    """Measures conditions of corrupted images."""

    level, unit = "severity", "images"

    def __init__(self, predict: Predict, benchmark: Any, batch_size: int) -> None:
        self.predict, self.benchmark, self.batch_size = predict, benchmark, batch_size
        self.first: tuple[dict[str, np.ndarray], np.ndarray] | None = None

    def first_predictions(self, told: Told) -> list[Any]:
        """What tells one model from another, in JSON values; other devices give the same."""
        batches = self.benchmark.batches(*self.benchmark.conditions[0], self.batch_size)
        values, worst = self._values(_head(batches, _KNOWN_BY), told)
        if len(values["correct"]) == len(self.benchmark):
            self.first = values, worst
        correct = np.packbits(values["correct"][:_KNOWN_BY])
        confidence = values["confidence"][:_KNOWN_BY].mean(dtype=np.float64)
        return [zlib.crc32(correct.tobytes()), f"{confidence:.3f}"]

    def __call__(
        self, corruption: str, severity: int, told: Told
    ) -> tuple[dict[str, np.ndarray], dict[str, float], np.ndarray]:
        """Values of each image, the columns of the row, and the least likely image."""
        if self.first and (corruption, severity) == self.benchmark.conditions[0]:
            told(len(self.benchmark))
            values, worst = self.first
        else:
            batches = self.benchmark.batches(corruption, severity, self.batch_size)
            values, worst = self._values(batches, told)
        return values, per_image.image_means(values), worst

    def _values(
        self, batches: Iterator[Any], told: Told
    ) -> tuple[dict[str, np.ndarray], np.ndarray]:
        return per_image.image_values(self.predict, batches, self.benchmark.num_classes, told)


class _Sequences:
    """Measures conditions of image sequences; the frames of several are predicted once."""

    level, unit = "difficulty", "sequences"

    def __init__(self, predict: Predict, benchmark: Any, batch_size: int) -> None:
        self.predict, self.benchmark, self.batch_size = predict, benchmark, batch_size
        self.key: tuple[str, int] | None = None
        self.top5: np.ndarray = np.empty(0)

    def first_predictions(self, told: Told) -> list[Any]:
        """As that of `_Images`: the classes of the first sequences."""
        perturbation, difficulty = self.benchmark.conditions[0]
        sequences = self.benchmark.sequences(perturbation, difficulty)
        count = _KNOWN_BY // 30
        top5 = self._top5(itertools.islice(sequences, count), told)
        if len(self.benchmark) <= count:
            self.key, self.top5 = self._frames(perturbation, difficulty), top5
        return [zlib.crc32(np.ascontiguousarray(top5[..., 0]).tobytes())]

    def __call__(
        self, perturbation: str, difficulty: int, told: Told
    ) -> tuple[dict[str, np.ndarray], dict[str, float], None]:
        """Values of each sequence, and the columns of the row."""
        key = self._frames(perturbation, difficulty)
        if key == self.key:
            told(len(self.benchmark))
        else:
            self.key = None
            self.top5 = self._top5(self.benchmark.sequences(perturbation, difficulty), told)
            self.key = key
        noise, step = self.benchmark.comparison(perturbation, difficulty)
        values = per_image.flips(self.top5, noise, step)
        return values, per_image.sequence_means(values), None

    def _top5(self, sequences: Iterator[np.ndarray], told: Told) -> np.ndarray:
        return per_image.sequence_values(self.predict, sequences, self.batch_size, told)

    def _frames(self, perturbation: str, difficulty: int) -> tuple[str, int]:
        noise, _ = self.benchmark.comparison(perturbation, difficulty)
        return perturbation, difficulty if noise else 1


def _head(batches: Iterator[Any], images: int) -> Iterator[Any]:
    """The first batches, of so many images or a few more."""
    for batch in batches:
        yield batch
        images -= len(batch[0])
        if images <= 0:
            return
