"""Robustness under corruption, measured while a model trains."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np

from dynmix_tf.errors import InputError
from dynmix_tf.scoring import score

__all__ = ["RobustnessEvaluation"]


class RobustnessEvaluation(keras.callbacks.Callback):
    """Scores the model on a benchmark at the end of every few epochs.

    Puts `clean_error`, `corruption_error` (mean over corruptions and severities) and
    `corruption_rms_calibration_error` into the epoch's logs, 0 to 1, and appends a row for each
    corruption and severity to a CSV file as it is measured. An epoch that was measured before an
    interruption is not measured again.

    Works with any Keras classifier whose output are logits, `ConsistencyModel` or not.

    Args:
        benchmark: `dynmix_tf.GeneratedBenchmark` or its like.
        every: Epochs between evaluations; the last of the epochs asked for is always evaluated.
        csv_path: The long CSV. Per-image records go to the folder of the same name without
            ".csv", one folder for each epoch.
        model_name: What the rows' column `model` says.
        method: What the rows' column `method` says.
        logits: False for a model that returns probabilities.
        batch_size: Images in a forward pass.

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
        model_name: str = "",
        method: str = "",
        logits: bool = True,
        batch_size: int = 256,
    ) -> None:
        super().__init__()
        if int(every) != every or every < 1:
            raise InputError(f"`every` must be 1 or more whole epochs. Received: {every}")
        if Path(csv_path).suffix != ".csv":
            raise InputError(f"`csv_path` must name a .csv file. Received: {csv_path}")
        self.benchmark = benchmark
        self.every = int(every)
        self.csv_path = Path(csv_path)
        self.identity = {"model": model_name, "method": method}
        self.logits = logits
        self.batch_size = batch_size

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Evaluates after every `every` epochs and after the last."""
        done = epoch + 1
        if done % self.every and done != self.params.get("epochs"):
            return
        rows = score(
            self._predict,
            self.benchmark,
            self.csv_path,
            self.csv_path.with_suffix("") / f"epoch_{done}",
            {**self.identity, "epoch": done},
            self.batch_size,
            label=f"robustness after epoch {done}",
        )
        corrupted = [row for row in rows if row["corruption"] != "clean"]
        if logs is not None:
            logs["clean_error"] = rows[0]["error"]
            logs["corruption_error"] = float(np.mean([row["error"] for row in corrupted]))
            logs["corruption_rms_calibration_error"] = float(
                np.mean([row["rms_calibration_error"] for row in corrupted])
            )

    def _predict(self, images: np.ndarray) -> np.ndarray:
        # under MirroredStrategy every replica predicts the whole batch, one after the other
        output = self.model.predict_on_batch(images)[: len(images)]
        return keras.ops.convert_to_numpy(keras.ops.softmax(output)) if self.logits else output
