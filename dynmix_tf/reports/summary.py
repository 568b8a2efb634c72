"""From the rows of a robustness evaluation to the figures of one model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NotRequired, TypedDict

import numpy as np

from dynmix_tf.errors import InputError
from dynmix_tf.metrics import (
    ALEXNET_IMAGENET_C_EXTRA,
    corruption_error,
    mean_corruption_error,
    unnormalized_corruption_error,
)

__all__ = ["Summary", "complete_cells", "summary"]


class Summary(TypedDict):
    """What `summary` gives: all values in per cent, lists from severity 0 (clean) to 5."""

    clean_error: float
    corruption_errors: dict[str, float]
    mean_corruption_error: float
    error_by_severity: list[float]
    calibration_by_severity: list[float]
    training_seconds: NotRequired[float | None]


def summary(
    rows: Iterable[Mapping[str, Any]],
    baseline: Mapping[str, tuple[float, ...]] | None = None,
) -> Summary:
    """The figures of one model on one benchmark, from its complete rows.

    The four validation corruptions (`speckle_noise`, `gaussian_blur`, `spatter`, `saturate`)
    count for no mean; without a baseline they have their own entry in `corruption_errors`.

    Args:
        rows: Rows as `results.read` gives them: one clean row, and five severities per corruption.
        baseline: Error rates of a baseline network such as `metrics.ALEXNET_IMAGENET_C`, for
            normalised corruption errors (CE, mCE); None for plain means.

    Returns:
        All in per cent: `clean_error`; `corruption_errors`, the mean over the five severities per
        corruption (CE with a baseline); `mean_corruption_error`; `error_by_severity` and
        `calibration_by_severity`, six values from clean to severity 5, each the plain mean over
        the corruptions of the error, resp. of the RMS calibration error.

    Raises:
        InputError: No rows, no clean row, a corruption without exactly five severities, the same
            images twice, or rows of several models, epochs or benchmarks.
    """
    rows = list(rows)
    if not rows:
        raise InputError("no rows")
    cells = complete_cells(rows)
    clean = cells.pop(("clean", 0))
    names = list(dict.fromkeys(corruption for corruption, _ in cells))
    rates = {
        name: tuple(cells[name, severity]["error"] for severity in range(1, 6)) for name in names
    }
    counted = [name for name in names if name not in ALEXNET_IMAGENET_C_EXTRA]
    mean = mean_corruption_error(rates, baseline)
    if baseline is None:
        per_corruption = unnormalized_corruption_error(rates)
    else:
        per_corruption = corruption_error({name: rates[name] for name in counted}, baseline)

    def by_severity(field: str) -> list[float]:
        return [100.0 * clean[field]] + [
            100.0 * float(np.mean([cells[name, severity][field] for name in counted]))
            for severity in range(1, 6)
        ]

    return {
        "clean_error": 100.0 * clean["error"],
        "corruption_errors": per_corruption,
        "mean_corruption_error": mean,
        "error_by_severity": by_severity("error"),
        "calibration_by_severity": by_severity("rms_calibration_error"),
    }


def _check_one_kind(rows: list[Mapping[str, Any]]) -> None:
    """Refuses rows that must not be averaged together."""
    # The clean images have neither strengths nor a seed of their own.
    corrupted = [row for row in rows if row["corruption"] != "clean"]
    for field in ("model", "method", "epoch", "dataset", "benchmark"):
        _check_equal(rows, field)
    for field in ("num_images", "strengths", "benchmark_seed"):
        _check_equal(corrupted, field)


def _check_equal(rows: list[Mapping[str, Any]], field: str) -> None:
    values = list(dict.fromkeys(str(row[field]) for row in rows))
    if len(values) > 1:
        raise InputError(
            f"the rows differ in `{field}`: {', '.join(values)}; summarise each on its own"
        )


def complete_cells(
    rows: list[Mapping[str, Any]], clean: bool = True
) -> dict[tuple[str, int], Mapping[str, Any]]:
    """The rows of one model on one benchmark by (corruption, severity).

    Args:
        rows: As `results.read` gives them.
        clean: Whether there must be a row of the clean images.

    Raises:
        InputError: A corruption without exactly five severities, the same images twice, or rows of
            several models, epochs or benchmarks.
    """
    _check_one_kind(rows)
    cells: dict[tuple[str, int], Mapping[str, Any]] = {}
    problems = []
    for row in rows:
        key = (row["corruption"], row["severity"])
        if key in cells:
            problems.append(f"{key[0]} severity {key[1]} more than once")
        cells[key] = row
    if clean and ("clean", 0) not in cells:
        problems.append("no row for the clean images")
    names = list(dict.fromkeys(name for name, _ in cells if name != "clean"))
    if not names:
        problems.append("no row for any corruption")
    for name in names:
        missing = [str(severity) for severity in range(1, 6) if (name, severity) not in cells]
        if missing:
            problems.append(f"{name} lacks severity {', '.join(missing)}")
    if problems:
        raise InputError(f"the rows are not complete: {'; '.join(problems)}")
    return cells
