"""Trains and scores what a table of the paper is made of, and writes it beside the published one.

python experiments/reproduce.py --table=1 --scale=smoke
python experiments/reproduce.py --table=1 --cells=wideresnet/dynmix,wideresnet/standard \\
    --scale=full --data_dir=CIFAR --benchmark_dir=CIFAR-10-C

A cell is named by its network, method and data set, or some of them: `dynmix` is all cells of that
method. What is done is not done again, and a run that was interrupted continues. The scales:

smoke  photographs of 32 px (ImageNet's tables: 72 px, in its folder layout), reduced networks, four
       steps: every cell's way through training, export and scoring, no result
small  2,000 images, ten epochs, reduced networks: hours on a CPU. The data set is the table's where
       --data_dir is given, else Fashion-MNIST (ImageNet's tables: photographs), or --dataset
full   the recipes of experiments/recipes, each in a process of its own

The table is in --output_dir: table_N.md, and table_N.csv with a line for each cell.
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from absl import logging
from measured_tables import is_done, write_table
from paper_tables import METHODS, NETWORKS, TABLES, Run, settings
from recipes import FOLDER, file_name

from dynmix_tf import commands
from dynmix_tf.config import TrainConfig
from dynmix_tf.errors import InputError, unknown_name

DATASETS = ("cifar10", "cifar100", "imagenet2012")
REMARKS = {
    "smoke": "Scale smoke: four steps of reduced networks on a few photographs. These values show "
    "that every cell runs; they say nothing about the methods.",
    "small": "Scale small: reduced networks, 2,000 training images, ten epochs, one seed. To be "
    "compared with each other, not with the published values.",
    "full": "Scale full: the settings of experiments/recipes, one seed.",
}
SMOKE_MODELS = {
    "densenet_bc_100_12": "densenet_bc_10_4", "wrn_40_2": "wrn_10_1",
    "resnext29_4x32d": "resnext29_2x4d",
}  # fmt: skip
SMALL_MODELS = {
    "densenet_bc_100_12": "densenet_bc_22_12", "wrn_40_2": "wrn_16_2",
    "resnext29_4x32d": "resnext29_2x8d",
}  # fmt: skip


def main() -> None:
    arguments = parse()
    logging.set_verbosity(logging.ERROR)  # TensorFlow warns of a new trace for each network
    try:
        run_table(arguments)
    except (InputError, OSError) as error:
        print(" ".join(str(error).split()), file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("interrupted; the same command continues", file=sys.stderr)
        sys.exit(130)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--table", type=int, required=True, choices=TABLES, help="of the paper")
    parser.add_argument("--cells", default="", help="such as wideresnet/dynmix,augmix; all if ''")
    parser.add_argument(
        "--scale", default="smoke", choices=REMARKS, help="see above (default: smoke)"
    )
    parser.add_argument("--dataset", default="", help="small: another data set, as of train")
    parser.add_argument("--data_dir", default="", help="folder of the data set's files")
    parser.add_argument("--sin_dir", default="", help="folder of Stylized-ImageNet")
    parser.add_argument(
        "--benchmark_dir", default="", help="full: the folder of CIFAR-10-C, ImageNet-C or such"
    )
    parser.add_argument("--output_dir", type=Path, help="default: runs/reproduce/SCALE")
    return parser.parse_args()


def run_table(arguments: argparse.Namespace) -> None:
    table, scale = TABLES[arguments.table], arguments.scale
    folder = arguments.output_dir or Path("runs") / "reproduce" / scale
    runs = chosen(list(table.runs()), arguments.cells)
    check(arguments, runs)
    configs = {} if scale == "full" else {run: reduced(arguments, run, folder) for run in runs}
    started = time.monotonic()
    for number, run in enumerate(runs, start=1):
        begin, workdir = time.monotonic(), folder / run.name
        if scale == "full":
            done = run_recipe(arguments, run, workdir)
        else:
            done = run_here(configs[run], workdir)
        spent = f"{time.monotonic() - begin:.0f} s" if done else "done before"
        print(f"== {number} of {len(runs)}, {run.name}: {spent} ==", flush=True)
        text = write_table(table, folder, lambda run: folder / run.name, REMARKS[scale])
    print(text)
    print(f"{folder / f'table_{table.number}.md'}; {time.monotonic() - started:.0f} s in all")


def check(arguments: argparse.Namespace, runs: list[Run]) -> None:
    """Refuses arguments that would do nothing at this scale, before anything is trained."""
    for name, scales in (
        ("dataset", ("small",)),
        ("data_dir", ("small", "full")),
        ("sin_dir", ("small", "full")),
        ("benchmark_dir", ("full",)),
    ):
        value = getattr(arguments, name)
        if value and arguments.scale not in scales:
            raise InputError(
                f"--{name}={value} would do nothing at --scale={arguments.scale}; leave it out, "
                f"or take --scale={' or '.join(scales)}"
            )
    stylized = any(run.method == "sin" for run in runs)
    if arguments.sin_dir and not stylized:
        raise InputError(f"--sin_dir={arguments.sin_dir} is for the cells of sin; leave it out")
    if stylized and arguments.scale != "smoke" and not arguments.sin_dir:
        others = ",".join(run.method for run in runs if run.method != "sin")
        raise InputError(
            f"the cells of sin need --sin_dir, the folder of Stylized-ImageNet; or leave them out "
            f"by --cells={others}"
        )


def chosen(runs: list[Run], cells: str) -> list[Run]:
    """The runs that a list of cells names, in the table's order."""
    if not cells:
        return runs
    found = set()
    for cell in cells.split(","):
        words = cell.split("/")
        for word in words:
            if word not in (*NETWORKS, *METHODS, *DATASETS):
                raise unknown_name("cell", word, [*NETWORKS, *METHODS, *DATASETS])
        named = [run for run in runs if {*words} <= {run.network, run.method, run.dataset}]
        if not named:
            raise InputError(f"the table has no cell '{cell}'. It has: {', '.join(names(runs))}")
        found |= {*named}
    return [run for run in runs if run in found]


