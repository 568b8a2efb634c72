"""Every figure of one measurement, with its confidence interval over the images."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dynmix_tf import results
from dynmix_tf.metrics import (
    ALEXNET_CLEAN_ERROR,
    ALEXNET_IMAGENET_C,
    ALEXNET_IMAGENET_C_EXTRA,
    corruption_error,
    expected_calibration_error,
    mean_corruption_error,
    mean_flip_rate,
    relative_mean_corruption_error,
    rms_calibration_error,
    unnormalized_corruption_error,
)
from dynmix_tf.metrics.bootstrap import bootstrap_calibration, bootstrap_means
from dynmix_tf.reports.summary import complete_cells

__all__ = ["Score", "headline", "read_predictions", "scores"]

Rows = Sequence[Mapping[str, Any]]
Score = dict[str, float | None]
Condition = tuple[str, int]
Predictions = Mapping[Condition, Mapping[str, np.ndarray]]

_CALIBRATION = ("rms_calibration_error", "expected_calibration_error")
_LIKELIHOOD = ("negative_log_likelihood", "brier_score")


def scores(
    rows: Rows,
    images_folder: str | Path | None = None,
    baseline: Mapping[str, Any] | None = None,
    baseline_clean_error: float | None = None,
    num_resamples: int = 500,
    seed: int = 0,
) -> dict[str, Score]:
    """All figures of the rows of one measurement.

    Args:
        rows: As `scoring.score` returns them: of images, with all five severities of each
            corruption, or of sequences.
        images_folder: Of this measurement, with what each image got; without it, or where it lacks
            a condition, there are no intervals and nothing is pooled.
        baseline: Of another network, for figures relative to it: `{corruption: five error rates}`,
            such as `ALEXNET_IMAGENET_C`, or `{perturbation: flip probability}`.
        baseline_clean_error: Of the same network, 0..1, for `relative_mCE`; that of AlexNet is
            known.
        num_resamples: Of the bootstrap.
        seed: Of the bootstrap.

    Returns:
        `{name: {"value", "low", "high"}}`, the interval of 95 %, None where it is not known.

        Of images, in per cent: `clean_error`; `mean_error`, the plain mean over the corruptions
        less the four validation ones; `uCE/<corruption>`; with a baseline `CE/<corruption>`, and
        where all of its corruptions were measured `mCE` and `relative_mCE`. Not in per cent, and
        of the corruptions that the mean counts: `rms_calibration_error` and
        `expected_calibration_error`, each `/clean`, `/severity_<s>` (the mean over the
        corruptions, without interval) and `/corrupted` (of all images pooled);
        `negative_log_likelihood` and `brier_score`, alike, all means.

        Of sequences, for each difficulty d: `difficulty_<d>/mFP`, and with a baseline `mFR` and
        `flip_rate/<perturbation>`, in per cent; `mT5D`; and each perturbation's own,
        `flip_probability/<perturbation>` and `top5_distance/<perturbation>`.

    Raises:
        InputError: Rows of several measurements, a corruption without its five severities, or a
            baseline that lacks a corruption.

    Example:
        >>> from dynmix_tf import predictors, scoring
        >>> rows = scoring.score(
        ...     predictors.network_predictor(network),
        ...     dynmix_tf.GeneratedBenchmark(images, labels, names=["fog"]), "out.csv", "images",
        ...     {"model": "mine", "method": "standard", "epoch": 10},
        ... )
        >>> found = scores(rows, Path("images") / rows[0]["measurement"], num_resamples=10)
        >>> found["clean_error"]["low"] <= found["clean_error"]["value"]
        True
    """
    rows = list(rows)
    predictions = read_predictions(rows, images_folder)
    resample: dict[str, Any] = {"num_resamples": num_resamples, "seed": seed}
    if rows and rows[0]["difficulty"] is not None:
        return _sequence_scores(rows, predictions, baseline, resample)
    by_condition = complete_cells(rows, clean=False)
    means = {
        (field, *condition): row[field]
        for field in ("error", *_LIKELIHOOD)
        for condition, row in by_condition.items()
        if row[field] is not None  # in rows that are older than the field
    }
    if baseline is ALEXNET_IMAGENET_C:
        baseline_clean_error = ALEXNET_CLEAN_ERROR
    figures = functools.partial(
        _figures, baseline=baseline, baseline_clean_error=baseline_clean_error
    )
    found = _scores(figures, means, predictions, resample)
    for group, members in _groups(by_condition).items():
        if group in ("clean", "corrupted") and predictions:
            confidence, correct = (
                np.stack([predictions[condition][name] for condition in members])
                for name in ("confidence", "correct")
            )
            found |= _calibration(group, confidence, correct, resample)
        elif group != "corrupted":  # which cannot be pooled from rows
            found |= {
                f"{name}/{group}": _score(float(np.mean([by_condition[c][name] for c in members])))
                for name in _CALIBRATION
                if by_condition[members[0]][name] is not None
            }
    return found


def headline(
    rows: Rows, baseline: Mapping[str, Any] | None = None
) -> Callable[[Mapping[Condition, float]], float]:
    """The one figure that sums up a measurement, as a function of the mean of each condition.

    Args:
        rows: Of a measurement that has what the figure needs.
        baseline: As `scores` takes it.

    Returns:
        From `{(corruption, severity): error}` to mCE with a baseline, else the plain mean, in per
        cent; from `{(perturbation, difficulty): flip probability}` to mFR, else mFP, of the least
        difficulty.
    """
    difficulties = [row["difficulty"] for row in rows if row["difficulty"] is not None]

    def of_errors(errors: Mapping[Condition, float]) -> float:
        found = _error_figures(errors, baseline, None)
        return found.get("mCE", found.get("mean_error", np.nan))

    def of_flips(flips: Mapping[Condition, float]) -> float:
        means = {("flips", *key): value for key, value in flips.items() if key[1] == least}
        found = _flip_figures(means, baseline)
        return found.get("mFR", found["mFP"])

    least = min(difficulties, default=0)
    return of_flips if difficulties else of_errors


def read_predictions(
    rows: Rows, folder: str | Path | None
) -> dict[Condition, dict[str, np.ndarray]]:
    """What each image got; nothing where that is not known for all conditions alike."""
    if folder is None:
        return {}
    conditions = [(row["corruption"], row["severity"] or row["difficulty"] or 0) for row in rows]
    if not all(results.images_path(folder, *condition).is_file() for condition in conditions):
        return {}
    found = {condition: results.load_images(folder, *condition) for condition in conditions}
    sizes = {len(next(iter(values.values()))) for values in found.values()}
    return found if len(sizes) == 1 and min(sizes) > 1 else {}


def _scores(
    figures: Callable[[Any], dict[str, float]],
    means: Mapping[tuple[str, str, int], float],
    predictions: Predictions,
    resample: dict[str, Any],
) -> dict[str, Score]:
    """Figures of the means of fields, with intervals where each image's value is known."""
    values = figures(means)
    if not predictions:
        return {name: _score(value) for name, value in values.items()}
    each = {
        key: ~predictions[key[1:]]["correct"] if key[0] == "error" else predictions[key[1:]][key[0]]
        for key in means
    }
    intervals = bootstrap_means(each, figures, **resample)
    return {name: _score(value, *intervals[name]) for name, value in values.items()}


