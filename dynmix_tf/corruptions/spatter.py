"""Spatter: drops of water, whose rims shine, or of mud.

The steps of the water are those of OpenCV, which the benchmark was made with, written here in
NumPy and SciPy: the edge detector, the chamfer distance and the equalised histogram give the
same whole numbers.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from dynmix_tf.corruptions.strengths import Spatter

__all__ = ["canny", "chamfer", "equalise", "mud", "spatter", "water"]

_WATER = np.array([175, 238, 238], np.float32)  # pale turquoise
_MUD = np.array([63, 42, 20], np.float32)
_WEAK_EDGE, _STRONG_EDGE = 50, 150
_FARTHEST = 20  # pixels from an edge
_BOX = ((1, 1, 1), (1, 1, 1), (1, 1, 1))
_EMBOSS = ((-2, -1, 0), (-1, 1, 1), (0, 1, 2))

ONE = 10_000
"""A distance of one pixel in the whole numbers of `chamfer`."""


def spatter(
    images: NDArray[np.uint8], streams: Sequence[np.random.Generator], strength: Spatter
) -> NDArray[np.float32]:
    """Drops where smoothed normal noise exceeds a threshold: water is added, mud covers."""
    _, h, w, _ = images.shape
    noise = np.stack([s.standard_normal((h, w), dtype=np.float32) for s in streams])
    liquid = np.float32(strength.mean) + np.float32(strength.spread) * noise
    sigma = strength.smoothing
    liquid = ndimage.gaussian_filter(liquid, (0, sigma, sigma), mode="nearest", truncate=4)
    if strength.mud:
        return mud(images, liquid > strength.threshold, strength.intensity)
    liquid[liquid < strength.threshold] = 0
    # The reference's cast to 8 bits wraps around: the rare drop above 1 has a dark middle.
    height = (255 * liquid).astype(np.int32).astype(np.uint8)
    return water(images, height, strength.intensity)


def water(
    images: NDArray[np.uint8], liquid: NDArray[np.uint8], intensity: float
) -> NDArray[np.float32]:
    """Images (n, h, w, 3) with drops, lit like a relief of the distance from the drops' rims.

    `liquid` (n, h, w) is the height of the water. The brightest place of an image gets
    `intensity` of the colour; one without liquid stays as it is (the reference divides by zero).
    """
    distance = chamfer(canny(liquid, _WEAK_EDGE, _STRONG_EDGE), _FARTHEST)
    depth = equalise((_correlate(distance, _BOX) // (9 * ONE)).astype(np.uint8))
    relief = np.clip(_correlate(depth, _EMBOSS), 0, 255)
    relief = (_correlate(relief, _BOX) + 4) // 9  # rounded: a sum of whole levels has no half
    shine = (liquid * relief).astype(np.float32)
    brightest = shine.max(axis=(1, 2), keepdims=True)
    shine *= np.float32(intensity) / np.maximum(brightest, 1)
    return images + shine[..., None] * _WATER


def mud(
    images: NDArray[np.uint8], drops: NDArray[np.bool_], smoothing: float
) -> NDArray[np.float32]:
    """Images (n, h, w, 3) under mud where `drops` (n, h, w), smoothed, are dense enough."""
    sigma = (0, smoothing, smoothing)
    cover = ndimage.gaussian_filter(drops.astype(np.float32), sigma, mode="nearest", truncate=4)
    cover[cover < 0.8] = 0
    return images * (1 - cover[..., None]) + cover[..., None] * _MUD


def canny(images: NDArray[np.uint8], weak: int, strong: int) -> NDArray[np.bool_]:
    """Edges of (n, h, w) images: OpenCV's `Canny` with its 3 x 3 Sobel filter.

    A pixel is an edge if |dx| + |dy| is above `weak` and a maximum along the gradient, rounded
    to 45 degrees, and if such pixels connect it with one above `strong`.
    """
    n, h, w = images.shape
    levels = np.pad(images.astype(np.int32), ((0, 0), (1, 1), (1, 1)), "edge")
    down = levels[:, :-2] + 2 * levels[:, 1:-1] + levels[:, 2:]
    across = levels[:, :, :-2] + 2 * levels[:, :, 1:-1] + levels[:, :, 2:]
    dx = down[:, :, 2:] - down[:, :, :-2]
    dy = across[:, 2:] - across[:, :-2]
    magnitude: NDArray[np.int32] = np.zeros((n, h + 2, w + 2), np.int32)
    magnitude[:, 1:-1, 1:-1] = np.abs(dx) + np.abs(dy)

    place = np.nonzero(magnitude[:, 1:-1, 1:-1] > weak)
    gx, gy = dx[place], dy[place]
    # in OpenCV's integers: tan 22.5 and tan 67.5 degrees times 2**15
    run, rise = np.abs(gx), np.abs(gy) << 15
    flat = rise < 13573 * run
    steep = rise > 13573 * run + (run << 16)
    step = np.where(flat, 1, np.where(steep, w + 2, w + 2 + np.sign(gx * gy)))
    around = magnitude.ravel()
    here = np.ravel_multi_index((place[0], place[1] + 1, place[2] + 1), magnitude.shape)
    size, after = around[here], around[here + step]
    # of two equal ones in a row the first is the edge; on the diagonals neither is
    peak = (size > around[here - step]) & (size > after - (flat | steep))

    thin: NDArray[np.bool_] = np.zeros(images.shape, bool)
    thin[place] = peak
    neighbours: NDArray[np.bool_] = np.zeros((3, 3, 3), bool)
    neighbours[1] = True  # within an image
    lines, count = ndimage.label(thin, neighbours)
    kept: NDArray[np.bool_] = np.zeros(count + 1, bool)
    kept[lines[place][peak & (size > strong)]] = True
    return kept[lines]


def chamfer(edges: NDArray[np.bool_], farthest: int) -> NDArray[np.int32]:
    """The distance of each pixel of (n, h, w) from the nearest edge, in units of 1 / `ONE`.

    OpenCV's `distanceTransform` with a mask of 5 x 5: the length of the shortest path of steps
    to a neighbour (1 or 1.4) and a knight's moves (2.1969), here up to `farthest`. That is two
    passes over the rows, which this makes for all images at once.
    """
    n, h, w = edges.shape
    # rows first, so that a row of all images lies together; a margin spares the borders
    distance = np.full((h + 4, n, w + 4), farthest * ONE, np.int32)
    distance[2:-2, :, 2:-2][edges.swapaxes(0, 1)] = 0
    _chamfer_pass(distance)
    _chamfer_pass(distance[::-1, :, ::-1])
    return distance[2:-2, :, 2:-2].swapaxes(0, 1)


def _chamfer_pass(distance: NDArray[np.int32]) -> None:
    """Shortens the distances by the steps from above and from the left."""
    ramp: NDArray[np.int32] = np.arange(distance.shape[2] - 4, dtype=np.int32) * ONE
    straight, diagonal, knight = ONE, 14_000, 21_969
    for y in range(2, len(distance) - 2):
        upper, above, row = distance[y - 2], distance[y - 1], distance[y, :, 2:-2]
        far = np.minimum(above[:, :-4], above[:, 4:])
        np.minimum(far, upper[:, 1:-3], out=far)
        np.minimum(far, upper[:, 3:-1], out=far)
        far += knight
        near = np.minimum(above[:, 1:-3], above[:, 3:-1])
        near += diagonal
        np.minimum(far, near, out=far)
        np.add(above[:, 2:-2], straight, out=near)
        np.minimum(far, near, out=far)
        np.minimum(far, row, out=far)
        # a step to the right costs `straight`: the least of what all pixels to the left offer
        far -= ramp
        np.minimum.accumulate(far, axis=1, out=far)
        np.add(far, ramp, out=row)


def equalise(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Equalised histograms of (n, h, w) images, as OpenCV's `equalizeHist`.

    The lowest level becomes 0, and a level the share of the other pixels up to it; an image of
    one level stays as it is.
    """
    n, h, w = images.shape
    first: NDArray[np.intp] = np.arange(n)[:, None, None] * 256
    counts = np.bincount((first + images).ravel(), minlength=n * 256).reshape(n, 256)
    lowest = images.min(axis=(1, 2))[:, None].astype(np.intp)
    count_of_lowest = np.take_along_axis(counts, lowest, axis=1)
    others = h * w - count_of_lowest
    scale = np.float32(255) / np.maximum(others, 1).astype(np.float32)
    share = np.maximum(counts.cumsum(axis=1) - count_of_lowest, 0).astype(np.float32) * scale
    table = np.where(others > 0, np.rint(share), lowest).astype(np.uint8)
    return table.ravel()[first + images]


def _correlate(images: NDArray, kernel: Sequence[Sequence[int]]) -> NDArray[np.int32]:
    """Correlation of (n, h, w) whole numbers with a 3 x 3 kernel, mirrored at the edge pixels."""
    _, h, w = images.shape
    padded = np.pad(images.astype(np.int32), ((0, 0), (1, 1), (1, 1)), "reflect")
    total: NDArray[np.int32] = np.zeros(images.shape, np.int32)
    for y, row in enumerate(kernel):
        for x, weight in enumerate(row):
            if weight:
                total += weight * padded[:, y : y + h, x : x + w]
    return total
