"""The paper's tables with measured values: which cells, from which rows, and a cell for real."""

from __future__ import annotations

import csv
import importlib
import os
import re
import subprocess
import sys

import pytest

from dynmix_tf import corruptions, metrics, results
from dynmix_tf.config import TrainConfig
from dynmix_tf.errors import InputError


@pytest.fixture(scope="module")
def reproduce(experiments):
    return importlib.import_module("reproduce")


@pytest.fixture(scope="module")
def measured(experiments):
    return importlib.import_module("measured_tables")


def write_rows(folder, error, benchmark="generated", names=None):
    """Results of a run whose error at severity s is `error * s / 3` on every corruption."""
    folder.mkdir(parents=True, exist_ok=True)
    common = {name: None for name in results.FIELDS} | {
        "model": "m", "method": "standard", "epoch": 1, "dataset": "d", "benchmark": benchmark,
        "num_images": 1000, "rms_calibration_error": 0.1, "mean_confidence": 0.5,
        "strengths": "cifar", "benchmark_seed": 0, "measurement": benchmark,
    }  # fmt: skip
    conditions = [("clean", 0)]
    conditions += [(name, level) for name in names or corruptions.names() for level in range(1, 6)]
    for corruption, severity in conditions:
        row = {"corruption": corruption, "severity": severity}
        row["error"] = error * severity / 3 if severity else error / 10
        results.append(folder / "robustness.csv", common | row)


def write_flips(folder, probability):
    folder.mkdir(parents=True, exist_ok=True)
    for name in metrics.ALEXNET_IMAGENET_P:
        results.append(
            folder / "robustness.csv",
            {name: None for name in results.FIELDS}
            | {
                "model": "m", "method": "standard", "epoch": 1, "dataset": "d",
                "benchmark": "imagenet_p", "corruption": name, "difficulty": 1, "num_images": 50,
                "flip_probability": probability, "strengths": "imagenet", "benchmark_seed": 0,
                "measurement": "p",
            },
        )  # fmt: skip


def test_cells_by_name(reproduce, tables):
    runs = list(tables.TABLES[1].runs())
    assert reproduce.chosen(runs, "") == runs
    found = reproduce.chosen(runs, "wideresnet/dynmix,resnext/standard,mixup")
    assert [(run.network, run.method) for run in found] == [
        ("allconvnet", "mixup"), ("densenet", "mixup"), ("wideresnet", "mixup"),
        ("wideresnet", "dynmix"), ("resnext", "standard"), ("resnext", "mixup"),
    ]  # fmt: skip
    ablations = list(tables.TABLES[5].runs())
    (one,) = reproduce.chosen(ablations, "dynmix_linear/cifar100")
    assert (one.dataset, one.method) == ("cifar100", "dynmix_linear")
    with pytest.raises(InputError, match="did you mean 'dynmix'"):
        reproduce.chosen(runs, "wideresnet/dinmix")
    with pytest.raises(InputError, match="no cell 'dynmix_linear'. It has: allconvnet/standard"):
        reproduce.chosen(runs, "dynmix_linear")


def test_reduced_settings_keep_the_method(tables, reproduce, tmp_path, monkeypatch):
    monkeypatch.setattr(
        sys, "argv", ["reproduce.py", "--table=5", f"--output_dir={tmp_path}", "--scale=small"]
    )
    arguments = reproduce.parse()
    for run in tables.TABLES[5].runs():
        small = reproduce.reduced(arguments, run, tmp_path)
        flags = tables.settings(run)
        flags.pop("robustness_every", None)
        full = TrainConfig(**flags)
        for name in ("method", "consistency", "consistency_weight", "mixing", "severity", "l2"):
            assert getattr(small, name) == getattr(full, name)
        assert small.model == "wrn_16_2" and small.dataset == "fashion_mnist"
        arguments.data_dir = "cifar"
        assert reproduce.reduced(arguments, run, tmp_path).dataset == run.dataset
        arguments.dataset, arguments.data_dir = "photos", ""
        assert reproduce.reduced(arguments, run, tmp_path).dataset == "photos"
        arguments.dataset = ""


