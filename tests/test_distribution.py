"""Several devices and several workers against one: in processes of their own."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from dynmix_tf import distribution, models, results
from dynmix_tf.cluster import Cluster, cluster_of
from dynmix_tf.config import TrainConfig
from dynmix_tf.errors import InputError

QUIET = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
TWO_CPUS = """
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
"""


def tf_config(jobs, kind="worker", index=0):
    return json.dumps({"cluster": jobs, "task": {"type": kind, "index": index}})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (tf_config({"worker": ["a:1", "b:2"]}, index=1), Cluster(("a:1", "b:2"), 1)),
        (tf_config({"worker": ["b:2"], "chief": ["a:1"]}), Cluster(("a:1", "b:2"), 1)),
        (tf_config({"worker": ["b:2"], "chief": ["a:1"]}, "chief"), Cluster(("a:1", "b:2"), 0)),
        (tf_config({"worker": ["[::1]:2", "b:2"]}), Cluster(("[::1]:2", "b:2"), 0)),
    ],
)
def test_who_is_in_the_cluster(text, expected, monkeypatch):
    monkeypatch.setenv("TF_CONFIG", text)
    assert cluster_of("auto") == cluster_of("multi_worker") == expected
    assert expected.is_chief == (expected.index == 0)
    for strategy in ("mirrored", "one_device"):
        with pytest.raises(InputError, match=f"2 workers, of which --strategy={strategy} knows"):
            cluster_of(strategy)


def test_one_worker_alone_needs_no_cluster(monkeypatch):
    monkeypatch.setenv("TF_CONFIG", tf_config({"worker": ["a:1"]}))
    assert cluster_of("auto") is cluster_of("one_device") is None
    assert cluster_of("multi_worker") == Cluster(("a:1",), 0)
    monkeypatch.delenv("TF_CONFIG")
    assert cluster_of("auto") is None


BROKEN = [
    ("{'cluster'", "TF_CONFIG is no JSON"),
    ("[]", "TF_CONFIG names no cluster of workers; expected"),
    ('{"cluster": {"worker": []}}', "TF_CONFIG names no cluster of workers"),
    ('{"cluster": {"worker": "a:1"}}', "TF_CONFIG names no cluster of workers"),
    (tf_config({"worker": ["a:1"], "ps": ["b:1"]}), "names parameter servers"),
    (tf_config({"worker": ["a:1"], "boss": ["b:1"]}), "unknown jobs boss"),
    (tf_config({"worker": ["a", "b:1"]}), "the address 'a'; expected host:port"),
    (tf_config({"worker": ["a:1", "a:1"]}), "two workers of one address"),
    (tf_config({"worker": ["a:1", "b:1"]}, index=2), "none of its cluster's: worker 0, worker 1"),
    (tf_config({"worker": ["a:1", "b:1"]}, index="0"), "none of its cluster's"),
    (tf_config({"worker": ["a:1", "b:1"]}, "evaluator"), "none of its cluster's"),
    ('{"cluster": {"worker": ["a:1", "b:1"]}}', "the task None"),
    (" ", "--strategy=multi_worker needs the environment variable TF_CONFIG"),
]


@pytest.mark.parametrize(("text", "message"), BROKEN)
def test_a_cluster_that_makes_no_sense(text, message, monkeypatch):
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(InputError, match=message):
        cluster_of("multi_worker")


@pytest.mark.parametrize(
    ("flag", "text", "message"),
    [
        ("--strategy=multi_worker", "{", "TF_CONFIG is no JSON"),
        ("--strategy=ParameterServerStrategy", "", "Keras 3 does not train with parameter servers"),
        ("--strategy=mirrord", "", "did you mean 'mirrored'?"),
    ],
)
def test_the_command_tells_it_in_a_line(flag, text, message, tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "dynmix_tf.train", "--dataset=photos", "--workdir=w", flag],
        capture_output=True, text=True, cwd=tmp_path,
        env={**os.environ, "TF_CONFIG": text, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert done.returncode == 2 and not done.stdout
    assert message in done.stderr and len(done.stderr.splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_devices_that_cannot_be_had():
    with pytest.raises(InputError, match="needs several devices"):
        distribution.make_strategy("mirrored", 32)


def test_the_precision_of_a_device(monkeypatch):
    assert distribution.dtype_policy("mixed_float16") == "mixed_float16"
    assert distribution.dtype_policy("auto") == "float32"
    capabilities = {"old": (7, 5), "new": (9, 0)}
    details = {name: {"compute_capability": value} for name, value in capabilities.items()}
    monkeypatch.setattr(tf.config.experimental, "get_device_details", details.__getitem__)
    for gpus, policy in (
        (["new", "new"], "mixed_bfloat16"),
        (["old", "new"], "float32"),
        (["old"], "float32"),
    ):
        monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind, gpus=gpus: gpus)
        assert distribution.dtype_policy("auto") == policy


ONE_STEP = """
import json, sys
import numpy as np, keras
from dynmix_tf import distribution, models
from dynmix_tf.config import TrainConfig
from dynmix_tf.errors import InputError
from dynmix_tf.model_from_config import model_from_config
from dynmix_tf.train_loop import fit
data = np.load(sys.argv[1])
views, labels = tuple(data[f"view{i}"] for i in range(3)), data["labels"]
result = {"refused": []}
def stepped(strategy, frozen):
    config = TrainConfig(batch_size=24, epochs=1, learning_rate=0.1)
    with strategy.scope():
        model = model_from_config(config, (32, 32, 3), 3, steps=1)
        for layer in model.network.layers:
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.trainable = not frozen
    def make(context):
        each = context.get_per_replica_batch_size(24)
        return tf.data.Dataset.from_tensor_slices((views, labels)).batch(each).repeat()
    logs = {}
    keep = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, given: logs.update(given))
    fit(model, make, steps=1, epochs=1, callbacks=[keep])
    return model.network, logs
