"""What decides the content of a written benchmark, checked before NumPy is imported."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from dynmix_tf.errors import InputError, unknown_name

__all__ = ["Settings", "difference", "whole_numbers"]

BENCHMARKS = ("c", "p")
SPLITS = ("test", "train")
TABLES = ("auto", "cifar", "imagenet")


@dataclass(frozen=True)
class Settings:
    """Everything that decides which files are written, and every byte of them.

    The number of processes and the folder do not.

    Args:
        dataset: As `dynmix_tf.data.load` takes it.
        data_dir: Folder of the data set's files, or "".
        image_size: Side of the images, pixels; 0 is the data set's own.
        skip_damaged: Whether files that are no complete image are left out.
        split: "test" or "train": which images are corrupted.
        num_test: How many of them, the first ones; 0 is all.
        benchmark: "c", corruptions at five severities, or "p", sequences of frames.
        corruptions: Names; () is all of the benchmark.
        extra: Also its extra ones, where `corruptions` is ().
        severities: Of 1..5, for "c"; put in order.
        difficulties: Of 1..3, for the noise sequences of "p"; put in order.
        strengths: "cifar", "imagenet", or "auto", by the image's size.
        seed: Of the corruptions, 0 or more.
        quality: Of the JPEG files, 1 to 95.

    Raises:
        InputError: A value out of its range.

    Example:
        >>> Settings("photos", severities=(5, 1)).severities
        (1, 5)
    """

    dataset: str
    data_dir: str = ""
    image_size: int = 0
    skip_damaged: bool = False
    split: str = "test"
    num_test: int = 0
    benchmark: str = "c"
    corruptions: tuple[str, ...] = ()
    extra: bool = False
    severities: tuple[int, ...] = (1, 2, 3, 4, 5)
    difficulties: tuple[int, ...] = (1, 2, 3)
    strengths: str = "auto"
    seed: int = 0
    quality: int = 85

    def __post_init__(self) -> None:
        for name, known in (("split", SPLITS), ("benchmark", BENCHMARKS), ("strengths", TABLES)):
            if getattr(self, name) not in known:
                raise unknown_name(f"--{name}", str(getattr(self, name)), known)
        for name in ("image_size", "num_test", "seed"):
            if not 0 <= getattr(self, name) < 2**31:
                raise InputError(
                    f"--{name} must be 0 or more, below 2**31. Received: {getattr(self, name)}"
                )
        if not 1 <= self.quality <= 95:
            raise InputError(f"--quality must be in [1, 95]. Received: {self.quality}")
        for name, largest in (("severities", 5), ("difficulties", 3)):
            values = getattr(self, name)
            if not values or not set(values) <= set(range(1, largest + 1)):
                raise InputError(
                    f"--{name} must be numbers from 1 to {largest}. "
                    f"Received: {','.join(map(str, values))}"
                )
            object.__setattr__(self, name, tuple(sorted(set(values))))
        object.__setattr__(self, "corruptions", tuple(dict.fromkeys(self.corruptions)))

    def to_json(self) -> dict[str, Any]:
        """The settings as JSON values, less those that decide nothing.

        These are `extra`, as the corruptions are listed, and the list of the other benchmark.
        """
        unused = {"extra", "difficulties" if self.benchmark == "c" else "severities"}
        values = json.loads(json.dumps(dataclasses.asdict(self)))
        return {name: value for name, value in values.items() if name not in unused}


def whole_numbers(flag: str, words: Iterable[str]) -> tuple[int, ...]:
    """The numbers of a flag that is a list.

    Raises:
        InputError: A word is no whole number.

    Example:
        >>> whole_numbers("severities", ["1", "5"])
        (1, 5)
    """
    words = tuple(words)
    try:
        return tuple(int(word) for word in words)
    except ValueError:
        raise InputError(
            f"--{flag} must be whole numbers with commas between. Received: {','.join(words)}"
        ) from None


def difference(there: Mapping[str, Any], here: Mapping[str, Any]) -> str:
    """What differs between two records of JSON values, by name, for a message.

    Example:
        >>> difference({"seed": 0, "split": "test"}, {"seed": 1, "split": "test"})
        'seed: 0 there, 1 here'
    """
    return ", ".join(
        f"{name}: {there.get(name)!r} there, {here.get(name)!r} here"
        for name in dict.fromkeys((*here, *there))
        if there.get(name) != here.get(name)
    )
