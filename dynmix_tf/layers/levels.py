"""From the AugMix level scale to each operation's own argument.

An application draws a strength s ~ U(min(0.1, severity), severity) on a scale of 0 to 10 and,
where the operation has two directions, a sign. The table turns both into the argument. Integer
arguments are cut off, not rounded, and so is every number here where it says "whole".

Source: AugMix reference code (`augmentations.py`), with 32 replaced by the image's own side;
`downscale` is this package's own reading of the paper's Appendix B.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

__all__ = ["LEVELS", "Level"]

Tensor = Any


@dataclass(frozen=True)
class Level:
    """How an operation's argument follows from a strength.

    Attributes:
        argument: `(strength float64 (B,), side int) -> float64 (B,)`; `side` is the length in
            pixels of the axis that `axis` names.
        signed: Whether the argument's sign is drawn as well.
        axis: 1 (height) or 2 (width) for arguments in pixels.
    """

    argument: Callable[[Tensor, Tensor], Tensor]
    signed: bool = False
    axis: int = 2


def _whole(value: Tensor) -> Tensor:
    return tf.floor(value)  # strengths are positive: cutting off is rounding down


LEVELS: dict[str, Level | None] = {
    # whole degrees counter-clockwise, 0..30 at s = 10
    "rotate": Level(lambda s, side: _whole(s * 30 / 10), signed=True),
    # whole pixels, 0..side/3 at s = 10; positive moves the content left / up
    "translate_x": Level(lambda s, side: _whole(s * (side / 3) / 10), signed=True),
    "translate_y": Level(lambda s, side: _whole(s * (side / 3) / 10), signed=True, axis=1),
    # pixels per pixel, 0..0.3 at s = 10
    "shear_x": Level(lambda s, side: s * 0.3 / 10, signed=True),
    "shear_y": Level(lambda s, side: s * 0.3 / 10, signed=True),
    # threshold 256 (nothing changes) down to 0 (all is inverted) at s = 10
    "solarize": Level(lambda s, side: 256 - _whole(s * 256 / 10)),
    # bits kept, 4 down to 0 at s = 10; one bit less every 2.5
    "posterize": Level(lambda s, side: 4 - _whole(s * 4 / 10)),
    # factor 1 (nothing changes) down to 0.2 at s = 10
    "downscale": Level(lambda s, side: 1 - 0.08 * s),
    "flip_left_right": None,
    "flip_up_down": None,
    "autocontrast": None,
    "equalize": None,
}
