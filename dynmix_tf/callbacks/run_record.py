"""A run's progress bar, its line for each epoch, and its checkpoint."""

from __future__ import annotations

import json
import math
import os
import time
from pathlib import Path
from typing import Any

import keras
import numpy as np
from tqdm import tqdm

from dynmix_tf.checkpoint import save_checkpoint
from dynmix_tf.errors import InputError
from dynmix_tf.files import append_line, complete_lines, write_atomic

__all__ = ["RunRecord"]


class RunRecord(keras.callbacks.Callback):
    """Shows how far a run is, and keeps each epoch as it ends.

    At the end of an epoch a line goes to `metrics.jsonl` (epoch, logs, seconds, images per
    second), then the checkpoint is replaced. A kill between the two repeats the epoch; its line
    is dropped when the run resumes. Callbacks that add to the logs come before this one.

    Args:
        workdir: Folder of the run.
        steps: Steps in an epoch.
        batch_size: Images in a step.
        label: For the progress bar.
        initial_epoch: Epochs done before.

    Raises:
        InputError: The training diverged; the checkpoint of the last good epoch stays.

    Example:
        >>> record = RunRecord(Path("runs/a"), steps=100, batch_size=128, label="train dynmix")
    """

    def __init__(
        self, workdir: Path, steps: int, batch_size: int, label: str, initial_epoch: int = 0
    ) -> None:
        super().__init__()
        self.metrics_path = workdir / "metrics.jsonl"
        self.checkpoint_path = workdir / "checkpoints" / "last.npz"
        self.steps = steps
        self.batch_size = batch_size
        self.label = label
        self.initial_epoch = initial_epoch
        self._bar: Any = None
        self._epoch = self._shown = 0
        self._started = self._ended = 0.0

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Drops the lines of epochs that the checkpoint does not hold, and opens the bar."""
        if self.metrics_path.exists():
            lines = complete_lines(self.metrics_path)
            try:
                kept = [line for line in lines if json.loads(line)["epoch"] <= self.initial_epoch]
            except (ValueError, KeyError, TypeError) as error:
                raise InputError(
                    f"{self.metrics_path} has a line that is no epoch's ({error}); mend or delete "
                    "the line"
                ) from None
            if len(kept) < len(lines):
                write_atomic(self.metrics_path, "".join(f"{line}\n" for line in kept))
        images = self.steps * self.batch_size
        self._bar = tqdm(
            total=self.params["epochs"] * images, initial=self.initial_epoch * images,
            desc=self.label, unit=" images", unit_scale=True,
            mininterval=0.5 if os.isatty(2) else 10,
        )  # fmt: skip

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Starts the epoch's clock."""
        self._epoch = epoch + 1
        self._shown = 0
        self._started = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Moves the bar, and stops at a loss (at the epoch's end: weights) that is no number."""
        self._bar.update((batch + 1 - self._shown) * self.batch_size)
        self._shown = batch + 1
        self._ended = time.perf_counter()  # here, so that evaluations after the epoch do not count
        finite = math.isfinite((logs or {}).get("loss", 0.0))
        if finite and batch == self.steps - 1:
            weights = self.model.trainable_variables
            finite = all(np.isfinite(np.asarray(weight)).all() for weight in weights)
        if not finite:
            raise InputError(
                f"the training diverged in epoch {self._epoch}, step {batch + 1}: the loss is not "
                f"finite. The checkpoint of epoch {self._epoch - 1} is kept, if there is one; try "
                "a lower --learning_rate in another --workdir"
            )

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Keeps the epoch."""
        seconds = self._ended - self._started
        values = {name: float(value) for name, value in (logs or {}).items()}
        speed = self.steps * self.batch_size / seconds
        line = {"epoch": epoch + 1, **values, "seconds": seconds, "images_per_second": speed}
        append_line(self.metrics_path, json.dumps(line))
        save_checkpoint(self.checkpoint_path, self.model, epoch + 1)
        self._bar.set_postfix_str(
            f"epoch {epoch + 1}/{self.params['epochs']} loss {values['loss']:.3f} "
            f"accuracy {values['accuracy']:.3f}",
            refresh=False,
        )

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Closes the bar."""
        self.close()

    def close(self) -> None:
        """Closes the bar; what is told of a training that failed stands below it."""
        if self._bar is not None:
            self._bar.close()
