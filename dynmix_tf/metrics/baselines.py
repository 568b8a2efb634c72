"""Errors and flips of a baseline network of one's own, instead of AlexNet's published ones."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from dynmix_tf import results
from dynmix_tf.errors import InputError

__all__ = ["read_baseline", "read_baseline_clean_error"]

_CLEAN = "clean"
_EXPECTED = "expected five error rates in 0..1 for a corruption, or one number for a perturbation"


def read_baseline(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Reads what to divide by: the errors of a network on a -C benchmark, or its flips on a -P one.

    Args:
        path: A `robustness.csv` of exactly one measurement, as `dynmix_tf.evaluate` writes it, or
            a `.json` file: `{corruption: five error rates, severities 1 to 5}`, in 0..1, beside
            which `"clean"` may hold the clean error; or `{perturbation: flip probability}`.

    Returns:
        `{corruption: five error rates}` or `{perturbation: flip probability}`, in the file's order
        and without `clean`: a `baseline` for `corruption_error`, `mean_corruption_error`,
        `relative_mean_corruption_error` or `mean_flip_rate`.

    Raises:
        InputError: No such file, a malformed one, a severity missing or there twice, more than
            one measurement or difficulty, or errors and flips in one file.

    Example:
        >>> _ = Path("baseline.json").write_text('{"clean": 0.25, "fog": [0.5, 0.5, 0.5, 0.5, 1]}')
        >>> baseline = read_baseline("baseline.json")
        >>> baseline
        {'fog': (0.5, 0.5, 0.5, 0.5, 1.0)}
        >>> dynmix_tf.metrics.mean_corruption_error({"fog": [0.15] * 5}, baseline)
        25.0
    """
    entries = _entries(path)
    entries.pop(_CLEAN, None)
    if not entries:
        raise InputError(f"{path} holds no corruption; {_EXPECTED}")
    kinds = {type(value): name for name, value in entries.items()}
    if len(kinds) > 1:
        raise InputError(
            f"{path} mixes corruptions ('{kinds[tuple]}': five rates) and perturbations "
            f"('{kinds[float]}': one number); make a file of each"
        )
    return entries


def read_baseline_clean_error(path: str | os.PathLike[str]) -> float:
    """Reads the clean error of the same file, which `relative_mean_corruption_error` needs.

    Args:
        path: As `read_baseline`.

    Returns:
        The error rate, 0..1.

    Raises:
        InputError: As `read_baseline`; or the file has no clean error.

    Example:
        >>> _ = Path("baseline.json").write_text('{"clean": 0.25, "fog": [0.5, 0.5, 0.5, 0.5, 1]}')
        >>> read_baseline_clean_error("baseline.json")
        0.25
    """
    entries = _entries(path)
    if _CLEAN not in entries:
        raise InputError(f"{path} has no error on clean images (entry '{_CLEAN}')")
    return entries[_CLEAN]


def _entries(path: str | os.PathLike[str]) -> dict[str, Any]:
    return _of_json(path) if Path(path).suffix == ".json" else _of_rows(path)


def _of_rows(path: str | os.PathLike[str]) -> dict[str, Any]:
    rows = results.read(path)
    measurements = sorted({row["measurement"] for row in rows})
    difficulties = sorted({row["difficulty"] for row in rows} - {None})
    for kind, found in (("measurement", measurements), ("difficulty", difficulties)):
        if len(found) > 1:
            raise InputError(
                f"{path} holds more than one {kind} ({', '.join(map(str, found))}); "
                "keep the rows of one"
            )
    entries: dict[str, Any] = {}
    by_severity: dict[str, dict[int, float]] = {}
    for row in rows:
        name, severity = row["corruption"], row["severity"]
        if name in entries or severity in by_severity.get(name, {}):
            level = f", severity {severity}" if row["difficulty"] is None else ""
            raise InputError(f"{path}: '{name}'{level} is there twice; keep one")
        if row["difficulty"] is not None:
            entries[name] = row["flip_probability"]
        elif name == _CLEAN:
            entries[name] = row["error"]
        else:
            by_severity.setdefault(name, {})[severity] = row["error"]
    for name, rates in by_severity.items():
        if missing := [severity for severity in range(1, 6) if severity not in rates]:
            raise InputError(
                f"{path}: '{name}' lacks severity {', '.join(map(str, missing))}; {_EXPECTED}"
            )
        entries[name] = tuple(rates[severity] for severity in range(1, 6))
    return entries


def _of_json(path: str | os.PathLike[str]) -> dict[str, Any]:
    if not Path(path).is_file():
        raise InputError(f"no such file: {path}")

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        names = [name for name, _ in pairs]
        if twice := [name for name in dict.fromkeys(names) if names.count(name) > 1]:
            raise InputError(f"{path}: '{twice[0]}' is there twice; keep one")
        return dict(pairs)

    try:
        found = json.loads(Path(path).read_bytes(), object_pairs_hook=unique)
    except InputError:
        raise
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is no JSON: {error}") from None
    if not isinstance(found, dict):
        raise InputError(f"{path} must be a JSON object of names. Received: {str(found)[:60]}")
    entries: dict[str, Any] = {}
    for name, value in found.items():
        five = isinstance(value, list) and len(value) == 5 and name != _CLEAN
        if not all(map(_is_rate, value if five else [value])):
            raise InputError(f"{path}: '{name}' is {str(value)[:60]}; {_EXPECTED}")
        entries[name] = tuple(map(float, value)) if five else float(value)
    return entries


def _is_rate(value: Any) -> bool:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return number and 0 <= value <= 1
