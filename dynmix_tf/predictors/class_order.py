"""Predictions of a model that knows its classes in another order, or more of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from dynmix_tf.errors import InputError
from dynmix_tf.predictors.functions import Predict

__all__ = ["in_class_order"]

_NAMES_TOLD = 5


def in_class_order(
    predict: Predict, class_order: str | Path | Sequence[str], wanted: Sequence[str]
) -> Predict:
    """A predictor whose columns are the wanted classes in the wanted order.

    What a model gives to classes that are not wanted, such as the background of a model of 1,001
    classes or the other 20,841 of ImageNet-21k, is left out, and the rest is scaled to the sum 1:
    the probabilities given that the image is of a wanted class. Where a model gives the wanted
    classes nothing at all they are equally likely.

    Args:
        predict: uint8 `(N, H, W, C)` to probabilities `(N, outputs)`.
        class_order: Names of the model's outputs in their order, or a text file (UTF-8) with one
            in each line: the line, what stands before its first tab, or its first word
            (`n01440764 tench`), whichever is a wanted name.
        wanted: Names of the benchmark's classes in their order.

    Returns:
        uint8 `(N, H, W, C)` to probabilities `(N, len(wanted))`.

    Raises:
        InputError: A wanted class has no output or several; at the first batch: the model has
            more or fewer outputs than `class_order` has names.

    Example:
        >>> three = lambda images: np.full((len(images), 3), 1 / 3)
        >>> two = in_class_order(three, ["dog", "bird", "cat"], wanted=["cat", "dog"])
        >>> two(images[:1])
        array([[0.5, 0.5]])
    """
    if isinstance(class_order, (str, Path)):
        names = _read(Path(class_order), set(wanted))
    else:
        names = list(class_order)
    columns = {name: column for column, name in enumerate(names)}
    missing = [name for name in wanted if name not in columns]
    if missing:
        unused = [name for name in names if name not in wanted]
        instead = f"; it has {_told(unused)}, which no class is called" if unused else ""
        raise InputError(
            f"the class order lacks {len(missing)} of the benchmark's {len(wanted)} classes: "
            f"{_told(missing)}{instead}"
        )
    count, wanted_count = Counter(names), Counter(wanted)
    repeated = [name for name in wanted_count if count[name] > 1 or wanted_count[name] > 1]
    if repeated:
        raise InputError(
            f"classes that are named more than once cannot be told apart: {_told(repeated)}; "
            "use unique names, such as WordNet numbers"
        )
    chosen_columns = [columns[name] for name in wanted]

    def predict_wanted(images: np.ndarray) -> np.ndarray:
        probabilities = predict(images)
        if probabilities.shape[1] != len(names):
            raise InputError(
                f"the model has {probabilities.shape[1]} outputs, the class order {len(names)} "
                "names; one is needed for each output"
            )
        chosen = probabilities[:, chosen_columns]
        if len(wanted) == len(names):
            return chosen
        sums = chosen.sum(axis=1, keepdims=True)
        equal = np.full_like(chosen, 1 / len(wanted))
        return np.divide(chosen, sums, out=equal, where=sums > 0)

    return predict_wanted


def _read(path: Path, wanted: set[str]) -> list[str]:
    try:
        lines = path.read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is no text file of class names: {error}") from None
    return [_name(line.strip(), wanted) for line in lines if line.strip()]


def _name(line: str, wanted: set[str]) -> str:
    names = line, line.split("\t")[0].strip(), line.split()[0]
    return next((name for name in names if name in wanted), names[1])


def _told(names: Sequence[str]) -> str:
    more = len(names) - _NAMES_TOLD
    return ", ".join(names[:_NAMES_TOLD]) + (f" and {more} more" if more > 0 else "")
