"""The scores of one model, for the terminal and as a row of the paper's tables."""

from __future__ import annotations

import json
import os
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dynmix_tf.files import write_atomic
from dynmix_tf.reports import tables
from dynmix_tf.reports.scores import Score, scores

__all__ = ["TITLES", "paper_cells", "paper_row", "score_text", "write_scores"]

TITLES = {
    "gaussian_noise": "Gaussian", "shot_noise": "Shot", "impulse_noise": "Impulse",
    "defocus_blur": "Defocus", "glass_blur": "Glass", "motion_blur": "Motion", "zoom_blur": "Zoom",
    "snow": "Snow", "frost": "Frost", "fog": "Fog", "brightness": "Bright",
    "contrast": "Contrast", "elastic_transform": "Elastic", "pixelate": "Pixel",
    "jpeg_compression": "JPEG", "translate": "Translate", "rotate": "Rotate", "tilt": "Tilt",
    "scale": "Scale",
}  # fmt: skip
"""What the paper's Tables 3 and 4 call the corruptions and perturbations."""

_AGGREGATES = {
    "clean_error": "clean error, %",
    "mean_error": "mean error, %",
    "mCE": "mCE, %",
    "relative_mCE": "relative mCE, %",
    "mFP": "mFP, %",
    "mFR": "mFR, %",
    "mT5D": "mT5D",
}
_OF_CORRUPTIONS = {"CE": "uCE", "flip_rate": "flip_probability"}  # else what is not normalised
_BY_SEVERITY = {
    "rms_calibration_error": ("RMS calibration, %", 100),
    "expected_calibration_error": ("ECE, %", 100),
    "negative_log_likelihood": ("NLL, nats", 1),
    "brier_score": ("Brier score", 1),
}
_SEVERITIES = ("clean", *(f"severity_{severity}" for severity in range(1, 6)), "corrupted")


def write_scores(
    folder: str | os.PathLike[str],
    rows: Sequence[Mapping[str, Any]],
    baseline: Mapping[str, Any] | None = None,
    baseline_clean_error: float | None = None,
) -> str:
    """Writes `<benchmark>_scores.json` and `<benchmark>_table.md` of one measurement.

    Args:
        folder: With `robustness_images/`, as `evaluate` leaves it.
        rows: As `scoring.score` returns them.
        baseline: As `scores.scores` takes it.
        baseline_clean_error: As `scores.scores` takes it.

    Returns:
        The scores as text, see `score_text`.

    Raises:
        InputError: As `scores.scores`.
    """
    first = rows[0]
    images = Path(folder) / "robustness_images" / first["measurement"]
    found = scores(rows, images, baseline, baseline_clean_error)
    facts = ("model", "method", "epoch", "dataset", "benchmark", "num_images", "measurement")
    record = {name: first[name] for name in facts} | {"scores": found}
    path = Path(folder) / f"{first['benchmark']}_scores.json"
    write_atomic(path, json.dumps(record, indent=1) + "\n")
    method = tables.METHOD_NAMES.get(first["method"], first["method"])
    row = paper_row(method or first["model"], found)
    write_atomic(Path(folder) / f"{first['benchmark']}_table.md", row)
    kind = "images" if first["difficulty"] is None else "sequences"
    names = ", ".join(name for name in (first["model"], method) if name)
    return score_text(f"{first['benchmark']}: {names}, {first['num_images']:,} {kind}", found)


