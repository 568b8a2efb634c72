"""Frost against the benchmark's definition, with bilinear interpolation written out."""

from __future__ import annotations

import hashlib
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from dynmix_tf.corruptions import corrupt, filters, weather
from dynmix_tf.corruptions.strengths import STRENGTHS, Frost

TABLES = ("cifar", "imagenet")

PHOTOS = {
    "frost1.png": "ff9f907860bd7a835d459e32f9d588062b7f61ee267343cc7222b56753a14755",
    "frost2.png": "fe211a89b336999c207a852ce05818d4545d0b57c5beadd824b4cc9d9a9b6137",
    "frost3.png": "2d0d50b4a9bb213f38b024ef7768731bb83cc08d2f26b5766bbc167cdfa0e504",
    "frost4.jpg": "3f8b91ca1a9fa7167b09e773da53f5ae60d0a1fd88f02a783f6e328a72887f6e",
    "frost5.jpg": "5fc6a19df4a429ba68abdcc8f8a4278d4c9f81c9ccafd2c92ab0c8cf8992ebd2",
}


def read(index: int) -> np.ndarray:
    return np.asarray(Image.open(weather.FROST[index]).convert("RGB")).astype(float)


def bilinear(photo: np.ndarray, factor: float) -> np.ndarray:
    """A photo resized to round(factor * side), centres on centres, no wider filter to shrink."""
    height, width = (round(factor * side) for side in photo.shape[:2])
    resized = np.empty((height, width, 3))
    for y in range(height):
        for x in range(width):
            v = min(max((y + 0.5) / factor - 0.5, 0), photo.shape[0] - 1)
            u = min(max((x + 0.5) / factor - 0.5, 0), photo.shape[1] - 1)
            top, left = int(v), int(u)
            bottom, right = min(top + 1, len(photo) - 1), min(left + 1, photo.shape[1] - 1)
            above = (1 - (u - left)) * photo[top, left] + (u - left) * photo[top, right]
            below = (1 - (u - left)) * photo[bottom, left] + (u - left) * photo[bottom, right]
            resized[y, x] = (1 - (v - top)) * above + (v - top) * below
    return np.floor(resized + 0.5)


@pytest.fixture(scope="module")
def photos() -> dict[int, list[np.ndarray]]:
    """The five photographs by how much they are reduced."""
    return {
        1: [read(index) for index in range(5)],
        5: [bilinear(read(index), 0.2) for index in range(5)],
    }


