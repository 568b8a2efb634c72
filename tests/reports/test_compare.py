from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from scipy import stats

from dynmix_tf import per_image, results
from dynmix_tf.errors import InputError
from dynmix_tf.reports import compare
from dynmix_tf.reports.tables import latex

N = 300
COMMON = {
    "model": "wrn_40_2", "epoch": 100, "dataset": "cifar10", "benchmark": "cifar10_c",
    "strengths": "cifar", "benchmark_seed": 0, "num_images": N,
}  # fmt: skip


def evaluated(
    folder, method="standard", harder=0.0, images=True, names=("fog", "snow"), classes=10, **changes
):
    """An output folder of `evaluate`; what is hard to classify is hard for every method."""
    hardness = np.random.default_rng(0).uniform(size=N)
    for name in ("clean", *names):
        for severity in range(1, 6) if name != "clean" else (0,):
            values = {
                "confidence": np.full(N, 0.5, np.float32),
                "correct": hardness > 0.1 + 0.1 * severity + harder,
                "negative_log_likelihood": np.ones(N, np.float32),
                "brier_score": np.ones(N, np.float32),
                "label": np.arange(N) % classes,
            }
            row = {**COMMON, "method": method, "measurement": f"m_{method}", **changes}
            row |= {"corruption": name, "severity": severity, **per_image.image_means(values)}
            results.append(folder / "robustness.csv", row)
            if images:
                where = folder / "robustness_images" / row["measurement"]
                results.save_images(where, name, severity, values)
    return folder


def table(*folders, **arguments):
    return compare.compare([compare.read_evaluation(folder) for folder in folders], **arguments)


def test_difference_is_paired_over_images(tmp_path):
    header, cells, best = table(
        evaluated(tmp_path / "a"), evaluated(tmp_path / "b", "dynmix", harder=-0.08)
    )
    assert header == ["Network", "Clean", "Snow", "Fog", "Mean", "Mean less that of Standard"]
    assert [row[0] for row in cells] == ["Standard", "Dynamic Mixup"]
    assert best == [[False] * 6, [False, True, True, True, True, False]]
    assert cells[0][-1] == "-"
    errors = [
        [row["error"] for row in results.read(tmp_path / name / "robustness.csv")[1:]]
        for name in ("a", "b")
    ]
    value, interval = cells[1][-1].split(" ", 1)
    expected = 100 * (np.mean(errors[1]) - np.mean(errors[0]))
    assert float(value) == pytest.approx(expected, abs=0.05)
    low, high = map(float, interval.strip("[]").split(", "))
    # independent of the package: the mean over conditions of what each image adds, by its spread
    gains = []
    for row in results.read(tmp_path / "a" / "robustness.csv")[1:]:
        right = [
            results.load_images(
                tmp_path / name / "robustness_images" / f"m_{method}",
                row["corruption"],
                row["severity"],
            )["correct"].astype(float)
            for name, method in (("a", "standard"), ("b", "dynmix"))
        ]
        gains.append(right[0] - right[1])
    each = 100 * np.mean(gains, axis=0)
    half = stats.norm.ppf(0.975) * each.std() / np.sqrt(N)
    assert high - low == pytest.approx(2 * half, rel=0.2)
    assert low < expected < high


def test_baseline_makes_corruption_errors(tmp_path):
    folders = [evaluated(tmp_path / "a"), evaluated(tmp_path / "b", "dynmix", -0.08, images=False)]
    baseline = {"fog": (0.5,) * 5, "snow": (0.8,) * 5}
    header, cells, _ = table(*folders, baseline=baseline)
    assert header[-2:] == ["mCE", "mCE less that of Standard"]
    fog = np.mean([
        row["error"]
        for row in results.read(folders[0] / "robustness.csv")
        if row["corruption"] == "fog"
    ])  # fmt: skip
    assert cells[0][3] == f"{100 * fog / 0.5:.1f}"
    assert cells[1][-1] == "-"  # not known what each image got


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dataset": "cifar100"}, "were not measured alike, dataset: 'cifar10' against 'cifar100'"),
        ({"num_images": 100}, "num_images: 300 against 100"),
        ({"benchmark_seed": 3}, "benchmark_seed: 0 against 3"),
        ({"classes": 9}, "the images have other labels"),
        ({"names": ("fog",)}, r"b.robustness.csv lacks 5 conditions, such as snow 1"),
    ],
)
def test_what_was_not_measured_alike_is_refused(tmp_path, changes, message):
    folders = [evaluated(tmp_path / "a"), evaluated(tmp_path / "b", "dynmix", **changes)]
    with pytest.raises(InputError, match=message):
        table(*folders)


def test_partial_rows_and_empty_folders_are_named(tmp_path):
    for name in ("a", "b"):
        folder = evaluated(tmp_path / name)
        lines = (folder / "robustness.csv").read_text().splitlines(keepends=True)
        (folder / "robustness.csv").write_text("".join(lines[:-1]))
    with pytest.raises(InputError, match=r"a.robustness.csv.*snow lacks severity 5"):
        table(tmp_path / "a", tmp_path / "b")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"no such file: .*empty.robustness.csv"):
        table(tmp_path / "empty")
    with pytest.raises(InputError, match="needs two or more"):
        table(evaluated(tmp_path / "c"))


def test_several_measurements_in_one_file_are_told_apart(tmp_path):
    evaluated(tmp_path / "a")
    evaluated(tmp_path / "a", benchmark="generated", measurement="other")
    with pytest.raises(InputError, match="2 measurements .*choose one by --benchmark"):
        compare.read_evaluation(tmp_path / "a")
    rows = compare.read_evaluation(tmp_path / "a", "generated").rows
    assert {row["benchmark"] for row in rows} == {"generated"}
    with pytest.raises(InputError, match="has no rows of imagenet_c"):
        compare.read_evaluation(tmp_path / "a", "imagenet_c")


def test_the_command_takes_what_a_shell_makes_of_a_star(tmp_path):
    for name in ("standard", "dynmix"):
        evaluated(tmp_path / "runs" / name, name)
    command = [sys.executable, "-m", "dynmix_tf.evaluate", "--compare", "runs/standard"]
    outputs = []
    for out in ("one", "two"):
        done = subprocess.run(
            [*command, "runs/dynmix", f"--output_dir={out}"], cwd=tmp_path, capture_output=True,
            text=True, env={**os.environ, "PYTHONPATH": os.getcwd()}, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        files = {path.name: path.read_bytes() for path in (tmp_path / out).iterdir()}
        assert set(files) == {"comparison.md", "comparison.csv", "comparison.tex"}
        assert files["comparison.md"].decode() == done.stdout
        outputs.append(files)
    assert outputs[0] == outputs[1]
    last = outputs[0]["comparison.csv"].decode().splitlines()[-1]
    assert last.startswith("Dynamic Mixup,") and last.endswith('"+0.0 [+0.0, +0.0]"')
    words = [*command, "runs/dynmix", "--num_test=5"]
    environment = {**os.environ, "PYTHONPATH": os.getcwd()}
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, env=environment)
    assert done.returncode == 2 and "--num_test does nothing with --compare" in done.stderr


def test_latex_escapes_and_marks():
    text = latex(["Network", "Error, %"], [["a_b", "1.0"], ["c & d", "2.0"]], [[False, True]] * 2)
    assert text.splitlines() == [
        r"\begin{tabular}{lr}",
        r"\toprule",
        r"Network & Error, \% \\",
        r"\midrule",
        r"a\_b & \textbf{1.0} \\",
        r"c \& d & \textbf{2.0} \\",
        r"\bottomrule",
        r"\end{tabular}",
    ]
