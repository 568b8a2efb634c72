from __future__ import annotations

import numpy as np
import pytest
from rows import CLEAN, ROW

from dynmix_tf.errors import InputError
from dynmix_tf.metrics import ALEXNET_CLEAN_ERROR, ALEXNET_IMAGENET_C
from dynmix_tf.reports.summary import summary


def corrupted(name, rates, calibration=0.1):
    return [
        {**ROW, "corruption": name, "severity": severity, "error": rate}
        | {"rms_calibration_error": calibration * severity}
        for severity, rate in enumerate(rates, start=1)
    ]


def test_summary_by_hand():
    rows = [
        *corrupted("fog", [0.1, 0.2, 0.3, 0.4, 0.5]),
        CLEAN,
        *corrupted("snow", [0.2, 0.2, 0.2, 0.2, 0.2], calibration=0.2),
    ]
    figures = summary(rows)
    assert figures["clean_error"] == pytest.approx(5)
    assert figures["corruption_errors"] == pytest.approx({"fog": 30, "snow": 20})
    assert figures["mean_corruption_error"] == pytest.approx(25)
    assert figures["error_by_severity"] == pytest.approx([5, 15, 20, 25, 30, 35])
    assert figures["calibration_by_severity"] == pytest.approx([5, 15, 30, 45, 60, 75])


def test_summary_does_not_depend_on_the_order_of_rows():
    rows = [CLEAN, *corrupted("fog", [0.1, 0.2, 0.3, 0.4, 0.5]), *corrupted("snow", [0.3] * 5)]
    assert summary(rows) == summary(rows[::-1])


def test_summary_against_alexnet():
    rows = [{**CLEAN, "error": ALEXNET_CLEAN_ERROR}]
    for name, rates in ALEXNET_IMAGENET_C.items():
        rows += corrupted(name, rates)
    figures = summary(rows, baseline=ALEXNET_IMAGENET_C)
    assert figures["mean_corruption_error"] == pytest.approx(100)
    assert figures["corruption_errors"] == pytest.approx(dict.fromkeys(ALEXNET_IMAGENET_C, 100))
    assert np.mean(figures["error_by_severity"][1:]) == pytest.approx(78.8993, abs=1e-4)
    with pytest.raises(InputError, match="lacks jpeg_compression"):
        summary(rows[:-5], baseline=ALEXNET_IMAGENET_C)


def test_summary_leaves_the_extras_out_of_every_mean():
    rows = [CLEAN, *corrupted("fog", [0.2] * 5)]
    with_extra = [*rows, *corrupted("spatter", [0.9] * 5, calibration=0.15)]
    plain, extra = summary(rows), summary(with_extra)
    assert extra.pop("corruption_errors") == pytest.approx({"fog": 20, "spatter": 90})
    assert plain.pop("corruption_errors") == pytest.approx({"fog": 20})
    assert plain == extra
    baseline = {"fog": (0.4,) * 5}
    assert summary(with_extra, baseline)["corruption_errors"] == pytest.approx({"fog": 50})


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "no rows"),
        ([CLEAN], "no row for any corruption"),
        (corrupted("fog", [0.1] * 5), "no row for the clean images"),
        ([CLEAN, *corrupted("fog", [0.1] * 3)], "fog lacks severity 4, 5"),
        (
            [CLEAN, *corrupted("fog", [0.1] * 5), *corrupted("snow", [0.1] * 4)],
            "snow lacks severity 5",
        ),
        ([CLEAN, CLEAN, *corrupted("fog", [0.1] * 5)], "clean severity 0 more than once"),
        ([CLEAN, *corrupted("fog", [0.1] * 5), ROW], "fog severity 3 more than once"),
        ([{**CLEAN, "model": "a"}, *corrupted("fog", [0.1] * 5)], "differ in `model`: a, wrn_40_2"),
        ([{**CLEAN, "method": "a"}, *corrupted("fog", [0.1] * 5)], "differ in `method`"),
        ([{**CLEAN, "dataset": "a"}, *corrupted("fog", [0.1] * 5)], "differ in `dataset`"),
    ],
)
def test_summary_of_partial_rows(rows, message):
    with pytest.raises(InputError, match=message):
        summary(rows)


@pytest.mark.parametrize(
    "change", [{"benchmark": "x"}, {"strengths": "x"}, {"benchmark_seed": 1}, {"num_images": 9}]
)
def test_summary_refuses_to_mix_benchmarks(change):
    rows = [CLEAN, *corrupted("fog", [0.1] * 5), *corrupted("snow", [0.1] * 5)]
    rows[-1] = rows[-1] | change
    (field,) = change
    with pytest.raises(InputError, match=f"differ in `{field}`"):
        summary(rows)
