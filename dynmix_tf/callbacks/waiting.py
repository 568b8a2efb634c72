"""How much of its time a training waits for data."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import Any

import keras

__all__ = ["WaitingTime"]

_MUCH = 0.1  # share of the time from which on it is the data that the run waits for


class WaitingTime(keras.callbacks.Callback):
    """Measures the share of a training's time in which the next batch was not there yet.

    Puts `waiting_for_data`, 0 to 1, into the logs of each epoch, so it comes before the callbacks
    that keep them. The first step of all does not count: in it everything is compiled.

    Example:
        >>> waiting = WaitingTime()
        >>> batches = waiting.over(views.over(ds.repeat()))
        >>> history = model.fit(batches, steps_per_epoch=4, verbose=0, callbacks=[waiting])
        >>> 0 < history.history["waiting_for_data"][0] < 1
        True
        >>> "waiting for data" in waiting.verdict()
        True
    """

    def __init__(self) -> None:
        super().__init__()
        self._waited = self._began = 0.0
        self._all_waited = self._all = 0.0

    def over(self, batches: Iterable[Any]) -> Iterator[Any]:
        """The same batches; the time that each takes to come is counted."""
        iterator = iter(batches)
        try:
            yield next(iterator)
            self._began, self._waited = time.perf_counter(), 0.0
            while True:
                begin = time.perf_counter()
                batch = next(iterator)
                self._waited += time.perf_counter() - begin
                yield batch
        except StopIteration:
            return

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Starts to count."""
        self._began, self._waited = time.perf_counter(), 0.0

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Adds the epoch's share to the logs."""
        seconds = time.perf_counter() - self._began
        self._all_waited += self._waited
        self._all += seconds
        if logs is not None:
            logs["waiting_for_data"] = self._waited / seconds

    @property
    def share(self) -> float:
        """The part of the whole training's time so far, 0 to 1, that was spent waiting."""
        return self._all_waited / max(self._all, 1e-9)

    def verdict(self) -> str:
        """What the training waited for, in a line."""
        reason = "the input pipeline limits it" if self.share > _MUCH else "the device limits it"
        return f"{self.share:.1%} of the training's time was spent waiting for data: {reason}"
