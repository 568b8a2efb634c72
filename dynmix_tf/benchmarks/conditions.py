"""What the benchmarks of corruptions have in common: their interface, conditions and subsets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol, TypeVar

import numpy as np

from dynmix_tf import corruptions
from dynmix_tf.errors import InputError, unknown_name, whole_number

__all__ = ["Benchmark", "checked_conditions", "evenly_spread"]

Item = TypeVar("Item")


class Benchmark(Protocol):
    """What errors under corruption are measured on: the same labelled images in every condition.

    Attributes:
        name: Of the benchmark, for the results.
        dataset: Name of the data set, for the results.
        num_classes: Of the model.
        strengths: "cifar" or "imagenet": the table of strengths; "" where it has none of these.
        seed: Of the results' rows; 0 where that of the files is not known.
        conditions: `(corruption, severity)` pairs; `("clean", 0)` is the first where there are
            clean images.
    """

    name: str
    dataset: str
    num_classes: int
    strengths: str
    seed: int
    conditions: list[tuple[str, int]]

    def __len__(self) -> int:
        """The number of images, the same in every condition."""

    def batches(
        self, corruption: str, severity: int, batch_size: int = 256
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """The images of a condition, each once, in an order that is the same in all of them.

        What scores a model reads the next batch while the model computes.

        Args:
            corruption: As in `conditions`.
            severity: As in `conditions`.
            batch_size: Images in a batch; the last one may have fewer.

        Yields:
            uint8 `(B, H, W, 3)`, and their class numbers `(B,)`.
        """


def checked_conditions(
    names: Sequence[str] | None,
    severities: Sequence[int],
    benchmark: Sequence[str] | None = None,
    clean: bool = True,
) -> tuple[tuple[str, ...], list[tuple[str, int]]]:
    """The corruptions, each once, and the conditions: `("clean", 0)`, then every pair.

    Args:
        names: Corruptions; None is all of the benchmark.
        severities: Of 1..5.
        benchmark: Its corruptions; None is the fifteen of CIFAR-10-C and ImageNet-C, besides which
            their four extra ones are known.
        clean: Whether there are clean images.

    Raises:
        InputError: An unknown corruption, a severity out of 1..5, or no condition at all.

    Example:
        >>> checked_conditions(["fog", "fog"], (1, 5))
        (('fog',), [('clean', 0), ('fog', 1), ('fog', 5)])
    """
    if isinstance(names, str):
        names = [names]
    known = corruptions.names(extra=True) if benchmark is None else tuple(benchmark)
    if names is None:
        chosen = corruptions.names() if benchmark is None else known
    else:
        chosen = tuple(dict.fromkeys(names))
    for name in chosen:
        if name not in known:
            raise unknown_name("corruption", name, known)
    levels = tuple(dict.fromkeys(severities))
    if not set(levels) <= {1, 2, 3, 4, 5}:
        raise InputError(f"severities are 1 to 5. Received: {levels}")
    conditions = [("clean", 0)] if clean else []
    conditions += [(name, level) for name in chosen for level in levels]
    if not conditions:
        raise InputError("no corruption or no severity is named: nothing to measure")
    return chosen, conditions


def evenly_spread(items: Sequence[Item], name: str, most: int | None) -> list[Item]:
    """Not more than `most` of the items: of as many equal parts one each, always the same ones.

    Which one of a part is drawn by a fixed seed: items at even distances could all be of one class
    where the classes take turns.

    Args:
        items: In an order.
        name: Of the argument that limits them, for messages.
        most: The limit; None is none.

    Raises:
        InputError: `most` is not a whole number of at least 1.

    Example:
        >>> evenly_spread("abcdefgh", "max_images", 3)
        ['b', 'd', 'g']
    """
    if most is None:
        return list(items)
    count = min(whole_number(name, most, 1), len(items))
    ends: np.ndarray = np.arange(count + 1) * len(items) // count
    return [items[place] for place in np.random.default_rng(0).integers(ends[:-1], ends[1:])]
