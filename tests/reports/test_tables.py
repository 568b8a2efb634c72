from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from dynmix_tf.corruptions import GROUPS
from dynmix_tf.errors import InputError
from dynmix_tf.metrics import ALEXNET_IMAGENET_C
from dynmix_tf.reports.tables import (
    comparison,
    comparison_text,
    grouped,
    intervals,
    markdown,
    per_corruption,
)

STANDARD = {
    "clean_error": 5.04,
    "corruption_errors": {"fog": 20.0, "gaussian_noise": 50.0, "snow": 30.0},
    "mean_corruption_error": 100 / 3,
    "error_by_severity": [5.04, 10.0, 20.0, 30.0, 40.0, 66.7],
    "calibration_by_severity": [2.0, 10.0, 12.0, 14.0, 16.0, 18.0],
    "training_seconds": 61.6,
}
DYNMIX = {
    "clean_error": 4.96,
    "corruption_errors": {"snow": 16.0, "fog": 10.0, "gaussian_noise": 20.0},
    "mean_corruption_error": 46 / 3,
    "error_by_severity": [4.96, 8.0, 12.0, 15.0, 18.0, 23.7],
    "calibration_by_severity": [2.5, 3.0, 3.0, 3.0, 3.0, 4.0],
    "training_seconds": None,
}
BOTH = {"Standard": STANDARD, "Dynamic Mixup": DYNMIX}


def test_comparison():
    assert comparison(BOTH) == (
        "| Method | Clean error | Mean corruption error | Noise | Weather | RMS calibration clean"
        " | RMS calibration corrupted | Training seconds |\n"
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n"
        "| Standard | **5.0** | 33.3 | 50.0 | 25.0 | **2.0** | 14.0 | 62 |\n"
        "| Dynamic Mixup | **5.0** | **15.3** | **20.0** | **13.0** | 2.5 | **3.2** | - |\n"
    )


def test_training_time_is_a_column_only_when_known():
    unknown = {key: value for key, value in STANDARD.items() if key != "training_seconds"}
    assert "Training" not in comparison({"a": unknown, "b": DYNMIX})
    row = comparison({"a": STANDARD, "b": {**DYNMIX, "training_seconds": 180.2}})
    assert "| **62** |" in row and "| 180 |" in row


def test_a_lone_method_is_not_the_best():
    assert "**" not in comparison({"Standard": STANDARD})
    assert "*" not in comparison_text({"Standard": STANDARD})
    assert "**" not in per_corruption({"Standard": STANDARD})


def test_text_has_the_cells_of_the_markdown_table():
    assert comparison_text(BOTH) == (
        "                           Mean                          RMS          RMS\n"
        "              Clean  corruption                  calibration  calibration  Training\n"
        "Method        error       error  Noise  Weather        clean    corrupted   seconds\n"
        "------------- ------ ----------- ------ -------- ------------ ------------ ---------\n"
        "Standard        5.0*       33.3   50.0     25.0          2.0*        14.0        62\n"
        "Dynamic Mixup   5.0*       15.3*  20.0*    13.0*         2.5          3.2*        -\n"
    )


def test_per_corruption():
    assert per_corruption(BOTH) == (
        "| Error, % | Standard | Dynamic Mixup |\n"
        "| --- | ---: | ---: |\n"
        "| clean | **5.0** | **5.0** |\n"
        "| gaussian noise | 50.0 | **20.0** |\n"
        "| snow | 30.0 | **16.0** |\n"
        "| fog | 20.0 | **10.0** |\n"
        "| mean of the corruptions | 33.3 | **15.3** |\n"
    )


@pytest.mark.parametrize("table", [comparison, comparison_text, per_corruption])
def test_different_corruptions_are_not_compared(table):
    other = {**DYNMIX, "corruption_errors": {"fog": 10.0, "snow": 16.0, "frost": 1.0}}
    with pytest.raises(InputError, match="different corruptions: frost, gaussian_noise"):
        table({"Standard": STANDARD, "Dynamic Mixup": other})
    with pytest.raises(InputError, match="no label"):
        table({})


def test_groups_cover_the_benchmark_in_its_order():
    groups = grouped(reversed(ALEXNET_IMAGENET_C))
    assert [name for members in groups.values() for name in members] == list(ALEXNET_IMAGENET_C)
    assert list(groups) == ["noise", "blur", "weather", "digital"]
    for group, members in GROUPS.items():
        assert set(members) <= set(groups[group])
    assert grouped(["spatter", "sparkles"]) == {"extra": ["spatter"], "other": ["sparkles"]}


@pytest.mark.parametrize("count", [2, 3, 5, 30])
def test_intervals_are_scipys(count):
    values = np.random.default_rng(count).normal(10, 3, count)
    mean, half = intervals(list(values))
    low, high = stats.t.interval(0.95, count - 1, loc=np.mean(values), scale=stats.sem(values))
    assert (mean - half, mean + half) == pytest.approx((low, high))


@pytest.mark.parametrize("values", [[], [1.0], [1.0, float("nan")]])
def test_no_interval(values):
    with pytest.raises(InputError, match="at least two finite values"):
        intervals(values)


def test_markdown_escapes():
    assert markdown(["a|b"], [["AutoAugment*"]], [[True]]) == (
        "| a\\|b |\n| --- |\n| **AutoAugment\\*** |\n"
    )
