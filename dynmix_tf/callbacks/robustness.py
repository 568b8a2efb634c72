"""Robustness under corruption, measured while a model trains."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
from PIL import Image

from dynmix_tf import results
from dynmix_tf.benchmarks.conditions import evenly_spread
from dynmix_tf.errors import InputError
from dynmix_tf.models.wrapping import refuse_softmax
from dynmix_tf.predictors import network_predictor
from dynmix_tf.scoring import score

__all__ = ["RobustnessEvaluation"]

_MOST_KEPT = 2**30  # bytes


class RobustnessEvaluation(keras.callbacks.Callback):
    """Scores the model on a benchmark at the end of every few epochs.

    Puts `clean_error`, `corruption_error` (mean over corruptions and severities), its part of each
    severity, `corruption_error_1` to `_5`, and `corruption_rms_calibration_error` into the epoch's
    logs, 0 to 1, which `keras.callbacks.TensorBoard` shows if it comes later in the list; and
    appends a row for each corruption and severity to a CSV file as it is measured. An epoch that
    was measured before an interruption is not measured again.

    Works with any Keras classifier whose output are logits, `ConsistencyModel` or not. The
    benchmark's images are kept in memory for the next evaluation, unless they are more than 1 GiB.

    Args:
        benchmark: `dynmix_tf.GeneratedBenchmark` or another of `dynmix_tf.benchmarks`.
        every: Epochs between evaluations; the last of the epochs asked for is always evaluated.
        csv_path: The long CSV. Per-image records go to the folder of the same name without
            ".csv", one folder for each epoch.
        max_images: At most so many images of each condition, spread evenly; None is all. The
            others are still read or made at the first evaluation.
        model_name: What the rows' column `model` says.
        method: What the rows' column `method` says.
        logits: False for a model that returns probabilities.
        batch_size: Images in a forward pass.
        log_dir: Folder for TensorBoard of the images that are classified worst; None shows none.

    Raises:
        InputError: `every` is not a whole number of at least 1, or `csv_path` names no CSV file.

    Example:
        >>> benchmark = dynmix_tf.GeneratedBenchmark(images, labels, names=["fog"])
        >>> watch = RobustnessEvaluation(benchmark, every=2, csv_path="by_epoch.csv")
        >>> history = model.fit(views.over(ds), epochs=2, verbose=0, callbacks=[watch])
    """

    def __init__(
        self,
        benchmark: Any,
        every: int = 1,
        csv_path: str | Path = "robustness_by_epoch.csv",
        *,
        max_images: int | None = None,
        model_name: str = "",
        method: str = "",
        logits: bool = True,
        batch_size: int = 256,
        log_dir: str | Path | None = None,
    ) -> None:
        super().__init__()
        if int(every) != every or every < 1:
            raise InputError(f"`every` must be 1 or more whole epochs. Received: {every}")
        if Path(csv_path).suffix != ".csv":
            raise InputError(f"`csv_path` must name a .csv file. Received: {csv_path}")
        self.benchmark = _Kept(benchmark, max_images)
        self.every = int(every)
        self.csv_path = Path(csv_path)
        self.identity = {"model": model_name, "method": method}
        self.logits = logits
        self.batch_size = batch_size
        self.log_dir = log_dir
        self._predict: Any = None
        self._predicts_for: Any = None

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Finds the model to fit the benchmark, and to return logits if they are expected."""
        if self.logits:
            network = getattr(self.model, "network", self.model)
            refuse_softmax(network, ", or tell the callback logits=False")
        corruption, severity = self.benchmark.conditions[0]
        images, _ = next(self.benchmark.batches(corruption, severity, 1))
        given = (*images.shape[1:], self.benchmark.num_classes)
        taken = (
            *_known_shape(self.model, "input_shape"),
            *_known_shape(self.model, "output_shape"),
        )
        if len(taken) == len(given) and any(
            own not in (None, here) for own, here in zip(taken, given, strict=True)
        ):
            raise InputError(
                f"the model takes images {taken[:-1]} of {taken[-1]} classes, the benchmark has "
                f"{given[:-1]} of {given[-1]}; make it of the data that the model is for, and tell "
                "it the number of classes with `num_classes`"
            )

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Evaluates after every `every` epochs and after the last."""
        done = epoch + 1
        if done % self.every and done != self.params.get("epochs"):
            return
        if self._predicts_for is not self.model:  # once for a model: it compiles
            self._predicts_for = self.model
            output = "logits" if self.logits else "probabilities"
            self._predict = network_predictor(self.model, output=output)
        folder = self.csv_path.with_suffix("") / f"epoch_{done}"
        rows = score(
            self._predict,
            self.benchmark,
            self.csv_path,
            folder,
            {**self.identity, "epoch": done},
            self.batch_size,
            label=f"robustness after epoch {done}",
        )
        if logs is not None:
            logs.update(_means(rows))
        if self.log_dir is not None:
            _show_worst(self.log_dir, folder / rows[0]["measurement"], rows, done)


class _Kept:
    """Some of a benchmark's images, kept from the first pass on if all of them fit."""

    def __init__(self, benchmark: Any, max_images: int | None) -> None:
        self._benchmark = benchmark
        self._chosen = np.array(evenly_spread(range(len(benchmark)), "max_images", max_images))
        self._batches: dict[tuple[str, int], list[tuple[np.ndarray, np.ndarray]]] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._benchmark, name)

    def __len__(self) -> int:
        return len(self._chosen)

    def batches(self, corruption: str, severity: int, batch_size: int) -> Iterator[Any]:
        """As those of the benchmark, with fewer images."""
        kept = self._batches.get((corruption, severity))
        if kept is not None:
            yield from kept
            return
        fresh = []
        first = 0
        for images, labels in self._benchmark.batches(corruption, severity, batch_size):
            rows = self._chosen[(self._chosen >= first) & (self._chosen < first + len(images))]
            first += len(images)
            if not len(rows):
                continue
            batch = images[rows - first], labels[rows - first]
            bytes_of_all = images[0].nbytes * len(self) * len(self._benchmark.conditions)
            if bytes_of_all <= _MOST_KEPT:
                fresh.append(batch)
            yield batch
        if fresh:  # and whole: an iterator that is left early does not come here
            self._batches[corruption, severity] = fresh


