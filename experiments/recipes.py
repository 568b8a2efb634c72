"""Writes experiments/recipes/*.flags, one for each training run of the paper's Tables 1 to 5.

python experiments/recipes.py

A recipe is a flagfile of `python -m dynmix_tf.train`. The settings and the published values are
those of paper_tables.py: change them there, and run this. BUILD.md gets what each table costs.
"""

import argparse
import textwrap
from pathlib import Path

from documents import replace_marked
from paper_tables import METHODS, NETWORKS, TABLES, Run, Table, settings

from dynmix_tf.files import write_atomic
from dynmix_tf.reports.tables import markdown

FOLDER = Path(__file__).parent / "recipes"
BUILD = Path(__file__).parent.parent / "BUILD.md"
GROUPS = ((TABLES[1],), (TABLES[2],), (TABLES[3], TABLES[4]), (TABLES[5],))
TRAINING_IMAGES = {"cifar10": 50_000, "cifar100": 50_000, "imagenet2012": 1_281_167}
TITLES = {"cifar10": "CIFAR-10", "cifar100": "CIFAR-100", "imagenet2012": "ImageNet"}
BENCHMARKS = {
    "cifar10": ("cifar10_c",),
    "cifar100": ("cifar100_c",),
    "imagenet2012": ("imagenet_c", "imagenet_p"),
}
SPEED = 10e12  # assumed operations a second of a training that does not wait for data
OWN = {
    "mixup": "Alpha is the method's own for CIFAR; the paper gives none.",
    "cutmix": "Alpha and probability are the method's own for CIFAR; the paper gives none.",
    "adversarial": "The attack is Madry et al.'s for CIFAR-10; the paper gives none.",
    "autoaugment": "The policy is the published one less the operations that overlap.",
    "random_autoaugment": "How the policies were drawn, the paper does not say.",
}
UNITS = {"error": "mean corruption error", "clean": "clean error", "mCE": "mCE", "mFR": "mFR"}


def main() -> None:
    argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    wanted = recipes()
    for path in FOLDER.glob("*.flags"):
        if path.name not in wanted:
            path.unlink()
    for name, text in wanted.items():
        write_atomic(FOLDER / name, text)
    replace_marked(BUILD, "costs", costs())
    print(f"{len(wanted)} recipes in {FOLDER}")


def recipes() -> dict[str, str]:
    """The recipes' texts by the names of their files."""
    found = {}
    for tables in GROUPS:
        for run in tables[0].runs():
            found[file_name(tables[0].number, run)] = recipe(tables, run)
    return found


def file_name(number: int, run: Run) -> str:
    """The recipe of a run in a table; Tables 3 and 4 have the same runs."""
    table = "tables_3_4" if number in (3, 4) else f"table_{number}"
    return f"{table}_{run.network}_{run.method}_{run.dataset}.flags"


def recipe(tables: tuple[Table, ...], run: Run) -> str:
    """A recipe: comments with the commands, what to expect and what it costs; then the flags."""
    name = file_name(tables[0].number, run)
    workdir = f"runs/{name.removesuffix('.flags')}"
    numbers = " and ".join(str(table.number) for table in tables)
    data_dir = "IMAGENET" if run.dataset == "imagenet2012" else "CIFAR"
    lines = [
        f"{'Tables' if len(tables) > 1 else 'Table'} {numbers} of the paper: {title(tables, run)}.",
        "Written by experiments/recipes.py from experiments/paper_tables.py.",
        "",
        f"  python -m dynmix_tf.train --flagfile=experiments/recipes/{name} \\",
        f"      --data_dir={data_dir} --workdir={workdir}",
    ]
    for benchmark in BENCHMARKS[run.dataset]:
        lines += [
            f"  python -m dynmix_tf.evaluate --model={workdir}/export --benchmark={benchmark} \\",
            f"      --data_dir={benchmark.upper()} --output_dir={workdir}",
        ]
    lines.append("")
    for text in (expected(tables, run), cost(run), remarks(run)):
        lines += textwrap.wrap(text, 96, subsequent_indent="  ", break_on_hyphens=False)
    comments = "".join(f"# {line}".rstrip() + "\n" for line in lines)
    return comments + "".join(f"{flag}\n" for flag in flags(settings(run)))


