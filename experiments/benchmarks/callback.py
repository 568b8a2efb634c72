"""What `RobustnessEvaluation` costs at the end of an epoch, beside a bare `model.predict`.

python experiments/benchmarks/callback.py

The test images of a data set are corrupted in memory: 15 corruptions, five severities, and the
clean ones. Then the callback's end of an epoch (predicting, rows, per-image records, the images
classified worst) and one `model.predict` of all the same images, float32 in memory, take turns.
The callback's first evaluation, which also makes the images, does not count and is told apart.

A row for each round goes to `experiments/results/callback.csv`: wall time, and processor time of
all threads. What is told is the median over the rounds of the ratio within a round.
"""

import argparse
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from dynmix_tf.files import append_line, write_atomic

ROWS = Path(__file__).parent.parent / "results" / "callback.csv"
FIELDS = (
    "round", "images", "predict_wall_s", "callback_wall_s", "predict_cpu_s", "callback_cpu_s",
    "model", "dataset", "versions", "machine",
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--dataset", default="fashion_mnist")
    parser.add_argument("--data_dir", default=None)
    parser.add_argument("--num_test", type=int, default=1000)
    parser.add_argument("--model", default="small_cnn")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--csv", type=Path, default=ROWS)
    arguments = parser.parse_args()

    import keras
    import tensorflow as tf

    import dynmix_tf as dm

    source = dm.data.load(arguments.dataset, data_dir=arguments.data_dir)
    images = source.test_images[: arguments.num_test]
    labels = source.test_labels[: arguments.num_test]
    benchmark = dm.GeneratedBenchmark(images, labels)
    network = dm.models.build(arguments.model, images.shape[1:], source.num_classes)
    everything = np.concatenate(
        [batch for condition in benchmark.conditions for batch, _ in benchmark.batches(*condition)]
    ).astype(np.float32)
    common = [
        arguments.model, arguments.dataset,
        f"tensorflow {tf.__version__} keras {keras.__version__} numpy {np.__version__}",
        f"{os.cpu_count()} cores {platform.machine()}",
    ]  # fmt: skip
    write_atomic(arguments.csv, ",".join(FIELDS) + "\n")
    walls, processors = [], []
    with tempfile.TemporaryDirectory() as folder:
        watch = dm.callbacks.RobustnessEvaluation(benchmark, csv_path=Path(folder) / "rows.csv")
        watch.set_model(network)
        first, _ = timed(lambda: watch.on_epoch_end(0, {}))
        predict(network, everything)
        print(f"the first evaluation, which makes the images: {first:.1f} s")
        for number in range(1, arguments.rounds + 1):
            bare = timed(lambda: predict(network, everything))
            ours = timed(lambda epoch=number: watch.on_epoch_end(epoch, {}))
            walls.append(ours[0] / bare[0])
            processors.append(ours[1] / bare[1])
            figures = (f"{value:.3f}" for pair in zip(bare, ours, strict=True) for value in pair)
            append_line(
                arguments.csv, ",".join(map(str, [number, len(everything), *figures, *common]))
            )
    print(f"{len(everything):,} images, {arguments.rounds} rounds, callback : predict")
    for name, ratios in {"wall": walls, "processor": processors}.items():
        low, middle, high = min(ratios), statistics.median(ratios), max(ratios)
        print(f"{name} time: median {middle:.3f}, {low:.3f} to {high:.3f}")


def predict(network: object, images: np.ndarray) -> None:
    network.predict(images, batch_size=256, verbose=0)  # type: ignore[attr-defined]


def timed(call: Callable[[], None]) -> tuple[float, float]:
    """Seconds by the clock, and of all threads."""
    wall, processor = time.perf_counter(), time.process_time()
    call()
    return time.perf_counter() - wall, time.process_time() - processor


if __name__ == "__main__":
    main()
