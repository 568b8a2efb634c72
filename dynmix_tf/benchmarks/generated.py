"""A corruption benchmark made on the fly from any test images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from dynmix_tf import corruptions
from dynmix_tf.benchmarks.conditions import Benchmark, checked_conditions
from dynmix_tf.data import ImageFiles
from dynmix_tf.errors import InputError

__all__ = ["GeneratedBenchmark"]


class GeneratedBenchmark(Benchmark):
    """Corrupts test images as CIFAR-10-C and ImageNet-C do, batch by batch.

    Image i under a corruption and severity is the same in every pass and batch size. These are
    "C-style" images: the public benchmarks' own files have other random numbers.

    Args:
        images: uint8 `(N, H, W, 3)`, or `dynmix_tf.data.ImageFiles`, decoded batch by batch.
        labels: Integers `(N,)`.
        dataset: Name for the results.
        names: Corruptions; None is all of `dynmix_tf.corruptions.names()`.
        severities: Of 1..5.
        seed: Integer.
        strengths: "cifar", "imagenet" or "auto", by the image's size.
        num_classes: Of the model; None is one more than the largest label.

    Attributes:
        conditions: `(corruption, severity)` pairs, `("clean", 0)` first.
        strengths: The table that is used, "cifar" or "imagenet".

    Raises:
        InputError: Arrays that do not fit, an unknown corruption, a severity out of 1..5.

    Example:
        >>> benchmark = GeneratedBenchmark(images, labels, severities=(1, 3, 5))
        >>> batch, truth = next(benchmark.batches("fog", 3, batch_size=64))
    """

    name = "generated"

    def __init__(
        self,
        images: np.ndarray | ImageFiles,
        labels: np.ndarray,
        dataset: str = "",
        names: Sequence[str] | None = None,
        severities: Sequence[int] = (1, 2, 3, 4, 5),
        seed: int = 0,
        strengths: str = "auto",
        num_classes: int | None = None,
    ) -> None:
        labels = np.asarray(labels)
        if not isinstance(images, ImageFiles):
            images = np.asarray(images)
        if labels.ndim == 2 and labels.shape[1] == 1:
            labels = labels[:, 0]  # as keras.datasets gives them
        colour = images.ndim == 4 and images.shape[3] == 3
        if images.dtype != np.uint8 or not colour or labels.ndim != 1:
            raise InputError(
                "a benchmark is made from uint8 images (N, H, W, 3) and class numbers (N,). "
                f"Received: {images.dtype} {images.shape} and {labels.shape}"
            )
        if len(images) != len(labels) or not len(images):
            raise InputError(
                f"a benchmark needs one label for each image. Received: {len(images)} images, "
                f"{len(labels)} labels"
            )
        highest = np.inf if num_classes is None else num_classes - 1
        if labels.dtype.kind not in "iu" or labels.min() < 0 or labels.max() > highest:
            raise InputError(
                f"labels must be whole numbers from 0 on, below the {num_classes or 'number of'} "
                f"classes. Received: {labels.dtype} from {labels.min()} to {labels.max()}"
            )
        _, self.conditions = checked_conditions(names, severities)
        self.images = images
        self.labels = labels
        self.dataset = dataset
        self.seed = seed
        self.strengths = corruptions.strengths_for(images.shape, strengths)
        self.num_classes = num_classes or int(labels.max()) + 1

    def __len__(self) -> int:
        return len(self.images)

    def batches(
        self, corruption: str, severity: int, batch_size: int = 256
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """uint8 images and their labels under one condition, in order, each exactly once."""
        for first in range(0, len(self), batch_size):
            images = np.asarray(self.images[first : first + batch_size])
            if corruption != "clean":
                images = corruptions.corrupt(
                    images, corruption, severity, self.seed, self.strengths, first_index=first
                )
            yield images, self.labels[first : first + batch_size]
