"""Writes the tables of README.md from experiments/results/examples.csv.

python experiments/examples/example_tables.py
"""

import argparse
import csv
import sys
from itertools import groupby
from pathlib import Path

import numpy as np

from dynmix_tf.reports.tables import intervals, markdown

HERE = Path(__file__).parent
ROWS = HERE.parent / "results" / "examples.csv"
MEASURES = ("clean_error", "corruption_error", "processor_seconds")
TITLES = ("Clean error", "less the first", "Corruption error", "less the first", "Seconds")


def tables() -> dict[str, str]:
    """Each script's table, Markdown: mean over the seeds, and differences from the first setting.

    Differences are taken seed by seed; their mean has a 95 % t-interval.
    """
    with ROWS.open(newline="") as file:
        rows = sorted(csv.DictReader(file), key=lambda row: row["script"])
    return {script: table(list(own)) for script, own in groupby(rows, lambda row: row["script"])}


def table(rows: list[dict[str, str]]) -> str:
    """One script's table; every setting has the same seeds, two or more."""
    settings = list(dict.fromkeys(row["setting"] for row in rows))
    values = {
        setting: np.array([
            [float(row[name]) for name in MEASURES]
            for row in sorted(rows, key=lambda row: int(row["seed"]))
            if row["setting"] == setting
        ])
        for setting in settings
    }  # fmt: skip
    first = values[settings[0]]
    lines = []
    for setting, own in values.items():
        clean, corrupted, seconds = own.mean(axis=0)
        less = ["-", "-"]
        if setting != settings[0]:
            found = (intervals(list(column)) for column in (own - first)[:, :2].T)
            less = [f"{mean:+.1f} ± {half:.1f}" for mean, half in found]
        lines.append(
            [setting, f"{clean:.1f}", less[0], f"{corrupted:.1f}", less[1], f"{seconds:.0f}"]
        )
    return markdown([f"{len(first)} seeds", *TITLES], lines)


def main() -> None:
    argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    sys.path.insert(0, str(HERE.parent))
    from documents import replace_marked

    for script, text in tables().items():
        replace_marked(HERE / "README.md", script, text)
        print(f"{script}\n{text}")


if __name__ == "__main__":
    main()