def title(tables: tuple[Table, ...], run: Run) -> str:
    row, column = next(key for key, value in tables[0].values.items() if value.run == run)
    network, dataset = NETWORKS[run.network].title, TITLES[run.dataset]
    # in Tables 1 and 2 a row is a network, elsewhere a method
    return f"{network}, {column if row == network else row}, on {dataset}"


def expected(tables: tuple[Table, ...], run: Run) -> str:
    """The published values of a run, and where the paper has others."""
    found = [
        value
        for table in tables
        for value in table.values.values()
        if value.run == run and value.quantity in UNITS
    ]
    values = dict.fromkeys(f"{UNITS[value.quantity]} {value.published} %" for value in found)
    notes = dict.fromkeys(value.note for value in found if value.note)
    return " ".join([f"Published: {', '.join(values)}.", *notes])


def operations(run: Run) -> float:
    """Floating point operations of the whole training, counted, not measured.

    Two for each multiplication of the network; a backward pass counts as two forward passes, one
    where only the images' gradient is wanted, as in an attack.
    """
    flags = settings(run)
    views = {"jsd": 3, "jsd_single": 2}.get(flags.get("consistency", ""), 1)
    passes = 3 * views + 2 * flags.get("attack_steps", 0)
    images = TRAINING_IMAGES[run.dataset] * (2 if run.method == "sin" else 1)
    return 2e6 * NETWORKS[run.network].mega_macs * passes * images * flags["epochs"]


def cost(run: Run) -> str:
    total = operations(run)
    return (
        f"Cost: {total:.1e} floating point operations, counted from the network's layers; "
        f"{total / SPEED / 3600:.1f} h at 10 TFLOP/s, which is assumed, not measured."
    )


def costs() -> str:
    """What the runs of each table cost together, as Markdown."""
    cells = []
    for tables in GROUPS:
        runs = list(tables[0].runs())
        total = sum(map(operations, runs))
        numbers = " and ".join(str(table.number) for table in tables)
        hours = f"{total / SPEED / 3600:,.0f}"
        data = " and ".join(dict.fromkeys(TITLES[run.dataset] for run in runs))
        cells.append((numbers, data, str(len(runs)), f"{total:.1e}", hours))
    titles = ("Table", "Data", "Runs", "Operations", "Hours at 10 TFLOP/s")
    return markdown(titles, cells)


def remarks(run: Run) -> str:
    """Where the settings are from, and which of them the paper does not give."""
    mode = METHODS[run.method].get("consistency")
    parts = []
    if run.dataset == "imagenet2012":
        parts.append(
            "Settings: section 4.2 (learning rate by batch size, five epochs of warm-up, 180 "
            "epochs of AA*, AugMix and DynMix) and Goyal et al., whose 90 epochs the others have; "
            "a tenth of the rate after each third."
        )
    else:
        parts.append(
            "Settings: section 4.1 (epochs, cosine from 0.1, Nesterov momentum, weight decay); the "
            "batch is AugMix', as the paper names none."
        )
    if run.method == "sin":
        parts.append(
            "--sin_dir is what the code of github.com/rgeirhos/Stylized-ImageNet writes, with 0.5 "
            "for `--alpha` in its code/general.py. 45 epochs of both sets are as many steps as 90 "
            "of one; the paper does not say how many there were."
        )
    elif run.method in OWN:
        parts.append(OWN[run.method])
    elif mode:
        severity = "Severity 1" if run.dataset == "imagenet2012" else "Severity 3"
        weight = "" if mode == "none" else " and lambda 12"
        parts.append(f"{severity}{weight} as AugMix; the paper gives none.")
    return " ".join(parts)


def flags(values: dict) -> list[str]:
    return [f"--{name}" if value is True else f"--{name}={value}" for name, value in values.items()]


if __name__ == "__main__":
    main()
