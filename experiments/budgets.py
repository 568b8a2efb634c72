"""Other budgets of the quickstart, one seed each, beside the one it has; a table of MEASURED.md.

python experiments/budgets.py            trains what is missing, then the table
python experiments/budgets.py --table    the table alone, from the committed rows
"""

import argparse
from pathlib import Path

import quickstart
from documents import replace_marked
from quickstart_seeds import (
    HERE,
    MEASURED,
    one_summary,
    raw_rows,
    rows_of_run,
    write_rows,
)

from dynmix_tf import results
from dynmix_tf.reports import tables

ROWS = HERE / "results" / "budgets.csv"
SEED = 100  # none of the seeds that are reported
BUDGETS = {
    "15000 images 25 epochs": {"num_train": 15_000, "epochs": 25},
    "12000 images 25 epochs batch 64": {"num_train": 12_000, "epochs": 25, "batch_size": 64},
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--table", action="store_true", help="train nothing")
    if not parser.parse_args().table:
        lines = [("budget", *results.FIELDS)]
        for budget, flags in BUDGETS.items():
            for method in quickstart.METHODS:
                workdir = Path("runs/budgets") / f"{budget.replace(' ', '_')}_{method}"
                every = {"num_test": 1_000, "seed": SEED, "method": method, "workdir": workdir}
                rows = rows_of_run({**flags, **every})
                lines += [(budget, *row.values()) for row in rows]
        write_rows(ROWS, lines)
    replace_marked(MEASURED, "budgets", table())
    print(table())


def table() -> str:
    """Clean and mean corruption error of both methods by budget, as Markdown."""
    raw = raw_rows(ROWS)
    lines = []
    for budget in BUDGETS:
        found = [one_summary(raw, budget=budget, method=name) for name in quickstart.METHODS]
        errors = [f"{x['clean_error']:.1f} / {x['mean_corruption_error']:.1f}" for x in found]
        cost = found[1]["clean_error"] - found[0]["clean_error"]
        gain = found[0]["mean_corruption_error"] - found[1]["mean_corruption_error"]
        lines.append([budget, *errors, f"{cost:.1f}", f"{gain:.1f}"])
    names = [tables.METHOD_NAMES[name] for name in quickstart.METHODS]
    return tables.markdown(["Clean / corrupted error", *names, "Cost", "Gain"], lines)


if __name__ == "__main__":
    main()
