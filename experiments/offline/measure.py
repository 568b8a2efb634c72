"""Measures the training step on JAX: images per second, and the share that augmentation takes.

python measure.py --model=wrn_40_2 --batch_size=128 --output=step.csv

A step is timed with its views made on the accelerator, and with ready views, in turns; medians
over `--rounds`, after one step of each that compiles. Images are drawn at random, as a step's
time does not depend on them. One row is appended to the CSV file for each call.
"""

import argparse
import os
import statistics
import sys
import time
from pathlib import Path

import unpack

unpack.use_wheels(Path(__file__).parent)
os.environ["KERAS_BACKEND"] = "jax"

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import keras  # noqa: E402
import loop  # noqa: E402
import numpy as np  # noqa: E402

from dynmix_tf import files  # noqa: E402
from dynmix_tf.config import TrainConfig  # noqa: E402
from dynmix_tf.errors import InputError  # noqa: E402
from dynmix_tf.jax_views import example_keys  # noqa: E402
from dynmix_tf.model_from_config import model_from_config  # noqa: E402

FIELDS = (
    "model", "method", "batch_size", "precision", "step_ms", "ready_step_ms",
    "augmentation_share", "images_per_second", "rounds", "steps_per_round", "device", "cpu_cores",
    "jax", "keras",
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="wrn_40_2", help="network (default: %(default)s)")
    parser.add_argument(
        "--method", default="dynmix", help="standard, augmix or dynmix (default: %(default)s)"
    )
    parser.add_argument("--batch_size", type=int, default=128, help="images (default: %(default)s)")
    parser.add_argument(
        "--precision", default="float32", help="dtype policy (default: %(default)s)"
    )
    parser.add_argument(
        "--rounds", type=int, default=5, help="turns of each (default: %(default)s)"
    )
    parser.add_argument("--steps", type=int, default=20, help="in a round (default: %(default)s)")
    parser.add_argument(
        "--output", type=Path, default=Path("step.csv"), help="(default: %(default)s)"
    )
    arguments = parser.parse_args()
    for name in ("rounds", "steps"):
        if getattr(arguments, name) < 1:
            raise InputError(f"--{name} must be 1 or more. Received: {getattr(arguments, name)}")
    config = TrainConfig(
        model=arguments.model,
        method=arguments.method,
        batch_size=arguments.batch_size,
        precision=arguments.precision,
    )
    keras.config.set_dtype_policy(config.precision)
    draws = np.random.default_rng(0)
    images = draws.integers(0, 256, (4096, 32, 32, 3), dtype="uint8")
    labels = draws.integers(0, 10, 4096, dtype="int32")
    model = model_from_config(config, (32, 32, 3), 10, steps=1000)
    step = loop.make_step(model, config, images, labels)
    index = np.arange(config.batch_size, dtype="int32")
    made = jax.jit(loop.make_views(config))(images[index], example_keys(0, jnp.asarray(index)))
    ready = (made if len(made) > 1 else made[0], jnp.asarray(labels[index]))
    ready_step = jax.jit(model.train_step, donate_argnums=0)

    state = loop.state_of(model)
    seconds: dict[str, list[float]] = {"whole": [], "ready": []}
    for number in range(1 + arguments.rounds):
        for kind in seconds:
            begin = time.perf_counter()
            for _ in range(arguments.steps if number else 1):
                if kind == "whole":
                    state, _ = step(state, index, index.astype("uint32"))
                else:
                    _, state = ready_step(state, ready)
            jax.block_until_ready(state)
            if number:
                seconds[kind].append((time.perf_counter() - begin) / arguments.steps)
    whole, alone = (statistics.median(values) for values in seconds.values())
    row = (
        config.model, config.method, config.batch_size, config.precision, f"{1000 * whole:.2f}",
        f"{1000 * alone:.2f}", f"{1 - alone / whole:.3f}", f"{config.batch_size / whole:.1f}",
        arguments.rounds, arguments.steps, jax.devices()[0].device_kind, os.cpu_count(),
        jax.__version__, keras.__version__,
    )  # fmt: skip
    if not arguments.output.exists():
        files.append_line(arguments.output, ",".join(FIELDS))
    files.append_line(arguments.output, ",".join(map(str, row)))
    print("\n".join(f"{name}: {value}" for name, value in zip(FIELDS, row, strict=True)))


if __name__ == "__main__":
    try:
        main()
    except (InputError, OSError) as error:
        print(" ".join(str(error).split()), file=sys.stderr)
        sys.exit(2)
