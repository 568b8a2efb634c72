from __future__ import annotations

import numpy as np
import pytest

from dynmix_tf import metrics, per_image, results
from dynmix_tf.errors import InputError
from dynmix_tf.reports import score_tables
from dynmix_tf.reports.scores import scores

BASE = {
    "model": "resnet50", "method": "dynmix", "epoch": 90, "dataset": "imagenet2012",
    "benchmark": "imagenet_c", "strengths": "imagenet", "benchmark_seed": 0, "measurement": "ab",
}  # fmt: skip
N = 400


def measured(folder, corruptions=("fog", "snow", "spatter"), clean=True):
    """Rows and records of images, as `scoring.score` leaves them."""
    generator = np.random.default_rng(0)
    rows = []
    conditions = [(name, severity) for name in corruptions for severity in range(1, 6)]
    for name, severity in [("clean", 0), *conditions] if clean else conditions:
        correct = generator.uniform(size=N) > 0.1 + 0.1 * severity
        values = {
            "confidence": generator.uniform(0.1, 1, N).astype(np.float32),
            "correct": correct,
            "negative_log_likelihood": generator.exponential(size=N).astype(np.float32),
            "brier_score": generator.uniform(size=N).astype(np.float32),
        }
        results.save_images(folder, name, severity, values)
        row = {**BASE, "corruption": name, "severity": severity, "num_images": N}
        rows.append(dict.fromkeys(results.FIELDS) | row | per_image.image_means(values))
    return rows


def flipped(folder, names, difficulties=(1, 2)):
    generator = np.random.default_rng(1)
    rows = []
    for name in names:
        for difficulty in difficulties:
            values = {
                "flips": generator.uniform(size=N).astype(np.float32),
                "top5_distance": generator.uniform(0, 15, N).astype(np.float32),
            }
            results.save_images(folder, name, difficulty, values)
            row = {**BASE, "corruption": name, "difficulty": difficulty, "num_images": N}
            rows.append(dict.fromkeys(results.FIELDS) | row | per_image.sequence_means(values))
    return rows


def test_values_are_those_of_the_metrics(tmp_path):
    rows = measured(tmp_path)
    baseline = {"fog": (0.5,) * 5, "snow": (0.8,) * 5}
    found = scores(rows, tmp_path, baseline, num_resamples=20)
    errors = {
        name: [row["error"] for row in rows if row["corruption"] == name]
        for name in ("fog", "snow", "spatter")
    }
    value = {name: score["value"] for name, score in found.items()}
    assert value["clean_error"] == 100 * rows[0]["error"]
    counted = {name: errors[name] for name in ("fog", "snow")}
    assert value["mean_error"] == pytest.approx(metrics.mean_corruption_error(counted, None))
    assert value["mCE"] == pytest.approx(metrics.mean_corruption_error(counted, baseline))
    assert value["CE/fog"] == pytest.approx(100 * np.sum(errors["fog"]) / 2.5)
    assert value["uCE/spatter"] == pytest.approx(100 * np.mean(errors["spatter"]))
    assert "relative_mCE" not in found and "CE/spatter" not in found
    counted_rows = [row for row in rows if row["corruption"] in counted]
    brier = np.mean([row["brier_score"] for row in counted_rows])
    assert value["brier_score/corrupted"] == pytest.approx(brier)
    third = [row["negative_log_likelihood"] for row in counted_rows if row["severity"] == 3]
    assert value["negative_log_likelihood/severity_3"] == pytest.approx(np.mean(third))
    kept = [
        results.load_images(tmp_path, name, severity)
        for name in counted
        for severity in range(1, 6)
    ]
    pooled = [np.concatenate([each[name] for each in kept]) for name in ("confidence", "correct")]
    rms = metrics.rms_calibration_error(*pooled)
    assert value["rms_calibration_error/corrupted"] == pytest.approx(rms)
    assert value["rms_calibration_error/clean"] == rows[0]["rms_calibration_error"]
    for name, score in found.items():
        if "severity" not in name or "calibration" not in name:
            assert score["low"] <= score["value"] <= score["high"], name


