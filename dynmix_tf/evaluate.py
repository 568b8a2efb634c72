"""Scores a trained model under corruption, or compares what was scored.

python -m dynmix_tf.evaluate --model=runs/a/export --benchmark=generated --output_dir=runs/a/again
python -m dynmix_tf.evaluate --model=runs/a/export --benchmark=cifar10_c --data_dir=d --output_dir=c
python -m dynmix_tf.evaluate --model=applications:ResNet50 --weights=resnet50.h5 \\
    --benchmark=imagenet_c --data_dir=ImageNet-C --clean_dir=val --output_dir=c
python -m dynmix_tf.evaluate --compare runs/*/ --output_dir=tables

The model is a .keras file, a SavedModel folder or a network of keras.applications. The rows of
robustness.csv are appended as they are measured, so an interrupted evaluation continues; then
<benchmark>_scores.json gets every figure with its interval of 95 % over the images, and
<benchmark>_table.md the row of the paper's table. Errors are printed in per cent; in
robustness.csv they are between 0 and 1.

For a model inside a run's folder the data set's flags are those of the run. The benchmarks, and
where --data_dir finds them:
  generated               the test images of --dataset, corrupted on the fly
  cifar10_c, cifar100_c   <corruption>.npy and labels.npy, beside the clean images: of CIFAR, or of
                          any --dataset in memory, as dynmix_tf.corrupt writes them
  imagenet_c, imagenet_3dcc, imagenet_c_bar     <corruption>/<severity>/<synset>/*.JPEG
  folder_c                the same of the classes of --dataset, a folder of class folders
  imagenet_p, cifar10_p   <perturbation>/<synset>/*.mp4, <perturbation>.npy
  cifar10_corrupted, imagenet2012_corrupted     prepared by TensorFlow Datasets

--compare prints a table of what was measured before, in runs or output folders, with the
differences from the first; --output_dir gets it as comparison.md, .csv and .tex. It takes
--benchmark, where the folders hold several, and --baseline, and nothing else.
"""

from pathlib import Path
from typing import Any

from absl import flags

from dynmix_tf import commands
from dynmix_tf.errors import InputError, unknown_name

MODEL = flags.DEFINE_string(
    "model", "", "a .keras file, the folder of a SavedModel, or applications:<name>; needed"
)
WEIGHTS = flags.DEFINE_string("weights", "", "file of weights for applications:<name>")
OUTPUT = flags.DEFINE_enum(
    "output",
    "auto",
    ["auto", "logits", "probabilities"],
    "what the model gives; auto looks at its last layer or at what it predicts",
)
SIGNATURE = flags.DEFINE_string("signature", "", "endpoint of a SavedModel; empty looks for one")
VALUE_RANGE = flags.DEFINE_list(
    "value_range",
    ["0", "255"],
    "two numbers: what the model takes black and white as, such as 0,1 or -1,1",
)
CLASS_ORDER = flags.DEFINE_string(
    "class_order", "",
    "text file with the name of each output's class, a line each, where their order is not the "
    "benchmark's",
)  # fmt: skip
BENCHMARK = flags.DEFINE_string("benchmark", "generated", "what to score on: see above")
DATA_DIR = flags.DEFINE_string(
    "data_dir", None, "folder of the benchmark's files; of generated, of the data set's"
)
OUTPUT_DIR = flags.DEFINE_string(
    "output_dir", "", "folder for robustness.csv; needed, but by --compare"
)
DATASET = flags.DEFINE_string(
    "dataset", None,
    "data set with the clean test images, as of dynmix_tf.train; needed by generated and folder_c "
    "where the model lies in no run",
)  # fmt: skip
NUM_TEST = flags.DEFINE_integer(
    "num_test",
    None,
    "test images or sequences to use; 0 is all, and without the flag the number of the run, of "
    "folder_c all",
    lower_bound=0,
)
CORRUPTIONS = flags.DEFINE_list(
    "corruptions",
    [],
    "corruptions or perturbations to use; without the flag all of the benchmark's",
)
DIFFICULTIES = flags.DEFINE_list("difficulties", ["1"], "imagenet_p, cifar10_p: of 1 to 3")
STRENGTHS = flags.DEFINE_enum(
    "strengths",
    "auto",
    ["auto", "cifar", "imagenet"],
    "generated: table of strengths; auto is cifar up to 95 px",
)
BENCHMARK_SEED = flags.DEFINE_integer(
    "benchmark_seed", 0, "generated: seed of the corruptions", lower_bound=0
)
IMAGE_SIZE = flags.DEFINE_integer(
    "image_size",
    0,
    "ImageNet's folders: side to which images are resized, pixels; 0 leaves them. generated and "
    "folder_c: side of the data set's images, as of dynmix_tf.train; 0 is that of the run",
    lower_bound=0,
)
CLEAN_DIR = flags.DEFINE_string(
    "clean_dir", "", "ImageNet's folders: class folders of the clean images, for the clean error"
)
VERIFY = flags.DEFINE_bool("verify", False, "CIFAR-C: compare the files with their md5 first")
BASELINE = flags.DEFINE_string(
    "baseline", "",
    "robustness.csv or .json of the network that results are divided by; empty is AlexNet on "
    "ImageNet-C, -3DCC and -P, none elsewhere",
)  # fmt: skip
BATCH_SIZE = flags.DEFINE_integer(
    "batch_size", 256, "images in a forward pass, over all devices", lower_bound=1
)

