"""How fast views are made: this package in tf.data, against Pillow and against other libraries.

python experiments/benchmarks/augmentation.py            measures, adds rows, prints the tables
python experiments/benchmarks/augmentation.py --quick    a smoke run, its rows kept apart
python experiments/benchmarks/augmentation.py --table    only prints the tables of the rows

All work on the same photographs, crop and flip first, and give float32 batches; three views are
the original and two mixes. A figure is of one pass over the images, from before the iterator is
made to its last batch, without prefetch or autotuning. CPU time is that of all threads of the
process, so nothing computed ahead or in parallel is free; per wall second tf.data has all cores,
Pillow and torchvision one. Making an iterator costs TensorFlow up to a second of it, which a
training run pays once and every pass here pays (at 32 px a fifth to a third of this package's).
The implementations take turns, round by round, so that a busy machine hits all alike. "First
batch" is building, tracing and one batch, and in no other figure.

The peers are optional (requirements.txt beside this file). Not all compute the same thing:
- keras.layers.AugMix (3.15) chooses its operations when it is traced, the same ones for every
  image of every batch, with one mixing weight for a batch, and equalizes by the histogram of the
  whole batch. Its cost depends on what it chose: it is traced anew, untimed, before each round.
- keras_cv.layers.AugMix (0.9) draws for each image, but never translate_y, and takes degrees for
  radians where it rotates.
- torchvision's v2.AugMix gets one image at a time, as a batch would share its operations. Its
  strengths come from a grid, and it gives uint8.
- albumentations (2.0.8) has no AugMix.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import math
import os
import platform
import shutil
import statistics
import sys
from collections.abc import Iterable, Mapping
from contextlib import ExitStack, closing
from datetime import datetime
from pathlib import Path
from typing import Any

from implementations import Here, Implementation, Job, Missing, Torchvision, implementations

from dynmix_tf.errors import InputError
from dynmix_tf.files import append_line, complete_lines, write_atomic

RESULTS = Path(__file__).parent.parent / "results"
QUICK_RESULTS = Path("runs") / "benchmark-quick"
NAME = "augmentation_benchmark"
SIZES = {32: (128, 16384), 224: (32, 512)}  # side in pixels: batch size, images in a pass
QUICK_BATCHES = 2
SPEEDS = ("images_per_cpu_second", "images_per_wall_second")
MEASURED = ("round", *SPEEDS, "first_batch_seconds")
FIELDS = ("run", "machine", "versions", "side", "implementation", "views", *MEASURED, "note")
REFERENCES = ("Pillow AugMix", "Pillow Dynamic Mixup")

Row = dict[str, Any]


def main(words: list[str] | None = None) -> None:
    about, usage = (__doc__ or "").split("\n\n", 1)
    parser = argparse.ArgumentParser(
        description=about, epilog=usage, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--sides", default="32,224", help="of the images, pixels (default: %(default)s)"
    )
    parser.add_argument(
        "--rounds", type=int, default=5, help="turns of each (default: %(default)s)"
    )
    parser.add_argument("--quick", action="store_true", help="a few images, one round")
    parser.add_argument("--table", action="store_true", help="measure nothing")
    parser.add_argument(
        "--torch_python", default=sys.executable, help="a Python that has torchvision"
    )
    parser.add_argument(
        "--output_dir", type=Path, help="default: experiments/results; with --quick, runs/"
    )
    arguments = parser.parse_args(words)
    folder = arguments.output_dir or (QUICK_RESULTS if arguments.quick else RESULTS)
    path = folder / f"{NAME}.csv"
    if not arguments.table:
        sides = chosen_sides(arguments.sides)
        if arguments.rounds < 1:
            raise InputError(f"--rounds must be 1 or more. Received: {arguments.rounds}")
        torch_python = shutil.which(arguments.torch_python)
        if torch_python is None:
            raise InputError(f"--torch_python={arguments.torch_python} is no program")
        if path.exists():
            read(path)  # so that a damaged file is told now, not after the measurement
        rounds = 1 if arguments.quick else arguments.rounds
        measure(path, sides, rounds, torch_python, arguments.quick)
        write_atomic(folder / f"{NAME}.json", json.dumps(summary(read(path)), indent=1) + "\n")
    if arguments.quick:
        print("a smoke run, no measurement: two batches, and most of the time is start-up\n")
    print(table(read(path)), end="")


def chosen_sides(text: str) -> list[int]:
    """The sides of a list like "32,224"."""
    known = {str(side): side for side in SIZES}
    for side in text.split(","):
        if side not in known:
            raise InputError(f"--sides must be of {', '.join(known)}. Received: '{text}'")
    return [known[side] for side in dict.fromkeys(text.split(","))]


def measure(path: Path, sides: list[int], rounds: int, torch_python: str, quick: bool) -> None:
    """Measures all implementations in turn, and adds a row for each as soon as it is known."""
    from tqdm import tqdm

    from dynmix_tf import commands, data

    commands.load_tensorflow()
    compared = implementations()
    run = {
        "run": datetime.now().isoformat(timespec="seconds"),
        "machine": f"{os.cpu_count()} cores {platform.machine()}",
    }
    total = len(sides) * len(compared) * (1 + rounds)
    with tqdm(total=total, unit="measurement", dynamic_ncols=True) as progress:
        for side in sides:
            batch, count = SIZES[side]
            count = QUICK_BATCHES * batch if quick else count
            photos = data.load("photos", image_size=side, num_train=count, num_test=9)
            job = Job(photos.train_images, photos.train_labels, batch, torch_python)
            measure_side(path, {**run, "side": side}, compared, job, rounds, progress)


def measure_side(
    path: Path, run: Row, compared: Iterable[Implementation], job: Job, rounds: int, progress: Any
) -> None:
    """First batches of all, then the rounds."""
    ready = []
    with ExitStack() as stack:
        for implementation in compared:
            row = {**run, "implementation": implementation.name, "views": implementation.views}
            progress.set_postfix_str(f"{run['side']} px, {implementation.name}, first batch")
            try:
                started = stack.enter_context(closing(start(implementation, job)))
            except Missing as missing:
                append(path, {**row, "note": str(missing)})
                progress.total -= rounds
            else:
                row["versions"] = started.versions
                row["first_batch_seconds"] = started.first_batch_seconds
                ready.append((started, row))
            progress.update()
        for turn in range(rounds):
            for started, row in ready:
                progress.set_postfix_str(f"{run['side']} px, {row['implementation']}")
                speeds = [len(job.images) / seconds for seconds in started.measure()]
                append(path, {**row, "round": turn, **dict(zip(SPEEDS, speeds, strict=True))})
                progress.update()


def start(implementation: Implementation, job: Job) -> Here | Torchvision:
    """Builds an implementation and makes its first batch; a peer that fails is `Missing`."""
    try:
        return implementation.start(job)
    except Exception as error:
        if isinstance(error, Missing) or not implementation.peer:
            raise
        print(f"{implementation.name} fails: {error}", file=sys.stderr)
        raise Missing(f"fails: {type(error).__name__}") from error


def append(path: Path, row: Mapping[str, Any]) -> None:
    """Adds a row, after the header where the file is new."""
    if not path.exists():
        append_line(path, ",".join(FIELDS))
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow([row.get(field, "") for field in FIELDS])
    append_line(path, text.getvalue())


def read(path: Path) -> list[Row]:
    """The rows of a file: numbers as such; what an implementation that is missing lacks, None.

    Raises:
        InputError: No such file, another header, or a malformed row (with its line number).
    """
    if not path.is_file():
        raise InputError(f"no such file: {path}")
    try:
        header, *lines = complete_lines(path) or [""]
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not a text file in UTF-8: {error}") from None
    if header != ",".join(FIELDS):
        raise InputError(f"{path} has another header: {header!r}; move the file away")
    rows = []
    for number, line in enumerate(lines, start=2):
        try:
            rows.append(typed(next(csv.reader([line], strict=True), [])))
        except (csv.Error, ValueError) as error:
            raise InputError(f"{path}, line {number}: {error}") from None
    return rows


def typed(values: list[str]) -> Row:
    """A row from the text of its values."""
    if len(values) != len(FIELDS):
        raise ValueError(f"{len(values)} values instead of {len(FIELDS)}")
    row: Row = dict(zip(FIELDS, values, strict=True))
    for field in ("side", "views", *MEASURED):
        if row["note"] and field in MEASURED:
            row[field] = None
            continue
        try:
            number = float(row[field]) if field in MEASURED[1:] else int(row[field])
        except ValueError:
            number = -1
        if not (math.isfinite(number) and (number > 0 or field == "round" and number == 0)):
            raise ValueError(f"`{field}` must be a number above 0. Received: '{row[field]}'")
        row[field] = number
    return row


def summary(rows: Iterable[Row]) -> dict[str, Any]:
    """Of the last run of each side: medians and ranges over the rounds.

    Args:
        rows: As `read` gives them.

    Returns:
        `{side: {"run", "machine", "implementations": {name: figures}}}`, sides as text in the
        order of the rows. Figures are `views`, `versions`, `rounds`, `note`, and where something
        was measured `first_batch_seconds` and, for each of SPEEDS, `{"median", "min", "max"}`.
    """
    rows = list(rows)
    last = {row["side"]: row["run"] for row in rows}
    found: dict[str, Any] = {}
    for side, run in last.items():
        own = [row for row in rows if (row["side"], row["run"]) == (side, run)]
        entry = {"run": run, "machine": own[0]["machine"], "implementations": {}}
        for name in dict.fromkeys(row["implementation"] for row in own):
            entry["implementations"][name] = figures(
                [row for row in own if row["implementation"] == name]
            )
        found[str(side)] = entry
    return found


def figures(rows: list[Row]) -> dict[str, Any]:
    """The rounds of one implementation."""
    first = rows[0]
    result = {name: first[name] for name in ("views", "versions", "note")}
    measured = [row for row in rows if row["round"] is not None]
    result["rounds"] = len(measured)
    if measured:
        result["first_batch_seconds"] = first["first_batch_seconds"]
        for field in SPEEDS:
            values = [row[field] for row in measured]
            result[field] = {
                "median": statistics.median(values), "min": min(values), "max": max(values)
            }  # fmt: skip
    return result


def table(rows: Iterable[Row]) -> str:
    """The figures as Markdown, the fastest first: two tables a side, of three views and of one.

    Args:
        rows: As `read` gives them; of each side the last run counts.

    Returns:
        The tables, an empty line between them. Speeds are images, of all their views, in a
        second; the ratios are of the CPU figures to each reference of Pillow (above 1: faster).
    """
    blocks = []
    for side, entry in summary(rows).items():
        for views, title in ((3, "three views"), (1, "one view")):
            every = entry["implementations"].items()
            if found := {name: one for name, one in every if one["views"] == views}:
                blocks.append(one_table(f"{side} px, {title}", found))
    return "\n".join(blocks)


def one_table(title: str, found: Mapping[str, Mapping[str, Any]]) -> str:
    """The table of the given implementations, those that are missing last."""
    from dynmix_tf.reports import tables

    speeds = {name: one[SPEEDS[0]]["median"] for name, one in found.items() if one["rounds"]}
    references = [name for name in REFERENCES if name in speeds]
    titles = ("images per CPU-second", "per wall second", "first batch s")
    lines = []
    for name in sorted(found, key=lambda name: -speeds.get(name, 0.0)):
        if name not in speeds:
            cells = [found[name]["note"], *["–"] * (len(titles) - 1 + len(references))]
        else:
            cells = [rounded(found[name][field]["median"]) for field in SPEEDS]
            cells.append(f"{found[name]['first_batch_seconds']:.1f}")
            cells += [f"{speeds[name] / speeds[reference]:.2f}" for reference in references]
        lines.append([name, *cells])
    return tables.markdown([title, *titles, *(f"to {name}" for name in references)], lines)


def rounded(speed: float) -> str:
    """Three figures or all before the point."""
    return f"{speed:,.0f}" if speed >= 100 else f"{speed:.1f}"


if __name__ == "__main__":
    try:
        main()
    except (InputError, OSError) as error:
        print(" ".join(str(error).split()), file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("interrupted; what was measured so far is kept", file=sys.stderr)
        sys.exit(130)
