"""Scores a trained model under corruption.

python -m dynmix_tf.evaluate --model=runs/a/export --benchmark=generated --output_dir=runs/a/again
python -m dynmix_tf.evaluate --model=runs/a/export --benchmark=cifar10_c --data_dir=d --output_dir=c

The model is a .keras file or a SavedModel folder. The rows of robustness.csv are appended as they
are measured, so an interrupted evaluation continues. For a model inside a run's folder the data
set's flags are those of the run. For cifar10_c and cifar100_c --data_dir holds CIFAR-10-C or
CIFAR-100-C (the folder of .npy files), or is that folder; the clean images are those of --dataset,
or of CIFAR in the same --data_dir.
"""

from pathlib import Path
from typing import Any

from absl import flags

from dynmix_tf import commands
from dynmix_tf.errors import InputError, unknown_name

MODEL = flags.DEFINE_string("model", "", "a .keras file or the folder of a SavedModel; needed")
BENCHMARKS = ("generated", "cifar10_c", "cifar100_c")
BENCHMARK = flags.DEFINE_string(
    "benchmark", "generated", f"what to score on ({' | '.join(BENCHMARKS)})"
)
VERIFY = flags.DEFINE_bool("verify", False, "compare the benchmark's files with their md5 first")
OUTPUT_DIR = flags.DEFINE_string("output_dir", "", "folder for robustness.csv; needed")
DATASET = flags.DEFINE_string("dataset", None, "data set whose test images are corrupted")
DATA_DIR = flags.DEFINE_string("data_dir", None, "folder of the data set's files")
NUM_TEST = flags.DEFINE_integer("num_test", None, "test images to use; 0 is all", lower_bound=0)
CORRUPTIONS = flags.DEFINE_list("corruptions", [], "corruptions to use; all where empty")
STRENGTHS = flags.DEFINE_enum(
    "strengths", "auto", ["auto", "cifar", "imagenet"], "table of corruption strengths"
)
BENCHMARK_SEED = flags.DEFINE_integer("benchmark_seed", 0, "of the corruptions", lower_bound=0)
BATCH_SIZE = flags.DEFINE_integer("batch_size", 256, "images in a forward pass", lower_bound=1)


def main() -> None:
    """Checks the flags and the data, then scores the model and prints the table."""
    for flag in (MODEL, OUTPUT_DIR):
        if not flag.value:
            raise InputError(f"--{flag.name} is missing; see --help")
    if BENCHMARK.value not in BENCHMARKS:
        raise unknown_name("--benchmark", BENCHMARK.value, BENCHMARKS)
    generated = BENCHMARK.value == "generated"
    for flag in (VERIFY,) if generated else (STRENGTHS, BENCHMARK_SEED):
        if flag.value != flag.default:
            raise InputError(
                f"--{flag.name} does nothing with --benchmark={BENCHMARK.value}; leave it out"
            )
    if not generated and not DATA_DIR.value:
        raise InputError(f"--data_dir is missing: where {BENCHMARK.value} lies")

    from dynmix_tf import benchmarks, corruptions, data, predictors, runs, scoring

    model, output_dir = Path(MODEL.value), Path(OUTPUT_DIR.value)
    predictors.check_model(model)
    try:
        settings = runs.settings(model.parent)
        identity = runs.identity(model.parent)
    except InputError:  # a model from elsewhere
        settings, identity = {}, {"model": model.name, "method": "", "epoch": 0}

    operations = settings.get("operations", ())  # what the model was trained with, where known
    if DATASET.value not in (None, settings.get("dataset")):
        settings = {}  # the run's settings are of its own data
    asked = {flag.name: flag.value for flag in (DATASET, DATA_DIR, NUM_TEST)}
    if not generated:
        del asked["data_dir"]  # that of the benchmark
        if not settings.get("dataset") and DATASET.value in (None, "cifar10", "cifar100"):
            name = BENCHMARK.value.removesuffix("_c")
            settings = {"dataset": name, "data_dir": DATA_DIR.value}
    settings |= {name: value for name, value in asked.items() if value is not None}
    settings["num_train"] = 0
    if not settings.get("dataset"):
        raise InputError(f"--dataset is missing; one of {', '.join(data.names())} or a .npz file")
    images = runs.load_data(settings)
    chosen = CORRUPTIONS.value or None
    given = (images.test_images, images.test_labels, images.name, chosen)
    benchmark: Any
    if generated:
        benchmark = benchmarks.GeneratedBenchmark(
            *given,
            seed=BENCHMARK_SEED.value,
            strengths=STRENGTHS.value,
            num_classes=images.num_classes,
        )
    else:
        folder = benchmarks.find_cifar_c(BENCHMARK.value, DATA_DIR.value)
        if VERIFY.value:
            benchmarks.verify_cifar_c(BENCHMARK.value, folder, chosen or corruptions.names())
        benchmark = benchmarks.CifarCBenchmark(
            folder, *given, name=BENCHMARK.value, num_classes=images.num_classes
        )
    commands.load_tensorflow()
    if operations:
        scoring.warn_of_overlap(operations, benchmark)
    rows = scoring.score(
        predictors.load_predictor(model),
        benchmark,
        output_dir / "robustness.csv",
        output_dir / "robustness_images",
        identity,
        BATCH_SIZE.value,
        label=f"evaluate {model.name}",
    )
    from dynmix_tf.reports import summary, tables

    if any(row["corruption"] in corruptions.names() for row in rows):
        label = tables.METHOD_NAMES.get(identity["method"], identity["model"])
        print(tables.comparison_text({label: summary.summary(rows)}))
    else:  # extra corruptions count for no mean
        for row in rows:
            print(f"{row['corruption']} {row['severity']}: error {100 * row['error']:.1f} %")


if __name__ == "__main__":
    commands.run(main)
