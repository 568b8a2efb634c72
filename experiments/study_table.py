"""The tables and the picture of the study, from its committed rows.

python experiments/study_table.py     writes them into experiments/README.md and figures/study.png

Means over the seeds with 95 % t-intervals; differences are taken seed by seed, so what a seed does
to both arms does not count. An arm with one seed has no interval.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from quickstart_seeds import figures_of, one_summary, raw_rows, replace_marked
from study import ARMS, ROWS, RUNS

from dynmix_tf import files
from dynmix_tf.reports import style, tables

HERE = Path(__file__).parent
README = HERE / "README.md"
PICTURE = HERE / "figures" / "study.png"
COLUMNS = ("Clean error", "Mean corruption error", "RMS calibration clean", "corrupted")
CLEAN, CORRUPTED = 0, 1


def main() -> None:
    argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    found = figures()
    replace_marked(README, "study", errors_table(found))
    replace_marked(README, "study differences", differences_table(found))
    draw(found)
    print(errors_table(found), differences_table(found), sep="\n")


def figures() -> dict[str, dict[int, list[float]]]:
    """`{arm: {seed: the figures of COLUMNS}}`, of the runs that are recorded whole."""
    runs = [json.loads(line) for line in files.complete_lines(RUNS)]
    raw = raw_rows(ROWS)
    found: dict[str, dict[int, list[float]]] = {arm: {} for arm in ARMS}
    for run in sorted(runs, key=lambda run: run["seed"]):
        arm, seed = run["arm"], run["seed"]
        found[arm][seed] = figures_of(one_summary(raw, arm=arm, seed=seed))
    return {arm: seeds for arm, seeds in found.items() if seeds}


def errors_table(found: dict[str, dict[int, list[float]]]) -> str:
    """Every arm's figures, mean and interval over its seeds, as Markdown."""
    accuracy = {}
    for run in map(json.loads, files.complete_lines(RUNS)):
        accuracy.setdefault(run["arm"], []).append(100 * run["accuracy"])
    cells = [
        [
            f"`{arm}`",
            str(len(seeds)),
            *(told(column) for column in np.transpose(list(seeds.values()))),
            f"{np.mean(accuracy[arm]):.1f}",
        ]
        for arm, seeds in found.items()
    ]
    return tables.markdown(["Arm", "Seeds", *COLUMNS, "Training accuracy"], cells)


def differences_table(found: dict[str, dict[int, list[float]]]) -> str:
    """Mean corruption error less that of standard, AugMix and Dynamic Mixup, seed by seed."""
    others = [arm for arm in ("standard", "augmix", "dynmix") if arm in found]
    cells = []
    for arm, seeds in found.items():
        row = [f"`{arm}`"]
        for other in others:
            values = paired(seeds, found[other])
            row.append("-" if arm == other or not values else verdict(values))
        cells.append(row)
    return tables.markdown(["Mean corruption error less that of", *others], cells)


def paired(seeds: dict[int, list[float]], other: dict[int, list[float]]) -> list[float]:
    """The differences of the mean corruption error, of the seeds that both have."""
    return [seeds[seed][CORRUPTED] - other[seed][CORRUPTED] for seed in seeds if seed in other]


def told(values: np.ndarray) -> str:
    """Mean and half-width."""
    if len(values) < 2:
        return f"{values[0]:.1f}"
    return "{:.1f} ± {:.1f}".format(*tables.intervals(list(values)))


def verdict(values: list[float]) -> str:
    """The difference, and whether its interval leaves out zero."""
    if len(values) < 2:
        return f"{values[0]:+.1f} (one seed)"
    mean, half = tables.intervals(values)
    sure = "" if abs(mean) > half else ", not significant"
    return f"{mean:+.1f} ± {half:.1f}{sure}"


def draw(found: dict[str, dict[int, list[float]]]) -> None:
    """Clean against corrupted error: a dot for each run, a ring for each arm's mean."""
    figure, (axes,) = style.figure(height=5.2, panels=1)
    for (arm, color), marker in style.styles(found):
        points = np.array([values[:2] for values in found[arm].values()])
        axes.scatter(*points.T, color=color, marker=marker, s=14, alpha=0.6, zorder=3)
        mean = points.mean(axis=0)
        axes.scatter(*mean, color=color, marker=marker, s=70, label=arm, zorder=4)
    axes.set_xlabel("Clean error, %", fontsize=9.5, color=style.INK)
    axes.set_ylabel("Mean corruption error, %", fontsize=9.5, color=style.INK)
    axes.grid(axis="x", color=style.FAINT, linewidth=0.8, zorder=0)
    style.legend(figure, axes, "Every run (small) and the mean of each arm")
    style.save(figure, PICTURE)


if __name__ == "__main__":
    main()
