"""The tables and the picture of the study, from its committed rows.

python experiments/study_table.py     writes them into experiments/README.md and figures/study.png

Means over the seeds with 95 % t-intervals; differences are taken seed by seed, so what a seed does
to both arms does not count. An arm with one seed has no interval.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from documents import replace_marked
from quickstart_seeds import figures_of, one_summary, raw_rows
from study import ARMS, ROWS, RUNS

from dynmix_tf import files
from dynmix_tf.reports import style, tables

HERE = Path(__file__).parent
README = HERE / "README.md"
PICTURE = HERE / "figures" / "study.png"
COLUMNS = ("Clean error", "Mean corruption error", "RMS calibration clean", "corrupted")
CLEAN, CORRUPTED = 0, 1
PAIRS = (
    ("dynmix", "linear_alpha_4_7"),
    ("dynmix_no_js", "linear_no_js"),
    ("dynamic_independent", "linear_independent"),
    ("without_flips", "dynmix"),
    ("without_flips", "augmix"),
    ("keep_original_without_flips", "without_flips"),
)
"""What else is compared: the first less the second."""


def main() -> None:
    argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    found = figures()
    replace_marked(README, "study", errors_table(found))
    replace_marked(README, "study differences", differences_table(found))
    replace_marked(README, "study pairs", pairs_table(found))
    draw(found)
    print(errors_table(found), differences_table(found), pairs_table(found), sep="\n")


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


def pairs_table(found: dict[str, dict[int, list[float]]]) -> str:
    """Both errors of `PAIRS`, seed by seed, as Markdown."""
    cells = [
        [f"`{arm}` less `{other}`"]
        + [verdict(paired(found[arm], found[other], column)) for column in (CORRUPTED, CLEAN)]
        for arm, other in PAIRS
        if arm in found and other in found
    ]
    return tables.markdown(["Difference", "Mean corruption error", "Clean error"], cells)


def paired(
    seeds: dict[int, list[float]], other: dict[int, list[float]], column: int = CORRUPTED
) -> list[float]:
    """The differences of a figure, of the seeds that both have."""
    return [seeds[seed][column] - other[seed][column] for seed in seeds if seed in other]


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
    """Each arm's differences from Dynamic Mixup: a dot for a seed, a bar for the interval."""
    arms = [arm for arm in found if arm != "dynmix"]
    figure, panels = style.figure(height=1.2 + 0.24 * len(arms), panels=2)
    color = style.colors(["Dynamic Mixup"])["Dynamic Mixup"]
    titles = {CORRUPTED: "Mean corruption error", CLEAN: "Clean error"}
    for axes, (column, title) in zip(panels, titles.items(), strict=True):
        for row, arm in enumerate(arms):
            values = paired(found[arm], found["dynmix"], column)
            axes.scatter(values, [row] * len(values), color=style.INK, s=9, alpha=0.5, zorder=4)
            if len(values) > 1:
                mean, half = tables.intervals(values)
                sure = abs(mean) > half
                axes.errorbar(
                    mean, row, xerr=half, fmt="o", color=color if sure else "#8f959e",
                    markersize=6, linewidth=2.2, zorder=3,
                )  # fmt: skip
        axes.axvline(0, color=style.INK, linewidth=1)
        axes.set_yticks(range(len(arms)), arms)
        axes.set_ylim(len(arms) - 0.4, -0.6)
        axes.set_xlabel(f"{title} less Dynamic Mixup's, points", fontsize=9.5, color=style.INK)
        axes.grid(axis="x", color=style.FAINT, linewidth=0.8, zorder=0)
    panels[1].set_yticklabels([])
    figure.suptitle(
        "Left of the line: better than Dynamic Mixup. Grey: the 95 % interval holds zero",
        fontsize=11.5, fontweight="bold", x=0.01, ha="left", color=style.INK,
    )  # fmt: skip
    style.save(figure, PICTURE)


if __name__ == "__main__":
    main()
