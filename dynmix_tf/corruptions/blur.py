"""Blur: defocus, glass, motion, zoom and Gaussian."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

from dynmix_tf.corruptions.filters import apply_operator, streak, truncate, zoom_operator
from dynmix_tf.corruptions.strengths import Defocus, Glass, Motion, Zooms

__all__ = ["defocus_blur", "gaussian_blur", "glass_blur", "motion_blur", "zoom_blur"]


def gaussian_blur(
    images: NDArray[np.uint8], streams: Sequence[np.random.Generator], sigma: float
) -> NDArray[np.float64]:
    """Gaussian blur of `sigma` pixels, cut at 4 sigma, edges repeated; nothing is drawn."""
    levels = images.astype(np.float64)
    return ndimage.gaussian_filter(levels, (0, sigma, sigma, 0), mode="nearest", truncate=4)


# --- defocus ---


@lru_cache(maxsize=16)
def defocus_kernel(radius: float, smoothing: float) -> NDArray[np.float64]:
    """The square kernel of an out-of-focus lens: a disk with a smoothed edge.

    The smoothing has 3 taps up to a radius of 8 and 5 beyond, and mirrors at the border of a
    grid that the disks of radius 8 and 10 touch: their weights sum to 1.013 and 1.011, so
    the two strongest blurs of "imagenet" also brighten, as the reference's do.
    """
    half = 8 if radius <= 8 else int(radius)
    taps = 1 if radius <= 8 else 2
    square: NDArray[np.intp] = np.arange(-half, half + 1) ** 2
    kernel = (square[:, None] + square <= radius**2).astype(np.float64)
    kernel /= kernel.sum()
    edge = np.exp(-(np.arange(-taps, taps + 1) ** 2) / (2 * smoothing**2))
    edge /= edge.sum()
    for axis in (0, 1):
        kernel = ndimage.correlate1d(kernel, edge, axis=axis, mode="mirror")
    reach = int(np.abs(np.argwhere(kernel > 1e-9) - half).max())  # the empty border goes
    return kernel[half - reach : half + reach + 1, half - reach : half + reach + 1]


@lru_cache(maxsize=16)
def _defocus_spectrum(strength: Defocus, shape: tuple[int, int]) -> NDArray[np.complex128]:
    return fft.rfft2(defocus_kernel(*strength), shape)


def defocus_blur(
    images: NDArray[np.uint8], streams: Sequence[np.random.Generator], strength: Defocus
) -> NDArray[np.float64]:
    """Convolve with the disk of a lens out of focus, edges mirrored; nothing is drawn."""
    _, h, w, _ = images.shape
    margin = len(defocus_kernel(*strength)) // 2
    around = ((0, 0), (margin, margin), (margin, margin), (0, 0))
    padded = np.pad(images, around, "reflect").transpose(0, 3, 1, 2)
    height, width = padded.shape[2:]
    shape = (fft.next_fast_len(height, real=True), fft.next_fast_len(width, real=True))
    spectrum = _defocus_spectrum(strength, shape)
    blurred = np.empty(images.shape, np.float64)
    # Image by image: how an FFT groups its lines must not depend on the batch size.
    for i, planes in enumerate(padded):
        planes = fft.irfft2(fft.rfft2(planes, shape) * spectrum, shape)
        planes = planes[:, 2 * margin : 2 * margin + h, 2 * margin : 2 * margin + w]
        blurred[i] = planes.transpose(1, 2, 0)
    return blurred


# --- glass ---


def glass_blur(
    images: NDArray[np.uint8], streams: Sequence[np.random.Generator], strength: Glass
) -> NDArray[np.float64]:
    """Blur, displace the pixels at random `passes` times, blur again.

    A pass walks the image from its last pixel to its first; each pixel away from the border
    takes the colour that the pixel at a random offset has by then. The reference means to
    swap the two, but assigns between NumPy views, so that it copies: so does this.
    """
    n, h, w, _ = images.shape
    sigma, reach, passes = strength
    size = (passes, 2, h - 2 * reach, w - 2 * reach)
    offsets = np.stack([s.integers(-reach, reach, size, dtype=np.int8) for s in streams], axis=2)
    pixels = truncate(gaussian_blur(images, streams, sigma)).reshape(n * h * w, 3)
    for dy, dx in offsets:
        pixels = np.take(pixels, _glass_sources(dy, dx, reach, (n, h, w)).ravel(), axis=0)
    return gaussian_blur(pixels.reshape(images.shape), streams, sigma)


def _glass_sources(
    dy: NDArray[np.int8], dx: NDArray[np.int8], reach: int, shape: tuple[int, int, int]
) -> NDArray[np.intp]:
    """Where each pixel of (n, h, w) has its colour from after one pass, as flat indices.

    The pass is sequential: a pixel whose neighbour came earlier takes what that one took. All
    such chains are followed at once, in steps that double, instead of pixel by pixel.
    """
    n, h, w = shape
    place = np.arange(n * h * w).reshape(shape)
    walked = (slice(None), slice(reach + 1, h - reach + 1), slice(reach + 1, w - reach + 1))
    here = place[walked]
    read = here + dy.astype(np.intp) * w + dx
    is_walked: NDArray[np.bool_] = np.zeros(shape, bool)
    is_walked[walked] = True
    # index + place.size stands for "what that pixel has after the pass"
    source = place.copy()
    source[walked] = np.where((read > here) & is_walked.ravel()[read], read + place.size, read)
    flat = source.ravel()
    pending = np.flatnonzero(flat >= place.size)
    while pending.size:
        flat[pending] = flat[flat[pending] - place.size]
        pending = pending[flat[pending] >= place.size]
    return source


# --- motion and zoom ---


def motion_blur(
    images: NDArray[np.uint8], streams: Sequence[np.random.Generator], strength: Motion
) -> NDArray[np.uint8]:
    """ImageMagick's motion blur at an angle U(-45, 45) degrees from the horizontal."""
    angles = [stream.uniform(-45, 45) for stream in streams]
    return streak(images, strength.radius, strength.sigma, angles)


def zoom_blur(
    images: NDArray[np.uint8], streams: Sequence[np.random.Generator], strength: Zooms
) -> NDArray[np.float32]:
    """The mean of the image and of its middle at several enlargements; nothing is drawn."""
    _, h, w, _ = images.shape
    # `arange` with a float step may reach its end: 1.06 and 1.11 are in, as in the reference.
    factors = tuple(np.arange(1, strength.stop, strength.step).tolist())
    total = apply_operator(zoom_operator(h, w, factors), images) + images
    return total / np.float32(len(factors) + 1)
