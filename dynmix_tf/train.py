"""Trains an image classifier that withstands corruption.

python -m dynmix_tf.train --dataset=fashion_mnist --model=small_cnn --method=dynmix --workdir=runs/a

The work directory is the run: the same command continues it where it was, and a command of other
settings is refused. It ends with the evaluation under corruption and a report, unless --noevaluate.
Several workers each run this command, with TF_CONFIG in their environments; the first one writes.
"""

from pathlib import Path

from absl import flags

from dynmix_tf import commands
from dynmix_tf.config import TrainConfig
from dynmix_tf.errors import InputError

commands.define_flags(TrainConfig)
flags.adopt_module_key_flags(commands)
WORKDIR = flags.DEFINE_string("workdir", "", "folder of the run; needed")
ROBUSTNESS_EVERY = flags.DEFINE_integer(
    "robustness_every", 0, "epochs between evaluations while training; 0 is none", lower_bound=0
)
EVALUATE = flags.DEFINE_bool("evaluate", True, "evaluate under generated corruption at the end")
PROFILE = flags.DEFINE_bool(
    "profile", False, "run TensorBoard's profiler over ten steps, from the 11th on"
)


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
    commands.run(main)
