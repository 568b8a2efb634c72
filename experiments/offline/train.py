"""Trains with JAX on a machine without TensorFlow and without a network.

python train.py --dataset=images.npz --model=wrn_40_2 --method=dynmix --workdir=runs/a

The settings are those of `python -m dynmix_tf.train`, and so is the run directory; `--flagfile`
takes a recipe. Images and augmentation live on the accelerator, inside the training step. The
command stops before `--minutes` are over, after a whole epoch, with exit status 75; the same
command continues, until it ends with status 0 and the evaluation under corruption. `methods.sh`
does it for several methods.
"""

import os
import sys
import time
from pathlib import Path

import unpack

unpack.use_wheels(Path(__file__).parent)
os.environ["KERAS_BACKEND"] = "jax"

from absl import flags  # noqa: E402

from dynmix_tf import commands  # noqa: E402
from dynmix_tf.config import SECTIONS, TrainConfig  # noqa: E402
from dynmix_tf.errors import InputError  # noqa: E402

commands.define_flags(TrainConfig)
flags.adopt_module_key_flags(commands)
WORKDIR = flags.DEFINE_string("workdir", "", "folder of the run; needed")
MINUTES = flags.DEFINE_float(
    "minutes", 8.0, "longest time that one command trains, minutes", lower_bound=0
)
EVALUATE = flags.DEFINE_bool("evaluate", True, "evaluate under generated corruption at the end")

TO_BE_CONTINUED = 75
METHODS = ("standard", "augmix", "dynmix")  # whose views are made on the accelerator
# what the loop over steps does not do; --strategy and --jit_compile have nothing to choose here
UNUSED = (
    "keep_original", "image_size", "skip_damaged", "crop", "ema", "accumulation_steps",
    "jit_compile", "strategy",
)  # fmt: skip


def main() -> None:
    config = commands.settings_from_flags(TrainConfig)
    refuse_unused(config)
    if not WORKDIR.value:
        raise InputError("--workdir is missing: the folder of the run, such as --workdir=runs/a")
    workdir = Path(WORKDIR.value)
    begin = time.monotonic()

    from dynmix_tf import models, runs

    models.check_name(config.model)
    runs.open_run(config, workdir)
    data = runs.load_data(config.to_json())
    if config.deterministic:  # before JAX starts
        deterministic = "--xla_gpu_deterministic_ops=true"
        os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {deterministic}".strip()
    commands.write_flags(workdir / "flags.txt")

    import loop

    network = loop.train(config, data, workdir, begin + 60 * MINUTES.value)
    if network is None:
        sys.exit(TO_BE_CONTINUED)
    if EVALUATE.value:
        from dynmix_tf import predictors, scoring
        from dynmix_tf.benchmarks import GeneratedBenchmark

        benchmark = GeneratedBenchmark(
            data.test_images, data.test_labels, data.name, num_classes=data.num_classes
        )
        rows = scoring.score(
            predictors.network_predictor(network),
            benchmark,
            workdir / "robustness.csv",
            workdir / "robustness_images",
            runs.identity(workdir),
            batch_size=2000,  # an accelerator is kept waiting by small ones
            label=f"evaluate {config.method}",
        )
        errors = [row["error"] for row in rows if row["corruption"] != "clean"]
        print(f"clean error {100 * rows[0]['error']:.1f} %, ", end="")
        print(f"mean corruption error {100 * sum(errors) / len(errors):.1f} %")


def refuse_unused(config: TrainConfig) -> None:
    if config.method not in METHODS:
        raise InputError(
            f"offline training knows --method={', '.join(METHODS)}. Received: {config.method}; "
            "train with python -m dynmix_tf.train"
        )
    defaults = TrainConfig(method=config.method)
    for name in UNUSED:
        value = getattr(config, name)
        if value != getattr(defaults, name):
            raise InputError(
                f"offline training does not know --{name}={value}; leave it out, or train with "
                "python -m dynmix_tf.train"
            )


if __name__ == "__main__":
    own = {"The run": (WORKDIR.name, MINUTES.name, EVALUATE.name)}
    commands.run(main, {**own, **SECTIONS})
