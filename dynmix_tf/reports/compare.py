"""Several evaluations in one table: the best of each column, and differences with intervals."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dynmix_tf.errors import InputError
from dynmix_tf.files import write_atomic
from dynmix_tf.metrics.bootstrap import bootstrap_means
from dynmix_tf.reports import tables
from dynmix_tf.reports.score_tables import paper_cells
from dynmix_tf.reports.scores import Score, headline, read_predictions, scores
from dynmix_tf.results import read

__all__ = [
    "Evaluation", "check_alike", "compare", "labels_of", "read_evaluation", "write_comparison",
]  # fmt: skip

_ALIKE = ("dataset", "benchmark", "num_images", "strengths", "benchmark_seed")


@dataclass(frozen=True)
class Evaluation:
    """The rows of one measurement, and what each image got."""

    path: Path
    rows: list[dict[str, Any]]
    images_folder: Path

    @property
    def conditions(self) -> list[tuple[str, int | None, int | None]]:
        """Corruption, severity and difficulty of each row."""
        return [(row["corruption"], row["severity"], row["difficulty"]) for row in self.rows]


def read_evaluation(folder: str | os.PathLike[str], benchmark: str = "") -> Evaluation:
    """The one measurement in the `robustness.csv` of a run, or of an output folder of `evaluate`.

    Args:
        folder: With `robustness.csv`, or that file.
        benchmark: Which, where the file has several.

    Raises:
        InputError: No such file, no rows of the benchmark, or several measurements of it.
    """
    path = Path(folder)
    path = path / "robustness.csv" if path.is_dir() or not path.suffix else path
    rows = [row for row in read(path) if benchmark in ("", row["benchmark"])]
    if not rows:
        raise InputError(f"{path} has no rows{' of ' + benchmark if benchmark else ''}")
    kinds = dict.fromkeys((row["measurement"], row["benchmark"], row["model"]) for row in rows)
    if len(kinds) > 1:
        told = ", ".join(f"{name} of {model}" for _, name, model in kinds)
        raise InputError(
            f"{path} has {len(kinds)} measurements ({told}); choose one by --benchmark, or move "
            "the others to a folder of their own"
        )
    return Evaluation(path, rows, path.parent / "robustness_images" / rows[0]["measurement"])


def compare(
    evaluations: Sequence[Evaluation],
    baseline: Mapping[str, Any] | None = None,
    baseline_clean_error: float | None = None,
) -> tuple[list[str], list[list[str]], list[list[bool]]]:
    """A table of several evaluations in the form of the paper's Tables 3 and 4.

    Args:
        evaluations: Of the same images under the same conditions; the first is what the others
            differ from.
        baseline: As `scores.scores` takes it.
        baseline_clean_error: As `scores.scores` takes it.

    Returns:
        Header, cells, and which of the cells are the best of their column. The last column is the
        difference of the mean from that of the first, with its interval of 95 %: images are drawn
        for both at once, so that what is hard for both does not count; "-" where it is not known
        what each image got.

    Raises:
        InputError: Less than two, or evaluations that were not measured alike.
    """
    if len(evaluations) < 2:
        raise InputError(f"a comparison needs two or more. Received: {len(evaluations)}")
    first = evaluations[0]
    for other in evaluations[1:]:
        check_alike(first, other)
    found = []
    for each in evaluations:
        try:
            found.append(paper_cells(scores(each.rows, None, baseline, baseline_clean_error)))
        except InputError as error:
            raise InputError(f"{each.path}: {error}") from None
    header = found[0][0]
    columns = zip(*(values for _, values in found), strict=True)
    bold = zip(*(tables.best(column) for column in columns), strict=True)
    labels = labels_of(evaluations)
    cells, best = [], []
    for label, each, (_, values), marks in zip(labels, evaluations, found, bold, strict=True):
        difference = None if each is first else _difference(first, each, baseline)
        cells.append([label, *values, _told(difference)])
        best.append([False, *marks, False])
    return ["Network", *header, f"{header[-1]} less that of {labels[0]}"], cells, best


def write_comparison(
    folder: str | os.PathLike[str],
    header: Sequence[str],
    cells: Sequence[Sequence[str]],
    best: Sequence[Sequence[bool]],
) -> None:
    """Writes a table of `compare` as `comparison.md`, `.csv` and `.tex`."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([header, *cells])
    for ending, content in (
        ("md", tables.markdown(header, cells, best)),
        ("csv", text.getvalue()),
        ("tex", tables.latex(header, cells, best)),
    ):
        write_atomic(Path(folder) / f"comparison.{ending}", content)


def check_alike(first: Evaluation, other: Evaluation) -> None:
    """Raises `InputError` unless both are of the same images under the same conditions."""
    for field in _ALIKE:
        values = [each.rows[0][field] for each in (first, other)]
        if values[0] != values[1]:
            raise InputError(
                f"{first.path} and {other.path} were not measured alike, {field}: "
                f"{values[0]!r} against {values[1]!r}"
            )
    if different := set(first.conditions) ^ set(other.conditions):
        name, severity, difficulty = sorted(different, key=str)[0]
        lacking = first if (name, severity, difficulty) in other.conditions else other
        raise InputError(
            f"{lacking.path} lacks {len(different)} conditions, such as {name} "
            f"{severity or difficulty}; evaluate it again, it continues"
        )


def labels_of(evaluations: Sequence[Evaluation]) -> list[str]:
    """The method's names, with model and folder where they are needed to tell them apart."""
    rows = [each.rows[0] for each in evaluations]
    methods = [tables.METHOD_NAMES.get(row["method"], row["method"]) for row in rows]
    several = len({row["model"] for row in rows}) > 1
    labels = [
        f"{row['model']}, {method}" if several and method else method or row["model"]
        for row, method in zip(rows, methods, strict=True)
    ]
    return [
        f"{label} ({each.path.parent})" if labels.count(label) > 1 else label
        for label, each in zip(labels, evaluations, strict=True)
    ]


def _difference(
    first: Evaluation, other: Evaluation, baseline: Mapping[str, Any] | None
) -> Score | None:
    """The headline figure of the other less that of the first, images drawn for both at once."""
    kept = [read_predictions(each.rows, each.images_folder) for each in (first, other)]
    if not all(kept):
        return None
    if not _same_images(*kept):
        raise InputError(
            f"{first.path} and {other.path} were not measured alike: the images have other labels"
        )
    values = {
        (side, corruption, level): each["flips"] if "flips" in each else ~each["correct"]
        for side, predictions in enumerate(kept)
        for (corruption, level), each in predictions.items()
    }
    figure = headline(first.rows, baseline)

    def statistic(means: Mapping[tuple[int, str, int], float]) -> dict[str, float]:
        sides: list[dict[tuple[str, int], float]] = [{}, {}]
        for (side, corruption, level), mean in means.items():
            sides[side][corruption, level] = mean
        return {"difference": figure(sides[1]) - figure(sides[0])}

    actual = statistic({key: float(np.mean(value)) for key, value in values.items()})
    low, high = bootstrap_means(values, statistic, num_resamples=500)["difference"]
    return {"value": actual["difference"], "low": low, "high": high}


def _same_images(first: Mapping[Any, Any], other: Mapping[Any, Any]) -> bool:
    """Whether the labels are the same, where they were kept."""
    return all(
        len(values) == len(other[condition])
        and np.array_equal(values.get("label", ()), other[condition].get("label", ()))
        for condition, values in first.items()
    )


def _told(score: Score | None) -> str:
    if score is None:
        return "-"
    return f"{score['value']:+.1f} [{score['low']:+.1f}, {score['high']:+.1f}]"