def names(runs: list[Run]) -> list[str]:
    return [f"{run.network}/{run.method}/{run.dataset}" for run in runs]


def reduced(arguments: argparse.Namespace, run: Run, folder: Path) -> TrainConfig:
    """The settings of a run at the scale smoke or small."""
    flags = settings(run)
    flags.pop("robustness_every", None)
    smoke = arguments.scale == "smoke"
    flags["model"] = (SMOKE_MODELS if smoke else SMALL_MODELS).get(flags["model"], flags["model"])
    if smoke:
        flags |= {"dataset": "photos", "num_train": 16, "num_test": 9, "batch_size": 8}
        flags |= {"epochs": 2, "learning_rate": 0.01}
        if run.dataset == "imagenet2012":
            import one_step

            one_step.write_imagenet(folder / "images")
            flags |= {"dataset": "imagenet2012", "data_dir": str(folder / "images" / "imagenet")}
            flags |= {"image_size": 72, "warmup_epochs": 1}
        if "attack_steps" in flags:
            flags["attack_steps"] = 2
        if "sin_dir" in flags:
            flags["sin_dir"] = str(folder / "images" / "stylized")
    else:
        imagenet = run.dataset == "imagenet2012"
        without = "photos" if imagenet else "fashion_mnist"
        own = run.dataset if arguments.data_dir else without
        flags |= {"dataset": arguments.dataset or own, "data_dir": arguments.data_dir}
        flags |= {"num_train": 2_000, "num_test": 200, "epochs": 10, "batch_size": 50}
        flags |= {"learning_rate": 0.05, "linear_scaling": False}
        if imagenet:
            flags |= {"image_size": 72, "warmup_epochs": 1}
        if "sin_dir" in flags:
            flags["sin_dir"] = arguments.sin_dir
    return TrainConfig(**flags)


def run_here(config: TrainConfig, workdir: Path) -> bool:
    """Trains and scores in this process; False where that was done before."""
    from dynmix_tf import runs

    runs.open_run(config, workdir)
    if is_done(workdir / "robustness.csv", ("generated",)):
        return False
    images = runs.load_training_data(config)
    commands.load_tensorflow()
    import keras

    from dynmix_tf import engine, predictors, scoring
    from dynmix_tf.benchmarks import GeneratedBenchmark

    keras.backend.clear_session()
    engine.train(config, images, workdir)
    benchmark = GeneratedBenchmark(
        images.test_images, images.test_labels, images.name, num_classes=images.num_classes
    )
    scoring.score(
        predictors.load_predictor(workdir / "final.keras"),
        benchmark,
        workdir / "robustness.csv",
        workdir / "robustness_images",
        runs.identity(workdir),
        label=f"evaluate {workdir.name}",
    )
    return True


def run_recipe(arguments: argparse.Namespace, run: Run, workdir: Path) -> bool:
    """Trains and scores by the commands of the recipe; False where that was done before."""
    benchmark = benchmark_of(run, arguments.table)
    wanted = ("generated", *([benchmark] if arguments.benchmark_dir else []))
    if is_done(workdir / "robustness.csv", wanted):
        return False
    flags: dict[str, Any] = {"flagfile": FOLDER / file_name(arguments.table, run)}
    if arguments.data_dir:
        flags["data_dir"] = arguments.data_dir
    if arguments.sin_dir and run.method == "sin":
        flags["sin_dir"] = arguments.sin_dir
    command("train", {**flags, "workdir": workdir})
    if arguments.benchmark_dir:
        command("evaluate", {
            "model": workdir / "export", "benchmark": benchmark,
            "data_dir": arguments.benchmark_dir, "output_dir": workdir,
        })  # fmt: skip
    return True


def benchmark_of(run: Run, table: int) -> str:
    if run.dataset == "imagenet2012":
        return "imagenet_p" if table == 4 else "imagenet_c"
    return f"{run.dataset}_c"


def command(name: str, flags: dict[str, Any]) -> None:
    words = [f"--{flag}={value}" for flag, value in flags.items()]
    print("==", " ".join(["python -m", f"dynmix_tf.{name}", *words]), "==", flush=True)
    status = subprocess.run([sys.executable, "-m", f"dynmix_tf.{name}", *words]).returncode
    if status:
        sys.exit(status)


if __name__ == "__main__":
    main()
