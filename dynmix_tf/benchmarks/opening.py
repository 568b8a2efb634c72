"""Benchmarks by name: what each is read from, and what its errors are divided by."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dynmix_tf import corruptions, metrics
from dynmix_tf.benchmarks.cifar_c import CifarCBenchmark, find_cifar_c, verify_cifar_c
from dynmix_tf.benchmarks.corrupted_tfds import CorruptedTfdsBenchmark
from dynmix_tf.benchmarks.generated import GeneratedBenchmark
from dynmix_tf.benchmarks.image_folders import ImageFolderBenchmark
from dynmix_tf.benchmarks.perturbations import Cifar10PBenchmark, ImageNetPBenchmark
from dynmix_tf.data import ImageData, ImageFiles
from dynmix_tf.data.class_folders import read_classes
from dynmix_tf.errors import InputError

__all__ = ["BASELINES", "BENCHMARKS", "NEEDS_DATASET", "OPTIONS", "open_benchmark"]

_ARRAYS = ("num_test", "corruptions", "dataset")
_FOLDERS = ("data_dir", "num_test", "corruptions", "image_size", "clean_dir")
_SEQUENCES = ("data_dir", "num_test", "corruptions", "difficulties")

OPTIONS: dict[str, tuple[str, ...]] = {
    "generated": (*_ARRAYS, "data_dir", "image_size", "strengths", "benchmark_seed"),
    "cifar10_c": (*_ARRAYS, "data_dir", "verify"),
    "cifar100_c": (*_ARRAYS, "data_dir", "verify"),
    "imagenet_c": _FOLDERS,
    "imagenet_c_bar": _FOLDERS,
    "imagenet_3dcc": _FOLDERS,
    "folder_c": (*_ARRAYS, "data_dir", "image_size"),
    "imagenet_p": _SEQUENCES,
    "cifar10_p": _SEQUENCES,
    "cifar10_corrupted": ("data_dir", "corruptions"),
    "imagenet2012_corrupted": ("data_dir", "corruptions"),
}
"""The benchmarks, and which options of `evaluate` mean something to each."""

BENCHMARKS = tuple(OPTIONS)

NEEDS_DATASET = ("generated", "cifar10_c", "cifar100_c", "folder_c")
"""Those that are made of the images of a data set, or are read beside them."""

BASELINES: dict[str, Mapping[str, Any]] = {
    "imagenet_c": metrics.ALEXNET_IMAGENET_C,
    "imagenet_3dcc": metrics.ALEXNET_IMAGENET_3DCC,
    "imagenet_p": metrics.ALEXNET_IMAGENET_P,
}
"""AlexNet's own results, where a benchmark is told relative to them."""


def open_benchmark(
    name: str,
    data_dir: str | os.PathLike[str],
    images: ImageData | None = None,
    *,
    names: Sequence[str] | None = None,
    difficulties: Sequence[int] = (1,),
    strengths: str = "auto",
    seed: int = 0,
    num_test: int = 0,
    image_size: int = 0,
    clean_dir: str | os.PathLike[str] = "",
    verify: bool = False,
) -> Any:
    """A benchmark by its name.

    Args:
        name: One of `BENCHMARKS`.
        data_dir: Of its files; `generated` has none.
        images: The data set, for those in `NEEDS_DATASET`.
        names: Corruptions or perturbations; None is all of the benchmark.
        difficulties: Of sequences.
        strengths: Of `generated`.
        seed: Of `generated`.
        num_test: Images or sequences of files to use, spread evenly; 0 is all. Those of arrays are
            limited with the data set.
        image_size: Of image folders; 0 is as they are.
        clean_dir: Folder of class folders with the clean images, for image folders of ImageNet.
        verify: Whether the files of CIFAR-C are compared with their md5.

    Returns:
        A `Benchmark` or `SequenceBenchmark`.

    Raises:
        InputError: What the readers raise.

    Example:
        >>> data = dynmix_tf.data.load("photos", num_test=6)
        >>> len(open_benchmark("generated", "", data, names=["fog"]))
        6
    """
    if name in ("imagenet_p", "cifar10_p"):
        kind: Any = ImageNetPBenchmark if name == "imagenet_p" else Cifar10PBenchmark
        return kind(
            data_dir, names=names, difficulties=difficulties, max_sequences=num_test or None
        )
    if name.endswith("_corrupted"):
        return CorruptedTfdsBenchmark(name, data_dir or None, names)
    if name in ("imagenet_c", "imagenet_c_bar", "imagenet_3dcc"):
        return ImageFolderBenchmark(
            data_dir, name, names=names, clean=_clean_images(clean_dir, image_size or 224),
            max_images=num_test or None, image_size=image_size or None,
        )  # fmt: skip
    if images is None:
        raise InputError(f"{name} needs the images of a data set")
    given = (images.test_images, images.test_labels, images.name, names)
    if name == "generated":
        return GeneratedBenchmark(
            *given, seed=seed, strengths=strengths, num_classes=images.num_classes
        )
    if name == "folder_c":
        if not isinstance(images.test_images, ImageFiles):
            raise InputError(
                f"folder_c is for images in files, those of {images.name} are in memory (up to 64 "
                "px they always are); `corrupt` writes such as arrays: read them as cifar10_c"
            )
        return ImageFolderBenchmark(
            data_dir, name, images.name, names, classes=images.class_names,
            clean=images.test_images, max_images=num_test or None,
        )  # fmt: skip
    folder = find_cifar_c(name, data_dir)
    if verify:
        verify_cifar_c(name, folder, names or corruptions.names())
    return CifarCBenchmark(folder, *given, name=name, num_classes=images.num_classes)


def _clean_images(folder: str | os.PathLike[str], image_size: int) -> ImageFiles | None:
    if not folder:
        return None
    root = Path(folder)
    if not root.is_dir():
        raise InputError(f"no folder '{root}'; give one of class folders of clean images")
    kinds = sorted(entry.name for entry in root.iterdir() if entry.is_dir())
    images, _ = read_classes(root, kinds, image_size)
    if not isinstance(images, ImageFiles):
        raise InputError(f"clean images of {image_size} px are not read from files; leave them out")
    return images
