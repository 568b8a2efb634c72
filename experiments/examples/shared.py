"""What the examples share: flags, a training run, its two errors, and the rows they go into."""

from __future__ import annotations

import argparse
import csv
import io
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import keras
import numpy as np
import tensorflow as tf

import dynmix_tf as dm
from dynmix_tf.errors import InputError
from dynmix_tf.files import write_atomic
from dynmix_tf.reports.tables import markdown

FIELDS = ("script", "seed", "setting", "clean_error", "corruption_error", "processor_seconds")
TITLES = ("Setting", "Clean error %", "Mean corruption error %", "Training, processor seconds")
METHODS = ("Standard", "Dynamic Mixup")
DEFAULT = "(default: %(default)s)"  # what a flag's help ends in
BATCH = 64

tf.get_logger().setLevel("ERROR")  # it warns of many networks in one process, which is meant here


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"error: {message}\n")  # without the usage: a mistake is one line


def arguments(description: str) -> argparse.ArgumentParser:
    """A parser with the flags that every example has."""
    parser = _Parser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--seed", type=int, default=0, help=f"of weights, order and views {DEFAULT}"
    )
    parser.add_argument("--csv", type=Path, help="file that gets the rows of the table, too")
    return parser


def count(text: str) -> int:
    """The type of a flag that must be 1 or more."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be 1 or more. Received: {text}")
    return int(text)


def run(main: Callable[[list[str] | None], None], argv: list[str] | None = None) -> None:
    """Runs a script; a user's mistake is one line and exit status 2."""
    try:
        main(argv)
    except (InputError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


def fit(
    network: keras.Model,
    data: dm.data.ImageData,
    method: str,
    epochs: int,
    seed: int,
    learning_rate: float = 0.1,
) -> float:
    """Trains a network, as `own_model_own_folder.py` does step by step.

    Args:
        network: From images 0..255 to logits; its weights change.
        data: Its training images, all in memory.
        method: One of `METHODS`; both have the same optimizer, order and number of steps.
        epochs: Passes over the images; what does not fill a batch is left out of a pass.
        seed: Of the order and the views.
        learning_rate: The first one; it falls to zero along a cosine.

    Returns:
        Processor seconds, of all threads, with those of compiling.
    """
    started = time.process_time()
    keras.utils.set_random_seed(seed)
    mixes = method == "Dynamic Mixup"
    views = dm.Views(dm.DynamicMixup() if mixes else None, before=dm.StandardAugmentation())
    images, labels = np.asarray(data.train_images), data.train_labels
    ds = tf.data.Dataset.from_tensor_slices((images, labels)).shuffle(len(images), seed=seed)
    ds = views.over(ds.batch(min(BATCH, len(images)), drop_remainder=True), seed=seed)
    model = dm.ConsistencyModel(network, consistency="jsd" if mixes else "none")
    schedule = dm.optimizers.cosine_schedule(learning_rate, epochs * len(ds))
    model.compile(dm.optimizers.CoupledSGD(schedule, l2=5e-4))
    model.fit(ds.prefetch(tf.data.AUTOTUNE), epochs=epochs, shuffle=False, verbose=0)
    return time.process_time() - started


def errors(network: keras.Model, data: dm.data.ImageData) -> tuple[float, float]:
    """Error on clean test images, and the mean over 15 corruptions at five severities, per cent."""
    benchmark = dm.GeneratedBenchmark(
        data.test_images, data.test_labels, num_classes=data.num_classes
    )
    predict = dm.predictors.network_predictor(network, output="logits")
    found = []
    for name, severity in benchmark.conditions:
        wrong = [predict(x).argmax(-1) != y for x, y in benchmark.batches(name, severity)]
        found.append(100 * float(np.concatenate(wrong).mean()))
    return found[0], float(np.mean(found[1:]))  # the first condition is the clean images


def report(script: str, seed: int, rows: list[tuple[Any, ...]], path: Path | None) -> None:
    """Prints the rows, and puts them into a CSV file in the place of the same script's and seed's.

    Args:
        script: The script's `__file__`.
        seed: Of the run.
        rows: (setting, clean error and corruption error in per cent, processor seconds).
        path: The CSV file; None writes none.
    """
    cells = [(name, f"{a:.1f}", f"{b:.1f}", f"{seconds:.0f}") for name, a, b, seconds in rows]
    print(markdown(TITLES, cells), end="")
    if path is None:
        return
    own = (Path(script).stem, str(seed))
    known = list(csv.reader(path.read_text().splitlines()))[1:] if path.exists() else []
    lines = [line for line in known if tuple(line[:2]) != own]
    lines += [[*own, name, *(f"{value:.3f}" for value in values)] for name, *values in rows]
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([FIELDS, *sorted(lines, key=lambda x: x[:2])])
    write_atomic(path, text.getvalue())
