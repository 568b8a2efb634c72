"""Repeats the quickstart over seeds; writes the table of MEASURED.md, of seed 0 the README's.

python experiments/quickstart_seeds.py --seeds=0,1,2,3,4    trains what is missing, then the table
python experiments/quickstart_seeds.py --table              the table alone, from the committed rows

Seeds change weights, order of the images and augmentation; the test images and their corruptions
are the same for all.
"""

import argparse
import csv
import json
from pathlib import Path

import numpy as np
import quickstart
from documents import replace_marked

from dynmix_tf import files, results
from dynmix_tf.reports import plots, tables
from dynmix_tf.reports.summary import Summary, summary

HERE = Path(__file__).parent
ROWS = HERE / "results" / "quickstart_seeds.csv"
SETTINGS = HERE / "results" / "quickstart_seeds.json"
MEASURED, README = HERE / "MEASURED.md", HERE.parent / "README.md"
COLUMNS = ("Clean error", "Mean corruption error", "RMS calibration clean", "corrupted")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", default="0,1,2,3,4", help="default: 0,1,2,3,4")
    parser.add_argument("--table", action="store_true", help="train nothing")
    folder = Path("runs/quickstart_seeds")
    parser.add_argument("--output_dir", type=Path, default=folder, help=f"default: {folder}")
    arguments = parser.parse_args()
    if not arguments.table:
        seeds = [int(seed) for seed in arguments.seeds.split(",")]
        measure(seeds, arguments.output_dir)
    replace_marked(MEASURED, "quickstart_seeds", table())
    replace_marked(README, "quickstart", quickstart_table())
    summaries = quickstart_summaries()
    plots.error_by_corruption(
        HERE / "figures" / "error_by_corruption.png",
        {label: figures["corruption_errors"] for label, figures in summaries.items()},
        {label: figures["clean_error"] for label, figures in summaries.items()},
    )
    print(table())


def measure(seeds: list[int], output_dir: Path) -> None:
    """Trains and evaluates what is missing, and copies the rows of all into the record."""
    lines, configs = [("seed", *results.FIELDS)], {}
    if ROWS.exists():  # of seeds that are not asked for now
        with ROWS.open(newline="") as file:
            old = [row for row in csv.DictReader(file) if int(row["seed"]) not in seeds]
        lines += [tuple(row.get(name) for name in lines[0]) for row in old]
        kept = json.loads(SETTINGS.read_text())
        configs = {name: kept[name] for name in kept if int(name.split("_")[1]) not in seeds}
    for seed in seeds:
        for method in quickstart.METHODS:
            workdir = output_dir / f"{method}_{seed}"
            flags = {
                "dataset": "fashion_mnist", **quickstart.FULL, "model": "small_cnn",
                "method": method, "seed": seed, "workdir": workdir,
            }  # fmt: skip
            lines += [(seed, *row.values()) for row in rows_of_run(flags)]
            configs[f"{method}_{seed}"] = json.loads((workdir / "config.json").read_text())
    write_rows(ROWS, lines)
    files.write_atomic(SETTINGS, json.dumps(configs, indent=1) + "\n")


def rows_of_run(flags: dict) -> list[dict]:
    """Trains and evaluates unless that is done, and reads the rows."""
    workdir = Path(flags["workdir"])
    if not (workdir / "report.md").exists() and quickstart.command("train", flags):
        raise SystemExit(f"training of {workdir} failed")
    return results.read(workdir / "robustness.csv")


def write_rows(path: Path, lines: list[tuple]) -> None:
    """Replaces a file of raw rows."""
    texts = [["" if value is None else str(value) for value in line] for line in lines]
    files.write_atomic(path, "".join(",".join(line) + "\n" for line in texts))


def table() -> str:
    """Mean and 95 % t-interval over the seeds, and the paired difference, as Markdown."""
    raw = raw_rows(ROWS)
    seeds = sorted({int(row["seed"]) for row in raw})
    figures = {
        method: np.array([figures_of(one_summary(raw, method=method, seed=seed)) for seed in seeds])
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


def quickstart_table() -> str:
    """The table that the quickstart prints, as Markdown, less its seconds."""
    return tables.comparison(quickstart_summaries())


def quickstart_summaries() -> dict[str, Summary]:
    """The figures of the quickstart's own seed."""
    raw = raw_rows(ROWS)
    return {
        tables.METHOD_NAMES[method]: one_summary(raw, method=method, seed=0)
        for method in quickstart.METHODS
    }


def raw_rows(path: Path) -> list[dict]:
    """Committed rows, their values as text."""
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def one_summary(raw: list[dict], **chosen: str | int) -> Summary:
    """The figures of one run: the rows whose columns are as chosen."""
    numbers = {"severity": int, "error": float, "rms_calibration_error": float}
    return summary(
        {**row, **{name: kind(row[name]) for name, kind in numbers.items()}}
        for row in raw
        if all(row[name] == str(value) for name, value in chosen.items())
    )


def figures_of(found: Summary) -> list[float]:
    """One run's figures in the order of COLUMNS."""
    calibration = found["calibration_by_severity"]
    return [
        found["clean_error"],
        found["mean_corruption_error"],
        calibration[0],
        float(np.mean(calibration[1:])),
    ]


if __name__ == "__main__":
    main()