COMPARE = flags.DEFINE_multi_string(
    "compare", [], "folders with robustness.csv, to be compared with the first; nothing is measured"
)

_OF_BENCHMARKS = (
    DATA_DIR, DATASET, NUM_TEST, CORRUPTIONS, DIFFICULTIES, STRENGTHS, BENCHMARK_SEED, IMAGE_SIZE,
    CLEAN_DIR, VERIFY,
)  # fmt: skip

_SECTIONS = {
    "The model": ("model", "weights", "output", "signature", "value_range", "class_order"),
    "What it is scored on": (
        "benchmark", "data_dir", "dataset", "num_test", "corruptions", "difficulties", "strengths",
        "benchmark_seed", "image_size", "clean_dir", "verify",
    ),
    "The results": ("output_dir", "baseline", "batch_size", "compare"),
}  # fmt: skip


def main() -> None:
    """Checks the flags and the data, then scores the model and prints the table."""
    if COMPARE.value:
        _compare()
        return
    for flag in (MODEL, OUTPUT_DIR):
        if not flag.value:
            raise InputError(f"--{flag.name} is missing; see --help")

    from dynmix_tf.benchmarks import opening

    name = BENCHMARK.value
    if name not in opening.BENCHMARKS:
        raise unknown_name("--benchmark", name, opening.BENCHMARKS)
    for flag in _OF_BENCHMARKS:
        if flag.value != flag.default and flag.name not in opening.OPTIONS[name]:
            raise InputError(f"--{flag.name} does nothing with --benchmark={name}; leave it out")
    if not DATA_DIR.value and name != "generated" and not name.endswith("_corrupted"):
        raise InputError(f"--data_dir is missing: where {name} lies")
    value_range = _numbers(VALUE_RANGE, float)
    difficulties = _numbers(DIFFICULTIES, int)

    from dynmix_tf import predictors, scoring

    predictors.check_model(MODEL.value, WEIGHTS.value or None)
    baseline = _baseline(name)
    identity, operations, images = _run_and_data(name, name in opening.NEEDS_DATASET)
    benchmark = opening.open_benchmark(
        name,
        DATA_DIR.value or "",
        images,
        names=CORRUPTIONS.value or None,
        difficulties=difficulties,
        strengths=STRENGTHS.value,
        seed=BENCHMARK_SEED.value,
        num_test=NUM_TEST.value or 0,
        image_size=IMAGE_SIZE.value,
        clean_dir=CLEAN_DIR.value,
        verify=VERIFY.value,
    )
    classes = getattr(benchmark, "classes", images and images.class_names)
    if CLASS_ORDER.value and not classes:
        raise InputError(f"--class_order does nothing with --benchmark={name}; leave it out")
    commands.load_tensorflow()
    if operations:
        scoring.warn_of_overlap(operations, benchmark)

    import tensorflow as tf

    several = len(tf.config.list_logical_devices("GPU")) > 1
    strategy = tf.distribute.MirroredStrategy() if several else tf.distribute.get_strategy()
    with strategy.scope():
        predict = predictors.load_predictor(
            MODEL.value,
            weights=WEIGHTS.value or None,
            image_size=IMAGE_SIZE.value or None if WEIGHTS.value else None,
            output=OUTPUT.value,
            signature=SIGNATURE.value or None,
            value_range=value_range,
        )
    if CLASS_ORDER.value:
        predict = predictors.in_class_order(predict, CLASS_ORDER.value, classes)
    output_dir = Path(OUTPUT_DIR.value)
    rows = scoring.score(
        predict,
        benchmark,
        output_dir / "robustness.csv",
        output_dir / "robustness_images",
        identity,
        BATCH_SIZE.value,
        label=f"evaluate {identity['model']}",
    )

    from dynmix_tf.reports.score_tables import write_scores

    print(write_scores(output_dir, rows, *baseline), end="")


