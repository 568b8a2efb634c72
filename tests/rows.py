"""Rows of results to test with."""

from __future__ import annotations

ROW = {
    "model": "wrn_40_2",
    "method": "dynmix",
    "epoch": 100,
    "dataset": "cifar10",
    "benchmark": "generated",
    "corruption": "fog",
    "severity": 3,
    "difficulty": None,
    "num_images": 10000,
    "error": 0.1234,
    "rms_calibration_error": 0.05,
    "expected_calibration_error": 0.04,
    "mean_confidence": 0.9,
    "negative_log_likelihood": 1.5,
    "brier_score": 0.25,
    "flip_probability": None,
    "top5_distance": None,
    "strengths": "cifar",
    "benchmark_seed": 0,
    "measurement": "5f3a0c11",
}
CLEAN = {**ROW, "corruption": "clean", "severity": 0, "error": 0.05}
