"""CIFAR-10-C and CIFAR-100-C as they are released: one array for each corruption."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from dynmix_tf.benchmark_files.manifest import written_with
from dynmix_tf.benchmarks.arrays import StoredImages, header_of
from dynmix_tf.benchmarks.cifar_c_md5 import MD5
from dynmix_tf.benchmarks.conditions import Benchmark, checked_conditions
from dynmix_tf.data import ImageFiles
from dynmix_tf.errors import InputError

__all__ = ["CifarCBenchmark", "find_cifar_c", "verify_cifar_c"]

FOLDERS = {"cifar10_c": "CIFAR-10-C", "cifar100_c": "CIFAR-100-C"}
"""The names of the benchmarks, and of the folders in their archives."""

_SEVERITIES = 5


class CifarCBenchmark(Benchmark):
    """The corrupted test images in a folder of `.npy` files, read as they are needed.

    `<corruption>.npy` is uint8 `(5 * N, H, W, 3)`, severity s in the rows from (s - 1) * N, and
    `labels.npy` has the class of every row: the released CIFAR-10-C and CIFAR-100-C, and what
    `python -m dynmix_tf.corrupt` writes. Each batch is read from its file when it is needed.

    Args:
        folder: The folder.
        images: The clean test images, uint8 `(M, H, W, 3)`, in the order of the files' rows; M may
            be smaller than N: then the first M of each severity count.
        labels: Their classes, integers `(M,)`; they must be those of `labels.npy`.
        dataset: Name for the results.
        names: Corruptions; None is the fifteen of the benchmark.
        severities: Of 1..5.
        name: "cifar10_c" or "cifar100_c", for the results.
        num_classes: Of the model; None is one more than the largest label.

    Attributes:
        conditions: `(corruption, severity)` pairs, `("clean", 0)` first.

    Raises:
        InputError: A file is missing, short, of other images or not readable; labels differ; an
            unknown corruption or severity.

    Example:
        >>> np.save("fog.npy", np.concatenate([images] * 5))
        >>> np.save("labels.npy", np.tile(labels, 5))
        >>> benchmark = CifarCBenchmark(".", images, labels, names=["fog"])
        >>> batch, truth = next(benchmark.batches("fog", 3, batch_size=8))
        >>> batch.shape
        (8, 32, 32, 3)

    Source: https://zenodo.org/records/2535967 and https://zenodo.org/records/3555552.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        images: np.ndarray | ImageFiles,
        labels: np.ndarray,
        dataset: str = "",
        names: Sequence[str] | None = None,
        severities: Sequence[int] = (1, 2, 3, 4, 5),
        name: str = "cifar10_c",
        num_classes: int | None = None,
    ) -> None:
        self.folder = Path(folder)
        self.images, self.labels = np.asarray(images), np.asarray(labels)
        self.dataset, self.name = dataset, name
        self.num_classes = num_classes or int(self.labels.max()) + 1
        # the seed of the released files is not known
        known = written_with(self.folder, self.images.shape)
        self.strengths, self.seed = known or ("cifar", 0)
        chosen, self.conditions = checked_conditions(names, severities)
        if missing := [c for c in chosen if not (self.folder / f"{c}.npy").is_file()]:
            raise InputError(
                f"{self.folder} lacks {', '.join(f'{c}.npy' for c in missing)}; unpack the whole "
                "archive, or name the corruptions to use"
            )
        rows = self._labels()
        self._rows = len(rows) // _SEVERITIES
        shape = (len(rows), *self.images.shape[1:])
        self._files = {c: StoredImages(self.folder / f"{c}.npy", shape) for c in chosen}

    def __len__(self) -> int:
        return len(self.images)

    def batches(
        self, corruption: str, severity: int, batch_size: int = 256
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """uint8 images and their labels under one condition, in order, each exactly once."""
        if (corruption, severity) not in self.conditions:
            raise InputError(f"this benchmark has no condition ({corruption}, {severity})")
        for first in range(0, len(self), batch_size):
            last = min(first + batch_size, len(self))
            if corruption == "clean":
                images = np.array(self.images[first:last])
            else:
                start = (severity - 1) * self._rows
                images = self._files[corruption].rows(start + first, last - first)
            yield images, self.labels[first:last]

    def _labels(self) -> np.ndarray:
        rows = header_of(self.folder / "labels.npy")
        count = len(self.labels)
        integers = rows.ndim == 1 and rows.dtype.kind in "iu"
        if not integers or len(rows) % _SEVERITIES or len(rows) < _SEVERITIES * count:
            raise InputError(
                f"{self.folder / 'labels.npy'} must hold five classes for each of the {count} test "
                f"images. Received: {rows.dtype} {rows.shape}"
            )
        severities: np.ndarray = np.reshape(rows, (_SEVERITIES, -1))[:, :count]
        if (severities != self.labels).any():
            raise InputError(
                f"the classes in {self.folder / 'labels.npy'} are not those of the test images of "
                f"{self.dataset or 'the data set'}; corrupted and clean images must be in one order"
            )
        return rows


def find_cifar_c(name: str, data_dir: str | os.PathLike[str]) -> Path:
    """The folder of a benchmark: `data_dir` itself, or the one in it with the archive's name.

    Raises:
        InputError: Neither holds `labels.npy`.

    Example:
        >>> np.save("labels.npy", labels)
        >>> find_cifar_c("cifar10_c", ".")
        PosixPath('.')
    """
    for folder in (Path(data_dir), Path(data_dir) / FOLDERS[name]):
        if (folder / "labels.npy").is_file():
            return folder
    raise InputError(
        f"no {name} in '{data_dir}': expected labels.npy and <corruption>.npy there or in "
        f"{FOLDERS[name]}/, as {FOLDERS[name]}.tar unpacks"
    )


def verify_cifar_c(name: str, folder: Path, names: Sequence[str]) -> None:
    """Compares the files of some corruptions, and the labels, with the md5 of the released ones.

    Args:
        name: "cifar10_c" or "cifar100_c".
        folder: Of the files.
        names: The corruptions.

    Raises:
        InputError: One is missing or differs.

    Example:
        >>> verify_cifar_c("cifar10_c", Path("absent"), ["fog"])
        Traceback (most recent call last):
        ...
        dynmix_tf.errors.InputError: absent lacks labels.npy; unpack the whole archive
    """
    for stem in tqdm(["labels", *names], desc=f"md5 of {name}", unit=" files"):
        path = folder / f"{stem}.npy"
        if not path.is_file():
            raise InputError(f"{folder} lacks {path.name}; unpack the whole archive")
        with path.open("rb") as file:
            md5 = hashlib.file_digest(file, "md5").hexdigest()
        if md5 != MD5[name][stem]:
            raise InputError(
                f"{path} is damaged or not the released file: its md5 is {md5}, expected "
                f"{MD5[name][stem]}"
            )
