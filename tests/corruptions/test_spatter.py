"""Spatter against the benchmark's definition, its OpenCV steps written as loops over pixels."""

from __future__ import annotations

import math

import numpy as np
import pytest
import skimage.filters
from scipy import ndimage

from dynmix_tf.corruptions import corrupt, filters, spatter
from dynmix_tf.corruptions.strengths import STRENGTHS, Spatter

SIDES = [("cifar", 32), ("cifar", 47), ("imagenet", 47), ("imagenet", 224)]
BOX = np.ones((3, 3), int)
EMBOSS = np.array([[-2, -1, 0], [-1, 1, 1], [0, 1, 2]])


def windows(image: np.ndarray, mode: str) -> np.ndarray:
    return np.lib.stride_tricks.sliding_window_view(np.pad(image, 1, mode), (3, 3))


def direct_canny(image: np.ndarray, low: int, high: int) -> np.ndarray:
    """Sobel with repeated edges, maxima along the gradient, a walk from the strong edges."""
    height, width = image.shape
    view = windows(image.astype(int), "edge")
    ramp = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]])
    dx, dy = (view * ramp).sum(axis=(2, 3)), (view * ramp.T).sum(axis=(2, 3))
    size = np.zeros((height + 2, width + 2), int)  # nothing beyond the image
    size[1:-1, 1:-1] = abs(dx) + abs(dy)
    candidates, walk = set(), []
    for y, x in np.argwhere(size[1:-1, 1:-1] > low).tolist():
        gx, gy, here = int(dx[y, x]), int(dy[y, x]), size[y + 1, x + 1]
        if abs(gy) < math.tan(math.pi / 8) * abs(gx):
            keep = size[y + 1, x] < here >= size[y + 1, x + 2]
        elif abs(gy) > math.tan(3 * math.pi / 8) * abs(gx):
            keep = size[y, x + 1] < here >= size[y + 2, x + 1]
        else:
            side = 1 if gx * gy > 0 else -1
            keep = size[y, x + 1 - side] < here > size[y + 2, x + 1 + side]
        if keep:
            candidates.add((y, x))
            if here > high:
                walk.append((y, x))
    edges = np.zeros(image.shape, bool)
    while walk:
        y, x = walk.pop()
        if (y, x) in candidates and not edges[y, x]:
            edges[y, x] = True
            walk += [(y + i, x + j) for i in (-1, 0, 1) for j in (-1, 0, 1)]
    return edges


def chamfer_length(dy: int, dx: int) -> float:
    """The shortest path by steps of 1, diagonals of 1.4 and knight's moves of 2.1969."""
    short, long = sorted((abs(dy), abs(dx)))
    if long >= 2 * short:
        return 2.1969 * short + (long - 2 * short)
    return 2.1969 * (long - short) + 1.4 * (2 * short - long)


def direct_chamfer(edges: np.ndarray, farthest: int) -> np.ndarray:
    reach = range(-farthest, farthest + 1)
    around = np.array([[chamfer_length(dy, dx) for dx in reach] for dy in reach])
    distance = np.pad(np.full(edges.shape, float(farthest)), farthest)
    for y, x in np.argwhere(edges):
        part = distance[y : y + len(reach), x : x + len(reach)]
        np.minimum(part, around, out=part)
    return distance[farthest:-farthest, farthest:-farthest]


def direct_equalise(image: np.ndarray) -> np.ndarray:
    lowest = image.min()
    others = np.sum(image != lowest)
    if not others:
        return image
    result = np.zeros_like(image)
    for level in np.unique(image):
        share = np.sum((image != lowest) & (image <= level))
        result[image == level] = round(float(np.float32(share) * (np.float32(255) / others)))
    return result


def direct_spatter(image: np.ndarray, noise: np.ndarray, strength: Spatter) -> np.ndarray:
    x = image / 255
    layer = strength.mean + strength.spread * noise
    layer = skimage.filters.gaussian(layer, sigma=strength.smoothing)
    layer[layer < strength.threshold] = 0
    if strength.mud:
        cover = (layer > strength.threshold).astype(float)
        cover = skimage.filters.gaussian(cover, sigma=strength.intensity)[..., None]
        cover[cover < 0.8] = 0
        x = x * (1 - cover) + cover * np.array([63, 42, 20]) / 255
    else:
        liquid = ((layer * 255).astype(int) % 256).astype(np.uint8)  # 256 wraps to 0
        distance = direct_chamfer(direct_canny(liquid, 50, 150), 20)
        distance = windows(distance, "reflect").mean(axis=(2, 3)) + 1e-6
        distance = direct_equalise(distance.astype(np.uint8)).astype(int)
        relief = np.clip((windows(distance, "reflect") * EMBOSS).sum(axis=(2, 3)), 0, 255)
        relief = np.rint(windows(relief, "reflect").mean(axis=(2, 3)))
        shine = liquid * relief
        shine *= strength.intensity / max(shine.max(), 1)
        x = x + shine[..., None] * np.array([175, 238, 238]) / 255
    return (np.clip(x, 0, 1) * 255 + 1e-6).astype(np.uint8)


