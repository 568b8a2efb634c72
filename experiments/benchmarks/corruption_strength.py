"""Whether corruptions are as strong as those of the public generator, over real images.

python experiments/benchmarks/corruption_strength.py --public=FOLDER --python=PYTHON
python experiments/benchmarks/corruption_strength.py --table      only tells what the rows say

FOLDER holds `make_cifar_c.py`, `make_imagenet_c.py` and the frost photographs of
hendrycks/robustness, PYTHON has `opencv-python-headless scikit-image Wand` and ImageMagick's
library. Both corrupt the same photographs, each with draws of its own. Compared are the mean
absolute change and the mean absolute difference of horizontal neighbours, in grey levels; a
row is appended as it is measured, and the same command continues. Within the bounds is a
difference of up to 10 % (frost 20 %) or 0.6 grey levels.
"""

import argparse
import csv
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from public_corruptions import strength

from dynmix_tf import corruptions, data
from dynmix_tf.files import append_line, complete_lines

ROWS = Path(__file__).parent.parent / "results" / "corruption_strength.csv"
FIELDS = ("side", "images", "corruption", "severity", "change", "public_change", "gradient",
          "public_gradient", "within")  # fmt: skip
SCRIPTS = {32: "make_cifar_c.py", 224: "make_imagenet_c.py"}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--public", type=Path, help="the FOLDER")
    parser.add_argument("--python", default=sys.executable, help="default: this one")
    parser.add_argument("--images", type=int, default=100, help="of a size (default: %(default)s)")
    parser.add_argument(
        "--sides", type=int, nargs="+", default=[32, 224], choices=SCRIPTS, help="pixels; both"
    )
    parser.add_argument("--table", action="store_true", help="measure nothing")
    parser.add_argument("--csv", type=Path, default=ROWS, help="of rows; default: that above")
    arguments = parser.parse_args()
    if not arguments.table:
        if arguments.public is None or not (arguments.public / SCRIPTS[32]).is_file():
            print(
                f"--public must be a folder with {' and '.join(SCRIPTS.values())}", file=sys.stderr
            )
            sys.exit(2)
        for side in arguments.sides:
            measure(arguments, side)
    print(summary(read(arguments.csv)))


def measure(arguments: argparse.Namespace, side: int) -> None:
    """Adds the rows of one size that are not there yet."""
    from tqdm import tqdm

    if not arguments.csv.exists():
        append_line(arguments.csv, ",".join(FIELDS))
    done = {(row["side"], row["images"], row["corruption"], row["severity"])
            for row in read(arguments.csv)}  # fmt: skip
    left = [
        (name, severity)
        for name in corruptions.names(extra=True)
        for severity in range(1, 6)
        if (str(side), str(arguments.images), name, str(severity)) not in done
    ]
    images = data.load("photos", image_size=side, num_train=9, num_test=arguments.images)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "images.npy"
        np.save(path, images.test_images)
        script = Path(__file__).with_name("public_corruptions.py")
        public = subprocess.Popen(
            [arguments.python, script, arguments.public / SCRIPTS[side], path],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        for name, severity in tqdm(left, desc=f"{side} px", unit="condition"):
            values = compare(public, images.test_images, name, severity)
            row = (side, arguments.images, name, severity, *values)
            append_line(arguments.csv, ",".join(map(str, row)))
        public.communicate()


def compare(public: Any, images: np.ndarray, name: str, severity: int) -> tuple:
    public.stdin.write(f"{name} {severity}\n")
    public.stdin.flush()
    ours = strength(images, corruptions.corrupt(images, name, severity))
    line = public.stdout.readline()
    if not line:
        sys.exit(f"the public script failed at {name}, severity {severity}")
    answer = json.loads(line)
    theirs = (answer["change"], answer["gradient"])
    within = all(close(name, *pair) for pair in zip(ours, theirs, strict=True))
    numbers = [f"{value:.4f}" for pair in zip(ours, theirs, strict=True) for value in pair]
    return (*numbers, within)


def close(name: str, ours: float, theirs: float) -> bool:
    share = 0.2 if name == "frost" else 0.1
    return abs(ours - theirs) <= max(share * theirs, 0.6)


def read(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(complete_lines(path))) if path.exists() else []


def summary(rows: list[dict[str, str]]) -> str:
    """A line for each size, and one for each condition out of bounds."""
    lines = []
    for side in dict.fromkeys(row["side"] for row in rows):
        own = [row for row in rows if row["side"] == side]
        good = sum(row["within"] == "True" for row in own)
        ratios = [
            abs(float(row[name]) / float(row[f"public_{name}"]) - 1)
            for row in own
            for name in ("change", "gradient")
        ]
        lines.append(
            f"{side} px: {good} of {len(own)} conditions within the bounds over "
            f"{own[0]['images']} images; median difference {100 * float(np.median(ratios)):.1f} %"
        )
        lines += [
            f"  {row['corruption']} {row['severity']}: change {row['change']} to "
            f"{row['public_change']}, gradient {row['gradient']} to {row['public_gradient']}"
            for row in own
            if row["within"] != "True"
        ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
