"""Training on JAX, without TensorFlow: the same loss, and the run of `experiments/offline`."""

import csv
import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import keras
import numpy as np
import pytest

from dynmix_tf import data, models
from dynmix_tf.augment import DynamicMixup, Views
from dynmix_tf.consistency import ConsistencyModel
from dynmix_tf.optimizers import CoupledSGD

OFFLINE = Path(__file__).parents[1] / "experiments" / "offline"
# TensorFlow is not found, as where it is not installed
WITHOUT_TENSORFLOW = """
import sys
from importlib.machinery import PathFinder
find = PathFinder.find_spec
PathFinder.find_spec = lambda name, *rest: None if name == "tensorflow" else find(name, *rest)
"""
ENVIRONMENT = {**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}
STEPS = 6
TRAIN_ON_JAX = """
import json, sys
import numpy as np
from dynmix_tf import models
from dynmix_tf.consistency import ConsistencyModel
from dynmix_tf.optimizers import CoupledSGD
given = np.load(sys.argv[1])
network = models.build("small_cnn", (32, 32, 3), 3, seed=1)
network.set_weights([given[f"w{i}"] for i in range(len(network.weights))])
model = ConsistencyModel(network, "jsd", 12.0)
model.compile(CoupledSGD(0.02, l2=5e-4))
views = tuple(given[f"view{i}"] for i in range(3))
for _ in range(STEPS):
    logs = model.train_on_batch(views, given["labels"], return_dict=True)
    print(json.dumps({name: float(value) for name, value in logs.items()}))
    model.reset_metrics()
model.save(sys.argv[2])
""".replace("STEPS", str(STEPS))


@pytest.fixture(scope="module", autouse=True)
def compiled_once(tmp_path_factory):
    """The same programs, in one process after another."""
    ENVIRONMENT["JAX_COMPILATION_CACHE_DIR"] = str(tmp_path_factory.mktemp("compiled"))


def run(code_or_path, *words, check=True):
    path = Path(code_or_path)
    begin = f"import runpy\nsys.path.insert(0, {str(OFFLINE)!r})\n" if path.is_absolute() else ""
    code = f"runpy.run_path({str(path)!r}, run_name='__main__')" if begin else code_or_path
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TENSORFLOW + begin + code, *map(str, words)],
        capture_output=True, text=True, env=ENVIRONMENT,
    )  # fmt: skip
    assert done.returncode == 0 or not check, done.stderr
    return done


def test_the_loss_is_that_of_tensorflow_and_both_learn(photo_crops, tmp_path):
    images, labels = photo_crops(32, 24), (np.arange(24) % 3).astype("int32")
    views = [view.numpy() for view in Views(DynamicMixup(), 2)(images, seed=(1, 2))]
    network = models.build("small_cnn", (32, 32, 3), 3, seed=0)
    weights = {f"w{i}": value for i, value in enumerate(network.get_weights())}
    made = {f"view{i}": view for i, view in enumerate(views)}
    np.savez(tmp_path / "given.npz", labels=labels, **weights, **made)
    model = ConsistencyModel(network, "jsd", 12.0)
    model.compile(CoupledSGD(0.02, l2=5e-4))
    ours = []
    for _ in range(STEPS):
        ours.append(model.train_on_batch(tuple(views), labels, return_dict=True))
        model.reset_metrics()
    done = run(TRAIN_ON_JAX, tmp_path / "given.npz", tmp_path / "jax.keras")
    theirs = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(theirs) == STEPS
    assert theirs[0].keys() == ours[0].keys() == {"loss", "ce", "js", "accuracy"}
    for name in theirs[0]:
        assert theirs[0][name] == pytest.approx(ours[0][name], rel=1e-5, abs=1e-6)
    for one, two in zip(ours, theirs, strict=True):
        assert two["loss"] == pytest.approx(one["loss"], rel=1e-3)  # rounding adds up
    for losses in ([logs["loss"] for logs in ours], [logs["loss"] for logs in theirs]):
        assert losses[-1] < 0.8 * losses[0]
    saved = keras.saving.load_model(tmp_path / "jax.keras")  # saved by JAX, read by TensorFlow
    assert isinstance(saved, ConsistencyModel) and saved.optimizer.iterations == STEPS
    np.testing.assert_allclose(saved(images), model(images), atol=5e-3)


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    path = tmp_path_factory.mktemp("packed") / "images.npz"
    data.write_packed(path, data.load("photos", num_train=90, num_test=27))
    return path


def words(packed, workdir):
    return (
        f"--dataset={packed}", "--model=small_cnn", "--method=dynmix", "--epochs=2",
        "--batch_size=20", "--learning_rate=0.05", f"--workdir={workdir}",
    )  # fmt: skip


