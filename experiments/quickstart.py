"""The main job in small: train with and without Dynamic Mixup, evaluate, export, report.

Every step is one of the package's own commands, printed before it runs. What is done already is
not done again.
"""

import argparse
import json
import shlex
import subprocess
import sys
import time
from pathlib import Path

# The same for both methods: the optimiser, batch and schedule of the paper (the defaults of
# `train`), on as many images and epochs as two slow CPU cores train in seven minutes.
FULL = {"num_train": 12_000, "num_test": 1_000, "epochs": 25}
SMOKE = {"num_train": 512, "num_test": 64, "epochs": 1}
METHODS = ("standard", "dynmix")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--smoke", action="store_true", help="a tiny version of the same")
    parser.add_argument(
        "--dataset", default="fashion_mnist", help="as of train (default: %(default)s)"
    )
    parser.add_argument("--data_dir", default="", help="folder of the data set's files")
    parser.add_argument("--seed", type=int, default=0, help="(default: %(default)s)")
    parser.add_argument(
        "--output_dir",
        type=Path,
        help="default: runs/quickstart, with what differs from the default in its name",
    )
    arguments = parser.parse_args()
    name = "quickstart-smoke" if arguments.smoke else "quickstart"
    if arguments.dataset != "fashion_mnist":
        name += f"-{Path(arguments.dataset).stem}"
    if arguments.seed:
        name += f"-seed{arguments.seed}"
    folder = arguments.output_dir or Path("runs") / name
    settings = {
        "dataset": arguments.dataset,
        "data_dir": arguments.data_dir,
        **(SMOKE if arguments.smoke else FULL),
        "model": "small_cnn",
        "seed": arguments.seed,
    }
    done = folder / "done.json"
    complete = all((folder / method / "report.md").exists() for method in METHODS)
    if not (complete and done.exists() and json.loads(done.read_text()) == settings):
        done.unlink(missing_ok=True)
        started = time.monotonic()
        for method in METHODS:
            flags = {**settings, "method": method, "workdir": folder / method}
            if status := command("train", flags):
                return status
            exported = folder / method / "evaluation_of_export"
            flags = {"model": folder / method / "export", "output_dir": exported}
            if status := command("evaluate", flags):
                return status
            check_export(folder / method / "robustness.csv", exported / "robustness.csv")
        print(f"== all of it took {time.monotonic() - started:.0f} s ==", flush=True)
    print_report(folder, settings)
    done.write_text(json.dumps(settings))
    return 0


def command(name: str, flags: dict) -> int:
    """Runs one of the package's commands; its exit status."""
    words = [f"--{flag}={value}" for flag, value in flags.items() if value != ""]
    print(f"== {shlex.join(['python', '-m', f'dynmix_tf.{name}', *words])} ==", flush=True)
    started = time.monotonic()
    status = subprocess.run([sys.executable, "-m", f"dynmix_tf.{name}", *words]).returncode
    print(f"== {name}: {time.monotonic() - started:.0f} s ==", flush=True)
    return status


def check_export(trained: Path, exported: Path) -> None:
    """The exported model, in a process of its own, must score as the trained one did."""
    from dynmix_tf import results

    ours, theirs = (
        {(row["corruption"], row["severity"]): row["error"] for row in results.read(path)}
        for path in (trained, exported)
    )
    different = [condition for condition in ours if ours[condition] != theirs.get(condition)]
    if different:
        raise SystemExit(f"{exported.parent}: the export scores otherwise on {different}")
    print(f"{exported.parent}: the export makes the same errors, condition by condition")


def print_report(folder: Path, settings: dict) -> None:
    """Writes the report over both methods and prints its table."""
    from dynmix_tf import data
    from dynmix_tf.reports import tables
    from dynmix_tf.reports.finished_runs import comparable_runs
    from dynmix_tf.reports.report import write_report

    report = folder / "report.md"
    runs = [folder / method for method in METHODS]
    if not (folder / "done.json").exists():
        from dynmix_tf import commands

        commands.load_tensorflow()
        sys.path.insert(0, str(Path(__file__).parent))
        from make_views import rows_of_views

        images = data.load(settings["dataset"], settings["data_dir"] or None).train_images
        write_report(
            folder, runs, "Quickstart: Standard against Dynamic Mixup", rows_of_views(images[:6])
        )
    figures = {label: run.summary for label, run in comparable_runs(runs).items()}
    print(tables.comparison_text(figures))
    print(f"report: {report}")


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("interrupted; the same command continues", file=sys.stderr)
        sys.exit(130)