def test_table_from_rows(tables, measured, tmp_path):
    table = tables.TABLES[2]
    for number, run in enumerate(table.runs()):
        if run.method in ("dynmix", "standard") and (run.network, run.method) != (
            "resnext", "standard",
        ):  # fmt: skip
            write_rows(tmp_path / run.name, 0.1 + number / 100)
    broken = next(run for run in table.runs() if run.method == "mixup")
    write_rows(tmp_path / broken.name, 0.2, names=corruptions.names()[:14])
    text = measured.write_table(table, tmp_path, lambda run: tmp_path / run.name, "Remark.")
    lines = [line for line in text.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert cells[0][1:] == [name.replace("*", r"\*") for name in table.columns]
    assert [row[0] for row in cells[2:]] == list(table.rows)
    # the error of severities 1 to 5 is the middle one in the mean: runs 0, 6, 7, 13, 14, ...
    assert cells[2][1] == "10.0 / 56.4" and cells[2][7] == "16.0 / 40.2"
    assert cells[2][2] == "- / 53.4"  # of one that lacks a corruption nothing counts
    assert cells[4][7] == "30.0 / 32.8 [1]" and cells[5][1] == "- / 53.4"
    assert cells[6][7] == "26.5 / 35.5 [2]"  # mean of 16, 23, 30, 37
    assert cells[6][1] == "- / 55.6"  # of three of four there is no mean
    assert "[1] Section 4.3 says 32.4." in text and "[2] The mean of the four" in text
    assert "generated (1,000 images or sequences of d). Remark." in text
    assert (tmp_path / "table_2.md").read_text() == text
    with (tmp_path / "table_2.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 35 and list(rows[0]) == list(measured.FIELDS)
    found = {(row["row"], row["column"]): row for row in rows}
    assert found["WideResNet", "DynMix"]["measured"] == "30.0000"
    assert found["WideResNet", "DynMix"]["published"] == "32.8"
    assert found["WideResNet", "DynMix"]["run"] == "cifar100_wideresnet_dynmix"
    assert found["ResNeXt", "Standard"]["measured"] == ""


def test_published_benchmarks_count_before_generated_ones(tables, measured, tmp_path):
    write_rows(tmp_path, 0.4, "cifar10_c")
    write_rows(tmp_path, 0.2)
    assert measured.figures(tmp_path / "robustness.csv")["error"].value == pytest.approx(40)
    assert measured.is_done(tmp_path / "robustness.csv", ("generated", "cifar10_c"))
    assert not measured.is_done(tmp_path / "robustness.csv", ("generated", "imagenet_c"))
    assert not measured.is_done(tmp_path / "absent.csv", ("generated",))


def test_tables_of_imagenet(tables, measured, tmp_path):
    run = next(tables.TABLES[3].runs())
    write_rows(tmp_path / run.name, 0.5, "imagenet_c")
    write_flips(tmp_path / run.name, 0.05)
    texts = [
        measured.write_table(tables.TABLES[number], tmp_path, lambda run: tmp_path / run.name, "")
        for number in (3, 4)
    ]
    rows = [
        next(line for line in text.splitlines() if line.startswith("| Standard")) for text in texts
    ]
    alexnet = metrics.ALEXNET_IMAGENET_C
    noise = 100 * 0.5 * 5 / sum(alexnet["gaussian_noise"])
    mce = sum(100 * 0.5 * 5 / sum(alexnet[name]) for name in alexnet) / 15
    cells = [cell.strip() for cell in rows[0].strip("|").split("|")]
    assert cells[1] == "5.0 / 23.9" and cells[2] == f"{noise:.1f} / 79"
    assert cells[-1] == f"{mce:.1f} / 80.6 [1]"
    cells = [cell.strip() for cell in rows[1].strip("|").split("|")]
    tilt = 100 * 0.05 / metrics.ALEXNET_IMAGENET_P["tilt"]
    assert cells[1] == "5.0 / 23.9" and cells[-3] == f"{tilt:.1f} / 57"
    assert "| SIN |" in texts[1] and "- / 55 |" in texts[1]  # as printed, without a decimal
    assert "82.1" in texts[0] and "58.7" in texts[1]


def script(experiments, *words):
    return subprocess.run(
        [sys.executable, experiments / "reproduce.py", *words],
        capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip


def test_a_cell_trains_and_is_scored_once(experiments, tmp_path):
    words = ["--table=1", "--cells=wideresnet/cutmix", f"--output_dir={tmp_path}"]
    done = script(experiments, *words)
    assert done.returncode == 0, done.stderr
    run = tmp_path / "cifar10_wideresnet_cutmix"
    assert (run / "final.keras").is_file() and (run / "export" / "saved_model.pb").is_file()
    rows = results.read(run / "robustness.csv")
    assert len(rows) == 1 + 15 * 5 and {row["num_images"] for row in rows} == {9}
    before = (run / "robustness.csv").read_bytes()
    again = script(experiments, *words)
    assert again.returncode == 0 and "cifar10_wideresnet_cutmix: done before" in again.stdout
    assert (run / "robustness.csv").read_bytes() == before
    assert "scale smoke" in (tmp_path / "table_1.md").read_text().lower()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--table=1", "--data_dir=x"], "--data_dir=x would do nothing at --scale=smoke"),
        (["--table=1", "--benchmark_dir=x"], "take --scale=full"),
        (["--table=3", "--scale=small"], "need --sin_dir.*by --cells=standard,autoaugment"),
        (["--table=1", "--scale=full", "--sin_dir=x"], "is for the cells of sin"),
        (["--table=1", "--scale=small", "--dataset=foto"], "did you mean 'photos'"),
        (["--table=1", "--cells=wide"], "unknown cell 'wide'"),
    ],
)
def test_mistakes(reproduce, words, message, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["reproduce.py", *words, f"--output_dir={tmp_path}"])
    with pytest.raises(SystemExit) as left:
        reproduce.main()
    assert left.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert re.search(message, line)
    assert not list(tmp_path.iterdir())


def test_full_runs_the_recipes_commands(experiments, reproduce, tables, tmp_path, monkeypatch):
    commands = []

    def run(words):
        commands.append(words)
        name = words[2]
        benchmark = "generated" if name == "dynmix_tf.train" else "cifar10_c"
        write_rows(tmp_path / "cifar10_wideresnet_dynmix", 0.3, benchmark)
        return subprocess.CompletedProcess(words, 0)

    monkeypatch.setattr(reproduce.subprocess, "run", run)
    words = ["--table=1", "--scale=full", "--cells=wideresnet/dynmix", "--data_dir=d"]
    words += ["--benchmark_dir=c", f"--output_dir={tmp_path}"]
    monkeypatch.setattr(sys, "argv", ["reproduce.py", *words])
    reproduce.main()
    train, evaluate = commands
    recipe = experiments / "recipes" / "table_1_wideresnet_dynmix_cifar10.flags"
    workdir = tmp_path / "cifar10_wideresnet_dynmix"
    assert train[1:] == [
        "-m", "dynmix_tf.train", f"--flagfile={recipe}", "--data_dir=d", f"--workdir={workdir}",
    ]  # fmt: skip
    assert evaluate[1:] == [
        "-m", "dynmix_tf.evaluate", f"--model={workdir / 'export'}", "--benchmark=cifar10_c",
        "--data_dir=c", f"--output_dir={workdir}",
    ]  # fmt: skip
    reproduce.main()
    assert len(commands) == 2  # both are done
    monkeypatch.setattr(reproduce.subprocess, "run", lambda w: subprocess.CompletedProcess(w, 3))
    monkeypatch.setattr(sys, "argv", ["reproduce.py", *words[:2], "--cells=resnext/mixup"])
    with pytest.raises(SystemExit) as left:
        reproduce.main()
    assert left.value.code == 3
