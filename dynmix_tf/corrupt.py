"""Writes a corrupted copy of a data set, laid out as CIFAR-10-C or ImageNet-C.

python -m dynmix_tf.corrupt --dataset=photos --output_dir=photos_c
python -m dynmix_tf.corrupt --dataset=cifar10 --data_dir=data --output_dir=cifar10_c \\
    --corruptions=fog,snow --severities=1,3,5
python -m dynmix_tf.corrupt --dataset=birds --image_size=224 --benchmark=p --output_dir=birds_p

Images in memory become <corruption>.npy and labels.npy, as in CIFAR-10-C; images above 64 px in
class folders become <corruption>/<severity>/<class>/<name>.JPEG, as in ImageNet-C. --benchmark=p
writes sequences of frames instead, as CIFAR-10-P (.npy) and ImageNet-P (.mp4). The same command
continues an interrupted one with the same bytes as a result; manifest.json says what was written.
"""

from pathlib import Path

from absl import flags

from dynmix_tf import commands
from dynmix_tf.benchmark_files.settings import BENCHMARKS, SPLITS, TABLES, Settings, whole_numbers
from dynmix_tf.errors import InputError

DATASET = flags.DEFINE_string(
    "dataset",
    "",
    "fashion_mnist, photos, cifar10, cifar100, imagenet2012, the path of a folder of class folders "
    "or of a .npz file, or tfds:<name> of TensorFlow Datasets; needed",
)
OUTPUT_DIR = flags.DEFINE_string("output_dir", "", "folder of the benchmark; needed")
DATA_DIR = flags.DEFINE_string(
    "data_dir", "", "folder of the data set's files, as of dynmix_tf.train"
)
IMAGE_SIZE = flags.DEFINE_integer(
    "image_size",
    0,
    "side of the images, pixels: of photos (0 is 32), and of folders, imagenet2012 and tfds:<name> "
    "(0 is 224; small images of tfds:<name> stay as they are)",
)
SKIP_DAMAGED = flags.DEFINE_bool(
    "skip_damaged",
    False,
    "leave out files of a class folder that are no complete image; otherwise they are a mistake",
)
SPLIT = flags.DEFINE_enum("split", "test", SPLITS, "which images are corrupted")
NUM_TEST = flags.DEFINE_integer("num_test", 0, "how many of them, the first ones; 0 is all")
BENCHMARK = flags.DEFINE_enum(
    "benchmark", "c", BENCHMARKS, "c: corruptions at five severities; p: sequences of frames"
)
CORRUPTIONS = flags.DEFINE_list(
    "corruptions", [], "which to write; without the flag the benchmark's fifteen (c) or ten (p)"
)
EXTRA = flags.DEFINE_bool(
    "extra", False, "the benchmark's four extra ones as well, where none are named"
)
SEVERITIES = flags.DEFINE_list("severities", [1, 2, 3, 4, 5], "c: of 1 to 5")
DIFFICULTIES = flags.DEFINE_list("difficulties", [1, 2, 3], "p: of the noise sequences, of 1 to 3")
STRENGTHS = flags.DEFINE_enum(
    "strengths", "auto", TABLES, "table of strengths; auto is cifar up to 95 px"
)
SEED = flags.DEFINE_integer("seed", 0, "seed of the corruptions")
QUALITY = flags.DEFINE_integer("quality", 85, "quality of JPEG files, 1 to 95")
WORKERS = flags.DEFINE_integer("workers", 0, "processes; 0 is one for each core", lower_bound=0)

_SECTIONS = {
    "Images": (
        "dataset", "data_dir", "split", "num_test", "image_size", "skip_damaged",
    ),
    "Corruptions": (
        "benchmark", "corruptions", "extra", "severities", "difficulties", "strengths", "seed",
    ),
    "Output": ("output_dir", "quality", "workers"),
}  # fmt: skip


def main() -> None:
    """Checks the flags, then writes the benchmark."""
    for flag in (DATASET, OUTPUT_DIR):
        if not flag.value:
            raise InputError(f"--{flag.name} is missing; see --help")
    of_sequences = BENCHMARK.value == "p"
    for flag, useless, beside in (
        (EXTRA, CORRUPTIONS.value, "--corruptions"),
        (SEVERITIES, of_sequences, "--benchmark=p"),
        (DIFFICULTIES, not of_sequences, "--benchmark=c"),
    ):
        if flag.present and useless:
            raise InputError(f"--{flag.name} does nothing with {beside}; leave it out")
    settings = Settings(
        dataset=DATASET.value,
        data_dir=DATA_DIR.value,
        image_size=IMAGE_SIZE.value,
        skip_damaged=SKIP_DAMAGED.value,
        split=SPLIT.value,
        num_test=NUM_TEST.value,
        benchmark=BENCHMARK.value,
        corruptions=tuple(CORRUPTIONS.value),
        extra=EXTRA.value,
        severities=whole_numbers("severities", SEVERITIES.value),
        difficulties=whole_numbers("difficulties", DIFFICULTIES.value),
        strengths=STRENGTHS.value,
        seed=SEED.value,
        quality=QUALITY.value,
    )

    from dynmix_tf.benchmark_files.writing import write_benchmark

    print(write_benchmark(settings, Path(OUTPUT_DIR.value), WORKERS.value))


if __name__ == "__main__":
    commands.run(main, _SECTIONS)
