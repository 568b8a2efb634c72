"""How strong each corruption is at severity 1..5, for 32-pixel and for 224-pixel images.

CIFAR-10-C was not made with the parameters of ImageNet-C: the two benchmarks have a table
each. Lengths are pixels, amplitudes are fractions of the value range 0..1, unless said.

Source: `hendrycks/robustness`, `ImageNet-C/create_c/make_cifar_c.py` ("cifar") and
`make_imagenet_c.py` ("imagenet").
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

__all__ = [
    "STRENGTHS",
    "Defocus",
    "Elastic",
    "Fog",
    "Frost",
    "Glass",
    "Motion",
    "Saturate",
    "Snow",
    "Spatter",
    "Zooms",
]


class Defocus(NamedTuple):
    """An out-of-focus disk."""

    radius: float  # of the disk, pixels
    smoothing: float  # sigma of the Gaussian over the disk's edge, pixels


class Glass(NamedTuple):
    """Pixels displaced at random between two Gaussian blurs."""

    sigma: float  # of either blur, pixels
    reach: int  # a pixel reads from -reach..reach-1 pixels away, in either axis
    passes: int  # how often the pixels are displaced


class Motion(NamedTuple):
    """ImageMagick's motion blur."""

    radius: int  # the streak is 2 * radius + 1 pixels long
    sigma: float  # of the one-sided Gaussian weights along the streak, pixels


class Zooms(NamedTuple):
    """Zoom factors 1, 1 + step, ... that are averaged."""

    stop: float  # the end of `np.arange(1, stop, step)`
    step: float


class Snow(NamedTuple):
    """Blurred flakes over a whitened image."""

    mean: float  # of the normal noise that flakes are made of, 0..1
    spread: float  # its standard deviation
    zoom: float  # enlargement of the noise: the size of a flake
    threshold: float  # noise below it is no flake
    radius: int  # of the flakes' motion blur, pixels
    sigma: float  # of the flakes' motion blur, pixels
    keep: float  # share of the image in the blend with its whitened self


class Frost(NamedTuple):
    """A photograph of frost over the image."""

    keep: float  # factor on the image
    frost: float  # factor on the photograph
    reduction: int  # the photograph is this many times smaller than its file


class Fog(NamedTuple):
    """A plasma fractal added to the image."""

    amplitude: float  # of the fractal, in units of the value range
    decay: float  # its roughness is divided by decay**2 from one scale to the next


class Elastic(NamedTuple):
    """A random affine map, then a smooth random displacement."""

    displacement: float  # factor on the smoothed field of U(-1, 1), pixels
    smoothing: float  # sigma of the field's Gaussian, pixels
    affine: float  # three points of the image are moved by U(-affine, affine), pixels


class Spatter(NamedTuple):
    """Drops of a liquid."""

    mean: float  # of the normal noise that drops are made of, 0..1
    spread: float  # its standard deviation
    smoothing: float  # sigma of the noise's Gaussian, pixels
    threshold: float  # smoothed noise below it is no drop
    intensity: float  # of water: of its colour; of mud: sigma of the Gaussian over the drops
    mud: bool  # else water


class Saturate(NamedTuple):
    """saturation -> factor * saturation + offset, in HSV."""

    factor: float
    offset: float


_CIFAR: dict[str, Sequence[Any]] = {
    "gaussian_noise": (0.04, 0.06, 0.08, 0.09, 0.10),  # sigma
    "shot_noise": (500, 250, 100, 75, 50),  # photons at full white
    "impulse_noise": (0.01, 0.02, 0.03, 0.05, 0.07),  # share of the channel values hit
    "defocus_blur": (
        Defocus(0.3, 0.4),
        Defocus(0.4, 0.5),
        Defocus(0.5, 0.6),
        Defocus(1, 0.2),
        Defocus(1.5, 0.1),
    ),
    "glass_blur": (
        Glass(0.05, 1, 1),
        Glass(0.25, 1, 1),
        Glass(0.4, 1, 1),
        Glass(0.25, 1, 2),
        Glass(0.4, 1, 2),
    ),
    "motion_blur": (Motion(6, 1), Motion(6, 1.5), Motion(6, 2), Motion(8, 2), Motion(9, 2.5)),
    "zoom_blur": (
        Zooms(1.06, 0.01),
        Zooms(1.11, 0.01),
        Zooms(1.16, 0.01),
        Zooms(1.21, 0.01),
        Zooms(1.26, 0.01),
    ),
    "snow": (
        Snow(0.1, 0.2, 1, 0.6, 8, 3, 0.95),
        Snow(0.1, 0.2, 1, 0.5, 10, 4, 0.9),
        Snow(0.15, 0.3, 1.75, 0.55, 10, 4, 0.9),
        Snow(0.25, 0.3, 2.25, 0.6, 12, 6, 0.85),
        Snow(0.3, 0.3, 1.25, 0.65, 14, 12, 0.8),
    ),
    "frost": (
        Frost(1, 0.2, 5),
        Frost(1, 0.3, 5),
        Frost(0.9, 0.4, 5),
        Frost(0.85, 0.4, 5),
        Frost(0.75, 0.45, 5),
    ),
    "fog": (Fog(0.2, 3), Fog(0.5, 3), Fog(0.75, 2.5), Fog(1, 2), Fog(1.5, 1.75)),
    "brightness": (0.05, 0.1, 0.15, 0.2, 0.3),  # added to the HSV value
    "contrast": (0.75, 0.5, 0.4, 0.3, 0.15),  # factor on the distance from the mean
    "elastic_transform": (
        Elastic(0, 0, 32 * 0.08),
        Elastic(32 * 0.05, 32 * 0.2, 32 * 0.07),
        Elastic(32 * 0.08, 32 * 0.06, 32 * 0.06),
        Elastic(32 * 0.1, 32 * 0.04, 32 * 0.05),
        Elastic(32 * 0.1, 32 * 0.03, 32 * 0.03),
    ),
    "pixelate": (0.95, 0.9, 0.85, 0.75, 0.65),  # factor on the sides
    "jpeg_compression": (80, 65, 58, 50, 40),  # quality, 1..95
    "speckle_noise": (0.06, 0.1, 0.12, 0.16, 0.2),  # sigma of the factor on a value
    "gaussian_blur": (0.4, 0.6, 0.7, 0.8, 1),  # sigma, pixels
    "spatter": (
        Spatter(0.62, 0.1, 0.7, 0.7, 0.5, False),
        Spatter(0.65, 0.1, 0.8, 0.7, 0.5, False),
        Spatter(0.65, 0.3, 1, 0.69, 0.5, False),
        Spatter(0.65, 0.1, 0.7, 0.69, 0.6, True),
        Spatter(0.65, 0.1, 0.5, 0.68, 0.6, True),
    ),
    "saturate": (
        Saturate(0.3, 0),
        Saturate(0.1, 0),
        Saturate(1.5, 0),
        Saturate(2, 0.1),
        Saturate(2.5, 0.2),
    ),
}