def _compare() -> None:
    allowed = (COMPARE.name, OUTPUT_DIR.name, BENCHMARK.name, BASELINE.name)
    for flag in (MODEL, WEIGHTS, OUTPUT, SIGNATURE, VALUE_RANGE, CLASS_ORDER, *_OF_BENCHMARKS):
        if flag.value != flag.default:
            raise InputError(
                f"--{flag.name} does nothing with --compare; leave it out. "
                f"Known there: {', '.join(allowed)}"
            )

    from dynmix_tf.reports import tables
    from dynmix_tf.reports.compare import compare, read_evaluation, write_comparison

    asked = BENCHMARK.value if BENCHMARK.present else ""
    evaluations = [read_evaluation(folder, asked) for folder in COMPARE.value]
    table = compare(evaluations, *_baseline(evaluations[0].rows[0]["benchmark"]))
    if OUTPUT_DIR.value:
        write_comparison(OUTPUT_DIR.value, *table)
    print(tables.markdown(*table), end="")


def _baseline(benchmark: str) -> tuple[Any, float | None]:
    """What results are divided by, and the clean error of the same network."""
    from dynmix_tf.benchmarks import opening
    from dynmix_tf.metrics.baselines import read_baseline, read_baseline_clean_error

    if not BASELINE.value:
        return opening.BASELINES.get(benchmark), None
    baseline = read_baseline(BASELINE.value)
    try:
        return baseline, read_baseline_clean_error(BASELINE.value)
    except InputError:  # it has none
        return baseline, None


def _numbers(flag: Any, kind: Any) -> list[Any]:
    try:
        return [kind(text) for text in flag.value]
    except ValueError:
        raise InputError(
            f"--{flag.name} must be numbers with commas between them. "
            f"Received: {','.join(flag.value)}"
        ) from None


def _run_and_data(name: str, needs_data: bool) -> tuple[dict[str, Any], Any, Any]:
    """The rows' identity, the operations that a run trained with, and the data set."""
    from dynmix_tf import data, runs

    model = Path(MODEL.value)
    try:
        settings = runs.settings(model.parent)
        identity = runs.identity(model.parent)
    except InputError:  # a model from elsewhere
        settings, identity = {}, {"model": model.name, "method": "", "epoch": 0}
    operations = settings.get("operations", ())  # what the model was trained with, where known
    if not needs_data:
        return identity, operations, None
    if DATASET.value not in (None, settings.get("dataset")):
        # the run's settings are of its own data, but for the size that a model of files takes
        size = settings.get("image_size", 0) if Path(DATASET.value).is_dir() else 0
        settings = {"image_size": size}
    asked = {flag.name: flag.value for flag in (DATASET, DATA_DIR, NUM_TEST)}
    if name != "generated":
        del asked["data_dir"]  # that of the benchmark
        known = settings.get("dataset") or DATASET.value
        if name.startswith("cifar") and known in (None, "cifar10", "cifar100"):
            own = name.removesuffix("_c")
            settings = {"dataset": own, "data_dir": DATA_DIR.value} | settings
    settings |= {name: value for name, value in asked.items() if value is not None}
    if IMAGE_SIZE.value:
        settings["image_size"] = IMAGE_SIZE.value
    settings["num_train"] = 0
    if name == "folder_c":  # whose images are looked up among all
        settings["num_test"] = 0
    if not settings.get("dataset"):
        raise InputError(f"--dataset is missing; one of {', '.join(data.names())} or a .npz file")
    return identity, operations, runs.load_data(settings)


if __name__ == "__main__":
    commands.run(main, _SECTIONS, several=COMPARE)
