"""The loop of the runs against Keras' own."""

from __future__ import annotations

import csv
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from dynmix_tf import models
from dynmix_tf.callbacks import WaitingTime
from dynmix_tf.consistency import ConsistencyModel
from dynmix_tf.optimizers import CoupledSGD
from dynmix_tf.train_loop import fit


@pytest.fixture(scope="module")
def ds(photo_crops):
    views = tuple(photo_crops(32, 24, seed).astype("float32") for seed in range(3))
    labels = np.arange(24) % 3
    return tf.data.Dataset.from_tensor_slices((views, labels)).batch(8).repeat()


def made():
    model = ConsistencyModel(models.build("small_cnn", (32, 32, 3), 3, seed=0))
    model.compile(CoupledSGD(0.05, l2=5e-4))
    model.optimizer.build(model.trainable_variables)
    return model


class Calls(keras.callbacks.Callback):
    """What a callback is told, and when."""

    def __init__(self):
        super().__init__()
        self.calls = []

    def __getattribute__(self, name):
        if not name.startswith("on_"):
            return super().__getattribute__(name)

        def called(*words, logs=None):
            if words and isinstance(words[-1], dict):
                *words, logs = words
            told = {key: float(value) for key, value in (logs or {}).items()}
            self.calls.append((name, *[word for word in words if word is not None], told))

        return called


def test_it_trains_as_keras_does_and_tells_callbacks_the_same(ds):
    ours, theirs = made(), made()
    watches = [Calls(), Calls()]
    shared = {"epochs": 3, "initial_epoch": 1}
    fit(ours, lambda context: ds, steps=2, callbacks=[watches[0]], **shared)
    theirs.fit(ds, steps_per_epoch=2, shuffle=False, verbose=0, callbacks=[watches[1]], **shared)
    for got, want in zip(ours.variables, theirs.variables, strict=True):
        np.testing.assert_allclose(got, want, rtol=0, atol=1e-6)
    names = [[call[:-1] for call in watch.calls] for watch in watches]
    assert names[0] == names[1]
    assert ("on_train_batch_end", 1) in names[0] and ("on_epoch_end", 2) in names[0]
    for (*_, got), (*_, want) in zip(watches[0].calls, watches[1].calls, strict=True):
        assert got == pytest.approx(want, rel=1e-4, abs=1e-6)


def test_a_callback_may_stop_it_and_the_waiting_is_counted(ds):
    model, watch, waiting = made(), Calls(), WaitingTime()
    stop = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: setattr(model, "stop_training", epoch == 1)
    )
    fit(model, lambda context: ds, steps=2, epochs=5, callbacks=[waiting, stop, watch],
        waiting=waiting)  # fmt: skip
    ends = [call for call in watch.calls if call[0] == "on_epoch_end"]
    assert [epoch for _, epoch, _ in ends] == [0, 1]
    assert all(0 < logs["waiting_for_data"] < 1 for *_, logs in ends)
    assert watch.calls[-1][0] == "on_train_end" and model.optimizer.iterations == 4


def test_a_step_on_three_views_costs_what_it_is_said_to():
    """The raw rows: at most 1.05 times plain Keras training, and what MEASURED.md says."""
    root = Path(__file__).parent.parent
    with open(root / "experiments" / "results" / "train_step.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    told = (root / "experiments" / "MEASURED.md").read_text()
    for backend in ("tensorflow", "jax"):
        times = {
            training: [
                float(row["wall_ms_per_step"])
                for row in rows
                if (row["backend"], row["training"]) == (backend, training)
            ]
            for training in ("plain on 3B images", "three views", "three views by the own loop")
        }
        plain = times.pop("plain on 3B images")
        for ours in filter(None, times.values()):
            ratio = np.median(np.divide(ours, plain))
            assert ratio <= 1.05 and f"{ratio:.3f}" in told
