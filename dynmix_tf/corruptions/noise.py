"""Noise: Gaussian, shot, impulse and speckle.

Every corruption of the package takes the same three things: `images` (n, h, w, 3) uint8, one
random stream per image, and its strength from `strengths.STRENGTHS`. It returns either
floating-point grey levels (0..255, not yet clipped or truncated) or finished uint8 images.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["gaussian_noise", "impulse_noise", "shot_noise", "speckle_noise"]


def _normal(images: NDArray[np.uint8], streams: Sequence[np.random.Generator]) -> NDArray:
    shape = images.shape[1:]
    return np.stack([stream.standard_normal(shape, dtype=np.float32) for stream in streams])


def gaussian_noise(
    images: NDArray[np.uint8], streams: Sequence[np.random.Generator], sigma: float
) -> NDArray[np.float32]:
    """Add normal noise of standard deviation `sigma` (of 0..1) to every channel value."""
    noise = _normal(images, streams)
    noise *= np.float32(255 * sigma)
    noise += images
    return noise


def shot_noise(
    images: NDArray[np.uint8], streams: Sequence[np.random.Generator], photons: float
) -> NDArray[np.float32]:
    """Replace every value by a Poisson count with `photons` expected at full white."""
    expected = images * (photons / 255)
    counts = np.stack(
        [stream.poisson(rate) for stream, rate in zip(streams, expected, strict=True)]
    )
    return counts.astype(np.float32) * np.float32(255 / photons)


def impulse_noise(
    images: NDArray[np.uint8], streams: Sequence[np.random.Generator], amount: float
) -> NDArray[np.uint8]:
    """Set a share `amount` of the channel values to 0 or 255, half of them each."""
    shape = images.shape[1:]
    uniform = np.stack([stream.random(shape, dtype=np.float32) for stream in streams])
    noisy = images.copy()
    noisy[uniform < amount] = 0
    noisy[uniform < amount / 2] = 255
    return noisy


def speckle_noise(
    images: NDArray[np.uint8], streams: Sequence[np.random.Generator], sigma: float
) -> NDArray[np.float32]:
    """Multiply every value by 1 + normal noise of standard deviation `sigma`."""
    noise = _normal(images, streams)
    noise *= np.float32(sigma)
    noise += 1
    noise *= images
    return noise