one, two = (distribution.make_strategy(name, 24) for name in ("one_device", "mirrored"))
for frozen in (True, False):
    nets, logs = zip(*(stepped(strategy, frozen) for strategy in (one, two)))
    pairs = list(zip(*(net.get_weights() for net in nets)))
    start = models.build("small_cnn", (32, 32, 3), 3, seed=0).get_weights()
    result["frozen" if frozen else "live"] = {
        "difference": max(float(np.abs(a - b).max()) for a, b in pairs),
        "moved": max(float(np.abs(a - b).max()) for (a, _), b in zip(pairs, start)),
        "logs": logs,
    }
    if not frozen:
        layer = [[x for x in net.layers if isinstance(x, keras.layers.BatchNormalization)][0]
                 for net in nets]
        result["statistics"] = [
            [np.asarray(x.moving_mean).tolist(), np.asarray(x.moving_variance).tolist()]
            for x in layer
        ]
for call in (
    lambda: distribution.make_strategy("mirrored", 25),
    lambda: distribution.check_replicas(TrainConfig(accumulation_steps=2), two),
    lambda: distribution.check_replicas(TrainConfig(jit_compile="on", deterministic=False), two),
    lambda: distribution.check_replicas(TrainConfig(clip_norm=1.0), two),
):
    try:
        call()
    except InputError as error:
        result["refused"].append(str(error))
for settings in ({"accumulation_steps": 2}, {"clip_norm": 1.0}):
    distribution.check_replicas(TrainConfig(**settings), one)
distribution.check_replicas(TrainConfig(), two)
print(json.dumps(result))
"""


def test_one_step_on_two_replicas_is_one_on_one(photo_crops, tmp_path):
    """Of CE + JS; with BatchNorm live each replica normalises by its own part of the batch."""
    from dynmix_tf.augment import DynamicMixup, Views

    views = [view.numpy() for view in Views(DynamicMixup())(photo_crops(32, 24), seed=(1, 2))]
    network = models.build("small_cnn", (32, 32, 3), 3, seed=0)
    first = next(x for x in network.layers if isinstance(x, keras.layers.BatchNormalization))
    features = keras.Model(network.input, first.input)
    parts = [np.concatenate([view[part] for view in views]) for part in (np.s_[:12], np.s_[12:])]
    inside = [features.predict_on_batch(part).astype(np.float64) for part in parts]
    np.savez(tmp_path / "data.npz", labels=np.arange(24) % 3,
             **{f"view{i}": view for i, view in enumerate(views)})  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", TWO_CPUS + ONE_STEP, str(tmp_path / "data.npz")],
        capture_output=True, text=True, env=QUIET,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    frozen, live = result["frozen"], result["live"]
    assert frozen["difference"] < 1e-5 < 1e-3 < frozen["moved"]
    one, two = frozen["logs"]
    assert one.keys() == two.keys() == {"loss", "ce", "js", "accuracy"}
    assert one == pytest.approx(two, rel=1e-4)
    assert live["difference"] > 1e-3
    axes = (0, 1, 2)
    means = [part.mean(axis=axes) for part in inside]
    within = [part.var(axis=axes) for part in inside]
    (mean, variance), (mean_of_two, variance_of_two) = np.array(result["statistics"])
    np.testing.assert_allclose(mean, 0.1 * np.mean(means, axis=0), atol=1e-4)
    np.testing.assert_allclose(mean_of_two, mean, atol=1e-4)  # the parts are of one size
    whole = np.concatenate(inside).var(axis=axes)
    np.testing.assert_allclose(variance, 0.9 + 0.1 * whole, rtol=1e-3)
    np.testing.assert_allclose(variance_of_two, 0.9 + 0.1 * np.mean(within, axis=0), rtol=1e-3)
    assert (np.abs(np.mean(within, axis=0) - whole) > 1e-3 * whole).any()
    batch, *others = result["refused"]
    assert batch == "--batch_size=25 cannot be shared by 2 devices; take a multiple of 2"
    assert [message.split("=")[0] for message in others] == [
        "--accumulation_steps", "--jit_compile", "--clip_norm",
    ]  # fmt: skip
    assert all("not possible on 2 devices of TensorFlow" in message for message in others)


TRAIN = """
import os, runpy, signal, sys
killed_at = int(sys.argv.pop(1))
from dynmix_tf import cluster
from dynmix_tf.errors import InputError
check = cluster.check_equal
def check_equal(strategy, own, settings):
    "First with another setting in each worker."
    try:
        check(strategy, own, {"epochs": own.index})
    except InputError as error:
        print(error)
    for worker, content in ((0, b""), (1, b"odd"), (0, bytes(range(256)) * 300)):
        mine = content if worker == own.index else b"another"
        assert cluster.broadcast(strategy, own, mine, worker) == content
    check(strategy, own, settings)