def test_intervals_hold_images_together(tmp_path):
    """Conditions of the same images: what all get wrong alike is no more certain in the mean."""
    correct = np.arange(N) % 4 > 0
    values = {"confidence": np.full(N, 0.5), "correct": correct}
    rows = []
    for severity in range(1, 6):
        results.save_images(tmp_path, "fog", severity, values)
        row = {**BASE, "corruption": "fog", "severity": severity, "num_images": N, "error": 0.25}
        row |= {"rms_calibration_error": 0.25, "mean_confidence": 0.5}
        rows.append(dict.fromkeys(results.FIELDS) | row)
    found = scores(rows, tmp_path)["mean_error"]
    spread = 100 * np.sqrt(0.25 * 0.75 / N)
    assert found["high"] - found["low"] == pytest.approx(2 * 1.96 * spread, rel=0.15)
    assert "clean_error" not in scores(rows, tmp_path)


def test_alexnet_itself_is_100():
    rows = []
    for name, rates in {"clean": (0.4348,), **metrics.ALEXNET_IMAGENET_C}.items():
        for severity, error in enumerate(rates, start=int(name != "clean")):
            row = {**BASE, "corruption": name, "severity": severity, "error": error}
            row |= {"rms_calibration_error": 0.1, "mean_confidence": 0.5, "num_images": 50_000}
            rows.append(dict.fromkeys(results.FIELDS) | row)
    found = scores(rows, None, metrics.ALEXNET_IMAGENET_C)
    for name in ("mCE", "relative_mCE", "CE/fog"):
        assert found[name] == {"value": pytest.approx(100), "low": None, "high": None}
    assert "rms_calibration_error/corrupted" not in found  # nothing to pool
    header, _, row = score_tables.paper_row("AlexNet", found).splitlines()
    assert header == (
        "| Network | Clean | Gaussian | Shot | Impulse | Defocus | Glass | Motion | Zoom | Snow "
        "| Frost | Fog | Bright | Contrast | Elastic | Pixel | JPEG | mCE |"
    )
    assert row == "| AlexNet | 43.5 |" + " 100.0 |" * 16


def test_sequences(tmp_path):
    rows = flipped(tmp_path, metrics.ALEXNET_IMAGENET_P)
    found = scores(rows, tmp_path, metrics.ALEXNET_IMAGENET_P, num_resamples=20)
    second = {row["corruption"]: row["flip_probability"] for row in rows if row["difficulty"] == 2}
    mean = metrics.mean_flip_rate(second)
    assert found["difficulty_2/mFR"]["value"] == pytest.approx(mean)
    assert found["difficulty_2/mFP"]["value"] == pytest.approx(100 * np.mean([*second.values()]))
    tilt = found["difficulty_1/top5_distance/tilt"]
    assert tilt["low"] < tilt["value"] < tilt["high"]
    header, _, row = score_tables.paper_row("Mine", found).splitlines()
    assert header.count("Tilt") == 2 and header.count("mFR") == 2 and row.endswith(f"{mean:.1f} |")
    some = scores([row for row in rows if row["corruption"] != "tilt"], tmp_path, None, 20)
    assert "difficulty_1/mFP" in some and not any("mFR" in name for name in some)


def test_the_text_fits_a_terminal(tmp_path):
    names = list(metrics.ALEXNET_IMAGENET_C)
    text = score_tables.score_text(
        "imagenet_c, resnet50", scores(measured(tmp_path, names), tmp_path, None, 20)
    )
    lines = text.splitlines()
    assert max(map(len, lines)) <= 80 and lines[0] == "imagenet_c, resnet50"
    for name in names:
        assert score_tables.TITLES[name] + " " in text
    assert "clean error, %" in text and "mCE" not in text and "RMS calibration, %" in text
    flips = score_tables.score_text("p", scores(flipped(tmp_path, ["tilt"]), tmp_path, None, 20))
    assert "difficulty 2 mFP, %" in flips and "Tilt " in flips


def test_partial_rows_give_nothing(tmp_path):
    rows = measured(tmp_path, ["fog"])
    with pytest.raises(InputError, match="fog lacks severity 5"):
        scores(rows[:-1], tmp_path)
    (tmp_path / "fog_2.npz").unlink()
    assert {score["low"] for score in scores(rows, tmp_path).values()} == {None}
