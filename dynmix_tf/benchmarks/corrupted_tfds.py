"""The corrupted data sets of TensorFlow Datasets: `cifar10_corrupted`, `imagenet2012_corrupted`."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from dynmix_tf.benchmarks.conditions import Benchmark, checked_conditions
from dynmix_tf.data.image_files import in_threads, rgb_image
from dynmix_tf.errors import InputError, unknown_name

__all__ = ["CorruptedTfdsBenchmark"]

_SPLITS = {"cifar10_corrupted": "test", "imagenet2012_corrupted": "validation"}
_OTHER_NAMES = {
    "cifar10_corrupted": {"glass_blur": "frosted_glass_blur", "elastic_transform": "elastic"},
    "imagenet2012_corrupted": {},
}


class CorruptedTfdsBenchmark(Benchmark):
    """Corrupted test images that TensorFlow Datasets has prepared, a data set for each condition.

    `cifar10_corrupted` has the images of the released CIFAR-10-C. `imagenet2012_corrupted` makes
    its own: it crops and resizes the photographs in another way than ImageNet-C, rounds instead of
    cutting, always blurs motion in one direction, takes another fractal for fog and another filter
    for pixelate, and stores them anew as JPEG. Scores on it are not those on ImageNet-C.

    TensorFlow Datasets stores images in the order of a hash of their key, which the conditions
    share, and they are read file by file: image i is of the same photograph in every condition. It
    is not image i of the clean test set, so there are no clean images here.

    Args:
        name: "cifar10_corrupted" or "imagenet2012_corrupted".
        data_dir: Where TensorFlow Datasets keeps its data; None is its own place.
        names: Corruptions, by the names of CIFAR-10-C and ImageNet-C; None is the fifteen.
        severities: Of 1..5.

    Attributes:
        conditions: `(corruption, severity)` pairs.

    Raises:
        InputError: Conditions are not prepared or have fewer images than others; an unknown name
            or severity.

    Warns:
        UserWarning: The images are those of `imagenet2012_corrupted`.

    Example:
        >>> benchmark = CorruptedTfdsBenchmark("cifar10_corrupted")  # doctest: +SKIP
        >>> batch, truth = next(benchmark.batches("fog", 3))  # doctest: +SKIP
        >>> batch.shape  # doctest: +SKIP
        (256, 32, 32, 3)

    Source: https://www.tensorflow.org/datasets/catalog/cifar10_corrupted and
    https://www.tensorflow.org/datasets/catalog/imagenet2012_corrupted.
    """

    seed = 0

    def __init__(
        self,
        name: str,
        data_dir: str | os.PathLike[str] | None = None,
        names: Sequence[str] | None = None,
        severities: Sequence[int] = (1, 2, 3, 4, 5),
    ) -> None:
        if name not in _SPLITS:
            raise unknown_name("corrupted data set of TensorFlow Datasets", name, _SPLITS)
        _, self.conditions = checked_conditions(names, severities, clean=False)
        self.name = name
        self.dataset = name.removesuffix("_corrupted")
        self.strengths = "cifar" if name == "cifar10_corrupted" else "imagenet"
        self._builders = {pair: _builder(name, pair, data_dir) for pair in self.conditions}
        counts = {pair: _num_examples(builder) for pair, builder in self._builders.items()}
        if missing := [pair for pair, count in counts.items() if not count]:
            builder = self._builders[missing[0]]
            config = f"{name}/{builder.builder_config.name}"
            where = f", data_dir='{data_dir}'" if data_dir else ""
            raise InputError(
                f"{len(missing)} of {len(counts)} conditions of {name} are not prepared, such as "
                f'{builder.data_dir}; prepare each: python -c "import tensorflow_datasets as '
                f"tfds; tfds.load('{config}'{where})\", or name the corruptions and severities"
            )
        self._count = max(counts.values())
        if short := [pair for pair, count in counts.items() if count < self._count]:
            raise InputError(
                f"{self._builders[short[0]].data_dir} has {counts[short[0]]:,} images, other "
                f"conditions {self._count:,}; prepare it again"
            )
        label = next(iter(self._builders.values())).info.features["label"]
        self.num_classes: int = label.num_classes
        if name == "imagenet2012_corrupted":
            warnings.warn(
                "imagenet2012_corrupted holds images that TensorFlow Datasets made itself, cropped "
                "and corrupted in another way than those of ImageNet-C; scores on it are not to be "
                "compared with scores on the released files (benchmark imagenet_c)",
                stacklevel=2,
            )

    def __len__(self) -> int:
        return self._count

    def batches(
        self, corruption: str, severity: int, batch_size: int = 256
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """uint8 images and their labels under one condition, in order, each exactly once."""
        import tensorflow as tf
        import tensorflow_datasets as tfds

        if (corruption, severity) not in self.conditions:
            raise InputError(f"this benchmark has no condition ({corruption}, {severity})")
        builder = self._builders[corruption, severity]
        ds = builder.as_dataset(
            split=_SPLITS[self.name],
            shuffle_files=False,
            decoders={"image": tfds.decode.SkipDecoding()},
            # several files at a time would mix them, and conditions differ in their number of files
            read_config=tfds.ReadConfig(interleave_cycle_length=1),
        )
        try:
            for batch in tfds.as_numpy(ds.batch(batch_size)):
                images = np.stack(list(in_threads(_decoded, batch["image"])))
                yield images, batch["label"].astype(np.int32)
        except (tf.errors.OpError, InputError) as error:
            raise InputError(
                f"{builder.data_dir} is damaged: {_line(error)}; remove it and prepare it again"
            ) from error


def _decoded(content: bytes) -> np.ndarray:
    return np.asarray(rgb_image(content))


def _builder(name: str, condition: tuple[str, int], data_dir: Any) -> Any:
    import tensorflow_datasets as tfds

    corruption, severity = condition
    config = f"{_OTHER_NAMES[name].get(corruption, corruption)}_{severity}"
    try:
        return tfds.builder(f"{name}/{config}", data_dir=data_dir)
    except (ValueError, AssertionError, OSError) as error:
        raise InputError(f"TensorFlow data set '{name}/{config}': {_line(error)}") from error


def _num_examples(builder: Any) -> int:
    """The number of images of a condition, 0 where it is not prepared."""
    split = builder.info.splits.get(_SPLITS[builder.name])
    return int(split.num_examples) if split else 0


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