def _score(value: float, low: float | None = None, high: float | None = None) -> Score:
    return {"value": value, "low": low, "high": high}


def _figures(
    means: Mapping[tuple[str, str, int], float],
    baseline: Mapping[str, Any] | None,
    baseline_clean_error: float | None,
) -> dict[str, float]:
    found = _error_figures(_of("error", means), baseline, baseline_clean_error)
    for field in _LIKELIHOOD:
        values = _of(field, means)
        for group, members in _groups(values).items():
            found[f"{field}/{group}"] = float(np.mean([values[member] for member in members]))
    return found


def _of(field: str, means: Mapping[tuple[str, str, int], float]) -> dict[Condition, float]:
    return {(name, level): value for (key, name, level), value in means.items() if key == field}


def _error_figures(
    errors: Mapping[Condition, float],
    baseline: Mapping[str, Any] | None,
    baseline_clean_error: float | None,
) -> dict[str, float]:
    rates: dict[str, list[float]] = {}
    for (corruption, severity), error in errors.items():
        if severity:
            rates.setdefault(corruption, []).append(error)
    clean = errors.get(("clean", 0))
    found = {} if clean is None else {"clean_error": 100 * clean}
    if not rates:
        return found
    if set(rates) - set(ALEXNET_IMAGENET_C_EXTRA):
        found["mean_error"] = mean_corruption_error(rates, None)
    found |= {f"uCE/{name}": value for name, value in unnormalized_corruption_error(rates).items()}
    counted = {name: values for name, values in rates.items() if name in (baseline or ())}
    if baseline is None or not counted:
        return found
    found |= {f"CE/{name}": value for name, value in corruption_error(counted, baseline).items()}
    if len(counted) == len(baseline):
        found["mCE"] = mean_corruption_error(counted, baseline)
        if clean is not None and baseline_clean_error is not None:
            found["relative_mCE"] = relative_mean_corruption_error(
                counted, clean, baseline, baseline_clean_error
            )
    return found


