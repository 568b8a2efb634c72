"""The script that draws the paper's figures of results, on rows of known errors."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import pytest

from dynmix_tf import metrics, results
from dynmix_tf.errors import InputError
from dynmix_tf.reports import plots

SCRIPTS = Path(__file__).parents[2] / "experiments" / "figures"


@pytest.fixture(scope="module")
def script():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(SCRIPTS)
        yield importlib.import_module("results")


def run(folder, method, share):
    """A run whose errors are a share of AlexNet's on two benchmarks, so that its mCE is known."""
    tables = {
        "imagenet_c": metrics.ALEXNET_IMAGENET_C,
        "imagenet_3dcc": metrics.ALEXNET_IMAGENET_3DCC,
    }
    for benchmark, table in tables.items():
        for name, rates in {"clean": (0.4,), **table}.items():
            for severity, error in enumerate(rates, start=int(name != "clean")):
                row = {
                    "model": "resnet50", "method": method, "epoch": 90, "dataset": "imagenet2012",
                    "benchmark": benchmark, "corruption": name, "severity": severity,
                    "num_images": 50_000, "error": share * error, "rms_calibration_error": 0.1,
                    "mean_confidence": 0.5, "strengths": "", "benchmark_seed": 0,
                    "measurement": benchmark,
                }  # fmt: skip
                results.append(folder / "robustness.csv", row)
    lines = [{"epoch": 1, "loss": 2.0}, {"epoch": 2, "loss": 1.0, "corruption_error": 0.5}]
    lines[1]["clean_error"] = 0.25
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    root = tmp_path_factory.mktemp("runs")
    return [run(root / "a", "standard", 0.75), run(root / "b", "dynmix", 0.5)]


def test_figures_hold_the_numbers_of_the_rows(script, runs, tmp_path, monkeypatch):
    drawn = {}
    for name in (
        "mean_by_benchmark", "error_by_corruption", "error_and_calibration_by_severity",
        "training_curves",
    ):  # fmt: skip
        monkeypatch.setattr(plots, name, lambda _, *values, n=name: drawn.__setitem__(n, values))
    for figure in ("3", "4", "9", "10"):
        script.draw(figure, runs, tmp_path / "x.png", "" if figure == "4" else "imagenet_c")
    means, caption = drawn["mean_by_benchmark"]
    assert caption == "mCE, %" and set(means) == {"ImageNet-2DCC", "ImageNet-3DCC"}
    for values in means.values():
        assert values == {"Standard": pytest.approx(75), "Dynamic Mixup": pytest.approx(50)}
    errors, clean = drawn["error_by_corruption"]
    rates = metrics.ALEXNET_IMAGENET_C["fog"]
    assert errors["Standard"]["fog"] == pytest.approx(75 * sum(rates) / 5)
    assert clean == {"Standard": pytest.approx(30), "Dynamic Mixup": pytest.approx(20)}
    (series,) = drawn["error_and_calibration_by_severity"]
    assert series["Dynamic Mixup"]["error"][0] == pytest.approx(20)
    assert series["Standard"]["calibration"] == pytest.approx([10.0] * 6)
    (curves,) = drawn["training_curves"]
    assert curves["Standard"][1]["corruption_error"] == 0.5


@pytest.mark.parametrize("figure", ["3", "4", "9", "10"])
def test_the_same_rows_give_the_same_bytes(script, runs, tmp_path, figure):
    benchmark = "" if figure == "4" else "imagenet_c"
    for name in ("a.png", "b.png"):
        script.draw(figure, runs, tmp_path / name, benchmark)
    first, second = ((tmp_path / name).read_bytes() for name in ("a.png", "b.png"))
    assert first == second and first.startswith(b"\x89PNG")


def test_rows_of_several_benchmarks_need_a_choice(script, runs, tmp_path):
    with pytest.raises(InputError, match="2 measurements"):
        script.draw("3", runs, tmp_path / "x.png")
