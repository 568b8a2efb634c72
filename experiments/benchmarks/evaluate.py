"""What an evaluation costs beyond its forward passes: time and memory on a full CIFAR-10-C.

python experiments/benchmarks/evaluate.py --model=runs/a/final.keras --data_dir=DIR

DIR holds CIFAR-10-C and cifar-10-batches-py; `python -m dynmix_tf.corrupt` makes the former of the
latter. For each corruption a bare `model.predict` of its 50,000 images, in memory as float32, and
the evaluation of the same images from their files take turns; what is told is the ratio of the sums
of their wall times. The peak memory of `python -m dynmix_tf.evaluate` (VmHWM of the process) is
compared with that of a process that loads the model and predicts one batch. A row goes to
experiments/results/evaluate_benchmark.csv.
"""

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from dynmix_tf.files import append_line

ROWS = Path(__file__).parent.parent / "results" / "evaluate_benchmark.csv"
FIELDS = (
    "model,corruptions,images,predict_seconds,evaluate_seconds,ratio,model_mib,evaluate_mib,machine"
)
ONE_BATCH = """
import sys, numpy as np, keras
model = keras.saving.load_model(sys.argv[1], compile=False)
model.predict(np.zeros((256, 32, 32, 3), np.float32), batch_size=256, verbose=0)
"""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", required=True, help="a .keras file")
    parser.add_argument("--data_dir", required=True, help="the DIR")
    parser.add_argument("--csv", type=Path, default=ROWS, help="of rows; default: that above")
    arguments = parser.parse_args()
    alone = peak_mib([sys.executable, "-c", ONE_BATCH, arguments.model])
    with tempfile.TemporaryDirectory() as folder:
        evaluation = peak_mib(
            [
                sys.executable, "-m", "dynmix_tf.evaluate", f"--model={arguments.model}",
                "--benchmark=cifar10_c", f"--data_dir={arguments.data_dir}", "--dataset=cifar10",
                f"--output_dir={folder}",
            ]
        )  # fmt: skip
    names, images, bare, ours = take_turns(arguments.model, arguments.data_dir)
    values = [
        Path(arguments.model).stem, names, images, f"{bare:.1f}", f"{ours:.1f}",
        f"{ours / bare:.3f}", f"{alone:.0f}", f"{evaluation:.0f}",
        f"{os.cpu_count()} cores {platform.machine()}",
    ]  # fmt: skip
    if not arguments.csv.exists():
        append_line(arguments.csv, FIELDS)
    append_line(arguments.csv, ",".join(map(str, values)))
    print(dict(zip(FIELDS.split(","), values, strict=True)))


def peak_mib(command: list[str]) -> float:
    """Runs a command in a child of a child, so that only its own peak is seen."""
    code = (
        "import resource, subprocess, sys; status = subprocess.call(sys.argv[1:], "
        "stdout=sys.stderr); print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss); "
        "sys.exit(status)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *command], stdout=subprocess.PIPE, check=True
    )
    return int(done.stdout) / 1024


def take_turns(path: str, data_dir: str) -> tuple[int, int, float, float]:
    """Corruptions, images, and the seconds of the bare predictions and of the evaluations."""
    import keras

    from dynmix_tf import corruptions, data, scoring
    from dynmix_tf.benchmarks import CifarCBenchmark, find_cifar_c
    from dynmix_tf.predictors import load_predictor

    clean = data.load("cifar10", data_dir=data_dir)
    folder = find_cifar_c("cifar10_c", data_dir)
    model, predict = keras.saving.load_model(path, compile=False), load_predictor(path)
    identity = {"model": Path(path).stem, "method": "", "epoch": 0}
    count, bare, ours = 0, 0.0, 0.0
    for index, name in enumerate(["fog", *corruptions.names()]):  # the first to warm up
        benchmark = CifarCBenchmark(folder, clean.test_images, clean.test_labels, names=[name])
        benchmark.conditions.remove(("clean", 0))
        stored = [images for s in range(1, 6) for images, _ in benchmark.batches(name, s, 1000)]
        images = np.concatenate(stored).astype(np.float32)
        begin = time.perf_counter()
        model.predict(images, batch_size=256, verbose=0)
        middle = time.perf_counter()
        with tempfile.TemporaryDirectory() as output:
            csv_path = Path(output) / "robustness.csv"
            scoring.score(predict, benchmark, csv_path, Path(output) / "images", identity)
        end = time.perf_counter()
        if index:
            count += len(images)
            bare += middle - begin
            ours += end - middle
    return len(corruptions.names()), count, bare, ours


if __name__ == "__main__":
    main()