@pytest.fixture(scope="module")
def finished(packed, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("run") / "whole"
    return run(OFFLINE / "train.py", *words(packed, workdir)), workdir


def test_a_run_trains_and_is_scored(finished, packed):
    done, workdir = finished
    assert "jax" in done.stdout.splitlines()[0] and "mean corruption error" in done.stdout
    lines = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == [1, 2]
    assert lines[-1]["loss"] < lines[0]["loss"]
    assert json.loads((workdir / "config.json").read_text())["backend"] == "jax"
    with open(workdir / "robustness.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 1 + 15 * 5
    images = data.load(str(packed))
    network = keras.saving.load_model(workdir / "final.keras", compile=False)
    wrong = np.argmax(network(images.test_images), axis=1) != images.test_labels
    assert float(rows[0]["error"]) == pytest.approx(wrong.mean())


def test_a_run_in_parts_has_the_bits_of_a_whole(finished, packed, tmp_path):
    codes = [
        run(OFFLINE / "train.py", *words(packed, tmp_path / "run"), "--minutes=0", check=False)
        for _ in range(2)
    ]
    assert [done.returncode for done in codes] == [75, 0]
    assert "1 of 2 epochs are done; the same command continues" in codes[0].stdout
    whole, parts = (path / "checkpoints" / "last.npz" for path in (finished[1], tmp_path / "run"))
    with np.load(whole) as one, np.load(parts) as two:
        assert one.files == two.files
        for name in one.files:
            assert one[name].tobytes() == two[name].tobytes()
    assert len((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()) == 2
    csvs = [path / "robustness.csv" for path in (finished[1], tmp_path / "run")]
    assert csvs[0].read_bytes() == csvs[1].read_bytes()


@pytest.mark.parametrize(
    ("flag", "told"),
    [
        ("--ema=0.9", "offline training does not know --ema=0.9"),
        ("--model=wrn", "unknown model 'wrn'"),
        ("--operations=imagenet", "unknown set of operations in JAX 'imagenet'"),
    ],
)
def test_mistakes_are_one_line(packed, tmp_path, flag, told):
    done = run(OFFLINE / "train.py", *words(packed, tmp_path / "run"), flag, check=False)
    assert done.returncode == 2
    assert told in done.stderr and len(done.stderr.splitlines()) == 1


def test_each_pass_is_a_permutation_of_its_own(monkeypatch):
    monkeypatch.syspath_prepend(OFFLINE)
    import loop

    order = loop.Order(7, seed=3)
    stream = order.images(np.arange(21)).reshape(3, 7)
    np.testing.assert_array_equal(np.sort(stream), np.tile(np.arange(7), (3, 1)))
    assert len({tuple(row) for row in stream}) == 3
    np.testing.assert_array_equal(loop.Order(7, seed=3).images(np.arange(5, 12)), stream.flat[5:12])
    assert not np.array_equal(loop.Order(7, seed=4).images(np.arange(7)), stream[0])


def test_bundle(packed, tmp_path):
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    command = [sys.executable, str(OFFLINE / "make_bundle.py"), f"--dataset={packed}",
               f"--output={tmp_path / 'bundle.tar'}", f"--python={version}"]  # fmt: skip
    small = subprocess.run([*command, "--limit_mb=1"], capture_output=True, text=True)
    assert small.returncode == 2 and not (tmp_path / "bundle.tar").exists()
    assert "MB" in small.stderr and len(small.stderr.splitlines()) == 1
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    with tarfile.open(tmp_path / "bundle.tar") as archive:
        archive.extractall(tmp_path, filter="data")
    folder = tmp_path / "dynmix_offline"
    assert data.load(str(folder / "images.npz")).train_images.shape == (90, 32, 32, 3)
    with np.load(folder / "images.npz") as ours, np.load(packed) as given:
        assert ours["train_jpeg"].tobytes() == given["train_jpeg"].tobytes()  # not encoded again
    # Keras and the package come from the bundle, JAX and NumPy from the machine
    code = (
        "import sys; sys.path.insert(0, 'FOLDER'); import unpack, pathlib; "
        "unpack.use_wheels(pathlib.Path('FOLDER')); sys.path.insert(0, 'FOLDER/site'); "
        "import keras, h5py, dynmix_tf; "
        "print(keras.__file__, h5py.__file__, dynmix_tf.__file__)"
    ).replace("FOLDER", str(folder))
    shown = run(code).stdout.split()
    assert len(shown) == 3 and all(path.startswith(str(folder)) for path in shown)
    done = subprocess.run(
        ["bash", str(folder / "methods.sh"), str(tmp_path / "results"), "augmix",
         "--model=small_cnn", "--epochs=1", "--batch_size=45", "--num_test=9"],
        capture_output=True, text=True, env={**ENVIRONMENT, "PYTHON": sys.executable},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    with tarfile.open(tmp_path / "results" / "augmix.tar.gz") as archive:
        archive.extractall(tmp_path, filter="data")
    config = json.loads((tmp_path / "augmix" / "config.json").read_text())
    assert config["commit"] == (folder / "commit.txt").read_text() != ""
    assert len((tmp_path / "augmix" / "robustness.csv").read_text().splitlines()) == 1 + 76
