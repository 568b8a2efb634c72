"""The commands as a user runs them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from dynmix_tf import results

TRAIN = [
    "train",
    "--dataset=photos",
    "--num_train=60",
    "--num_test=9",
    "--epochs=1",
    "--batch_size=30",
]


def command(name, *words, folder=None):
    return subprocess.run(
        [sys.executable, "-m", f"dynmix_tf.{name}", *words],
        capture_output=True, text=True, cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "COLUMNS": "80"},
    )  # fmt: skip


def test_help_is_no_mistake_and_loads_no_tensorflow():
    for name, flag in (("train", "severity"), ("evaluate", "output_dir")):
        done = command(name, "--help")
        assert done.returncode == 0 and not done.stderr
        assert f"--{flag}" in done.stdout and f"python -m dynmix_tf.{name}" in done.stdout
    code = "import sys, dynmix_tf.train, dynmix_tf.scoring; print('tensorflow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_a_reader_that_goes_away_is_no_error():
    words = [sys.executable, "-m", "dynmix_tf.evaluate", "--help"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141


@pytest.mark.parametrize(
    ("name", "words", "message"),
    [
        ("train", ["--sevrity=3"], "Unknown command line flag 'sevrity'. Did you mean: severity ?"),
        ("train", ["--epochs=many"], "flag --epochs=many: invalid literal"),
        ("train", ["fast"], "unexpected argument 'fast'"),
        ("train", [], "--workdir is missing"),
        ("train", ["--workdir=w", "--method=dinmix"], "did you mean 'dynmix'?"),
        ("train", ["--workdir=w", "--model=wrn_41_2"], "the depth must be 6n + 4"),
        ("train", ["--workdir=w", "--dataset=foto"], "'foto'; did you mean 'photos'"),
        ("train", ["--workdir=w", "--data_dir=absent"], "absent"),
        ("train", ["--workdir=w", "--severity=11"], "--severity must be in [0, 10]"),
        ("train", ["--workdir=w", "--method=standard", "--consistency=jsd"], "one view"),
        ("train", ["--workdir=w", "--num_test=-1"], "--num_test must be 0 or more"),
        ("train", ["--workdir=w", "--dataset=photos", "--data_dir=x"], "takes no `data_dir`"),
        ("train", ["--flagfile=absent"], "absent"),
        ("train", ["--workdir=w", "--seed=3000000000"], "--seed must be 0 or more, below 2**31"),
        ("train", ["--workdir=w", "--method=standard", "--mixing=linear"], "would do nothing"),
        ("train", ["--workdir=m.keras/w", "--dataset=photos"], "m.keras"),
        ("train", ["--workdir=w", "--alpha=1e-9"], "--alpha must be in [0.001, 1000]"),
        ("evaluate", [], "--model is missing"),
        ("evaluate", ["--model=absent", "--output_dir=o"], "no model at absent"),
        ("evaluate", ["--model=.", "--output_dir=o"], ". is no model"),
        ("evaluate", ["--model=.", "--output_dir=o", "--benchmark=cifar"], "unknown --benchmark"),
        ("evaluate", ["--model=m.keras", "--output_dir=o"], "--dataset is missing"),
        (
            "evaluate",
            ["--model=m.keras", "--output_dir=o", "--dataset=photos", "--corruptions=fogg"],
            "unknown corruption 'fogg'; did you mean 'fog'?",
        ),
    ],
)  # fmt: skip
def test_a_mistake_is_one_line_and_status_2(name, words, message, tmp_path):
    (tmp_path / "m.keras").write_bytes(b"no model")
    done = command(name, *words, folder=tmp_path)
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1 and not done.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["m.keras"]


def test_a_backend_that_nothing_here_runs_on(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    done = command("train", "--workdir=w", "--dataset=photos", folder=tmp_path)
    assert done.returncode == 2 and not list(tmp_path.iterdir())
    assert "KERAS_BACKEND must be tensorflow or jax. Received: torch" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("commands") / "run"
    done = command(*TRAIN, f"--workdir={workdir}")
    assert done.returncode == 0, done.stderr
    return workdir


def test_train_evaluates_and_reports(finished):
    rows = results.read(finished / "robustness.csv")
    assert len(rows) == 1 + 15 * 5 and rows[0]["corruption"] == "clean"
    assert {row["num_images"] for row in rows} == {9}
    for name in ("flags.txt", "final.keras", "export", "report.md", "error_by_corruption.png"):
        assert (finished / name).exists()
    config = json.loads((finished / "config.json").read_text())
    assert config["dataset"] == "photos" and config["epochs"] == 1


def test_the_same_flags_again_change_nothing(finished):
    kept = ("robustness.csv", "final.keras", "metrics.jsonl", "report.md")
    before = {name: (finished / name).read_bytes() for name in kept}
    done = command("train", f"--flagfile={finished / 'flags.txt'}")
    assert done.returncode == 0, done.stderr
    assert {name: (finished / name).read_bytes() for name in kept} == before


def test_the_same_flags_elsewhere_give_the_same_bytes(finished, tmp_path):
    """And evaluating between the epochs changes nothing but the record."""
    done = command(*TRAIN, f"--workdir={tmp_path / 'run'}", "--robustness_every=1")
    assert done.returncode == 0, done.stderr
    path = Path("checkpoints") / "last.npz"
    with zipfile.ZipFile(finished / path) as one, zipfile.ZipFile(tmp_path / "run" / path) as two:
        assert one.namelist() == two.namelist()
        for name in one.namelist():
            assert one.read(name) == two.read(name)
    rows = (tmp_path / "run" / "robustness.csv").read_bytes()
    assert rows == (finished / "robustness.csv").read_bytes()
    assert rows == (tmp_path / "run" / "robustness_by_epoch.csv").read_bytes()
    (line,) = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    assert json.loads(line)["clean_error"] == results.read(finished / "robustness.csv")[0]["error"]


KILLED = """
import os, runpy, signal, sys
replace, count, moment = os.replace, 0, int(sys.argv.pop(1))
def kill(*names):
    global count
    count += 1
    if count == moment:
        os.kill(os.getpid(), signal.SIGKILL)
    return replace(*names)
