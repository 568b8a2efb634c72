"""Trains an image classifier that withstands corruption.

python -m dynmix_tf.train --dataset=fashion_mnist --model=small_cnn --method=dynmix --workdir=runs/a
python -m dynmix_tf.train --dataset=photos --num_train=900 --epochs=2 --workdir=runs/trial
python -m dynmix_tf.train --workdir=runs/wrn --data_dir=data \\
    --flagfile=experiments/recipes/table_1_wideresnet_dynmix_cifar10.flags

The work directory is the run: the same command continues it where it was, and a command of other
settings is refused. It ends with the evaluation under corruption and a report, unless --noevaluate.
It gets flags.txt, config.json, metrics.jsonl (a line for each epoch), robustness.csv (a row for
each corruption and severity), checkpoints/, final.keras, export/ (a SavedModel), report.md,
report.html and tensorboard/.

Environment: KERAS_BACKEND=jax trains on JAX. TF_CONFIG names the workers of a training on several
machines, which each run this command; the first one writes. CUDA_VISIBLE_DEVICES chooses GPUs.
"""

from pathlib import Path

from absl import flags

from dynmix_tf import commands
from dynmix_tf.config import SECTIONS, TrainConfig
from dynmix_tf.errors import InputError

commands.define_flags(TrainConfig)
flags.adopt_module_key_flags(commands)
WORKDIR = flags.DEFINE_string("workdir", "", "folder of the run; needed")
ROBUSTNESS_EVERY = flags.DEFINE_integer(
    "robustness_every",
    0,
    "evaluate under corruption after every so many epochs too; 0 is never",
    lower_bound=0,
)
EVALUATE = flags.DEFINE_bool(
    "evaluate", True, "at the end, score the test images under generated corruption"
)
PROFILE = flags.DEFINE_bool(
    "profile", False, "trace ten steps, from the 11th on, for TensorBoard's profiler"
)
_OWN = {"The run": ("workdir", "evaluate", "robustness_every", "profile")}


def main() -> None:
    """Checks the flags and the data, then trains, exports, evaluates and reports."""
    config = commands.settings_from_flags(TrainConfig)
    if not WORKDIR.value:
        raise InputError("--workdir is missing: the folder of the run, such as --workdir=runs/a")
    workdir = Path(WORKDIR.value)

    from dynmix_tf import models, runs
    from dynmix_tf.cluster import cluster_of

    models.check_name(config.model)
    cluster = cluster_of(config.strategy)
    is_chief = cluster is None or cluster.is_chief
    if is_chief:
        runs.open_run(config, workdir)
    images = runs.load_training_data(config)
    commands.load_tensorflow(start=cluster is None)
    from dynmix_tf import engine, predictors, scoring
    from dynmix_tf.benchmarks import GeneratedBenchmark
    from dynmix_tf.callbacks import RobustnessEvaluation
    from dynmix_tf.export import load_model
    from dynmix_tf.reports.report import write_report

    if not is_chief:
        engine.train(config, images, workdir)
        return
    commands.write_flags(workdir / "flags.txt")
    benchmark = GeneratedBenchmark(
        images.test_images, images.test_labels, images.name, num_classes=images.num_classes
    )
    callbacks = []
    if ROBUSTNESS_EVERY.value:
        path = workdir / "robustness_by_epoch.csv"
        names = {"model_name": config.model, "method": config.method}
        callbacks = [
            RobustnessEvaluation(
                benchmark,
                ROBUSTNESS_EVERY.value,
                path,
                log_dir=workdir / "tensorboard" / "robustness",
                **names,
            )
        ]
    trained = {"": engine.train(config, images, workdir, callbacks, PROFILE.value)}
    if EVALUATE.value:
        if config.operations:
            scoring.warn_of_overlap(config.operations, benchmark)
        if config.ema:
            trained["_raw"] = load_model(workdir / "final_raw.keras")
        for which, network in trained.items():
            rows = scoring.score(
                predictors.network_predictor(network),
                benchmark,
                workdir / f"robustness{which}.csv",
                workdir / f"robustness{which}_images",
                runs.identity(workdir),
                label=f"evaluate {config.method}{which}",
            )
            if config.ema:
                errors = [row["error"] for row in rows]
                print(
                    f"{'last' if which else 'averaged'} weights: clean error {errors[0]:.1%}, "
                    f"corrupted {sum(errors[1:]) / len(errors[1:]):.1%}"
                )
        print(f"report: {write_report(workdir, [workdir])}")


if __name__ == "__main__":
    commands.run(main, {**_OWN, **SECTIONS})
