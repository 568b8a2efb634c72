"""Kills runs with SIGKILL at random points and resumes them; every result must be that of a whole.

python experiments/kill_and_resume.py --runs=10

A whole run is timed first. Then each run is killed at a random point of that time, resumed with the
same command and compared: weights and optimizer bit for bit, `metrics.jsonl` without its timing,
the tables of errors byte for byte. One more run is killed again and again, up to ten times, until
it ends before its moment comes. Rows go to `experiments/results/kill_and_resume.csv` as they are
measured; a difference ends it with status 1.
"""

import argparse
import csv
import json
import os
import random
import shutil
import subprocess
import sys
import time
import zipfile
from importlib.metadata import version
from pathlib import Path

from tqdm import tqdm

from dynmix_tf import files

ROWS = Path(__file__).parent / "results" / "kill_and_resume.csv"
FIELDS = (
    "run", "whole_seconds", "killed_at_seconds", "epochs_done_at_kill", "rows_at_kill",
    "weights_equal", "metrics_equal", "rows_equal", "tensorflow", "keras", "cpus",
)  # fmt: skip
TRAIN = (
    "--dataset=photos", "--num_train=400", "--num_test=90", "--epochs=12", "--batch_size=50",
    "--model=small_cnn", "--method=dynmix", "--ema=0.9", "--robustness_every=6",
)  # fmt: skip
TABLES = ("robustness.csv", "robustness_by_epoch.csv")
TIMING = ("seconds", "images_per_second", "waiting_for_data")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--runs", type=int, default=10, help="killed once each (default: %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the points (default: %(default)s)")
    parser.add_argument(
        "--output_dir",
        type=Path,
        default=Path("runs/kill_and_resume"),
        help="(default: %(default)s)",
    )
    arguments = parser.parse_args()
    whole = arguments.output_dir / "whole"
    shutil.rmtree(arguments.output_dir, ignore_errors=True)
    seconds = train(whole)
    draws = random.Random(arguments.seed)
    files.write_atomic(ROWS, ",".join(FIELDS) + "\n")
    same = True
    for run in tqdm(range(1, arguments.runs + 2), unit=" runs"):
        workdir = arguments.output_dir / f"run_{run}"
        kills = 10 if run > arguments.runs else 1
        killed = []
        while len(killed) < kills:
            # one that is killed often must get far enough to save an epoch
            moment = seconds * draws.uniform(0.45 if kills > 1 else 0, 0.75 if kills > 1 else 1)
            if train(workdir, kill_after=moment) >= moment:
                killed.append((moment, count(workdir / "metrics.jsonl"), rows_of(workdir)))
            else:
                break  # it had finished
        train(workdir)
        equal = [
            state(workdir) == state(whole),
            metrics(workdir) == metrics(whole),
            all((workdir / name).read_bytes() == (whole / name).read_bytes() for name in TABLES),
        ]
        same = same and all(equal)
        versions = (version("tensorflow"), version("keras"), os.cpu_count())
        for moment, epochs, rows in killed:
            values = (run, f"{seconds:.1f}", f"{moment:.2f}", epochs, rows, *equal, *versions)
            files.append_line(ROWS, ",".join(map(str, values)))
    with ROWS.open(newline="") as file:
        lines = list(csv.DictReader(file))
    print(f"{len(lines)} kills in {arguments.runs + 1} runs, all results equal: {same}")
    sys.exit(not same)


def train(workdir: Path, kill_after: float | None = None) -> float:
    """Seconds that the command ran; with `kill_after` it may have been killed then."""
    start = time.monotonic()
    command = [sys.executable, "-m", "dynmix_tf.train", *TRAIN, f"--workdir={workdir}"]
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=kill_after)  # SIGKILL
    except subprocess.TimeoutExpired:
        pass
    except subprocess.CalledProcessError as error:
        sys.exit(f"the run in {workdir} failed:\n{error.stderr.decode()}")
    return time.monotonic() - start


def state(workdir: Path) -> dict[str, bytes]:
    """Weights, their averages and the optimizer's state."""
    with zipfile.ZipFile(workdir / "checkpoints" / "last.npz") as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    import keras

    network = keras.models.load_model(workdir / "final.keras", compile=False)
    weights = {f"final/{i}": w.tobytes() for i, w in enumerate(network.get_weights())}
    return content | weights


def metrics(workdir: Path) -> list[dict]:
    lines = [json.loads(line) for line in files.complete_lines(workdir / "metrics.jsonl")]
    return [{key: line[key] for key in line if key not in TIMING} for line in lines]


def rows_of(workdir: Path) -> int:
    return sum(max(0, count(workdir / name) - 1) for name in TABLES)


def count(path: Path) -> int:
    return len(files.complete_lines(path)) if path.exists() else 0


if __name__ == "__main__":
    main()