cluster.check_equal = check_equal
if killed_at:
    from dynmix_tf.callbacks import WaitingTime
    over = WaitingTime.over
    def until(self, batches):
        for count, batch in enumerate(over(self, batches), start=1):
            if count == killed_at:
                os.kill(os.getpid(), signal.SIGKILL)
            yield batch
    WaitingTime.over = until
runpy.run_module("dynmix_tf.train", run_name="__main__")
"""
FLAGS = [
    "--dataset=photos", "--num_train=36", "--num_test=9", "--epochs=2", "--batch_size=12",
    "--learning_rate=0.05", "--method=standard", "--ema=0.9", "--robustness_every=2",
]  # fmt: skip


def free_ports(count):
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def two_workers(workdirs, killed_at=(0, 0)):
    """Runs them to their ends: `(status, stdout, stderr)` of each."""
    jobs = {"worker": [f"127.0.0.1:{port}" for port in free_ports(2)]}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", TRAIN, str(moment), *FLAGS, "--noevaluate",
             f"--workdir={workdir}"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**QUIET, "TF_CONFIG": tf_config(jobs, index=index)},
        )
        for index, (workdir, moment) in enumerate(zip(workdirs, killed_at, strict=True))
    ]  # fmt: skip
    try:
        said = [process.communicate(timeout=300) for process in processes]
    finally:
        for process in processes:
            process.kill()
    return [(process.returncode, *texts) for process, texts in zip(processes, said, strict=True)]


def state(workdir):
    with np.load(workdir / "checkpoints" / "last.npz") as saved:
        return {name: saved[name] for name in saved.files}


def test_two_workers_of_which_one_is_killed_and_all_resumed(tmp_path, request):
    """The end is that of a run on two devices of one process, which gets the same batches."""
    reference = tmp_path / "reference"
    words = [*FLAGS, "--strategy=mirrored", f"--workdir={reference}"]
    meanwhile = subprocess.Popen(
        [sys.executable, "-c", TWO_CPUS + TRAIN, "0", *words],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=QUIET,
    )  # fmt: skip
    request.addfinalizer(meanwhile.communicate)
    request.addfinalizer(meanwhile.kill)

    workdirs = [tmp_path / "run", tmp_path / "unused"]
    chief, worker = two_workers(workdirs, killed_at=(0, 5))  # in the second epoch of three steps
    assert worker[0] == -signal.SIGKILL
    assert chief[0] == 75, chief[2]
    assert chief[2].splitlines()[-1].startswith("worker 0 lost another (")
    assert "the same command in all workers continues the run" in chief[2].splitlines()[-1]
    assert int(state(workdirs[0])["epoch"]) == 1 and not (workdirs[0] / "final.keras").exists()
    assert "worker 1 has epochs=1, worker 0 0; start all workers with the same" in chief[1]

    resumed = two_workers(workdirs)
    assert [status for status, *_ in resumed] == [0, 0], "".join(texts[2] for texts in resumed)
    assert "1 of 2 epochs are done" in resumed[0][1]
    assert "2 x CPU, global batch 12" in resumed[0][1]
    assert not workdirs[1].exists()
    assert "% of the training's time was spent waiting for data" in resumed[0][1]

    said = meanwhile.communicate(timeout=300)
    assert meanwhile.returncode == 0, said[1]
    got, want = state(workdirs[0]), state(reference)
    assert got.keys() == want.keys()
    for name in want:
        np.testing.assert_allclose(got[name], want[name], rtol=0, atol=1e-5)
    for name in ("final.keras", "final_raw.keras"):
        networks = [
            keras.models.load_model(path / name, compile=False) for path in (workdirs[0], reference)
        ]
        for one, two in zip(*(network.weights for network in networks), strict=True):
            np.testing.assert_allclose(one, two, rtol=0, atol=1e-5)
    rows, wanted = (
        results.read(path / "robustness_by_epoch.csv") for path in (workdirs[0], reference)
    )
    assert [row["error"] for row in rows] == [row["error"] for row in wanted] and len(rows) == 76
    averaged, last = (results.read(reference / f"robustness{x}.csv") for x in ("", "_raw"))
    assert [row["error"] for row in last] == [row["error"] for row in wanted]
    assert [row["mean_confidence"] for row in averaged] != [row["mean_confidence"] for row in last]
    assert f"last weights: clean error {last[0]['error']:.1%}" in said[0]


ON_JAX = """
import json, sys
from pathlib import Path
import jax
from dynmix_tf import data, engine, runs
from dynmix_tf.benchmarks import GeneratedBenchmark
from dynmix_tf.callbacks import RobustnessEvaluation, RunRecord
from dynmix_tf.config import TrainConfig
assert len(jax.devices()) == 2
photos = data.load("photos", num_train=60, num_test=9)
benchmark = GeneratedBenchmark(photos.test_images, photos.test_labels, names=["fog"])
def train(name, strategy, ema=0.0):
    workdir = Path(sys.argv[1]) / name
    config = TrainConfig("photos", method="standard", epochs=2, batch_size=30, learning_rate=0.02,
                         ema=ema, strategy=strategy)
    watch = RobustnessEvaluation(benchmark, every=2, csv_path=workdir / "by_epoch.csv")
    engine.train(config, photos, workdir, [watch])
