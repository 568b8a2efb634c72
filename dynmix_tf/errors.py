"""The error that a user's mistake raises, and how an unknown name is reported."""

from __future__ import annotations

import difflib
import math
import numbers
from collections.abc import Iterable
from typing import Any

__all__ = ["InputError", "Interrupted", "real_number", "unknown_name", "whole_number"]

_NAMES_TOLD = 40


class InputError(ValueError):
    """A user's mistake, told in one line: what came, what was expected, what to do.

    Commands print the message and leave with status 2; in the library it is an
    ordinary `ValueError`.

    Example:
        >>> raise InputError("`severity` must be in [0, 10]. Received: severity=11")
        Traceback (most recent call last):
        ...
        dynmix_tf.errors.InputError: `severity` must be in [0, 10]. Received: severity=11
    """

    ag_pass_through = True  # AutoGraph, in `Dataset.map`, leaves the error and its line alone


class Interrupted(RuntimeError):
    """What ended a command before it was done, so that the same command continues.

    Commands print the message and leave with status 75.

    Example:
        >>> raise Interrupted("worker 1 was lost")
        Traceback (most recent call last):
        ...
        dynmix_tf.errors.Interrupted: worker 1 was lost
    """


def unknown_name(kind: str, name: str, known: Iterable[str]) -> InputError:
    """The error for a name that is not one of `known`, with the closest match.

    Args:
        kind: What the name stands for, such as "corruption".
        name: The name that came.
        known: The names that would have been right.

    Returns:
        An `InputError` to raise.

    Example:
        >>> str(unknown_name("corruption", "fogg", ["fog", "snow"]))
        "unknown corruption 'fogg'; did you mean 'fog'? Known: fog, snow"
    """
    known = list(known)
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"; did you mean '{close[0]}'?" if close else "."
    names = f"Known: {', '.join(known)}" if len(known) <= _NAMES_TOLD else f"{len(known)} are known"
    return InputError(f"unknown {kind} '{name}'{hint} {names}")


def real_number(name: str, value: Any, low: float = -math.inf, high: float = math.inf) -> float:
    """An argument that must be a finite number in [low, high].

    Raises:
        InputError: It is something else; True and "3" are no numbers.

    Example:
        >>> real_number("severity", 3, 0, 10)
        3.0
    """
    number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not number or not low <= value <= high or not math.isfinite(value):
        known = "a finite number" if low == -math.inf else f"a number, {low:g} or more"
        known = known if high == math.inf else f"in [{low:g}, {high:g}]"
        raise InputError(f"`{name}` must be {known}. Received: {name}={value!r}")
    return float(value)


def whole_number(name: str, value: Any, low: int, also: str = "") -> int:
    """An argument that must be a whole number, `low` or more; 2.0 is one.

    Args:
        name: Of the argument.
        value: What came.
        low: The least that is allowed.
        also: What the message says is allowed as well.

    Raises:
        InputError: It is something else; True and "2" are no numbers.

    Example:
        >>> whole_number("num_chains", 2, 1)
        2
    """
    number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or value % 1 or value < low:
        raise InputError(
            f"`{name}` must be a whole number, at least {low}{also}. Received: {name}={value!r}"
        )
    return int(value)
