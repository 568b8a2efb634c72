"""The run directory: whose it is, and what its `config.json` says."""

from __future__ import annotations

import dataclasses
import json
import os
import platform
import shutil
import subprocess
import zlib
from collections.abc import Iterator, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from dynmix_tf import data
from dynmix_tf.config import TrainConfig
from dynmix_tf.data import ImageData
from dynmix_tf.errors import InputError
from dynmix_tf.files import write_atomic
from dynmix_tf.version import __version__

__all__ = [
    "check_data", "environment", "first_line", "identity", "load_data", "load_training_data",
    "open_run", "record_start", "settings",
]  # fmt: skip


def settings(workdir: Path) -> dict[str, Any]:
    """The settings of the run in `workdir`.

    Raises:
        InputError: There is no `config.json`, or none of a run.
    """
    path = workdir / "config.json"
    try:
        values = json.loads(path.read_text())
        if "dataset" not in values:
            raise KeyError
        # a run that is older than a setting has its default
        return {
            field.name: values.get(field.name, field.default)
            for field in dataclasses.fields(TrainConfig)
        }
    except (OSError, ValueError, KeyError, TypeError):
        raise InputError(f"{path} is no run's config.json; choose another folder") from None


def identity(workdir: Path) -> dict[str, Any]:
    """What the result rows of a finished run say of its model: `model`, `method`, `epoch`."""
    values = settings(workdir)
    return {"model": values["model"], "method": values["method"], "epoch": values["epochs"]}


def load_data(settings: dict[str, Any]) -> ImageData:
    """The images that settings name.

    They are `dataset`, `data_dir`, `image_size`, `skip_damaged`, `num_train` and `num_test`.

    Empty strings and zeros stand for the data set's own.
    """
    names = ("data_dir", "image_size", "skip_damaged", "num_train", "num_test")
    given = {name: settings[name] for name in names if settings.get(name)}
    return data.load(settings["dataset"], **given)


def load_training_data(config: TrainConfig) -> ImageData:
    """The images that a run trains and is tested on; of `sin` with the stylised ones."""
    images = load_data(config.to_json())
    if config.method == "sin":
        images = data.add_stylized(images, config.sin_dir, config.num_train, config.skip_damaged)
    return images


def open_run(config: TrainConfig, workdir: Path) -> None:
    """Finds a folder empty, missing, or holding the run of these very settings.

    Raises:
        InputError: The folder holds another run, or files that are no run; nothing is touched.
    """
    if (workdir / "config.json").exists():
        if difference := config.difference(settings(workdir)):
            raise InputError(
                f"{workdir} holds a run of other settings ({difference}); "
                "choose another --workdir, or delete it"
            )
    elif workdir.exists() and (not workdir.is_dir() or any(_not_ours(workdir))):
        raise InputError(f"{workdir} is not empty and holds no run; choose another --workdir")


def check_data(workdir: Path, images: ImageData) -> None:
    """Finds the images to be those that a run was begun with: their number, labels and classes.

    Args:
        workdir: Of a run with a checkpoint.
        images: What it is to be continued with.

    Raises:
        InputError: They are others. Of two folders that differ in the pictures alone, nothing is
            noticed.
    """
    path = workdir / "config.json"
    record = json.loads(path.read_text()) if path.exists() else {}
    for name, value in _of_data(images).items():
        if record.get(name, value) != value:  # what is older than the entry has none
            raise InputError(
                f"{workdir} was trained on other images ({name} differs from its config.json, "
                f"{len(images.train_images)} images now); choose another --workdir"
            )


def _of_data(images: ImageData) -> dict[str, Any]:
    labels = np.ascontiguousarray(images.train_labels)
    return {
        "class_names": list(images.class_names),
        "train_labels_crc32": f"{zlib.crc32(labels.tobytes()):08x}",
    }


def environment(backend: str, devices: Sequence[str], xla: bool) -> dict[str, Any]:
    """What besides the settings decides a run's numbers.

    Args:
        backend: Of Keras, which is also the name of its package.
        devices: What the run computes on.
        xla: Whether XLA compiles the training step.
    """
    # installed, it may lie inside the repository of somebody's own project
    ours = shutil.which("git") and not _git("ls-files", "--error-unmatch", "version.py").returncode
    described = (
        _git("describe", "--always", "--dirty", "--abbrev=12").stdout.strip() if ours else ""
    )
    return {
        "versions": {
            "dynmix_tf": __version__,
            "python": platform.python_version(),
            **{name: metadata.version(name) for name in (backend, "keras", "numpy")},
        },
        "commit": described or "unknown",
        "devices": list(devices),
        "cpu_cores": os.cpu_count(),
        "backend": backend,
        "xla": xla,
    }


def _git(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["git", *words], cwd=Path(__file__).parent, capture_output=True, text=True, check=False
    )


def first_line(config: TrainConfig, environment: dict[str, Any], done: int) -> str:
    """What a run says before it starts: versions, devices, batch, precision, XLA, epochs done."""
    versions = ", ".join(f"{name} {number}" for name, number in environment["versions"].items())
    devices = environment["devices"]
    kind = devices[0].split("device:")[-1].split(":")[0]
    precision = environment.get("dtype_policy", config.precision)
    accumulated = f" x {config.accumulation_steps} steps" if config.accumulation_steps > 1 else ""
    return (
        f"{versions}; commit {environment['commit']}; {environment['cpu_cores']} CPU cores, "
        f"{len(devices)} x {kind}, global batch {config.batch_size}{accumulated}, "
        f"{precision}, XLA {'on' if environment['xla'] else 'off'}"
        + (f"; {done} of {config.epochs} epochs are done" if done else "")
    )


def record_start(
    config: TrainConfig,
    workdir: Path,
    epochs_done: int,
    environment: dict[str, Any],
    images: ImageData,
) -> None:
    """Keeps with what a training starts, or with what else it is continued.

    `config.json` holds the settings, the environment of the start and what the data are; a
    later start in another environment (versions, commit, devices) is added under `continued`. A
    training that begins anew in a folder of results, as its checkpoint was deleted, moves the old
    results aside.
    """
    path = workdir / "config.json"
    record = json.loads(path.read_text()) if path.exists() else {}
    last = (record.get("continued") or [record])[-1]
    if epochs_done == 0:
        record = {**config.to_json(), **environment, **_of_data(images)}
        results = (
            "robustness.csv", "robustness_raw.csv", "robustness_by_epoch.csv", "metrics.jsonl",
        )  # fmt: skip
        for name in ("final.keras", "final_raw.keras", "export", *results):
            if (workdir / name).exists():
                (workdir / name).rename(_unused(workdir / f"old.{name}"))
    elif any(last.get(name) != value for name, value in environment.items()):
        start = {"epochs_done": epochs_done, **environment}
        record["continued"] = [*record.get("continued", []), start]
    write_atomic(path, json.dumps(record, indent=2) + "\n")


def _unused(path: Path) -> Path:
    number = 1
    while path.with_name(f"{path.name}.{number}").exists():
        number += 1
    return path.with_name(f"{path.name}.{number}")


def _not_ours(workdir: Path) -> Iterator[Path]:
    # what a run writes before its config.json, or leaves of it when killed
    return (path for path in workdir.iterdir() if not path.name.startswith((".", "flags.txt")))