begin, count = RunRecord.on_epoch_begin, []
def interrupted(self, epoch, logs=None):
    if epoch == 1 and not count:
        count.append(1)
        raise KeyboardInterrupt
    begin(self, epoch, logs)
RunRecord.on_epoch_begin = interrupted
try:
    train("two", "mirrored", ema=0.9)
except KeyboardInterrupt:
    train("two", "mirrored", ema=0.9)
train("one", "one_device")
"""


def test_two_devices_on_jax_are_one(tmp_path):
    """All of a batch is normalised together there, so the whole run, resumed, is that of one."""
    done = subprocess.run(
        [sys.executable, "-c", ON_JAX, str(tmp_path)], capture_output=True, text=True,
        env={**QUIET, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu",
             "XLA_FLAGS": "--xla_force_host_platform_device_count=2"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "1 x CPU, global batch 30" in done.stdout and "2 x CPU, global batch 30" in done.stdout
    assert "no export/: SavedModels are written with KERAS_BACKEND=tensorflow only" in done.stdout
    assert "1 of 2 epochs are done" in done.stdout
    one, two = (state(tmp_path / name) for name in ("one", "two"))
    weights = [name for name in one if name.startswith("model/")]
    for name in weights:
        np.testing.assert_allclose(two[name], one[name], rtol=0, atol=1e-4)
    start = models.build("small_cnn", (32, 32, 3), 9, seed=0).weights
    moved = [np.abs(one[name] - begin).max() for name, begin in zip(weights, start, strict=True)]
    assert min(moved) > 5e-4
    averaged, last = (
        keras.models.load_model(tmp_path / "two" / f"final{which}.keras", compile=False).weights
        for which in ("", "_raw")
    )  # TensorFlow reads them
    for name, value, average in zip(weights, last, averaged, strict=True):
        np.testing.assert_array_equal(value, two[name])
        assert (average.numpy() != value.numpy()).any()
    assert len(results.read(tmp_path / "two" / "by_epoch.csv")) == 6
    config = json.loads((tmp_path / "two" / "config.json").read_text())
    assert config["backend"] == "jax" and config["devices"] == ["device:CPU:0", "device:CPU:1"]


def test_settings_of_several_devices_are_settings():
    with pytest.raises(InputError, match="Keras 3 does not train with parameter servers"):
        TrainConfig(strategy="parameter_server")
    for strategy in ("auto", "one_device", "mirrored", "multi_worker"):
        assert TrainConfig(strategy=strategy).strategy == strategy
