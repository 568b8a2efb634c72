"""One page from the result files of several runs: tables, pictures, and what was measured."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from dynmix_tf.errors import InputError
from dynmix_tf.files import complete_lines, write_atomic
from dynmix_tf.metrics import ALEXNET_IMAGENET_C_EXTRA
from dynmix_tf.reports import image_plots, plots, tables
from dynmix_tf.reports.summary import Summary, summary
from dynmix_tf.results import read

__all__ = ["summaries", "write_report"]


@dataclass(frozen=True)
class _Run:
    folder: Path
    config: dict[str, Any]
    epochs: list[dict[str, Any]]
    rows: list[dict[str, Any]]
    summary: Summary

    @property
    def name(self) -> str:
        return tables.METHOD_NAMES.get(self.config["method"], self.config["method"])


def write_report(
    folder: str | os.PathLike[str],
    run_folders: Sequence[str | os.PathLike[str]],
    title: str = "Robustness report",
    views: Sequence[Sequence[ArrayLike]] | np.ndarray | None = None,
) -> Path:
    """Writes `report.md` and its pictures from the results of one or several runs.

    A run is a folder with `config.json`, `robustness.csv` and, where it was trained here,
    `metrics.jsonl`. All runs must have been measured on the same benchmark. The same inputs give
    the same bytes; every file is replaced atomically, `report.md` last.

    Args:
        folder: Where to write; created where missing.
        run_folders: The runs, in the order of the table.
        title: Heading of the page.
        views: Rows of images (original and mixed views) for a picture, see `image_plots.views`.

    Returns:
        The path of `report.md`.

    Raises:
        InputError: No run, a run with missing or partial results (with what to run), or runs
            measured on different benchmarks.
    """
    folder = Path(folder)
    runs = _comparable_runs(run_folders)
    figures = {label: run.summary for label, run in runs.items()}

    parts = [f"# {title}\n", tables.comparison(figures), _NOTE]
    plots.error_by_corruption(
        folder / "error_by_corruption.png",
        {label: s["corruption_errors"] for label, s in figures.items()},
        {label: s["clean_error"] for label, s in figures.items()},
    )
    parts.append("![Error by corruption](error_by_corruption.png)\n")
    plots.error_and_calibration_by_severity(
        folder / "by_severity.png",
        {
            label: {"error": s["error_by_severity"], "calibration": s["calibration_by_severity"]}
            for label, s in figures.items()
        },
    )
    parts.append("![Error and calibration by severity](by_severity.png)\n")
    parts += ["## Every corruption\n", tables.per_corruption(figures)]
    epochs = {label: run.epochs for label, run in runs.items() if run.epochs}
    if epochs:
        plots.training_curves(folder / "training_curves.png", epochs)
        parts += ["## Training\n", "![Training loss by epoch](training_curves.png)\n"]
    if views is not None:
        image_plots.views(folder / "views.png", views)
        parts += ["## What the network is shown\n", "![Original and mixed views](views.png)\n"]
    parts += ["## What was measured\n", _measured(runs), *_settings(runs)]
    path = folder / "report.md"
    write_atomic(path, "\n".join(parts))
    return path


def summaries(run_folders: Sequence[str | os.PathLike[str]]) -> dict[str, Summary]:
    """The figures of several runs by the label a report gives them, for `tables.comparison`.

    Args:
        run_folders: As for `write_report`.

    Raises:
        InputError: As `write_report`.
    """
    return {label: run.summary for label, run in _comparable_runs(run_folders).items()}


_NOTE = """\
Errors and RMS calibration errors are in per cent, lower is better, the best value is bold. The
mean corruption error is the plain mean over the corruptions and their five severities, not
normalised by another network.
"""


def _comparable_runs(run_folders: Sequence[str | os.PathLike[str]]) -> dict[str, _Run]:
    if not run_folders:
        raise InputError("a report needs at least one run folder")
    runs = _labelled([_read_run(Path(run)) for run in run_folders])
    _check_same_benchmark(runs)
    return runs


def _read_run(folder: Path) -> _Run:
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
    epochs = _read_epochs(folder / "metrics.jsonl")
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
    return _Run(folder, config, epochs, rows, figures)


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


def _read_epochs(path: Path) -> list[dict[str, Any]]:
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


def _labelled(runs: list[_Run]) -> dict[str, _Run]:
    """The runs by label: the method's name, with the folder's where a method comes twice."""
    names = [run.name for run in runs]
    folders = [run.folder.name for run in runs]
    labelled: dict[str, _Run] = {}
    for run, name in zip(runs, names, strict=True):
        if names.count(name) > 1:
            where = run.folder.name if folders.count(run.folder.name) == 1 else str(run.folder)
            name = f"{name} ({where})"
        if name in labelled:
            raise InputError(f"the run folder {run.folder} is given twice")
        labelled[name] = run
    return labelled


def _benchmark(run: _Run) -> dict[str, str]:
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


def _check_same_benchmark(runs: Mapping[str, _Run]) -> None:
    (first, *others) = runs.values()
    expected = _benchmark(first)
    for run in others:
        found = _benchmark(run)
        for fact in {**expected, **found}:
            if expected.get(fact) != found.get(fact):
                raise InputError(
                    f"{first.folder} and {run.folder} were not measured alike, {fact.lower()}: "
                    f"{expected.get(fact, 'none')} against {found.get(fact, 'none')}"
                )


def _measured(runs: Mapping[str, _Run]) -> str:
    facts = _benchmark(next(iter(runs.values())))
    for label, run in runs.items():
        seconds = run.summary.get("training_seconds")
        time = "not recorded" if seconds is None else f"{seconds:.1f} s"
        if run.epochs:
            time += f" ({len(run.epochs)} epochs)"
        facts[f"Training time, {label}"] = time
    return "".join(f"- {name}: {value}\n" for name, value in facts.items())


def _settings(runs: Mapping[str, _Run]) -> list[str]:
    """Two tables from config.json: the settings of the training, and the versions."""
    flat = {label: _flat(run.config) for label, run in runs.items()}
    keys = list(dict.fromkeys(key for config in flat.values() for key in config))
    versions = [key for key in keys if key.startswith("versions.")]
    settings = [key for key in keys if key not in versions]
    parts = []
    for heading, chosen in (("Settings", settings), ("Versions", versions)):
        if chosen:
            header = [heading, *flat]
            rows = [
                [key.removeprefix("versions."), *(config.get(key, "-") for config in flat.values())]
                for key in chosen
            ]
            parts += [f"### {heading}\n", tables.markdown(header, rows)]
    return parts


def _flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested settings as `outer.inner`, printed; where files lie is no setting and left out."""
    flat: dict[str, str] = {}
    for key, value in config.items():
        if key.endswith(("dir", "_path", "flagfile")):
            continue
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value if isinstance(value, str) else json.dumps(value)
    return flat