os.replace = kill
runpy.run_module("dynmix_tf.train", run_name="__main__")
"""


def test_killed_as_it_puts_a_file_in_its_place(finished, tmp_path):
    """The first checkpoint, then the predictions for some corruption."""
    workdir = tmp_path / "run"
    for moment, written in ((3, "config.json"), (20, "robustness.csv")):
        words = [str(moment), *TRAIN[1:], f"--workdir={workdir}"]
        done = subprocess.run([sys.executable, "-c", KILLED, *words], capture_output=True)
        assert done.returncode == -signal.SIGKILL, done.stderr
        assert (workdir / written).exists() and not (workdir / "report.md").exists()
    done = command(*TRAIN, f"--workdir={workdir}")
    assert done.returncode == 0, done.stderr
    assert (workdir / "robustness.csv").read_bytes() == (finished / "robustness.csv").read_bytes()
    one, two = (np.load(path / "checkpoints" / "last.npz") for path in (finished, workdir))
    with one, two:
        assert one.files == two.files
        for name in one.files:
            assert one[name].tobytes() == two[name].tobytes()
    assert len((workdir / "metrics.jsonl").read_text().splitlines()) == 1


def test_other_flags_are_refused_in_one_line(finished):
    done = command(*TRAIN, f"--workdir={finished}", "--seed=1")
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1
    assert "other settings (seed: 0 there, 1 here)" in done.stderr


def test_evaluate_scores_the_export_and_the_keras_file_alike(finished, tmp_path):
    trained = results.read(finished / "robustness.csv")
    for name in ("export", "final.keras"):
        output = tmp_path / name
        done = command("evaluate", f"--model={finished / name}", f"--output_dir={output}")
        assert done.returncode == 0, done.stderr
        assert "Dynamic Mixup" in done.stdout or "dynmix" in done.stdout
        assert "warning" not in done.stderr
        rows = results.read(output / "robustness.csv")
        for ours, theirs in zip(trained, rows, strict=True):
            assert ours["error"] == theirs["error"]  # to the image
            assert ours == {
                name: pytest.approx(value, abs=1e-6) if isinstance(value, float) else value
                for name, value in theirs.items()
            }
            np.testing.assert_allclose(
                ours["mean_confidence"], theirs["mean_confidence"], rtol=1e-5
            )


def test_operations_that_overlap_with_corruptions_are_told_in_one_line(tmp_path):
    run = tmp_path / "run"
    done = command(*TRAIN, f"--workdir={run}", "--operations=all", "--noevaluate")
    assert done.returncode == 0, done.stderr
    (line,) = (line for line in done.stderr.splitlines() if "warning" in line.lower())
    assert line.startswith("warning: these operations resemble corruptions")
    assert "dynamic_mixup.py" not in done.stderr and "engine.py" not in done.stderr
    words = [f"--model={run / 'final.keras'}", f"--output_dir={tmp_path / 'out'}"]
    done = command("evaluate", *words, "--corruptions=fog,brightness")
    assert done.returncode == 0, done.stderr
    (line,) = (line for line in done.stderr.splitlines() if "warning" in line.lower())
    assert line.startswith("warning: the model was trained with")
    assert "(brightness: brightness)" in line


def test_a_file_that_is_no_model_is_told_in_one_line(tmp_path):
    (tmp_path / "m.keras").write_bytes(b"no model")
    words = ["--model=m.keras", "--output_dir=o", "--dataset=photos", "--num_test=9"]
    done = command("evaluate", *words, folder=tmp_path)
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1
    assert "m.keras is no Keras model" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["m.keras"]
