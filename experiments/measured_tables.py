"""The paper's tables again, with what was measured here beside what was published."""

import csv
import io
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from paper_tables import Run, Table, Value

from dynmix_tf import corruptions, metrics, results
from dynmix_tf.files import write_atomic
from dynmix_tf.reports import tables
from dynmix_tf.reports.summary import summary

FIELDS = (
    "table", "row", "column", "measured", "published", "quantity", "benchmark", "num_images",
    "model", "epochs", "run", "note",
)  # fmt: skip


@dataclass(frozen=True)
class Measured:
    """A value that was measured, per cent, and the row of results that tells on what."""

    value: float
    row: dict


def figures(csv_path: Path) -> dict[str, Measured]:
    """What the results of a run say, by quantity as in `paper_tables.Value`.

    Only what is complete counts. Of a published benchmark and a generated one the published counts.
    """
    found: dict[str, Measured] = {}
    measurements = _complete(csv_path)
    for row, values in sorted(measurements, key=lambda each: each[0]["benchmark"] != "generated"):
        found |= {quantity: Measured(value, row) for quantity, value in values.items()}
    return found


def is_done(csv_path: Path, benchmarks: tuple[str, ...]) -> bool:
    """Whether a run has complete results on every one of the benchmarks."""
    return {*benchmarks} <= {row["benchmark"] for row, _ in _complete(csv_path)}


def _complete(csv_path: Path) -> list[tuple[dict, dict[str, float]]]:
    """A row of each complete measurement, and its values by quantity."""
    groups: dict[tuple, list[dict]] = {}
    for row in results.read(csv_path) if csv_path.is_file() else []:
        groups.setdefault((row["benchmark"], row["measurement"]), []).append(row)
    found = [
        (rows[0], _flips(rows) if rows[0]["difficulty"] else _errors(rows))
        for rows in groups.values()
    ]
    return [(row, values) for row, values in found if values]


def _errors(rows: list[dict]) -> dict[str, float]:
    there = {(row["corruption"], row["severity"]) for row in rows}
    if not there >= {("clean", 0), *itertools.product(corruptions.names(), range(1, 6))}:
        return {}
    rows = [row for row in rows if row["corruption"] in ("clean", *corruptions.names())]
    plain, normalised = summary(rows), summary(rows, metrics.ALEXNET_IMAGENET_C)
    return {
        "error": plain["mean_corruption_error"],
        "clean": plain["clean_error"],
        "mCE": normalised["mean_corruption_error"],
        **{f"CE {name}": value for name, value in normalised["corruption_errors"].items()},
    }


def _flips(rows: list[dict]) -> dict[str, float]:
    baseline = metrics.ALEXNET_IMAGENET_P
    flips = {
        row["corruption"]: row["flip_probability"]
        for row in rows
        if row["difficulty"] == 1 and row["corruption"] in baseline
    }
    if set(flips) != set(baseline):
        return {}
    rates = {f"FR {name}": 100 * flips[name] / baseline[name] for name in flips}
    return {"mFR": metrics.mean_flip_rate(flips), **rates}


def write_table(table: Table, folder: Path, workdir: Callable[[Run], Path], remark: str) -> str:
    """Writes `table_N.md` and `table_N.csv` from the runs there are.

    Args:
        table: Of the paper.
        folder: For the two files.
        workdir: Gives the folder of a run.
        remark: What a reader must know of the runs.

    Returns:
        The Markdown.
    """
    of_runs = {run: figures(workdir(run) / "robustness.csv") for run in table.runs()}
    measured = {
        key: of_runs[value.run].get(value.quantity) if value.run else None
        for key, value in table.values.items()
    }
    values = {key: found.value for key, found in measured.items() if found}
    values |= _column_means(table, values)
    notes: list[str] = []
    rows = []
    for row in table.rows:
        cells = [row]
        for column in table.columns:
            value = table.values[row, column]
            found = f"{values[row, column]:.1f}" if (row, column) in values else "-"
            cells.append(f"{found} / {value.published}{_mark(value, notes)}")
        rows.append(cells)
    sources = {
        f"{row['benchmark']} ({row['num_images']:,} images or sequences of {row['dataset']})": None
        for row in (found.row for found in measured.values() if found)
    }
    text = "\n".join([
        f"# Table {table.number}\n",
        f"{table.caption} In each cell: measured here / published in the paper.\n",
        tables.markdown(["", *table.columns], rows),
        *(f"[{number}] {note}\n" for number, note in enumerate(notes, start=1)),
        *(f"{note}\n" for note in table.notes),
        f"Measured on: {', '.join(sources) or 'nothing yet'}. {remark}\n",
    ])  # fmt: skip
    write_atomic(folder / f"table_{table.number}.md", text)
    write_atomic(folder / f"table_{table.number}.csv", _long(table, measured, values))
    return text


def _mark(value: Value, notes: list[str]) -> str:
    if not value.note:
        return ""
    if value.note not in notes:
        notes.append(value.note)
    return f" [{notes.index(value.note) + 1}]"


def _column_means(table: Table, values: dict[tuple[str, str], float]) -> dict:
    means = {}
    for (row, column), value in table.values.items():
        others = [values.get((other, column)) for other in table.rows if other != row]
        if value.run is None and None not in others:
            means[row, column] = float(np.mean(others))
    return means


def _long(table: Table, measured: dict, values: dict) -> str:
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(FIELDS)
    for (row, column), value in table.values.items():
        number = values.get((row, column))
        found = measured[row, column]
        of_run = [""] * 4
        if found:
            of_run = [found.row[name] for name in ("benchmark", "num_images", "model", "epoch")]
        lines.writerow([
            table.number, row, column, "" if number is None else f"{number:.4f}", value.published,
            value.quantity, *of_run, value.run.name if value.run else "", value.note,
        ])  # fmt: skip
    return text.getvalue()
