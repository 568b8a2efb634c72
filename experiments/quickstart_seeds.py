"""Repeats the quickstart over seeds and writes the table of BUILD.md.

python experiments/quickstart_seeds.py --seeds=0,1,2,3,4    trains what is missing, then the table
python experiments/quickstart_seeds.py --table              the table alone, from the committed rows

Seeds change weights, order of the images and augmentation; the test images and their corruptions
are the same for all.
"""

import argparse
import csv
import json
import re
from pathlib import Path

import numpy as np
import quickstart

from dynmix_tf import files, results
from dynmix_tf.reports import tables
from dynmix_tf.reports.summary import summary

HERE = Path(__file__).parent
ROWS = HERE / "results" / "quickstart_seeds.csv"
SETTINGS = HERE / "results" / "quickstart_seeds.json"
BUILD = HERE.parent / "BUILD.md"
COLUMNS = ("Clean error", "Mean corruption error", "RMS calibration clean", "corrupted")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", default="0,1,2,3,4")
    parser.add_argument("--table", action="store_true", help="only the table")
    parser.add_argument("--output_dir", type=Path, default=Path("runs/quickstart_seeds"))
    arguments = parser.parse_args()
    if not arguments.table:
        seeds = [int(seed) for seed in arguments.seeds.split(",")]
        measure(seeds, arguments.output_dir)
    text = BUILD.read_text()
    mark = "<!-- quickstart_seeds -->"
    fresh = re.sub(f"{mark}.*{mark}", lambda _: f"{mark}\n{table()}{mark}", text, flags=re.DOTALL)
    files.write_atomic(BUILD, fresh)
    print(table())


def measure(seeds: list[int], output_dir: Path) -> None:
    """Trains and evaluates what is missing, and copies the rows of all into the record."""
    lines, configs = [("seed", *results.FIELDS)], {}
    for seed in seeds:
        for method in quickstart.METHODS:
            workdir = output_dir / f"{method}_{seed}"
            flags = {
                "dataset": "fashion_mnist", **quickstart.FULL, "model": "small_cnn",
                "method": method, "seed": seed, "workdir": workdir,
            }  # fmt: skip
            if not (workdir / "report.md").exists() and quickstart.command("train", flags):
                raise SystemExit(f"training of {workdir} failed")
            for row in results.read(workdir / "robustness.csv"):
                lines.append((seed, *row.values()))
            config = json.loads((workdir / "config.json").read_text())
            configs[f"{method}_{seed}"] = config
    files.write_atomic(ROWS, "".join(",".join(map(str, line)) + "\n" for line in lines))
    files.write_atomic(SETTINGS, json.dumps(configs, indent=1) + "\n")


def table() -> str:
    """Mean and 95 % t-interval over the seeds, and the paired difference, as Markdown."""
    with ROWS.open(newline="") as file:
        raw = list(csv.DictReader(file))
    seeds = sorted({int(row["seed"]) for row in raw})
    figures = {
        method: np.array([figures_of(raw, method, seed) for seed in seeds])
        for method in quickstart.METHODS
    }
    lines = [(tables.METHOD_NAMES[method], values) for method, values in figures.items()]
    standard, dynmix = figures.values()
    lines.append(("Difference, seed by seed", dynmix - standard))
    cells = [
        [label, *("{:.1f} ± {:.1f}".format(*tables.intervals(list(column))) for column in values.T)]
        for label, values in lines
    ]
    return tables.markdown([f"{len(seeds)} seeds", *COLUMNS], cells)


def figures_of(raw: list[dict], method: str, seed: int) -> list[float]:
    """One run's figures in the order of COLUMNS."""
    rows = [
        {**row, "severity": int(row["severity"]), "error": float(row["error"])}
        | {"rms_calibration_error": float(row["rms_calibration_error"])}
        for row in raw
        if row["method"] == method and int(row["seed"]) == seed
    ]
    found = summary(rows)
    calibration = found["calibration_by_severity"]
    return [
        found["clean_error"],
        found["mean_corruption_error"],
        calibration[0],
        float(np.mean(calibration[1:])),
    ]


if __name__ == "__main__":
    main()
