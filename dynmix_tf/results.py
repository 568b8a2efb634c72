"""The record of a robustness evaluation: long CSV rows, and what each image got.

`robustness.csv` has one row per corruption and severity, appended as it is measured; every
table and picture is made from it. Beside it, `.npz` files keep what each image got, for pooled
calibration errors and intervals over images.
"""

from __future__ import annotations

import csv
import io
import math
import operator
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from PIL import Image

from dynmix_tf.archives import read_npz
from dynmix_tf.errors import InputError
from dynmix_tf.files import append_line, complete_lines, write_atomic

__all__ = ["FIELDS", "append", "images_path", "load_images", "read", "save_images"]

_TEXT, _WHOLE, _FRACTION, _REAL = "text of one line", "a whole number", "in 0..1", "a number"

_KINDS = {
    "model": _TEXT,
    "method": _TEXT,
    "epoch": _WHOLE,
    "dataset": _TEXT,
    "benchmark": _TEXT,
    "corruption": _TEXT,
    "severity": _WHOLE,
    "difficulty": _WHOLE,
    "num_images": _WHOLE,
    "error": _FRACTION,
    "rms_calibration_error": _FRACTION,
    "expected_calibration_error": _FRACTION,
    "mean_confidence": _FRACTION,
    "negative_log_likelihood": _REAL,
    "brier_score": _REAL,
    "flip_probability": _FRACTION,
    "top5_distance": _REAL,
    "strengths": _TEXT,
    "benchmark_seed": _WHOLE,
    "measurement": _TEXT,
}
FIELDS = tuple(_KINDS)
"""The columns of `robustness.csv`. Errors, confidences and probabilities are in 0..1, the negative
log-likelihood in nats, the Brier score in 0..2, the top-5 distance in 0..15. Clean images are
corruption `clean`, severity 0. The rows of image sequences (ImageNet-P) have a `difficulty` and
flips instead of a severity and errors, and `num_images` counts their sequences. `epoch` is how many
epochs the model was trained, 0 where unknown; `measurement` is the same for the rows of one model
on one benchmark."""

_OF_IMAGES = (
    "severity", "error", "rms_calibration_error", "expected_calibration_error", "mean_confidence",
    "negative_log_likelihood", "brier_score",
)  # fmt: skip
_OF_SEQUENCES = ("difficulty", "flip_probability", "top5_distance")
_LATER = ("expected_calibration_error", "negative_log_likelihood", "brier_score", *_OF_SEQUENCES)
_HEADER = ",".join(FIELDS)
_OLD_HEADER = ",".join(field for field in FIELDS if field not in _LATER)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


def append(path: str | os.PathLike[str], row: Mapping[str, Any]) -> None:
    """Adds one row to `robustness.csv`, with the header first where the file is new.

    The row is on the disk when this returns. An unfinished last line, left by a kill, is cut off.
    Floats are written with `repr`, so the same value gives the same bytes.

    Args:
        path: The CSV file.
        row: A value for each of `FIELDS`; of images those of sequences are None or left out, of
            sequences (rows with a `difficulty`) those of images. ECE, NLL, Brier score and top-5
            distance may always be None.

    Raises:
        InputError: A key is missing or unknown, a value is of the wrong kind or out of range, or
            the file has another header; nothing is written then.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "robustness.csv"
        >>> append(path, {"model": "wrn_40_2", "method": "dynmix", "epoch": 100,
        ...     "dataset": "cifar10",
        ...     "benchmark": "generated", "corruption": "fog", "severity": 3, "num_images": 10000,
        ...     "error": 0.125, "rms_calibration_error": 0.03, "mean_confidence": 0.9,
        ...     "strengths": "cifar", "benchmark_seed": 0, "measurement": "5f3a0c11"})
        >>> read(path)[0]["error"]
        0.125
    """
    missing = [field for field in FIELDS if field not in row and field not in _optional(row)]
    unknown = [str(key) for key in row if key not in FIELDS]
    if missing or unknown:
        raise InputError(
            f"a row of {Path(path).name} has the fields {', '.join(FIELDS)}. "
            f"Missing: {', '.join(missing) or 'none'}; unknown: {', '.join(unknown) or 'none'}"
        )
    typed = _typed(row, operator.index, float)
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(
        [repr(value) if isinstance(value, float) else value for value in typed.values()]
    )
    lines = complete_lines(path) if Path(path).exists() else []
    if lines:
        _check_header(path, lines[0], (_HEADER,))
    else:
        append_line(path, _HEADER)
    append_line(path, text.getvalue())


