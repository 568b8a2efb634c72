"""What each part of the methods does: many arms, the same data and budget, several seeds.

python experiments/study.py --data_dir=DIR            trains and scores what is missing
python experiments/study.py --data_dir=DIR --arms=standard,dynmix --seeds=0,1

DIR holds CIFAR-10 (cifar-10-batches-py). Every arm trains a small network on the same 2,000 images
until the standard one makes next to no error on them, and is scored on 1,000 test images under 15
corruptions at five severities, generated as CIFAR-10-C is. The rows of each run are added to
experiments/results/study.csv as it ends, so an interrupted study continues.
"""

import argparse
import json
from pathlib import Path

import quickstart

from dynmix_tf import files, results

HERE = Path(__file__).parent
ROWS = HERE / "results" / "study.csv"
RUNS = HERE / "results" / "study_runs.jsonl"

# No setting was chosen by errors under corruption: the learning rate is the paper's, scaled to the
# batch; the epochs are those after which `standard` fits its training images.
COMMON = {
    "dataset": "cifar10", "model": "small_cnn", "num_train": 2_000, "num_test": 1_000,
    "epochs": 120, "batch_size": 64, "learning_rate": 0.05,
}  # fmt: skip

ARMS = {
    # the methods
    "standard": {"method": "standard"},
    "mixup": {"method": "mixup"},
    "cutmix": {"method": "cutmix"},
    "augmix": {"method": "augmix"},
    "dynmix": {"method": "dynmix"},
    # Table 5
    "augmix_no_js": {"method": "augmix", "consistency": "none"},
    "dynmix_no_js": {"method": "dynmix", "consistency": "none"},
    "dynmix_linear": {"method": "dynmix", "mixing": "linear"},
    "augmix_single": {"method": "augmix", "consistency": "jsd_single"},
    "dynmix_single": {"method": "dynmix", "consistency": "jsd_single"},
    # which part of the mix works
    "linear_no_js": {"method": "dynmix", "mixing": "linear", "consistency": "none"},
    "linear_alpha_4_7": {"method": "dynmix", "mixing": "linear", "alpha": 4 / 7},
    "dynamic_independent": {"method": "dynmix", "mix_weights": "independent"},
    "linear_independent": {"method": "dynmix", "mixing": "linear", "mix_weights": "independent"},
    "independent_normalized": {"method": "dynmix", "mix_weights": "normalized"},
    # what might make it better; not in the paper
    "keep_original": {"method": "dynmix", "keep_original": True},
    "without_flips": {"method": "dynmix", "operations": "augmix"},
    "chains_3_depth_3": {"method": "dynmix", "num_chains": 3, "max_depth": 3},
    "keep_original_without_flips": {
        "method": "dynmix",
        "keep_original": True,
        "operations": "augmix",
    },
    # strength
    "severity_1": {"method": "dynmix", "severity": 1},
    "severity_4": {"method": "dynmix", "severity": 4},
    "severity_6": {"method": "dynmix", "severity": 6},
    "severity_10": {"method": "dynmix", "severity": 10},
    "lambda_1": {"method": "dynmix", "consistency_weight": 1},
    "lambda_6": {"method": "dynmix", "consistency_weight": 6},
}
"""The arms by name, in the order in which they run: what differs from COMMON."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data_dir", required=True, help="folder of CIFAR-10")
    parser.add_argument("--arms", default=",".join(ARMS), help="all by default")
    parser.add_argument("--seeds", default="0,1,2", help="(default: %(default)s)")
    parser.add_argument(
        "--output_dir", type=Path, default=Path("runs/study"), help="(default: %(default)s)"
    )
    arguments = parser.parse_args()
    arms = arguments.arms.split(",")
    if unknown := [arm for arm in arms if arm not in ARMS]:
        parser.error(f"unknown arms {', '.join(unknown)}; known: {', '.join(ARMS)}")
    seeds = [int(seed) for seed in arguments.seeds.split(",")]
    runs = [(arm, seed) for arm in arms for seed in seeds]
    for number, (arm, seed) in enumerate(runs, start=1):
        print(f"== run {number} of {len(runs)}: {arm}, seed {seed} ==", flush=True)
        if (arm, str(seed)) not in recorded():
            measure(arm, seed, arguments.data_dir, arguments.output_dir / f"{arm}_{seed}")


def recorded() -> set[tuple[str, str]]:
    """The runs whose rows are in the record."""
    lines = files.complete_lines(RUNS) if RUNS.exists() else []
    return {(line["arm"], str(line["seed"])) for line in map(json.loads, lines)}


def measure(arm: str, seed: int, data_dir: str, workdir: Path) -> None:
    """Trains and scores one run, and adds its rows, then its settings, to the record."""
    flags = {**COMMON, **ARMS[arm], "data_dir": data_dir, "seed": seed, "workdir": workdir}
    if status := quickstart.command("train", flags):
        raise SystemExit(status)
    known = ROWS.read_text().splitlines() if ROWS.exists() else []
    kept = [line for line in known if not line.startswith(f"{arm},{seed},")]  # of a killed study
    rows = [[arm, seed, *row.values()] for row in results.read(workdir / "robustness.csv")]
    table = ["arm", "seed", *results.FIELDS]
    lines = kept or [",".join(table)]
    lines += [",".join("" if value is None else str(value) for value in row) for row in rows]
    files.write_atomic(ROWS, "".join(f"{line}\n" for line in lines))
    *_, last = map(json.loads, files.complete_lines(workdir / "metrics.jsonl"))
    config = json.loads((workdir / "config.json").read_text())
    config = {name: value for name, value in config.items() if not name.endswith("dir")}
    files.append_line(RUNS, json.dumps({"arm": arm, "seed": seed, **last, "config": config}))


if __name__ == "__main__":
    main()