def _groups(conditions: Iterable[Condition]) -> dict[str, list[Condition]]:
    """The conditions whose images are taken together, by the name of the figure."""
    groups: dict[str, list[Condition]] = {}
    for corruption, severity in conditions:
        if not severity:
            groups["clean"] = [(corruption, severity)]
        elif corruption not in ALEXNET_IMAGENET_C_EXTRA:
            groups.setdefault(f"severity_{severity}", []).append((corruption, severity))
            groups.setdefault("corrupted", []).append((corruption, severity))
    return groups


def _calibration(
    group: str, confidence: np.ndarray, correct: np.ndarray, resample: dict[str, Any]
) -> dict[str, Score]:
    intervals = bootstrap_calibration(confidence, correct, **resample)
    functions = (rms_calibration_error, expected_calibration_error)
    return {
        f"{name}/{group}": _score(function(confidence.ravel(), correct.ravel()), *intervals[name])
        for name, function in zip(_CALIBRATION, functions, strict=True)
    }


def _sequence_scores(
    rows: Rows,
    predictions: Predictions,
    baseline: Mapping[str, float] | None,
    resample: dict[str, Any],
) -> dict[str, Score]:
    found: dict[str, Score] = {}
    for difficulty in dict.fromkeys(row["difficulty"] for row in rows):
        means = {
            (name, row["corruption"], difficulty): row[field]
            for name, field in (("flips", "flip_probability"), ("top5_distance", "top5_distance"))
            for row in rows
            if row["difficulty"] == difficulty and row[field] is not None
        }
        figures = functools.partial(_flip_figures, baseline=baseline)
        of_difficulty = _scores(figures, means, predictions, resample)
        found |= {f"difficulty_{difficulty}/{name}": x for name, x in of_difficulty.items()}
    return found


def _flip_figures(
    means: Mapping[tuple[str, str, int], float], baseline: Mapping[str, float] | None
) -> dict[str, float]:
    flips, moved = (
        {name: value for (name, _), value in _of(field, means).items()}
        for field in ("flips", "top5_distance")
    )
    found = {"mFP": mean_flip_rate(flips, None)}
    found |= {f"flip_probability/{name}": 100 * value for name, value in flips.items()}
    if baseline is not None:
        known = {name: value for name, value in flips.items() if name in baseline}
        found |= {f"flip_rate/{name}": 100 * known[name] / baseline[name] for name in known}
        if len(known) == len(baseline):
            found["mFR"] = mean_flip_rate(known, baseline)
    if moved:
        found["mT5D"] = float(np.mean(list(moved.values())))
        found |= {f"top5_distance/{name}": value for name, value in moved.items()}
    return found