def _known_shape(model: Any, name: str) -> tuple[int | None, ...]:
    """A model's shape of one image or output; () where it has none."""
    try:
        shape = getattr(getattr(model, "network", model), name)
    except (AttributeError, ValueError):  # a subclass
        return ()
    return tuple(shape[1:]) if isinstance(shape, tuple) else ()


def _means(rows: list[dict[str, Any]]) -> dict[str, float]:
    groups = {"corruption_error": [row for row in rows if row["corruption"] != "clean"]}
    for row in rows:
        severity = row["severity"]
        name = f"corruption_error_{severity}" if severity else "clean_error"
        groups.setdefault(name, []).append(row)
    logs = {name: np.mean([row["error"] for row in members]) for name, members in groups.items()}
    calibration = [row["rms_calibration_error"] for row in groups["corruption_error"]]
    logs["corruption_rms_calibration_error"] = np.mean(calibration)
    return {name: float(value) for name, value in logs.items()}


def _show_worst(log_dir: str | Path, folder: Path, rows: list[dict[str, Any]], epoch: int) -> None:
    """Shows TensorBoard the image that was classified worst of each corruption at its strongest."""
    import tensorflow as tf

    strongest = {row["corruption"]: row["severity"] for row in rows}
    with tf.summary.create_file_writer(str(log_dir)).as_default(step=epoch):
        for corruption, severity in strongest.items():
            path = results.images_path(folder, corruption, severity).with_suffix(".png")
            with Image.open(path) as image:
                pixels = np.asarray(image.convert("RGB"))
            tf.summary.image(f"classified worst/{corruption} {severity}", pixels[None])