@pytest.mark.parametrize("severity", range(1, 6))
@pytest.mark.parametrize(("table", "side"), SIDES)
def test_spatter_is_its_definition(table, side, severity, photo_crops):
    strength = STRENGTHS[table]["spatter"][severity - 1]
    count = 2 if side == 224 else 6
    images = photo_crops(side, count)[:, 3:]
    streams = [np.random.default_rng(seed) for seed in range(count)]
    result = filters.truncate(spatter.spatter(images, streams, strength))
    assert not np.array_equal(result, images)
    for i, image in enumerate(images):
        noise = np.random.default_rng(i).standard_normal(image.shape[:2], dtype=np.float32)
        off = np.abs(result[i].astype(int) - direct_spatter(image, noise, strength))
        assert off.max() <= 1
        assert np.mean(off > 0) < 0.002


@pytest.mark.parametrize(("mean", "smoothing"), [(0.5, 0), (0.65, 1), (0.65, 3)])
def test_canny_is_the_walk_along_edges(mean, smoothing):
    """On noise as well, where all directions and ties of the gradient occur."""
    noise = np.random.default_rng(0).normal(mean, 0.3, (4, 40, 51))
    images = np.clip(255 * ndimage.gaussian_filter(noise, (0, smoothing, smoothing)), 0, 255)
    images[1:] *= images[1:] > 255 * 0.6
    images = images.astype(np.uint8)
    result = spatter.canny(images, 50, 150)
    assert result.any()
    for image, edges in zip(images, result, strict=True):
        np.testing.assert_array_equal(edges, direct_canny(image, 50, 150))


@pytest.mark.parametrize("share", [0.0005, 0.005, 0.2])
def test_chamfer_is_the_shortest_path(share):
    edges = np.random.default_rng(1).random((3, 50, 61)) < share
    edges[0] = False
    result = spatter.chamfer(edges, 20) / spatter.ONE
    assert np.all(result[0] == 20)
    for image, distance in zip(edges, result, strict=True):
        np.testing.assert_allclose(distance, direct_chamfer(image, 20), atol=1e-9)


def test_equalise_spreads_the_levels():
    """The share of the pixels above the lowest level: 1 of 3, 2 of 3, 3 of 3."""
    images = np.array([[[7, 7, 9, 12, 20]], [[5, 5, 5, 5, 5]]], np.uint8)
    assert spatter.equalise(images).tolist() == [[[0, 0, 85, 170, 255]], [[5, 5, 5, 5, 5]]]
    noise = np.random.default_rng(0).integers(0, 21, (2, 30, 31)).astype(np.uint8)
    for image, result in zip(noise, spatter.equalise(noise), strict=True):
        np.testing.assert_array_equal(result, direct_equalise(image))


def test_drops_above_1_wrap_around(photo_crops):
    """As in the reference, whose cast to 8 bits knows no limit."""
    images, strength = photo_crops(32, 4), Spatter(0.95, 0.3, 1, 0.69, 0.5, False)
    streams = [np.random.default_rng(seed) for seed in range(4)]
    result = filters.truncate(spatter.spatter(images, streams, strength))
    for i, image in enumerate(images):
        noise = np.random.default_rng(i).standard_normal(image.shape[:2], dtype=np.float32)
        off = np.abs(result[i].astype(int) - direct_spatter(image, noise, strength))
        assert off.max() <= 1 and np.mean(off > 0) < 0.002


def test_without_liquid_an_image_stays_as_it_is(photo_crops):
    images = photo_crops(32, 2)
    nothing = np.zeros((2, 32, 32), np.uint8)
    nothing[1, 10:20, 5:9] = 200
    result = spatter.water(images, nothing, 0.5)
    np.testing.assert_array_equal(result[0], images[0])
    assert np.any(result[1] > images[1])
    np.testing.assert_array_equal(spatter.mud(images, nothing > 255, 1), images)


def test_liquid_everywhere_has_no_rims_and_one_colour(photo_crops):
    images = photo_crops(32, 1)
    flood = np.full((1, 32, 32), 200, np.uint8)
    flooded = images + 0.5 * np.array([175, 238, 238])
    np.testing.assert_allclose(spatter.water(images, flood, 0.5), flooded, atol=1e-3)
    mud = spatter.mud(images, flood > 0, 0.6)
    np.testing.assert_allclose(mud, np.broadcast_to([63, 42, 20], images.shape), atol=1e-3)


@pytest.mark.parametrize("table", ["cifar", "imagenet"])
def test_water_brightens_and_mud_darkens(table):
    grey = np.full((10, 64, 64, 3), 100, np.uint8)
    for severity in range(1, 6):
        result = corrupt(grey, "spatter", severity, strengths=table)
        if severity <= 3:
            assert result.min() == 100 and result.max() > 150
        else:
            assert result.max() == 100 and np.all(result[..., 0] >= result[..., 2])
            assert result.min() < 30


@pytest.mark.parametrize("table", ["cifar", "imagenet"])
@pytest.mark.parametrize("severity", range(1, 6))
def test_a_batch_has_the_bits_of_its_images(table, severity, photo_crops):
    for side in (32, 47, 224):
        images = photo_crops(side, 4)
        batch = corrupt(images, "spatter", severity, seed=5, strengths=table)
        for i, image in enumerate(images):
            alone = corrupt(image, "spatter", severity, 5, table, first_index=i)
            np.testing.assert_array_equal(alone, batch[i])
