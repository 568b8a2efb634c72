"""One page from the result files of several runs: tables, pictures, and what was measured."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from dynmix_tf.files import write_atomic
from dynmix_tf.reports import image_plots, plots, tables
from dynmix_tf.reports.finished_runs import FinishedRun, comparable_runs, measured_on
from dynmix_tf.reports.page import one_page
from dynmix_tf.reports.worst import worst_images

__all__ = ["write_report"]


def write_report(
    folder: str | os.PathLike[str],
    run_folders: Sequence[str | os.PathLike[str]],
    title: str = "Robustness report",
    views: Sequence[Sequence[ArrayLike]] | np.ndarray | None = None,
) -> Path:
    """Writes `report.md`, its pictures and `report.html` from the results of one or several runs.

    A run is a folder with `config.json`, `robustness.csv` and, where it was trained here,
    `metrics.jsonl`; where `robustness_images/` holds what each image got, reliability and the
    images that were classified worst are shown. All runs must have been measured on the same
    benchmark. The same inputs give the same bytes; every file is replaced atomically.
    `report.html` is the page in one file, pictures included.

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
    runs = comparable_runs(run_folders)
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
    predictions = {label: run.predictions() for label, run in runs.items()}
    if all(predictions.values()):
        plots.reliability(
            folder / "reliability.png",
            {
                label: tuple(
                    np.concatenate([values[name] for values in by_condition.values()])
                    for name in ("confidence", "correct")
                )
                for label, by_condition in predictions.items()
            },
        )
        parts += ["## Calibration\n", "![Accuracy against confidence](reliability.png)\n"]
    epochs = {label: run.epochs for label, run in runs.items() if run.epochs}
    if epochs:
        plots.training_curves(folder / "training_curves.png", epochs)
        parts += ["## Training\n", "![Training loss by epoch](training_curves.png)\n"]
    if views is not None:
        image_plots.views(folder / "views.png", views)
        parts += ["## What the network is shown\n", "![Original and mixed views](views.png)\n"]
    for number, (label, run) in enumerate(runs.items()):
        names = run.config.get("class_names", ())
        images, captions = worst_images(run.images_folder, predictions[label], names)
        if images:
            name = f"worst_{number}.png"
            image_plots.captioned(folder / name, images, captions)
            parts += [f"## Classified worst: {label}\n", f"![Worst images]({name})\n"]
    parts += ["## What was measured\n", _measured(runs), *_settings(runs)]
    path = folder / "report.md"
    text = "\n".join(parts)
    write_atomic(path, text)
    write_atomic(folder / "report.html", one_page(text, folder))
    return path


_NOTE = """\
Errors and RMS calibration errors are in per cent, lower is better, the best value is bold. The
mean corruption error is the plain mean over the corruptions and their five severities, not
normalised by another network.
"""


def _measured(runs: Mapping[str, FinishedRun]) -> str:
    facts = measured_on(next(iter(runs.values())))
    for label, run in runs.items():
        seconds = run.summary.get("training_seconds")
        time = "not recorded" if seconds is None else f"{seconds:.1f} s"
        if run.epochs:
            time += f" ({len(run.epochs)} epochs)"
        facts[f"Training time, {label}"] = time
    return "".join(f"- {name}: {value}\n" for name, value in facts.items())


def _settings(runs: Mapping[str, FinishedRun]) -> list[str]:
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
    """Nested settings as `outer.inner`, printed, less the folders and the names of classes."""
    flat: dict[str, str] = {}
    for key, value in config.items():
        if key.endswith(("dir", "_path", "flagfile")) or key == "class_names":
            continue
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value if isinstance(value, str) else json.dumps(value)
    return flat