def score_text(label: str, found: Mapping[str, Score]) -> str:
    """The scores of a model in lines of up to 80 characters.

    Args:
        label: Heading.
        found: As `scores.scores` gives them.

    Returns:
        Lines, a newline at their end: the aggregates with their intervals of 95 %, the corruptions
        by group, and calibration and likelihood from clean to severity 5.
    """
    lines = [label]
    for name, score in found.items():
        *difficulty, plain = name.split("/")
        if plain in _AGGREGATES:
            title = " ".join([*(part.replace("_", " ") for part in difficulty), _AGGREGATES[plain]])
            lines.append(f"  {title:26}{_number(score):>6}{_interval(score)}")
    for prefix, values in _by_corruption(found).items():
        lines.append(f"  {prefix.replace('_', ' ').replace('/', ' ')}, %")
        for group, names in tables.grouped(values).items():
            cells = [f"{TITLES.get(name, name)} {values[name]:.1f}" for name in names]
            title, start = f"    {group:9}", " " * 13
            lines += textwrap.wrap(
                "  ".join(cells), 80, initial_indent=title, subsequent_indent=start,
                break_on_hyphens=False,
            )  # fmt: skip
    known = [field for field in _BY_SEVERITY if f"{field}/severity_1" in found]
    if known:
        heads = "".join(f"{text:>7}" for text in ("clean", 1, 2, 3, 4, 5, "pooled"))
        lines.append(f"  {'by severity':20}{heads}")
    for field in known:
        title, scale = _BY_SEVERITY[field]
        digits = 1 if scale == 100 else 2
        cells = [_number(found.get(f"{field}/{group}"), scale, digits) for group in _SEVERITIES]
        lines.append(f"  {title:20}{''.join(f'{cell:>7}' for cell in cells)}")
    return "".join(f"{line}\n" for line in lines)


def paper_row(label: str, found: Mapping[str, Score]) -> str:
    """The scores of a model as a Markdown table of one row, see `paper_cells`."""
    header, cells = paper_cells(found)
    return tables.markdown(["Network", *header], [[label, *cells]])


def paper_cells(found: Mapping[str, Score]) -> tuple[list[str], list[str]]:
    """The scores of a model in the form of the paper's Tables 3 and 4.

    Args:
        found: As `scores.scores` gives them.

    Returns:
        Titles and values: clean error, each corruption's CE (or flip rate), and their mean; without
        a baseline the errors (or flip probabilities) themselves.
    """
    header, cells = [], []
    if "clean_error" in found:
        header.append("Clean")
        cells.append(_number(found["clean_error"]))
    for prefix, values in _by_corruption(found).items():
        names = [name for members in tables.grouped(values).values() for name in members]
        header += [TITLES.get(name, name.replace("_", " ")) for name in names]
        cells += [f"{values[name]:.1f}" for name in names]
        *difficulty, kind = prefix.split("/")
        means = {"CE": "mCE", "uCE": "mean_error", "flip_rate": "mFR", "flip_probability": "mFP"}
        mean = "/".join([*difficulty, means[kind]])
        if mean in found:
            header.append("Mean" if kind == "uCE" else means[kind])
            cells.append(_number(found[mean]))
    return header, cells


def _by_corruption(results: Mapping[str, Score]) -> dict[str, dict[str, float]]:
    """`{prefix: {corruption: value}}`, normalised where there is a baseline."""
    values: dict[str, dict[str, float]] = {}
    for name, score in results.items():
        *difficulty, kind, corruption = ("", *name.split("/"))
        prefix = "/".join([*difficulty[1:], kind])
        if kind in {*_OF_CORRUPTIONS, *_OF_CORRUPTIONS.values()}:
            values.setdefault(prefix, {})[corruption] = score["value"] or 0.0
    for normalised, plain in _OF_CORRUPTIONS.items():
        for prefix in [prefix for prefix in values if prefix.split("/")[-1] == normalised]:
            values.pop(prefix.removesuffix(normalised) + plain, None)
    return values


def _number(score: Score | None, scale: float = 1, digits: int = 1) -> str:
    if score is None or score["value"] is None:
        return "-"
    return f"{scale * score['value']:.{digits}f}"


def _interval(score: Score) -> str:
    if score["low"] is None or score["high"] is None:
        return ""
    return f"  [{score['low']:.1f}, {score['high']:.1f}]"