_IMAGENET: dict[str, Sequence[Any]] = {
    "gaussian_noise": (0.08, 0.12, 0.18, 0.26, 0.38),
    "shot_noise": (60, 25, 12, 5, 3),
    "impulse_noise": (0.03, 0.06, 0.09, 0.17, 0.27),
    "defocus_blur": (
        Defocus(3, 0.1),
        Defocus(4, 0.5),
        Defocus(6, 0.5),
        Defocus(8, 0.5),
        Defocus(10, 0.5),
    ),
    "glass_blur": (
        Glass(0.7, 1, 2),
        Glass(0.9, 2, 1),
        Glass(1, 2, 3),
        Glass(1.1, 3, 2),
        Glass(1.5, 4, 2),
    ),
    "motion_blur": (Motion(10, 3), Motion(15, 5), Motion(15, 8), Motion(15, 12), Motion(20, 15)),
    "zoom_blur": (
        Zooms(1.11, 0.01),
        Zooms(1.16, 0.01),
        Zooms(1.21, 0.02),
        Zooms(1.26, 0.02),
        Zooms(1.31, 0.03),
    ),
    "snow": (
        Snow(0.1, 0.3, 3, 0.5, 10, 4, 0.8),
        Snow(0.2, 0.3, 2, 0.5, 12, 4, 0.7),
        Snow(0.55, 0.3, 4, 0.9, 12, 8, 0.7),
        Snow(0.55, 0.3, 4.5, 0.85, 12, 8, 0.65),
        Snow(0.55, 0.3, 2.5, 0.85, 12, 12, 0.55),
    ),
    "frost": (
        Frost(1, 0.4, 1),
        Frost(0.8, 0.6, 1),
        Frost(0.7, 0.7, 1),
        Frost(0.65, 0.7, 1),
        Frost(0.6, 0.75, 1),
    ),
    "fog": (Fog(1.5, 2), Fog(2, 2), Fog(2.5, 1.7), Fog(2.5, 1.5), Fog(3, 1.4)),
    "brightness": (0.1, 0.2, 0.3, 0.4, 0.5),
    "contrast": (0.4, 0.3, 0.2, 0.1, 0.05),
    # 244 is the source's own slip for 224; the released images were made with it
    "elastic_transform": (
        Elastic(244 * 2, 244 * 0.7, 244 * 0.1),
        Elastic(244 * 2, 244 * 0.08, 244 * 0.2),
        Elastic(244 * 0.05, 244 * 0.01, 244 * 0.02),
        Elastic(244 * 0.07, 244 * 0.01, 244 * 0.02),
        Elastic(244 * 0.12, 244 * 0.01, 244 * 0.02),
    ),
    "pixelate": (0.6, 0.5, 0.4, 0.3, 0.25),
    "jpeg_compression": (25, 18, 15, 10, 7),
    "speckle_noise": (0.15, 0.2, 0.35, 0.45, 0.6),
    "gaussian_blur": (1, 2, 3, 4, 6),
    "spatter": (
        Spatter(0.65, 0.3, 4, 0.69, 0.6, False),
        Spatter(0.65, 0.3, 3, 0.68, 0.6, False),
        Spatter(0.65, 0.3, 2, 0.68, 0.5, False),
        Spatter(0.65, 0.3, 1, 0.65, 1.5, True),
        Spatter(0.67, 0.4, 1, 0.65, 1.5, True),
    ),
    "saturate": (
        Saturate(0.3, 0),
        Saturate(0.1, 0),
        Saturate(2, 0),
        Saturate(5, 0.1),
        Saturate(20, 0.2),
    ),
}

STRENGTHS: dict[str, dict[str, Sequence[Any]]] = {"cifar": _CIFAR, "imagenet": _IMAGENET}
"""`STRENGTHS[table][corruption][severity - 1]`; the units stand beside the "cifar" table."""
