"""The frames of the sequences of noise, blur and weather, one function for each kind.

Every function takes an image (h, w, 3) uint8, one random stream and its parameters, and
yields the frames, uint8 (h, w, 3), in order. Only noise, snow and spatter draw anything.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from dynmix_tf.corruptions import noise
from dynmix_tf.corruptions.filters import streak, truncate
from dynmix_tf.corruptions.sequence_warps import Frames, Ramp, scale
from dynmix_tf.corruptions.spatter import water
from dynmix_tf.corruptions.strengths import Motion, Snow, Spatter
from dynmix_tf.corruptions.weather import flakes_from, whitened

__all__ = [
    "NOISE_FRAMES",
    "Blurs",
    "Flood",
    "Snowfall",
    "Streaks",
    "brightness",
    "gaussian_blur",
    "gaussian_noise",
    "motion_blur",
    "shot_noise",
    "snow",
    "spatter",
    "speckle_noise",
    "zoom_blur",
]

NOISE_FRAMES = 31

LAYERS_AT_ONCE = 2**18
"""Pixels of water worked on together: enough to amortise calls, few enough for the memory."""


class Streaks(NamedTuple):
    """Motion blur whose direction turns."""

    motion: Motion
    angles: Ramp  # degrees

    @property
    def frames(self) -> int:
        """How many frames there are."""
        return self.angles.frames


class Snowfall(NamedTuple):
    """One layer of snow that falls in a direction that turns."""

    snow: Snow
    angles: Ramp  # degrees

    @property
    def frames(self) -> int:
        """How many frames there are."""
        return self.angles.frames


class Flood(NamedTuple):
    """One layer of water that runs down."""

    drops: Spatter  # as they are at the first frame
    flow: tuple[float, ...]  # shares that go down -1, 0, 1, 2 pixels or 0, 1 with each frame
    frames: int = 31


class Blurs(NamedTuple):
    """Gaussian blur of growing width."""

    sigmas: Ramp  # pixels
    reach: float  # where the Gaussian is cut, in sigmas

    @property
    def frames(self) -> int:
        """How many frames there are."""
        return self.sigmas.frames


# --- noise: the clean image, then draws that have nothing to do with one another ---


def _noisy(
    image: NDArray[np.uint8],
    stream: np.random.Generator,
    strength: float,
    corruption: Callable[..., NDArray],
) -> Frames:
    yield image
    for _ in range(NOISE_FRAMES - 1):
        yield truncate(corruption(image[None], [stream], strength))[0]


def gaussian_noise(image: NDArray[np.uint8], stream: np.random.Generator, sigma: float) -> Frames:
    """Normal noise of standard deviation `sigma` (of 0..1)."""
    return _noisy(image, stream, sigma, noise.gaussian_noise)


def shot_noise(image: NDArray[np.uint8], stream: np.random.Generator, photons: float) -> Frames:
    """Poisson noise of `photons` at full white."""
    return _noisy(image, stream, photons, noise.shot_noise)


def speckle_noise(image: NDArray[np.uint8], stream: np.random.Generator, sigma: float) -> Frames:
    """Values times 1 + normal noise of standard deviation `sigma`."""
    return _noisy(image, stream, sigma, noise.speckle_noise)


# --- blur ---


def motion_blur(image: NDArray[np.uint8], stream: np.random.Generator, streaks: Streaks) -> Frames:
    """ImageMagick's motion blur in a direction that turns."""
    radius, sigma = streaks.motion
    for angle in streaks.angles.values():
        yield streak(image[None], radius, sigma, [angle])[0]


def zoom_blur(image: NDArray[np.uint8], stream: np.random.Generator, percent: Ramp) -> Frames:
    """The mean of the image and of all its enlargements so far."""
    total = image.astype(np.uint32)
    yield image
    enlarged = scale(image, stream, percent)
    next(enlarged)  # of 100 %: the image, which is in
    for count, frame in enumerate(enlarged, start=2):
        total += frame
        yield (total // count).astype(np.uint8)


def gaussian_blur(image: NDArray[np.uint8], stream: np.random.Generator, blurs: Blurs) -> Frames:
    """Gaussian blur of growing width, edges repeated."""
    levels = image.astype(np.float64)
    for sigma in blurs.sigmas.values():
        sides = (sigma, sigma, 0)
        yield truncate(ndimage.gaussian_filter(levels, sides, mode="nearest", truncate=blurs.reach))


# --- weather ---


def snow(image: NDArray[np.uint8], stream: np.random.Generator, fall: Snowfall) -> Frames:
    """The snow of the corruption, one layer of flakes blurred in a direction that turns."""
    h, w, _ = image.shape
    strength = fall.snow
    drawn = stream.standard_normal((1, h, w, 1), dtype=np.float32)
    flakes = flakes_from(drawn, strength)
    levels = whitened(image, strength.keep)
    for angle in fall.angles.values():
        falling = streak(flakes, strength.radius, strength.sigma, [angle])[0].astype(np.float32)
        yield truncate(levels + (falling + falling[::-1, ::-1]))


def spatter(image: NDArray[np.uint8], stream: np.random.Generator, flood: Flood) -> Frames:
    """The water of the corruption, one layer that runs down from frame to frame.

    The layer meets its threshold before it runs, not after: what it leaves behind is thin.
    """
    drops = flood.drops
    drawn = stream.standard_normal(image.shape[:2], dtype=np.float32).astype(np.float64)
    layer = drops.mean + drops.spread * drawn
    layer = ndimage.gaussian_filter(layer, drops.smoothing, mode="nearest", truncate=4)
    layer[layer < drops.threshold] = 0
    layers = np.empty((flood.frames, *layer.shape), np.uint8)
    for i in range(flood.frames):
        layers[i] = truncate(255 * layer)
        layer = ndimage.convolve1d(layer, flood.flow, axis=0, mode="constant", origin=-1)
    at_once = max(1, LAYERS_AT_ONCE // layer.size)
    for start in range(0, flood.frames, at_once):
        yield from truncate(water(image[None], layers[start : start + at_once], drops.intensity))


def brightness(image: NDArray[np.uint8], stream: np.random.Generator, percent: Ramp) -> Frames:
    """Percentages added to the HSV value, cut at 0 and 1."""
    value = image.max(axis=-1, keepdims=True).astype(np.float32)
    # Hue and saturation stay, so a channel keeps its ratio to the largest; black turns grey.
    ratio = np.divide(image, value, out=np.ones(image.shape, np.float32), where=value > 0)
    for added in percent.values():
        yield truncate(ratio * np.clip(value + np.float32(2.55 * added), 0, 255))
