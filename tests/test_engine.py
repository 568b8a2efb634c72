"""Whole runs on real images: the same twice, interrupted and continued, on one and two devices."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from dynmix_tf import data, engine, export, pipeline, predictors, results, runs, train_loop
from dynmix_tf.callbacks import RunRecord
from dynmix_tf.config import TrainConfig
from dynmix_tf.errors import InputError

SETTINGS = {"dataset": "photos", "batch_size": 30, "epochs": 3, "learning_rate": 0.05}


@pytest.fixture(scope="module")
def photos():
    return data.load("photos", num_train=100, num_test=18)


def run(photos, workdir, **settings):
    config = TrainConfig(**{**SETTINGS, **settings})
    runs.open_run(config, workdir)
    network = engine.train(config, photos, workdir)
    return [weight.numpy() for weight in network.weights]


def lines(workdir):
    epochs = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    timing = ("seconds", "images_per_second", "waiting_for_data")
    return [{k: v for k, v in epoch.items() if k not in timing} for epoch in epochs]


@pytest.fixture(scope="module")
def unbroken(photos, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("unbroken") / "run"
    return run(photos, workdir), workdir


def test_a_run_leaves_its_whole_record(unbroken, photos):
    weights, workdir = unbroken
    config = json.loads((workdir / "config.json").read_text())
    assert config["epochs"] == 3 and config["consistency"] == "jsd"
    assert set(config["versions"]) == {"dynmix_tf", "python", "tensorflow", "keras", "numpy"}
    assert config["devices"] and config["commit"] and "continued" not in config
    assert [line["epoch"] for line in lines(workdir)] == [1, 2, 3]
    assert lines(workdir)[-1]["loss"] < lines(workdir)[0]["loss"]
    assert list((workdir / "tensorboard").rglob("events.out.*"))
    loaded = export.load_model(workdir / "final.keras")
    for got, want in zip(loaded.weights, weights, strict=True):
        np.testing.assert_array_equal(got, want)
    assert (workdir / "export" / "saved_model.pb").is_file()


def test_the_same_command_twice_gives_the_same_weights(unbroken, photos, tmp_path):
    weights, workdir = unbroken
    again = run(photos, tmp_path / "run")
    for got, want in zip(again, weights, strict=True):
        np.testing.assert_array_equal(got, want)
    assert lines(tmp_path / "run") == lines(workdir)
    other = run(photos, tmp_path / "other", seed=1)
    assert any((got != want).any() for got, want in zip(other, weights, strict=True))


@pytest.mark.parametrize("moment", ["in an epoch", "before the checkpoint", "after the checkpoint"])
def test_an_interrupted_run_continues_to_the_same_weights(
    unbroken, photos, tmp_path, monkeypatch, moment
):
    weights, workdir = unbroken
    place = {
        "in an epoch": (RunRecord, "on_train_batch_end", 6),  # in the second epoch
        "before the checkpoint": (
            sys.modules["dynmix_tf.callbacks.run_record"],
            "save_checkpoint",
            2,
        ),
        "after the checkpoint": (RunRecord, "on_epoch_begin", 3),
    }[moment]
    owner, name, count = place
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, stop_after(getattr(owner, name), count))
        with pytest.raises(KeyboardInterrupt):
            run(photos, tmp_path / "run")
    assert not (tmp_path / "run" / "final.keras").exists()
    for got, want in zip(run(photos, tmp_path / "run"), weights, strict=True):
        np.testing.assert_array_equal(got, want)
    assert lines(tmp_path / "run") == lines(workdir)


def test_a_finished_run_is_not_trained_again(unbroken, photos, monkeypatch):
    weights, workdir = unbroken
    monkeypatch.setattr(train_loop, "fit", None)
    for got, want in zip(run(photos, workdir), weights, strict=True):
        np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize(
    "settings",
    [
        {"method": "standard"},
        {"consistency": "jsd_single"},
        {"consistency": "none", "mixing": "linear"},
        {"mix_weights": "independent", "operations": "imagenet", "num_chains": 3},
    ],
    ids=str,
)
def test_other_methods_train(settings, photos, tmp_path):
    run(photos, tmp_path / "run", epochs=1, **settings)
    (line,) = lines(tmp_path / "run")
    assert np.isfinite(line["loss"])
    views = (
        0 if settings.get("method") == "standard" or settings.get("consistency") == "none" else 1
    )
    assert ("js" in line) == bool(views)


def test_the_first_line_tells_with_what_a_run_works(photos, tmp_path, capsys):
    run(photos, tmp_path / "run", epochs=1, accumulation_steps=2)
    line = capsys.readouterr().out.splitlines()[0]
    for part in ("tensorflow 2.", "keras 3.", "commit ", "1 x CPU", "global batch 30 x 2 steps",
                 "float32", "XLA off"):  # fmt: skip
        assert part in line


def test_the_views_are_shown_in_tensorboard(unbroken, photos):
    (path,) = (unbroken[1] / "tensorboard" / "views").iterdir()
    records = tf.data.TFRecordDataset(str(path)).map(tf.convert_to_tensor)
    events = [tf.compat.v1.Event.FromString(record.numpy()) for record in records]
    values = {value.tag: value.tensor for event in events for value in event.summary.value}
    picture = tf.io.decode_png(values["views"].string_val[2]).numpy()
    config = TrainConfig(**SETTINGS)
    (original, first, second), _ = next(iter(pipeline.training_dataset(config, photos)))
    want = np.concatenate(
        [np.concatenate(row, axis=1) for row in zip(original, first, second, strict=True)]
    )
    assert np.abs(picture.astype("float32") - want[: 8 * 32]).max() <= 1


def test_averaged_weights_are_saved_with_moments_of_their_own(unbroken, photos, tmp_path):
    weights = run(photos, tmp_path / "run", ema=0.9)
    with np.load(tmp_path / "run" / "checkpoints" / "last.npz") as saved:
        arrays = {name: saved[name] for name in saved.files}
    raw = [arrays[f"model/{index}"] for index in range(len(weights))]
    for got, want in zip(raw, unbroken[0], strict=True):
        np.testing.assert_array_equal(got, want)  # averaging does not change the training
    last = keras.models.load_model(tmp_path / "run" / "final_raw.keras")
    for got, want in zip(last.weights, raw, strict=True):
        np.testing.assert_array_equal(got, want)
    network = keras.models.load_model(tmp_path / "run" / "final.keras")
    trained = {id(weight) for weight in network.trainable_weights}
    pairs = [(id(w) in trained, w.numpy(), r) for w, r in zip(network.weights, raw, strict=True)]
    averages = [value for name, value in arrays.items() if name.startswith("optimizer/")]
    for trainable, averaged, last in pairs:
        assert (averaged != last).any()
        if trainable:
            assert any(np.array_equal(averaged, value) for value in averages)
    config = TrainConfig(**SETTINGS, ema=0.9)
    layer = next(x for x in network.layers if isinstance(x, keras.layers.BatchNormalization))
    features = keras.Model(network.input, layer.input)
    places = [id(weight) for weight in network.weights]
    mean = raw[places.index(id(layer.moving_mean))]
    for views, _ in pipeline.training_dataset(config, photos).take(4):
        batch = features.predict_on_batch(np.concatenate(views))
        mean = 0.9 * mean + 0.1 * batch.mean(axis=(0, 1, 2))
    np.testing.assert_allclose(layer.moving_mean.numpy(), mean, atol=1e-4)
    for got, want in zip(run(photos, tmp_path / "run", ema=0.9), weights, strict=True):
        np.testing.assert_array_equal(got, want)


def test_the_settings_reach_the_optimizer(photos, tmp_path, monkeypatch):
    met = []
    monkeypatch.setattr(train_loop, "fit", lambda model, *_, **__: met.append(model))
    more = {"linear_scaling": True, "warmup_epochs": 1, "schedule": "step", "label_smoothing": 0.1,
            "accumulation_steps": 3, "momentum": 0.8, "l2": 1e-4, "clip_norm": 2.5}  # fmt: skip
    run(photos, tmp_path / "run", **more)
    (model,) = met
    rates = [float(model.optimizer._learning_rate(step)) for step in (0, 3, 4, 11)]
    rate = 0.05 * 30 / 256
    assert rates == pytest.approx([rate / 4, rate, rate * 0.1, rate * 0.01])
    assert model.label_smoothing == 0.1
    config = model.optimizer.get_config()
    assert (config["momentum"], config["l2"]) == (0.8, 1e-4)
    assert (config["gradient_accumulation_steps"], config["global_clipnorm"]) == (3, 2.5)


def test_the_stream_shows_every_image_once_in_a_pass(photos):
    config = TrainConfig(**{**SETTINGS, "method": "standard", "batch_size": 25})
    labelled = data.ImageData(
        "numbered", photos.train_images, np.arange(100, dtype="int32"),
        photos.test_images, photos.test_labels, tuple(map(str, range(100))),
    )  # fmt: skip
    labels = [y.numpy() for _, y in pipeline.training_dataset(config, labelled).take(8)]
    first, second = np.concatenate(labels[:4]), np.concatenate(labels[4:])
    assert sorted(first) == sorted(second) == list(range(100))
    assert (first != second).any() and (first != np.arange(100)).any()
    later = pipeline.training_dataset(config, labelled, start=4).take(1)
    np.testing.assert_array_equal(next(iter(later))[1], labels[4])


def test_views_are_those_of_the_settings(photos):
    images = tf.constant(photos.train_images[:4])
    keys = tf.constant([1, 2, 3, 4], tf.uint32)
    for consistency, count in (("jsd", 3), ("jsd_single", 2), ("none", 1)):
        config = TrainConfig(consistency=consistency)
        views = pipeline.make_views(config, None, (32, 32, 3), 9)
        assert len(views.augment(images, keys)) == count
    config = TrainConfig(severity=1.5, alpha=0.4, operations="imagenet")
    layer = pipeline.make_views(config, None, (32, 32, 3), 9).layer
    assert (layer.severity, layer.alpha, layer.operations) == (1.5, 0.4, "imagenet")


def test_a_loss_that_is_not_finite_stops_and_keeps_the_checkpoint(photos, tmp_path):
    with pytest.raises(InputError, match="diverged in epoch 1, step .*--learning_rate"):
        run(photos, tmp_path / "run", learning_rate=1e9, epochs=2)
    assert not (tmp_path / "run" / "final.keras").exists()


def test_the_record_tells_with_what_a_run_was_continued(photos, tmp_path, monkeypatch):
    workdir = tmp_path / "run"
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(RunRecord, "on_epoch_begin", stop_after(RunRecord.on_epoch_begin, 2))
        run(photos, workdir)
    started = json.loads((workdir / "config.json").read_text())
    assert "continued" not in started and started["commit"]
    assert started["xla"] is False
    monkeypatch.setattr(runs, "__version__", "9.9.9")
    run(photos, workdir)
    record = json.loads((workdir / "config.json").read_text())
    (again,) = record.pop("continued")
    assert record == started and again["epochs_done"] == 1
    assert again["versions"]["dynmix_tf"] == "9.9.9"


def stop_after(original, count):
    calls = []

    def interrupting(*args, **kwargs):
        calls.append(1)
        if len(calls) == count:
            raise KeyboardInterrupt
        return original(*args, **kwargs)

    return interrupting


def test_a_deleted_checkpoint_starts_anew_and_keeps_the_old_results(photos, tmp_path):
    workdir = tmp_path / "run"
    run(photos, workdir, epochs=1)
    old = (workdir / "final.keras").read_bytes()
    (workdir / "checkpoints" / "last.npz").unlink()
    run(photos, workdir, epochs=1)
    assert (workdir / "old.final.keras.1").read_bytes() == old
    assert {path.name for path in workdir.iterdir()} >= {"final.keras", "export", "old.export.1"}
    assert [line["epoch"] for line in lines(workdir)] == [1]


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"jit_compile": "on"}, "--jit_compile=on is not possible with --deterministic"),
        ({"warmup_epochs": 3}, "--warmup_epochs must be below --epochs=3. Received: 3"),
        ({"ema": 1.0}, "--ema must be in .0, 1.. Received: 1.0"),
        ({"label_smoothing": 1.5}, "--label_smoothing must be in"),
        ({"alpha": 0.0001}, "--alpha must be in .0.001, 1000.. Received: 0.0001"),
        ({"consistency_weight": float("nan")}, "--consistency_weight must be a number"),
        ({"accumulation_steps": 0}, "--accumulation_steps must be 1 or more"),
        ({"schedule": "steps"}, "unknown --schedule 'steps'; did you mean 'step'"),
    ],
)
def test_settings_that_make_no_sense(settings, message):
    with pytest.raises(InputError, match=message):
        TrainConfig(**{**SETTINGS, **settings})


def test_damaged_and_foreign_checkpoints_are_named(unbroken, photos, tmp_path):
    path = tmp_path / "run" / "checkpoints" / "last.npz"
    with pytest.raises(KeyboardInterrupt), pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            RunRecord, "on_train_end", lambda *a: (_ for _ in ()).throw(KeyboardInterrupt)
        )
        run(photos, tmp_path / "run", epochs=1)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="is no checkpoint"):
        run(photos, tmp_path / "run", epochs=1)
    other = unbroken[1] / "checkpoints" / "last.npz"
    with np.load(other) as saved:
        arrays = dict(saved)
    arrays["model/0"] = arrays["model/0"][..., :1]
    np.savez(path, **arrays)
    with pytest.raises(InputError, match="is of another model"):
        run(photos, tmp_path / "run", epochs=1)


def test_other_images_and_damaged_records_are_named(photos, tmp_path):
    with pytest.raises(KeyboardInterrupt), pytest.MonkeyPatch.context() as patch:
        patch.setattr(RunRecord, "on_epoch_begin", stop_after(RunRecord.on_epoch_begin, 2))
        run(photos, tmp_path / "run", epochs=2)
    renamed = dataclasses.replace(photos, class_names=photos.class_names[::-1])
    for others in (renamed, photos.limited(num_train=99)):
        with pytest.raises(InputError, match="was trained on other images .*choose another"):
            run(others, tmp_path / "run", epochs=2)
    metrics = tmp_path / "run" / "metrics.jsonl"
    whole = metrics.read_text()
    for line in ("{}", "[1]", "half a li"):
        metrics.write_text(f"{whole}{line}\n")
        with pytest.raises(InputError, match="metrics.jsonl has a line that is no epoch's"):
            run(photos, tmp_path / "run", epochs=2)
    metrics.write_text(whole)
    run(photos, tmp_path / "run", epochs=2, skip_damaged=True)  # of which there are none
    assert [line["epoch"] for line in lines(tmp_path / "run")] == [1, 2]


def test_a_folder_of_another_run_is_refused(unbroken, tmp_path):
    workdir = unbroken[1]
    before = {path.name: path.stat().st_mtime_ns for path in workdir.iterdir()}
    with pytest.raises(
        InputError, match="other settings .epochs: 3 there, 4 here.; choose another"
    ):
        runs.open_run(TrainConfig(**{**SETTINGS, "epochs": 4}), workdir)
    assert {path.name: path.stat().st_mtime_ns for path in workdir.iterdir()} == before
    (tmp_path / "letters.txt").write_text("mine")
    with pytest.raises(InputError, match="not empty and holds no run"):
        runs.open_run(TrainConfig(), tmp_path)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(InputError, match="no run's config.json"):
        runs.open_run(TrainConfig(), tmp_path)


TWO_DEVICES = """
import sys, json
from pathlib import Path
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from dynmix_tf import data, engine, runs
from dynmix_tf.benchmarks import GeneratedBenchmark
from dynmix_tf.callbacks import RobustnessEvaluation
from dynmix_tf.config import TrainConfig
config = TrainConfig(strategy="mirrored", **json.loads(sys.argv[2]))
runs.open_run(config, Path(sys.argv[1]))
photos = data.load("photos", num_train=100, num_test=18)
benchmark = GeneratedBenchmark(photos.test_images, photos.test_labels, names=["fog"])
watch = RobustnessEvaluation(benchmark, every=2, csv_path=Path(sys.argv[1]) / "by_epoch.csv")
network = engine.train(config, photos, Path(sys.argv[1]), [watch])
"""


def test_a_run_on_two_devices(photos, tmp_path):
    settings = {**SETTINGS, "epochs": 2}
    code = [sys.executable, "-c", TWO_DEVICES, str(tmp_path / "run"), json.dumps(settings)]
    env = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    subprocess.run(code, check=True, capture_output=True, env=env)
    assert len(json.loads((tmp_path / "run" / "config.json").read_text())["devices"]) == 2
    assert [line["epoch"] for line in lines(tmp_path / "run")] == [1, 2]
    assert len(results.read(tmp_path / "run" / "by_epoch.csv")) == 6
    assert lines(tmp_path / "run")[1]["corruption_error"] > 0
    predict = predictors.load_predictor(tmp_path / "run" / "export")
    correct = predict(photos.test_images).argmax(axis=1) == photos.test_labels
    assert lines(tmp_path / "run")[1]["clean_error"] == pytest.approx(1 - correct.mean())


@pytest.mark.parametrize(("epochs", "steps"), [(1, "4 to 4"), (6, "11 to 20")])
def test_the_profiler_looks_at_steps(photos, tmp_path, monkeypatch, epochs, steps):
    met = []
    monkeypatch.setattr(
        keras.callbacks, "TensorBoard", lambda *_, profile_batch, **__: met.append(profile_batch)
    )
    monkeypatch.setattr(train_loop, "fit", lambda *_, **__: None)
    config = TrainConfig(**{**SETTINGS, "epochs": epochs})
    engine.train(config, photos, tmp_path / "run", profile=True)
    assert " to ".join(map(str, met[0])) == steps


def test_a_profile_is_written_where_tensorboard_finds_it(photos, tmp_path):
    config = TrainConfig(**{**SETTINGS, "epochs": 1})
    engine.train(config, photos, tmp_path / "run", profile=True)
    assert list((tmp_path / "run" / "tensorboard").rglob("plugins/profile/*/*.xplane.pb"))
