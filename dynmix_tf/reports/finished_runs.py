"""The results of finished runs, checked to be complete and comparable."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dynmix_tf.errors import InputError
from dynmix_tf.files import complete_lines
from dynmix_tf.metrics import ALEXNET_IMAGENET_C_EXTRA
from dynmix_tf.reports import tables
from dynmix_tf.reports.summary import Summary, summary
from dynmix_tf.results import images_path, load_images, read

__all__ = ["FinishedRun", "comparable_runs", "measured_on", "read_epochs"]


@dataclass(frozen=True)
class FinishedRun:
    """A run folder's settings, epochs, and rows of one complete measurement with its summary."""

    folder: Path
    config: dict[str, Any]
    epochs: list[dict[str, Any]]
    rows: list[dict[str, Any]]
    summary: Summary

    @property
    def images_folder(self) -> Path:
        """Of what each image got."""
        return self.folder / "robustness_images" / self.rows[0]["measurement"]

    @property
    def name(self) -> str:
        """The method's, as tables call it."""
        return tables.METHOD_NAMES.get(self.config["method"], self.config["method"])

    def predictions(self) -> dict[tuple[str, int], dict[str, np.ndarray]]:
        """What each corrupted image got, by condition; nothing where that was not kept for all."""
        conditions = [
            (row["corruption"], row["severity"])
            for row in self.rows
            if row["corruption"] != "clean"
        ]
        if not all(images_path(self.images_folder, *each).is_file() for each in conditions):
            return {}
        return {each: load_images(self.images_folder, *each) for each in conditions}


def comparable_runs(run_folders: Sequence[str | os.PathLike[str]]) -> dict[str, FinishedRun]:
    """Reads runs that were measured on the same benchmark, by the label that tables give them.

    Raises:
        InputError: No run, a run with missing or partial results (with what to run), or runs
            measured on different benchmarks.
    """
    if not run_folders:
        raise InputError("a report needs at least one run folder")
    runs = _labelled([_read_run(Path(run)) for run in run_folders])
    _check_same_benchmark(runs)
    return runs


def _read_run(folder: Path) -> FinishedRun:
    """Reads and checks one run folder; the errors name it and say what to run."""
    if not folder.is_dir():
        raise InputError(f"no such run folder: {folder}")
    train = f"python -m dynmix_tf.train --workdir={folder}"
    config_path = folder / "config.json"
    if not config_path.is_file():
        raise InputError(f"{folder} has no config.json: it is no run folder; train with `{train}`")
    config = _json_object(config_path.read_text(encoding="utf-8"), f"{config_path}")
    if not isinstance(config.get("method"), str):
        raise InputError(f"{config_path} names no `method`")
    epochs = read_epochs(folder / "metrics.jsonl")
    csv_path = folder / "robustness.csv"
    rows = _one_measurement(read(csv_path) if csv_path.is_file() else [])
    benchmark = rows[0]["benchmark"] if rows else "generated"
    evaluate = (
        f"python -m dynmix_tf.evaluate --model={folder / 'export'} --benchmark={benchmark} "
        f"--output_dir={folder}"
    )
    if not rows:
        raise InputError(f"{folder} has no results in robustness.csv; run `{evaluate}`")
    try:
        figures = summary(rows)
    except InputError as error:
        raise InputError(
            f"{csv_path}: {error}; to measure what is missing run `{evaluate}`"
        ) from None
    if rows[0]["method"] != config["method"]:
        raise InputError(
            f"{folder}: config.json has the method '{config['method']}', robustness.csv has "
            f"'{rows[0]['method']}'; give each run a folder of its own"
        )
    seconds = [line["seconds"] for line in epochs if isinstance(line.get("seconds"), int | float)]
    known = len(seconds) == len(epochs) > 0
    figures["training_seconds"] = float(sum(seconds)) if known else None
    return FinishedRun(folder, config, epochs, rows, figures)


def _one_measurement(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows of the first measurement that is complete, or of the first."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault(row["measurement"], []).append(row)
    for group in groups.values():
        try:
            summary(group)
        except InputError:
            continue
        return group
    return next(iter(groups.values()), [])


def read_epochs(path: Path) -> list[dict[str, Any]]:
    """The epochs of metrics.jsonl in order; of an epoch run twice (a resumed run) the last."""
    if not path.is_file():
        return []
    epochs = {}
    for number, line in enumerate(complete_lines(path), start=1):
        values = _json_object(line, f"{path}, line {number}")
        missing = [key for key in ("epoch", "loss") if not isinstance(values.get(key), int | float)]
        if missing:
            raise InputError(f"{path}, line {number}: no number for {', '.join(missing)}")
        epochs[values["epoch"]] = values
    return [epochs[number] for number in sorted(epochs)]


def _json_object(text: str, source: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(f"{source} is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise InputError(f"{source} must hold a JSON object. Received: {type(value).__name__}")
    return value


def _labelled(runs: list[FinishedRun]) -> dict[str, FinishedRun]:
    """The runs by label: the method's name, with the folder's where a method comes twice."""
    names = [run.name for run in runs]
    folders = [run.folder.name for run in runs]
    labelled: dict[str, FinishedRun] = {}
    for run, name in zip(runs, names, strict=True):
        if names.count(name) > 1:
            where = run.folder.name if folders.count(run.folder.name) == 1 else str(run.folder)
            name = f"{name} ({where})"
        if name in labelled:
            raise InputError(f"the run folder {run.folder} is given twice")
        labelled[name] = run
    return labelled


def measured_on(run: FinishedRun) -> dict[str, str]:
    """What must be equal for two runs to be compared, as the report words it."""
    corrupted = [row for row in run.rows if row["corruption"] != "clean"]
    row = corrupted[0]
    (clean_images,) = (r["num_images"] for r in run.rows if r["corruption"] == "clean")
    names = sorted(run.summary["corruption_errors"])
    extra = [name for name in names if name in ALEXNET_IMAGENET_C_EXTRA]
    ordered = [name for members in tables.grouped(names).values() for name in members]
    facts = {
        "Data set": row["dataset"],
        "Benchmark": row["benchmark"],
        "Test images": f"{row['num_images']} for each corruption and severity, "
        f"{clean_images} clean",
        "Corruptions": f"{len(ordered)}: {', '.join(f'`{name}`' for name in ordered)}",
    }
    if extra:
        facts["In no mean"] = ", ".join(f"`{name}`" for name in extra)
    facts |= {
        "Severities": "1 to 5 for each corruption",
        "Strengths": row["strengths"] or "not stated",
        "Benchmark seed": str(row["benchmark_seed"]),
    }
    return facts


def _check_same_benchmark(runs: Mapping[str, FinishedRun]) -> None:
    (first, *others) = runs.values()
    expected = measured_on(first)
    for run in others:
        found = measured_on(run)
        for fact in {**expected, **found}:
            if expected.get(fact) != found.get(fact):
                raise InputError(
                    f"{first.folder} and {run.folder} were not measured alike, {fact.lower()}: "
                    f"{expected.get(fact, 'none')} against {found.get(fact, 'none')}"
                )
