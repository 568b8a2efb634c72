"""The frames of the sequences that move the image: translate, rotate, scale, shear and tilt.

Every function takes an image (h, w, 3) uint8, a random stream that it leaves alone, and its
parameters, and yields the frames, uint8 (h, w, 3), in order. Beyond the image is black.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

__all__ = ["Frames", "Ramp", "middle", "rotate", "scale", "shear", "tilt", "translate"]

Frames = Iterator[NDArray[np.uint8]]


class Ramp(NamedTuple):
    """A number that changes by the same amount from frame to frame."""

    first: float
    step: float
    frames: int = 31

    def values(self) -> list[float]:
        """The number at every frame."""
        return [self.first + self.step * i for i in range(self.frames)]


def middle(image: NDArray[np.uint8], crop: int | None) -> NDArray[np.uint8]:
    """The middle `crop` x `crop` pixels, a half pixel rounded to the even one; None: all."""
    if crop is None:
        return image
    top, left = (round((side - crop) / 2) for side in image.shape[:2])
    return image[top : top + crop, left : left + crop]


def translate(image: NDArray[np.uint8], stream: np.random.Generator, shifts: Ramp) -> Frames:
    """Shift to the right by whole pixels."""
    _, w, _ = image.shape
    reach = max(abs(int(shift)) for shift in shifts.values())
    padded = np.pad(image, ((0, 0), (reach, reach), (0, 0)))
    for shift in shifts.values():
        start = reach - int(shift)
        yield padded[:, start : start + w]


def rotate(image: NDArray[np.uint8], stream: np.random.Generator, degrees: Ramp) -> Frames:
    """Turn clockwise."""
    picture = Image.fromarray(image)
    for angle in np.deg2rad(degrees.values()):
        cos, sin = math.cos(angle), math.sin(angle)
        yield _mapped(picture, cos, sin, -sin, cos)


def scale(image: NDArray[np.uint8], stream: np.random.Generator, percent: Ramp) -> Frames:
    """Enlarge or reduce to percentages of the size."""
    picture = Image.fromarray(image)
    for size in percent.values():
        yield _mapped(picture, 100 / size, 0, 0, 100 / size)


def shear(image: NDArray[np.uint8], stream: np.random.Generator, degrees: Ramp) -> Frames:
    """Turn the vertical lines alone, which leaves their length: the image also gets lower."""
    picture = Image.fromarray(image)
    for angle in np.deg2rad(degrees.values()):
        yield _mapped(picture, 1, math.tan(angle), 0, 1 / math.cos(angle))


def _mapped(picture: Image.Image, xx: float, xy: float, yx: float, yy: float) -> NDArray[np.uint8]:
    """The picture whose pixel at p shows what is at M p, bilinear, cut to whole levels.

    Places are measured from half a pixel right of and below the picture's middle: there the
    torchvision of the benchmark's time had its centre.
    """
    w, h = picture.size
    x, y = w / 2 + 0.5, h / 2 + 0.5
    matrix = (xx, xy, x - xx * x - xy * y, yx, yy, y - yx * x - yy * y)
    bilinear = Image.Resampling.BILINEAR
    return np.asarray(
        picture.transform((w, h), Image.Transform.AFFINE, matrix, bilinear, fillcolor=(0, 0, 0))
    )


def tilt(image: NDArray[np.uint8], stream: np.random.Generator, degrees: Ramp) -> Frames:
    """Turn the image in space about its horizontal, then its vertical axis, by the same angle.

    The camera's focal length f is the image's diagonal, and the image lies at the distance
    f + 1, not f: the frame at 0 degrees is smaller than the image by f / (f + 1).
    """
    h, w, _ = image.shape
    focal = math.hypot(w, h)
    to_space = np.array([[1, 0, -w / 2], [0, 1, -h / 2], [0, 0, 1], [0, 0, 1]])
    to_image = np.array([[focal, 0, w / 2, 0], [0, focal, h / 2, 0], [0, 0, 1, 0]])
    move = np.eye(4)
    move[2, 3] = focal
    packed = _packed(image)
    for angle in np.deg2rad(degrees.values()):
        cos, sin = math.cos(angle), math.sin(angle)
        about_x, about_y = np.eye(4), np.eye(4)
        about_x[1:3, 1:3] = [[cos, -sin], [sin, cos]]
        about_y[0:3:2, 0:3:2] = [[cos, -sin], [sin, cos]]
        yield _projected(packed, to_image @ move @ about_x @ about_y @ to_space)


_LANE = 20  # bits: a level times 1024, and half a level for rounding, take 18
_MARGIN = 2  # a place beyond the image and its right or lower neighbour


def _packed(image: NDArray[np.uint8]) -> NDArray[np.int64]:
    """The three channels of each pixel in one integer, with a black margin: (h + 4, w + 4)."""
    red, green, blue = image.astype(np.int64).transpose(2, 0, 1)
    return np.pad(red | green << _LANE | blue << 2 * _LANE, _MARGIN)


def _projected(packed: NDArray[np.int64], matrix: NDArray[np.float64]) -> NDArray[np.uint8]:
    """The projective map of an image, as OpenCV's `warpPerspective` does it.

    Bilinear, with places rounded to 1/32 of a pixel, blended with black at the image's edge,
    and rounded to whole levels. All is exact in integers.
    """
    h, width = packed.shape
    h, w = h - 2 * _MARGIN, width - 2 * _MARGIN
    x, y = np.arange(w), np.arange(h)[:, None]
    to_x, to_y, depth = (row[0] * x + (row[1] * y + row[2]) for row in np.linalg.inv(matrix))
    x32, y32 = (np.rint(to * (32 / depth)).astype(np.int64) for to in (to_x, to_y))
    left = np.clip(x32 >> 5, -_MARGIN, w) + _MARGIN
    top = np.clip(y32 >> 5, -_MARGIN, h) + _MARGIN
    right_share, lower_share = x32 & 31, y32 & 31
    first = top * width + left
    total = np.int64(512 | 512 << _LANE | 512 << 2 * _LANE)
    for down, row_share in ((0, 32 - lower_share), (1, lower_share)):
        for right, share in ((0, 32 - right_share), (1, right_share)):
            pixels: NDArray[np.int64] = np.take(packed, first + (down * width + right))
            total = total + pixels * (row_share * share)
    lanes = [total >> (10 + channel * _LANE) for channel in range(3)]
    return np.stack(lanes, axis=-1).astype(np.uint8)