def read(path: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """Reads the rows of `robustness.csv`.

    An unfinished last line (no newline at its end) is no row and left out.

    Args:
        path: The CSV file.

    Returns:
        A dict per row, in the file's order, with the keys of `FIELDS` and int, float and str
        values; None where a column does not apply, or where the file is older than the column.

    Raises:
        InputError: No such file, another header, or a malformed row (with its line number).

    Example:
        >>> read("nowhere/robustness.csv")
        Traceback (most recent call last):
        ...
        dynmix_tf.errors.InputError: no such file: nowhere/robustness.csv
    """
    if not Path(path).is_file():
        raise InputError(f"no such file: {path}")
    try:
        lines = complete_lines(path)
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not a text file in UTF-8: {error}") from None
    if not lines:
        return []
    _check_header(path, lines[0], (_HEADER, _OLD_HEADER))
    fields = lines[0].split(",")
    rows = []
    for number, line in enumerate(lines[1:], start=2):
        try:
            values = next(csv.reader([line], strict=True), [])
            if len(values) != len(fields):
                raise InputError(f"{len(values)} values instead of {len(fields)}")
            row = {name: value for name, value in zip(fields, values, strict=True) if value}
            texts = {name: "" for name, kind in _KINDS.items() if kind is _TEXT}
            rows.append(_typed(texts | row, int, float))
        except (csv.Error, InputError) as error:
            raise InputError(f"{path}, line {number}: {error}") from None
    return rows


def save_images(
    folder: str | os.PathLike[str],
    corruption: str,
    level: int,
    values: Mapping[str, ArrayLike],
    worst: np.ndarray | None = None,
) -> None:
    """Keeps what each image of one condition got, as an `.npz` in `folder`.

    Args:
        folder: Created where missing; an earlier record of the same images is replaced.
        corruption: Name of the corruption or perturbation, or `clean`.
        level: Severity 1..5, 0 for clean images; of sequences the difficulty.
        values: Arrays of one length by name, such as `confidence`; floats are stored as float32.
        worst: An image to be kept beside them as a `.png`, uint8 `(H, W, 3)`.

    Raises:
        InputError: Another shape, or a name that is not made of letters, digits, `_` and `-`.

    Example:
        >>> import tempfile
        >>> folder = tempfile.mkdtemp()
        >>> save_images(folder, "fog", 3, {"confidence": [0.5, 0.75], "correct": [True, False]})
        >>> load_images(folder, "fog", 3)["correct"]
        array([ True, False])
    """
    arrays = {name: np.asarray(value) for name, value in values.items()}
    shapes = {array.shape for array in arrays.values()}
    if len(shapes) != 1 or any(array.ndim != 1 for array in arrays.values()):
        raise InputError(f"values of images must be lists of one length. Received: {shapes}")
    path = images_path(folder, corruption, level)
    if worst is not None:
        picture = io.BytesIO()
        Image.fromarray(worst.squeeze()).save(picture, "png")
        write_atomic(path.with_suffix(".png"), picture.getvalue())
    data = io.BytesIO()
    np.savez_compressed(
        data,
        **{
            name: array.astype(np.float32) if array.dtype.kind == "f" else array
            for name, array in arrays.items()
        },
    )
    write_atomic(path, data.getvalue())


def load_images(
    folder: str | os.PathLike[str], corruption: str, level: int
) -> dict[str, np.ndarray]:
    """Reads back what `save_images` kept.

    Args:
        folder: The folder given to `save_images`.
        corruption: Name of the corruption or perturbation, or `clean`.
        level: As `save_images`.

    Returns:
        The arrays by name, all of one shape `(N,)`.

    Raises:
        InputError: No record of these images, or a damaged one.

    Example:
        >>> load_images("nowhere", "fog", 3)
        Traceback (most recent call last):
        ...
        dynmix_tf.errors.InputError: no such file: nowhere/fog_3.npz
    """
    path = images_path(folder, corruption, level)
    if not path.is_file():
        raise InputError(f"no such file: {path}")
    try:
        with open(path, "rb") as file:
            arrays = read_npz(file)
        shapes = {array.shape for array in arrays.values()}
        if len(shapes) != 1 or len(*shapes) != 1:
            raise ValueError(f"its arrays are no lists of one length: {shapes or 'there are none'}")
        if any(array.dtype.kind not in "biuf" for array in arrays.values()):
            raise ValueError("its arrays are no numbers")
    except ValueError as error:
        raise InputError(f"{path} is no record of images: {error}") from None
    return arrays


def _optional(row: Mapping[str, Any]) -> tuple[str, ...]:
    """The fields that may be empty in such a row."""
    if row.get("difficulty") is None:
        return _LATER
    return (*_OF_IMAGES, "top5_distance")


def _typed(
    row: Mapping[str, Any], integer: Callable[[Any], int], real: Callable[[Any], float]
) -> dict[str, Any]:
    """The values of a row in the order of FIELDS, converted and checked."""
    typed: dict[str, Any] = {}
    optional = _optional(row)
    for field, kind in _KINDS.items():
        value = row.get(field)
        if value is None and field in optional:
            typed[field] = None
            continue
        try:
            if kind is _WHOLE:
                typed[field] = integer(value)
            elif kind is not _TEXT:
                typed[field] = real(value)
            elif isinstance(value, str) and not re.search(r"[\r\n]", value):
                typed[field] = value
            else:
                raise ValueError
        except (TypeError, ValueError):
            expected = _REAL if kind is _FRACTION else kind
            raise InputError(f"`{field}` must be {expected}. Received: {value!r}") from None
    for field, value in typed.items():
        if isinstance(value, float):
            _check_range(field, value)
    if typed["num_images"] < 1:
        raise InputError(f"`num_images` must be at least 1. Received: {typed['num_images']}")
    if typed["difficulty"] is None:
        _check_severity(typed["corruption"], typed["severity"])
    elif typed["difficulty"] not in (1, 2, 3):
        raise InputError(f"`difficulty` must be 1 to 3. Received: {typed['difficulty']}")
    return typed


def _check_range(field: str, value: float) -> None:
    if _KINDS[field] is _FRACTION:
        # Means of half-precision softmax outputs may exceed one by a rounding error.
        exact = field in ("error", "flip_probability")
        highest, kind = 1.0 if exact else 1.001, _FRACTION
    else:
        highest, kind = math.inf, "a number, 0 or more"
    if not (math.isfinite(value) and 0 <= value <= highest):
        raise InputError(f"`{field}` must be {kind}. Received: {value}")


def _check_severity(corruption: str, severity: int) -> None:
    expected = (0,) if corruption == "clean" else (1, 2, 3, 4, 5)
    if severity not in expected:
        raise InputError(
            f"`severity` of {corruption!r} must be {'1 to 5' if expected[0] else '0'}. "
            f"Received: {severity}"
        )


def _check_header(path: str | os.PathLike[str], line: str, known: tuple[str, ...]) -> None:
    if line not in known:
        raise InputError(
            f"{path} has another header: {line!r}, expected {_HEADER!r}; "
            "move the file away or write to another one"
        )


def images_path(folder: str | os.PathLike[str], corruption: str, level: int) -> Path:
    """The file of `save_images`; with the ending `.png` that of the image kept beside it."""
    if not _NAME.fullmatch(corruption):
        raise InputError(
            f"`corruption` must be made of letters, digits, `_` and `-`. Received: {corruption!r}"
        )
    _check_severity(corruption, level)
    return Path(folder) / f"{corruption}_{int(level)}.npz"