def direct_frost(image, photos, strength: Frost, generator: np.random.Generator) -> np.ndarray:
    height, width, _ = image.shape
    photo = photos[strength.reduction][generator.integers(5)]
    top = generator.integers(photo.shape[0] - height)
    left = generator.integers(photo.shape[1] - width)
    part = photo[top : top + height, left : left + width]
    return np.clip(strength.keep * image + strength.frost * part + 1e-6, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("severity", range(1, 6))
@pytest.mark.parametrize(
    ("table", "side"), [("cifar", 32), ("cifar", 47), ("imagenet", 47), ("imagenet", 224)]
)
def test_frost_is_its_definition(table, side, severity, photos, photo_crops):
    strength = STRENGTHS[table]["frost"][severity - 1]
    images = photo_crops(side, 12)[:, : side - 3]
    streams = [np.random.default_rng(seed) for seed in range(len(images))]
    result = filters.truncate(weather.frost(images, streams, strength))
    for i, image in enumerate(images):
        expected = direct_frost(image, photos, strength, np.random.default_rng(i))
        np.testing.assert_array_equal(result[i], expected)


@pytest.mark.parametrize(("table", "side"), [("cifar", 32), ("imagenet", 224)])
@pytest.mark.parametrize("severity", range(1, 6))
def test_frost_is_as_strong_as_by_other_draws(table, side, severity, photos, photo_crops):
    """The mean change and the mean step to the next pixel, over real images."""
    images = np.concatenate([photo_crops(side, 40)] * 2)
    generator = np.random.default_rng(severity)
    strength = STRENGTHS[table]["frost"][severity - 1]
    direct = np.stack([direct_frost(image, photos, strength, generator) for image in images])
    figures = []
    for frosted in (corrupt(images, "frost", severity, strengths=table), direct):
        change = np.abs(frosted.astype(float) - images).mean()
        figures.append((change, np.abs(np.diff(frosted.astype(float), axis=2)).mean()))
    np.testing.assert_allclose(figures[0], figures[1], rtol=0.2)


@pytest.mark.parametrize("shape", [(224, 224), (64, 300), (120, 40), (99, 132)])
def test_a_photograph_is_enlarged_until_it_covers_the_image(shape, photos):
    """At the strengths for 32 pixels the photographs have 63 to 120 rows."""
    black = np.zeros((20, *shape, 3), np.uint8)
    streams = [np.random.default_rng(seed) for seed in range(len(black))]
    parts = weather.frost(black, streams, Frost(1, 1, 5))
    enlarged = 0
    for i, part in enumerate(parts):
        generator = np.random.default_rng(i)
        photo = photos[5][generator.integers(5)]
        factor = max(1, shape[0] / photo.shape[0], shape[1] / photo.shape[1])
        enlarged += factor > 1
        room = [round(factor * photo.shape[axis]) - shape[axis] for axis in (0, 1)]
        start = [generator.integers(max(1, side)) for side in room]
        y, x = ((start[axis] + np.arange(shape[axis]) + 0.5) / factor - 0.5 for axis in (0, 1))
        for channel in range(3):
            expected = ndimage.map_coordinates(
                photo[..., channel], np.meshgrid(y, x, indexing="ij"), order=1, mode="nearest"
            )
            np.testing.assert_allclose(part[..., channel], expected, atol=1.01)
    assert enlarged


def test_all_five_photographs_are_drawn():
    black = np.zeros((500, 8, 8, 3), np.uint8)
    drawn = corrupt(black, "frost", 1, strengths="imagenet")
    index = [
        [i for i in range(5) if appears(part, weather.frost_photo(i, 1))] for part in drawn[:40]
    ]
    assert all(index) and {i for found in index for i in found} == set(range(5))
    assert len({part.tobytes() for part in drawn}) > 480


def appears(part: np.ndarray, photo: np.ndarray) -> bool:
    """Whether .4 of some part of the photograph is this one."""
    dimmed = (photo * 0.4 + 1e-4).astype(np.uint8)
    height, width = (side - 7 for side in photo.shape[:2])
    here = np.ones((height, width), bool)
    for y in range(8):
        here[here] = np.all(dimmed[y : y + height, :width][here] == part[y, 0], axis=-1)
    places = np.argwhere(here)
    return any(np.array_equal(dimmed[y : y + 8, x : x + 8], part) for y, x in places)


def test_the_photographs_are_those_of_the_benchmark():
    assert [path.name for path in weather.FROST] == list(PHOTOS)
    for path in weather.FROST:
        assert hashlib.sha256(path.read_bytes()).hexdigest() == PHOTOS[path.name]
    for name in ("LICENSE", "NOTICE", "README.md"):
        assert (weather.FROST[0].parent / name).is_file()


def test_the_photographs_are_read_once_and_only_when_needed():
    code = (
        "import numpy as np; from dynmix_tf.corruptions import corrupt, weather;"
        "print(weather.frost_photo.cache_info().currsize);"
        "images = np.zeros((60, 32, 32, 3), np.uint8);"
        "corrupt(images, 'fog', 1); print(weather.frost_photo.cache_info().currsize);"
        "corrupt(images, 'frost', 1); corrupt(images, 'frost', 2);"
        "print(weather.frost_photo.cache_info().misses)"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert printed.stdout.split() == ["0", "0", "5"], printed.stderr
