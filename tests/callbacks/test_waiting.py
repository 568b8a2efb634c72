from __future__ import annotations

import pytest

from dynmix_tf.callbacks import WaitingTime, waiting


class Clock:
    """Stands still but for what the batches and the steps say they took."""

    now = 100.0

    def perf_counter(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(waiting, "time", clock)
    return clock


def train(clock, watch, epochs):
    """Epochs of `(seconds until the batch comes, seconds of the step)`."""

    def batches():
        for epoch in epochs:
            for wait, _ in epoch:
                clock.now += wait
                yield wait

    stream, shares = watch.over(batches()), []
    for number, epoch in enumerate(epochs):
        watch.on_epoch_begin(number)
        for wait, step in epoch:
            assert next(stream) == wait
            clock.now += step
        logs = {}
        watch.on_epoch_end(number, logs)
        clock.now += 50  # an evaluation between the epochs
        shares.append(logs["waiting_for_data"])
    assert next(stream, None) is None
    return shares


def test_the_share_of_the_time_without_the_first_step(clock):
    watch = WaitingTime()
    shares = train(clock, watch, [[(20, 30), (1, 3), (1, 3)], [(0, 4), (0, 4)]])
    assert shares == pytest.approx([2 / 8, 0])
    assert watch.share == pytest.approx(2 / 16)
    assert watch.verdict() == (
        "12.5% of the training's time was spent waiting for data: the input pipeline limits it"
    )


def test_a_run_that_does_not_wait(clock):
    watch = WaitingTime()
    assert train(clock, watch, [[(9, 9), (0.05, 0.95)]]) == pytest.approx([0.05])
    assert watch.verdict().startswith("5.0% of") and "the device limits it" in watch.verdict()
    assert WaitingTime().share == 0
