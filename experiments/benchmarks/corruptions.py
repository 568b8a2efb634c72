"""How fast corruptions are made: this package against `imagecorruptions-imaug`.

python experiments/benchmarks/corruptions.py --peer_python=PYTHON    measures, prints the tables
python experiments/benchmarks/corruptions.py --table                 only prints those of the rows

PYTHON has `pip install imagecorruptions-imaug`, the maintained fork of `imagecorruptions`, in an
environment of its own. Both corrupt the same photographs in a process each, severities 1 to 5 in
turns over the images, this package with the strengths of the size, the peer with those of
ImageNet at every size, which are all that it has. Figures are milliseconds of CPU time an image,
of all threads, median over the rounds; the two take turns, corruption by corruption. What is made
once (tables, compiled code) is made before. The peer reads its frost photographs at each call.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from dynmix_tf import corruptions, data
from dynmix_tf.errors import InputError
from dynmix_tf.files import append_line, complete_lines
from dynmix_tf.reports import tables

ROWS = Path(__file__).parent.parent / "results" / "corruption_benchmark.csv"
FIELDS = ("run", "machine", "versions", "side", "generator", "corruption", "round",
          "cpu_milliseconds", "note")  # fmt: skip
GENERATORS = ("dynmix_tf", "imagecorruptions")
IMAGES = {32: 250, 224: 20}  # side in pixels: images in a round


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--peer_python", default=sys.executable, help="default: this one")
    parser.add_argument(
        "--rounds", type=int, default=3, help="turns of each (default: %(default)s)"
    )
    parser.add_argument("--table", action="store_true", help="measure nothing")
    parser.add_argument("--csv", type=Path, default=ROWS, help="of rows; default: that above")
    arguments = parser.parse_args()
    if not arguments.table:
        measure(arguments.csv, arguments.peer_python, arguments.rounds)
    print(table(read(arguments.csv)), end="")


def measure(path: Path, peer_python: str, rounds: int) -> None:
    """Adds a row for each measurement as soon as it is known."""
    from tqdm import tqdm

    names = corruptions.names(extra=True)
    run = datetime.now().isoformat(timespec="seconds")
    machine = f"{os.cpu_count()} cores {platform.machine()}"
    total = len(IMAGES) * rounds * len(names) * len(GENERATORS)
    with tqdm(total=total, unit="measurement") as progress, tempfile.TemporaryDirectory() as folder:
        for side, count in IMAGES.items():
            photos = data.load("photos", image_size=side, num_train=count, num_test=9)
            images = Path(folder) / f"{side}.npy"
            np.save(images, photos.train_images)
            pythons = dict(zip(GENERATORS, (sys.executable, peer_python), strict=True))
            workers = {name: Worker(pythons[name], name, images) for name in GENERATORS}
            for turn in range(rounds):
                for corruption in names:
                    for name, worker in workers.items():
                        progress.set_postfix_str(f"{side} px, {corruption}, {name}")
                        answer = worker.ask(corruption)
                        known = (run, machine, worker.versions, side, name, corruption, turn)
                        found = (answer.get("milliseconds", ""), answer.get("missing", ""))
                        append(path, (*known, *found))
                        progress.update()
            for worker in workers.values():
                worker.close()


class Worker:
    """The other end of `corruption_worker.py`."""

    def __init__(self, python: str, generator: str, images: Path) -> None:
        script = Path(__file__).with_name("corruption_worker.py")
        self.process = subprocess.Popen(
            [python, str(script), generator, str(images)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        self.stdin: Any = self.process.stdin
        self.stdout: Any = self.process.stdout
        ready = self._answer()
        self.versions = " ".join(f"{k} {v}" for k, v in ready.get("versions", {}).items())
        self.missing = ready.get("missing", "")

    def ask(self, corruption: str) -> dict[str, Any]:
        """What the generator needs for a corruption."""
        if self.missing:
            return {"missing": self.missing}
        self.stdin.write(f"{corruption}\n")
        self.stdin.flush()
        return self._answer()

    def close(self) -> None:
        """Ends the process."""
        self.process.communicate()

    def _answer(self) -> dict[str, Any]:
        line = self.stdout.readline()
        return json.loads(line) if line else {"missing": "the process ended"}


def append(path: Path, row: tuple) -> None:
    if not path.exists():
        append_line(path, ",".join(FIELDS))
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(row)
    append_line(path, " ".join(text.getvalue().split()))


def read(path: Path) -> list[dict[str, str]]:
    if not path.is_file():
        raise InputError(f"no such file: {path}")
    return list(csv.DictReader(complete_lines(path)))


def table(rows: list[dict[str, str]]) -> str:
    """Markdown: of the last run of each size, a line for each corruption, and the means."""
    blocks = []
    for side in sorted({int(row["side"]) for row in rows}):
        last = max(row["run"] for row in rows if int(row["side"]) == side)
        own = [row for row in rows if int(row["side"]) == side and row["run"] == last]
        found: dict[str, dict[str, float]] = {name: {} for name in GENERATORS}
        for name in GENERATORS:
            for corruption in dict.fromkeys(row["corruption"] for row in own):
                values = [
                    float(row["cpu_milliseconds"])
                    for row in own
                    if (row["generator"], row["corruption"]) == (name, corruption)
                    and row["cpu_milliseconds"]
                ]
                if values:
                    found[name][corruption] = statistics.median(values)
        ours, peer = (found[name] for name in GENERATORS)
        lines = [line(corruption, ours[corruption], peer.get(corruption)) for corruption in ours]
        benchmark = [name for name in corruptions.names() if name in ours]
        both = all(name in peer for name in benchmark)
        lines.append(
            line(
                f"mean of the {len(benchmark)}",
                statistics.mean(ours[name] for name in benchmark),
                statistics.mean(peer[name] for name in benchmark) if both else None,
            )
        )
        titles = [f"{side} px", "dynmix_tf, CPU-ms an image", "imagecorruptions-imaug", "ratio"]
        blocks.append(tables.markdown(titles, lines))
    return "\n".join(blocks)


def line(title: str, ours: float, peer: float | None) -> list[str]:
    if peer is None:
        return [title, f"{ours:.2f}", "–", "–"]
    return [title, f"{ours:.2f}", f"{peer:.2f}", f"{peer / ours:.1f}"]


if __name__ == "__main__":
    try:
        main()
    except (InputError, OSError) as error:
        print(" ".join(str(error).split()), file=sys.stderr)
        sys.exit(2)
