"""`manifest.json`: of which settings, images and versions a written benchmark is."""

from __future__ import annotations

import json
import os
import platform
import re
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from dynmix_tf import corruptions
from dynmix_tf.benchmark_files.outputs import record_of
from dynmix_tf.benchmark_files.settings import Settings, difference
from dynmix_tf.benchmark_files.video import ffmpeg_version
from dynmix_tf.corruptions.sequences import SEQUENCE_STRENGTHS
from dynmix_tf.corruptions.strengths import STRENGTHS
from dynmix_tf.errors import InputError
from dynmix_tf.files import write_atomic
from dynmix_tf.version import __version__

__all__ = [
    "check_files", "check_same", "open_manifest", "strengths_of", "versions", "write",
    "written_with",
]  # fmt: skip

NAME = "manifest.json"


def written_with(folder: str | os.PathLike[str], shape: Sequence[int]) -> tuple[str, int] | None:
    """The table of strengths and the seed of files that `dynmix_tf.corrupt` has written.

    Args:
        folder: With its `manifest.json`.
        shape: Of the images, `(..., H, W, 3)`.

    Returns:
        "cifar" or "imagenet", and the seed; None where there is no such file.

    Example:
        >>> written_with("absent", (32, 32, 3))
    """
    try:
        settings = json.loads((Path(folder) / NAME).read_text())["settings"]
        return corruptions.strengths_for(shape, settings["strengths"]), int(settings["seed"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def open_manifest(folder: Path, settings: Settings) -> dict[str, Any] | None:
    """The manifest in a folder; None where the folder is empty or missing.

    Raises:
        InputError: It is one of other settings, or the folder holds something else; nothing is
            touched.
    """
    path = folder / NAME
    if not path.exists():
        leftover = re.compile(rf"\.{re.escape(NAME)}\.\w+\.tmp")  # of a kill while it was written
        if folder.is_dir():
            if any(not leftover.fullmatch(entry.name) for entry in folder.iterdir()):
                raise InputError(
                    f"{folder} is not empty and holds no {NAME}; choose another --output_dir"
                )
        elif folder.exists():
            raise InputError(f"{folder} is no folder; choose another --output_dir")
        return None
    try:
        manifest = json.loads(path.read_text())
        found = manifest["settings"]
        for key in ("source", "strengths", "versions", "files"):
            manifest[key].items()
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise InputError(f"{path} is none of this command; choose another --output_dir") from None
    if other := difference(found, settings.to_json()):
        raise InputError(
            f"{folder} holds a benchmark of other settings ({other}); "
            "choose another --output_dir, or delete it"
        )
    return manifest


def check_same(folder: Path, manifest: dict[str, Any], here: dict[str, Any]) -> None:
    """Finds images, strengths and versions to be those that the folder was begun with.

    Raises:
        InputError: They are not; the message lists what differs.
    """
    for key, what in (("source", "images"), ("strengths", "strengths"), ("versions", "versions")):
        found, now = dict(manifest[key]), json.loads(json.dumps(here[key]))
        found.pop("python", None), now.pop("python", None)  # decides no bit
        if other := difference(found, now):
            raise InputError(
                f"{folder} was begun with other {what} ({other}); "
                "choose another --output_dir, or delete it"
            )


def check_files(folder: Path, manifest: dict[str, Any]) -> set[str]:
    """The finished files and folders that are there with their sizes; contents are not read.

    Raises:
        InputError: One has another size than when it was written.
    """
    there = set()
    for name, record in manifest["files"].items():
        if not (folder / name).exists():
            continue
        found = record_of(folder / name, content=False)
        if other := difference({key: record.get(key) for key in found}, found):
            raise InputError(
                f"{folder / name} is not as it was written ({other}); delete it, and the same "
                "command makes it again"
            )
        there.add(name)
    return there


def write(folder: Path, manifest: dict[str, Any]) -> None:
    """Replaces the manifest of a folder; its files come in the order of their names."""
    content = {**manifest, "files": dict(sorted(manifest["files"].items()))}
    write_atomic(folder / NAME, json.dumps(content, indent=2) + "\n")


def versions(video: bool = False) -> dict[str, str]:
    """The versions that decide the bits, and Python's."""
    packages = {name: metadata.version(name) for name in ("numpy", "scipy", "pillow")}
    found = {"dynmix_tf": __version__, "python": platform.python_version(), **packages}
    return {**found, "ffmpeg": ffmpeg_version()} if video else found


def strengths_of(settings: Settings, table: str) -> dict[str, Any]:
    """The table's name, and the parameters at each severity or of each sequence's frames."""
    if settings.benchmark == "p":
        parameters: Any = {name: _plain(SEQUENCE_STRENGTHS[table][name])
                           for name in settings.corruptions}  # fmt: skip
        frames = {name: corruptions.num_frames(name, table) for name in settings.corruptions}
        return {"table": table, "frames": frames, "parameters": parameters}
    parameters = {
        name: {
            str(severity): _plain(STRENGTHS[table][name][severity - 1])
            for severity in settings.severities
        }
        for name in settings.corruptions
    }
    return {"table": table, "parameters": parameters}


def _plain(value: Any) -> Any:
    if hasattr(value, "_asdict"):  # a named tuple
        return {name: _plain(part) for name, part in value._asdict().items()}
    return list(value) if isinstance(value, tuple) else value
