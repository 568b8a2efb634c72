"""What the benchmarks of corruptions measure: which corruptions at which severities."""

from __future__ import annotations

from collections.abc import Sequence

from dynmix_tf import corruptions
from dynmix_tf.errors import InputError, unknown_name

__all__ = ["checked_conditions"]


def checked_conditions(
    names: Sequence[str] | None, severities: Sequence[int]
) -> tuple[tuple[str, ...], list[tuple[str, int]]]:
    """The corruptions, each once, and the conditions: `("clean", 0)`, then every pair.

    Args:
        names: Corruptions; None is the fifteen of the benchmark.
        severities: Of 1..5.

    Raises:
        InputError: An unknown corruption, or a severity out of 1..5.

    Example:
        >>> checked_conditions(["fog", "fog"], (1, 5))
        (('fog',), [('clean', 0), ('fog', 1), ('fog', 5)])
    """
    chosen = corruptions.names() if names is None else tuple(dict.fromkeys(names))
    for name in chosen:
        if name not in corruptions.names(extra=True):
            raise unknown_name("corruption", name, corruptions.names(extra=True))
    if not set(severities) <= {1, 2, 3, 4, 5}:
        raise InputError(f"severities are 1 to 5. Received: {tuple(severities)}")
    return chosen, [("clean", 0), *((name, level) for name in chosen for level in severities)]
