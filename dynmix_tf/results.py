"""The record of a robustness evaluation: long CSV rows, and what each image got.

`robustness.csv` has one row per corruption and severity, appended as it is measured; every
table and picture is made from it. Beside it, `.npz` files keep confidence and correctness of
each image, for calibration errors and intervals over images.
"""

from __future__ import annotations

import csv
import io
import math
import operator
import os
import re
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from dynmix_tf.errors import InputError
from dynmix_tf.files import append_line, complete_lines, write_atomic

__all__ = ["FIELDS", "append", "load_images", "read", "save_images"]

FIELDS = (
    "model",
    "method",
    "epoch",
    "dataset",
    "benchmark",
    "corruption",
    "severity",
    "num_images",
    "error",
    "rms_calibration_error",
    "mean_confidence",
    "strengths",
    "benchmark_seed",
    "measurement",
)
"""The columns of `robustness.csv`. `error`, `rms_calibration_error` and `mean_confidence` are in
0..1; clean images are corruption `clean`, severity 0; `epoch` is how many epochs the model was
trained, 0 where unknown; `measurement` is the same for the rows of one model on one benchmark."""

_INTEGERS = ("epoch", "severity", "num_images", "benchmark_seed")
_FRACTIONS = ("error", "rms_calibration_error", "mean_confidence")
_HEADER = ",".join(FIELDS)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


def append(path: str | os.PathLike[str], row: Mapping[str, Any]) -> None:
    """Adds one row to `robustness.csv`, with the header first where the file is new.

    The row is on the disk when this returns. An unfinished last line, left by a kill, is cut off.
    Floats are written with `repr`, so the same value gives the same bytes.

    Args:
        path: The CSV file.
        row: A value for each of `FIELDS`.

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
    missing = [field for field in FIELDS if field not in row]
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
        _check_header(path, lines[0])
    else:
        append_line(path, _HEADER)
    append_line(path, text.getvalue())


def read(path: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """Reads the rows of `robustness.csv`.

    An unfinished last line (no newline at its end) is no row and left out.

    Args:
        path: The CSV file.

    Returns:
        A dict per row, in the file's order, with the keys of `FIELDS`: epoch, severity, num_images
        and benchmark_seed int; error, rms_calibration_error and mean_confidence float; the
        rest str.

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
    _check_header(path, lines[0])
    rows = []
    for number, line in enumerate(lines[1:], start=2):
        try:
            values = next(csv.reader([line], strict=True), [])
            if len(values) != len(FIELDS):
                raise InputError(f"{len(values)} values instead of {len(FIELDS)}")
            rows.append(_typed(dict(zip(FIELDS, values, strict=True)), int, float))
        except (csv.Error, InputError) as error:
            raise InputError(f"{path}, line {number}: {error}") from None
    return rows


def save_images(
    folder: str | os.PathLike[str],
    corruption: str,
    severity: int,
    confidence: ArrayLike,
    correct: ArrayLike,
) -> None:
    """Keeps what each image of one corruption and severity got, as an `.npz` in `folder`.

    Args:
        folder: Created where missing; an earlier record of the same images is replaced.
        corruption: Name of the corruption, or `clean`.
        severity: 1..5, or 0 for clean images.
        confidence: Shape (N,), the largest softmax probability; stored as float32.
        correct: Shape (N,), whether the predicted class was right; stored as bool.

    Raises:
        InputError: Another shape, or a name that is not made of letters, digits, `_` and `-`.

    Example:
        >>> import tempfile
        >>> folder = tempfile.mkdtemp()
        >>> save_images(folder, "fog", 3, [0.5, 0.75], [True, False])
        >>> load_images(folder, "fog", 3)
        (array([0.5 , 0.75], dtype=float32), array([ True, False]))
    """
    confidence, correct = np.asarray(confidence, np.float32), np.asarray(correct, np.bool_)
    if confidence.ndim != 1 or confidence.shape != correct.shape:
        raise InputError(
            "`confidence` and `correct` must be two lists of the same length. "
            f"Received shapes: {confidence.shape} and {correct.shape}"
        )
    data = io.BytesIO()
    np.savez(data, confidence=confidence, correct=correct)
    write_atomic(_images_path(folder, corruption, severity), data.getvalue())


def load_images(
    folder: str | os.PathLike[str], corruption: str, severity: int
) -> tuple[np.ndarray, np.ndarray]:
    """Reads back what `save_images` kept.

    Args:
        folder: The folder given to `save_images`.
        corruption: Name of the corruption, or `clean`.
        severity: 1..5, or 0 for clean images.

    Returns:
        `(confidence, correct)`, float32 and bool, both of shape (N,).

    Raises:
        InputError: No record of these images, or a damaged one.

    Example:
        >>> load_images("nowhere", "fog", 3)
        Traceback (most recent call last):
        ...
        dynmix_tf.errors.InputError: no such file: nowhere/fog_3.npz
    """
    path = _images_path(folder, corruption, severity)
    if not path.is_file():
        raise InputError(f"no such file: {path}")
    try:
        # From an open file: np.load leaves one that it opened itself open when it is damaged.
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as data:
            return data["confidence"], data["correct"]
    except (KeyError, OSError, EOFError, TypeError, ValueError, zipfile.BadZipFile) as error:
        raise InputError(f"{path} is no record of images: {error}") from None


def _typed(
    row: Mapping[str, Any], integer: Callable[[Any], int], real: Callable[[Any], float]
) -> dict[str, Any]:
    """The values of a row in the order of FIELDS, converted and checked."""
    typed: dict[str, Any] = {}
    for field in FIELDS:
        value = row[field]
        try:
            if field in _INTEGERS:
                typed[field] = integer(value)
            elif field in _FRACTIONS:
                typed[field] = real(value)
            elif isinstance(value, str) and not re.search(r"[\r\n]", value):
                typed[field] = value
            else:
                raise ValueError
        except (TypeError, ValueError):
            kind = "text of one line"
            if field in _INTEGERS + _FRACTIONS:
                kind = "a whole number" if field in _INTEGERS else "a number"
            raise InputError(f"`{field}` must be {kind}. Received: {value!r}") from None
    for field in _FRACTIONS:
        # Means of half-precision softmax outputs may exceed one by a rounding error.
        highest = 1.0 if field == "error" else 1.001
        if not (math.isfinite(typed[field]) and 0 <= typed[field] <= highest):
            raise InputError(f"`{field}` must be in 0..1. Received: {typed[field]}")
    if typed["num_images"] < 1:
        raise InputError(f"`num_images` must be at least 1. Received: {typed['num_images']}")
    _check_severity(typed["corruption"], typed["severity"])
    return typed


def _check_severity(corruption: str, severity: int) -> None:
    expected = (0,) if corruption == "clean" else (1, 2, 3, 4, 5)
    if severity not in expected:
        raise InputError(
            f"`severity` of {corruption!r} must be {'1 to 5' if expected[0] else '0'}. "
            f"Received: {severity}"
        )


def _check_header(path: str | os.PathLike[str], line: str) -> None:
    if line != _HEADER:
        raise InputError(
            f"{path} has another header: {line!r}, expected {_HEADER!r}; "
            "move the file away or write to another one"
        )


def _images_path(folder: str | os.PathLike[str], corruption: str, severity: int) -> Path:
    if not _NAME.fullmatch(corruption):
        raise InputError(
            f"`corruption` must be made of letters, digits, `_` and `-`. Received: {corruption!r}"
        )
    _check_severity(corruption, severity)
    return Path(folder) / f"{corruption}_{int(severity)}.npz"
