"""What a step on three views costs beside plain Keras training, and how long it waits for data.

python experiments/benchmarks/train_step.py

On each backend, in a process of its own, three trainings of one network take turns, round by round:
`ConsistencyModel` by `fit` on B x 3 views, the same by the loop of `dynmix_tf.train` (TensorFlow),
and the network alone, compiled with cross-entropy and accuracy, by `fit` on the same 3B images.
Batches are made beforehand, so steps are compared and nothing else. Then the run's own stream of
Dynamic Mixup's views feeds the training, and the share of the time that it waits is measured.

A row for each round goes to `experiments/results/train_step.csv`: wall time, and processor time of
all threads, which other programs on the machine disturb less. Ratios are medians over the rounds of
the ratio within a round. The first step of each does not count: in it steps are traced and
compiled.
"""

import argparse
import os
import platform
import statistics
import subprocess
import sys
import time
from collections import deque
from pathlib import Path

from dynmix_tf.files import append_line, write_atomic

ROWS = Path(__file__).parent.parent / "results" / "train_step.csv"
FIELDS = (
    "backend", "training", "round", "steps", "images_per_step", "wall_ms_per_step",
    "cpu_ms_per_step", "waiting_for_data", "model", "seed", "versions", "machine",
)  # fmt: skip
BACKENDS = ("tensorflow", "jax")
PLAIN = "plain on 3B images"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--backends", nargs="*", default=BACKENDS, choices=BACKENDS, help="both")
    parser.add_argument("--model", default="small_cnn", help="network (default: %(default)s)")
    parser.add_argument("--batch_size", type=int, default=64, help="B (default: %(default)s)")
    parser.add_argument(
        "--rounds", type=int, default=40, help="turns of each (default: %(default)s)"
    )
    parser.add_argument("--steps", type=int, default=6, help="in a round (default: %(default)s)")
    parser.add_argument(
        "--seed", type=int, default=0, help="of images and weights (default: %(default)s)"
    )
    parser.add_argument("--csv", type=Path, default=ROWS, help="of rows; default: that above")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.here:
        measure(arguments)
        return
    write_atomic(arguments.csv, ",".join(FIELDS) + "\n")
    for backend in arguments.backends:
        environment = {**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
        command = [sys.executable, __file__, "--here", *sys.argv[1:], f"--csv={arguments.csv}"]
        subprocess.run(command, check=True, env=environment)


def measure(arguments: argparse.Namespace) -> None:
    """All rounds on this process' backend."""
    import keras
    import tensorflow as tf

    from dynmix_tf import data, models, runs
    from dynmix_tf.callbacks import WaitingTime
    from dynmix_tf.config import TrainConfig
    from dynmix_tf.model_from_config import model_from_config
    from dynmix_tf.optimizers import CoupledSGD
    from dynmix_tf.pipeline import training_dataset

    on_tensorflow = keras.backend.backend() == "tensorflow"
    if not on_tensorflow:
        tf.config.set_visible_devices([], "GPU")
    config = TrainConfig(
        dataset="photos", model=arguments.model, batch_size=arguments.batch_size,
        seed=arguments.seed, learning_rate=0.01, epochs=1000,
    )  # fmt: skip
    photos = data.load("photos", num_train=1000, num_test=9)
    keras.utils.set_random_seed(config.seed)
    stream = training_dataset(config, photos)
    views, labels = next(iter(stream))
    batches = tf.data.Dataset.from_tensors((views, labels)).repeat()
    joined = (tf.concat(views, axis=0), tf.tile(labels, [3]))
    plain_batches = tf.data.Dataset.from_tensors(joined).repeat()

    model = model_from_config(config, photos.image_shape, photos.num_classes, arguments.steps)
    plain = models.build(config.model, photos.image_shape, photos.num_classes, seed=config.seed)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    plain.compile(CoupledSGD(0.01, l2=5e-4), loss, metrics=["accuracy"])
    once = {"steps_per_epoch": arguments.steps, "epochs": 1, "shuffle": False, "verbose": 0}
    trainings = {
        PLAIN: lambda clock: plain.fit(plain_batches, callbacks=[clock], **once),
        "three views": lambda clock: model.fit(batches, callbacks=[clock], **once),
    }
    if on_tensorflow:
        from dynmix_tf.train_loop import fit

        trainings["three views by the own loop"] = lambda clock: fit(
            model, lambda context: batches, steps=arguments.steps, epochs=1, callbacks=[clock]
        )

    class Clock(keras.callbacks.Callback):
        """Times an epoch from the end of its first step, in which it is traced and compiled."""

        def on_train_batch_end(self, batch, logs=None):
            if batch == 0:
                float(logs["loss"])  # waits for the device
                self.began = time.perf_counter(), time.process_time()

        def on_epoch_end(self, epoch, logs=None):
            now = time.perf_counter(), time.process_time()
            self.wall, self.cpu = (1000 * (b - a) for a, b in zip(self.began, now, strict=True))

    environment = runs.environment(keras.backend.backend(), ["-"], xla=not on_tensorflow)
    versions = " ".join(f"{name}-{version}" for name, version in environment["versions"].items())
    machine = f"{os.cpu_count()} cores {platform.machine()}"
    measured: dict[str, list[tuple[float, float]]] = {name: [] for name in trainings}

    def keep(training: str, number: int, steps: int, times: list[str]) -> None:
        values = (keras.backend.backend(), training, number, steps, 3 * config.batch_size, *times,
                  config.model, config.seed, versions, machine)  # fmt: skip
        append_line(arguments.csv, ",".join(map(str, values)))

    steps = arguments.steps - 1
    for number in range(arguments.rounds + 1):
        turns = deque(trainings)
        turns.rotate(number)
        for training in turns:
            clock = Clock()
            trainings[training](clock)
            if number:  # the first round warms up
                times = clock.wall / steps, clock.cpu / steps
                measured[training].append(times)
                keep(training, number, steps, [f"{times[0]:.1f}", f"{times[1]:.1f}", ""])

    waiting, clock = WaitingTime(), Clock()
    if on_tensorflow:
        fit(model, lambda context: stream, steps=arguments.steps, epochs=1, waiting=waiting,
            callbacks=[waiting, clock])  # fmt: skip
    else:
        model.fit(waiting.over(stream), callbacks=[waiting, clock], **once)
    times = [f"{clock.wall / steps:.1f}", f"{clock.cpu / steps:.1f}", f"{waiting.share:.4f}"]
    keep("three views made meanwhile", 1, steps, times)

    print(f"{keras.backend.backend()}: {waiting.verdict()}")
    for training, all_times in measured.items():
        wall, cpu = map(statistics.median, zip(*all_times, strict=True))
        ratios = [
            statistics.median(
                one[i] / other[i] for one, other in zip(all_times, measured[PLAIN], strict=True)
            )
            for i in range(2)
        ]
        print(
            f"  {training}: {wall:.1f} ms a step, {cpu:.1f} ms of CPU; "
            f"{ratios[0]:.3f} and {ratios[1]:.3f} times plain"
        )


if __name__ == "__main__":
    main()
