"""Each corruption against the benchmark's definition, written independently and directly.

References work on values 0..1 in float64, pixel by pixel where the definition does; draws
come from generators of the same seed. Where float32 meets a cut to whole grey levels, a
result may be one level off: `assert_almost_everywhere` bounds how often.
"""

from __future__ import annotations

import io

import numpy as np
import pytest
import skimage.color
import skimage.data
import skimage.filters
import skimage.transform
from PIL import Image
from scipy import ndimage

from dynmix_tf.corruptions import blur, corrupt, digital, filters, noise, weather
from dynmix_tf.corruptions.strengths import STRENGTHS, Elastic, Fog, Glass, Snow

SEVERITIES = range(1, 6)
TABLES = ("cifar", "imagenet")


def photo(side: int) -> np.ndarray:
    return np.asarray(Image.fromarray(skimage.data.astronaut()).resize((side, side)))


def image_for(table: str) -> np.ndarray:
    return photo(32 if table == "cifar" else 224)


def generators(count: int = 1) -> list[np.random.Generator]:
    return [np.random.default_rng(seed) for seed in range(count)]


def cut(values: np.ndarray) -> np.ndarray:
    """Values 0..1 to grey levels as the reference casts them, rounding errors forgiven."""
    return (np.clip(values, 0, 1) * 255 + 1e-6).astype(np.uint8)


def assert_almost_everywhere(result, expected, share: float = 0.002):
    off = np.abs(result.astype(int) - expected)
    assert off.max() <= 1
    assert np.mean(off > 0) <= share


# --- noise ---


def grey_noise(name: str, severity: int, table: str, level: int = 128) -> np.ndarray:
    return corrupt(np.full((20, 64, 64, 3), level, np.uint8), name, severity, strengths=table)


@pytest.mark.parametrize(
    ("table", "severity", "sigma"), [("cifar", 1, 0.04), ("cifar", 5, 0.1), ("imagenet", 2, 0.12)]
)
def test_gaussian_noise_has_its_sigma(table, severity, sigma):
    noisy = grey_noise("gaussian_noise", severity, table).astype(float)
    n = noisy.size
    # cutting to whole levels lowers the mean by half a level and adds a variance of 1/12
    assert abs(noisy.mean() - 127.5) < 5 * 255 * sigma / np.sqrt(n)
    assert abs(noisy.std() / np.hypot(255 * sigma, np.sqrt(1 / 12)) - 1) < 5 / np.sqrt(2 * n)


def test_noise_is_independent_from_value_to_value():
    noisy = grey_noise("gaussian_noise", 3, "cifar").astype(float) - 127.5
    noisy /= noisy.std()
    for axis in (0, 1, 2, 3):
        assert abs(np.mean(noisy * np.roll(noisy, 1, axis))) < 5 / np.sqrt(noisy.size)


@pytest.mark.parametrize(("table", "photons"), [("cifar", 500), ("imagenet", 60)])
def test_shot_noise_is_poisson(table, photons):
    level = 100
    noisy = grey_noise("shot_noise", 1, table, level).astype(float)
    expected = level / 255 * photons
    sigma = np.sqrt(expected) / photons * 255
    assert abs(noisy.mean() - (level - 0.5)) < 5 * sigma / np.sqrt(noisy.size) + 0.1
    assert abs(noisy.std() / np.hypot(sigma, np.sqrt(1 / 12)) - 1) < 0.01


def test_shot_noise_gives_multiples_of_a_photon():
    """Three photons at full white: the levels 0, 85, 170, 255, cut and not one below."""
    noisy = corrupt(photo(64), "shot_noise", 5, strengths="imagenet")
    assert np.unique(noisy).tolist() == [0, 85, 170, 255]


@pytest.mark.parametrize(("table", "amount"), [("cifar", 0.07), ("imagenet", 0.27)])
def test_impulse_noise_hits_its_share_half_black_half_white(table, amount):
    noisy = grey_noise("impulse_noise", 5, table)
    assert set(np.unique(noisy)) == {0, 128, 255}
    for level in (0, 255):
        half = amount / 2
        spread = np.sqrt(half * (1 - half) / noisy.size)
        assert abs(np.mean(noisy == level) - half) < 5 * spread
    # channel values, not pixels
    hit = noisy != 128
    assert abs(np.mean(hit.all(axis=-1)) - amount**3) < 0.003


def test_speckle_noise_grows_with_the_level():
    for level in (50, 100):
        noisy = grey_noise("speckle_noise", 2, "cifar", level).astype(float)
        assert abs(noisy.std() / np.hypot(0.1 * level, np.sqrt(1 / 12)) - 1) < 0.01
    assert not grey_noise("speckle_noise", 5, "imagenet", 0).any()


def test_noise_is_clipped_and_cut():
    image = photo(32)
    levels = noise.gaussian_noise(image[None], generators(), 0.38)
    drawn = np.random.default_rng(0).standard_normal(image.shape, dtype=np.float32)
    expected = np.clip(image / 255 + 0.38 * drawn, 0, 1)
    assert_almost_everywhere(filters.truncate(levels)[0], cut(expected))


def test_truncate_cuts_but_forgives_rounding_errors():
    levels = np.array([-3, 0.9, 1.999, 1.9996, 2.0, 254.9999, 255.9, 300])
    assert filters.truncate(levels.astype(np.float32)).tolist() == [0, 0, 1, 2, 2, 255, 255, 255]
    assert filters.truncate(levels).tolist() == [0, 0, 1, 1, 2, 254, 255, 255]


# --- blur ---


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("severity", SEVERITIES)
def test_gaussian_blur_is_scikit_images(table, severity):
    image = image_for(table)
    sigma = STRENGTHS[table]["gaussian_blur"][severity - 1]
    expected = skimage.filters.gaussian(image / 255, sigma=sigma, channel_axis=-1)
    result = corrupt(image, "gaussian_blur", severity, strengths=table)
    assert_almost_everywhere(result, cut(expected))


def direct_defocus_kernel(radius: float, sigma: float) -> np.ndarray:
    """The definition pixel by pixel, smoothed with mirrored indices."""
    half, taps = (8, 1) if radius <= 8 else (int(radius), 2)
    side = 2 * half + 1
    disk = np.zeros((side, side))
    for y in range(side):
        for x in range(side):
            disk[y, x] = (y - half) ** 2 + (x - half) ** 2 <= radius**2
    disk /= disk.sum()
    line = np.exp(-(np.arange(-taps, taps + 1) ** 2) / (2 * sigma**2))
    line /= line.sum()
    smooth = np.zeros_like(disk)
    mirror = np.pad(np.arange(side), taps, "reflect")
    for y in range(side):
        for x in range(side):
            window = disk[np.ix_(mirror[y : y + 2 * taps + 1], mirror[x : x + 2 * taps + 1])]
            smooth[y, x] = line @ window @ line
    return smooth


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("severity", [1, 2, 3, 4, 5])
def test_defocus_blur_is_the_direct_convolution(table, severity):
    image = photo(32 if table == "cifar" else 64)
    kernel = direct_defocus_kernel(*STRENGTHS[table]["defocus_blur"][severity - 1])
    expected = ndimage.correlate(image / 255, kernel[..., None], mode="mirror")
    result = corrupt(image, "defocus_blur", severity, strengths=table)
    assert_almost_everywhere(result, cut(expected))


def test_the_strongest_defocus_blurs_brighten_as_the_references_do():
    sums = [blur.defocus_kernel(*s).sum() for s in STRENGTHS["imagenet"]["defocus_blur"]]
    np.testing.assert_allclose(sums, [1, 1, 1, 1.01298, 1.01079], atol=1e-5)
    grey = np.full((64, 64, 3), 100, np.uint8)
    assert np.all(corrupt(grey, "defocus_blur", 4, strengths="imagenet") == 101)


def direct_glass_blur(image: np.ndarray, offsets: np.ndarray, strength: Glass) -> np.ndarray:
    """The reference's loop, with its tuple assignment between NumPy views."""
    height, width, _ = image.shape
    sigma, reach, passes = strength
    x = cut(skimage.filters.gaussian(image / 255, sigma=sigma, channel_axis=-1))
    for i in range(passes):
        for h in range(height - reach, reach, -1):
            for w in range(width - reach, reach, -1):
                dy, dx = offsets[i, :, h - reach - 1, w - reach - 1]
                x[h, w], x[h + dy, w + dx] = x[h + dy, w + dx], x[h, w]
    return cut(skimage.filters.gaussian(x / 255, sigma=sigma, channel_axis=-1))


@pytest.mark.parametrize(
    "strength", [*STRENGTHS["cifar"]["glass_blur"], *STRENGTHS["imagenet"]["glass_blur"]]
)
def test_glass_blur_is_the_loop_over_pixels(strength):
    images = np.stack([photo(40), photo(40)[::-1]])[:, 3:]  # 37 x 40
    _, h, w, _ = images.shape
    result = filters.truncate(blur.glass_blur(images, generators(2), strength))
    size = (strength.passes, 2, h - 2 * strength.reach, w - 2 * strength.reach)
    for i, generator in enumerate(generators(2)):
        offsets = generator.integers(-strength.reach, strength.reach, size, dtype=np.int8)
        expected = direct_glass_blur(images[i], offsets, strength)
        assert_almost_everywhere(result[i], expected, share=0.0005)


def direct_streak(image: np.ndarray, radius: int, sigma: float, angle: float) -> np.ndarray:
    """ImageMagick's motion blur, pixel by pixel."""
    height, width, channels = image.shape
    length = 2 * radius + 1
    weights = [np.exp(-i * i / (2 * sigma * sigma)) for i in range(length)]
    weights = np.array(weights) / np.sum(weights)
    turn = np.deg2rad(angle)
    out = np.zeros((height, width, channels))
    for y in range(height):
        for x in range(width):
            for i in range(length):
                row = y + int(np.ceil(i * np.sin(turn) - 0.5))
                column = x + int(np.ceil(i * np.cos(turn) - 0.5))
                row, column = min(max(row, 0), height - 1), min(max(column, 0), width - 1)
                out[y, x] += weights[i] * image[row, column]
    return np.floor(out + 0.5).astype(np.uint8)


@pytest.mark.parametrize(
    ("radius", "sigma", "angle"),
    [(6, 1, 0), (6, 2, 45), (9, 2.5, -31.7), (20, 15, 20), (12, 8, -90), (14, 12, -134)],
)
def test_the_streak_is_imagemagicks_loop(radius, sigma, angle):
    image = photo(20)[:, 2:]
    result = filters.streak(image[None], radius, sigma, [angle])[0]
    assert_almost_everywhere(result, direct_streak(image, radius, sigma, angle), share=0.002)


def test_the_streak_is_one_sided():
    """A dot trails off to the left only: its pixels read what lies to their right."""
    dot = np.zeros((1, 9, 21, 1), np.uint8)
    dot[0, 4, 12] = 255
    trail = filters.streak(dot, 6, 3, [0])[0, :, :, 0]
    assert trail[4, 12] == trail.max() > 0
    assert not trail[:, 13:].any()
    assert np.all(np.diff(trail[4, :13].astype(int)) >= 0)
    assert trail[4, 5] > 0


def test_motion_blur_angles_are_within_45_degrees_of_the_horizontal():
    dot = np.zeros((300, 41, 41, 3), np.uint8)
    dot[:, 20, 20] = 255
    trails = corrupt(dot, "motion_blur", 5, strengths="cifar")[..., 0].astype(float)
    y, x = np.mgrid[-20:21, -20:21]
    mass = trails.sum(axis=(1, 2))
    centre_y, centre_x = (trails * y).sum((1, 2)) / mass, (trails * x).sum((1, 2)) / mass
    angles = np.rad2deg(np.arctan2(-centre_y, -centre_x))  # away from the trail
    assert -48 < angles.min() < -35
    assert 35 < angles.max() < 48
    assert abs(angles.mean()) < 5 * 26 / np.sqrt(300)


def clipped_zoom(image: np.ndarray, factor: float) -> np.ndarray:
    """The middle of a square image, enlarged by `factor`."""
    side = len(image)
    crop = int(np.ceil(side / factor))
    top = (side - crop) // 2
    middle = image[top : top + crop, top : top + crop]
    zoomed = ndimage.zoom(middle, (factor, factor, 1), order=1)
    trim = (len(zoomed) - side) // 2
    return zoomed[trim : trim + side, trim : trim + side]


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("severity", SEVERITIES)
def test_zoom_blur_is_the_mean_of_scipys_zooms(table, severity):
    image = image_for(table)
    stop, step = STRENGTHS[table]["zoom_blur"][severity - 1]
    factors = np.arange(1, stop, step)
    total = image / 255 + sum(clipped_zoom(image / 255, factor) for factor in factors)
    result = corrupt(image, "zoom_blur", severity, strengths=table)
    assert_almost_everywhere(result, cut(total / (len(factors) + 1)))


def test_zoom_blur_has_the_references_number_of_zooms():
    """A float step makes `arange` reach the end of the first two ranges."""
    counts = {
        table: [len(np.arange(1, z.stop, z.step)) for z in STRENGTHS[table]["zoom_blur"]]
        for table in TABLES
    }
    assert counts == {"cifar": [7, 12, 16, 21, 26], "imagenet": [12, 16, 11, 13, 11]}


# --- weather ---


@pytest.mark.parametrize(
    "strength", [*STRENGTHS["cifar"]["snow"], *STRENGTHS["imagenet"]["snow"][::2]]
)
def test_snow_is_its_definition(strength: Snow):
    image = photo(48)
    result = filters.truncate(weather.snow(image[None], generators(), strength))[0]

    drawn = generators()[0]
    layer = drawn.standard_normal((48, 48, 1), dtype=np.float32) * strength.spread + strength.mean
    angle = drawn.uniform(-135, -45)
    layer = clipped_zoom(layer.astype(np.float64), strength.zoom)
    layer[layer < strength.threshold] = 0
    layer = cut(layer)
    layer = direct_streak(layer, strength.radius, strength.sigma, angle) / 255
    x = image / 255
    grey = 0.299 * x[..., :1] + 0.587 * x[..., 1:2] + 0.114 * x[..., 2:]
    x = strength.keep * x + (1 - strength.keep) * np.maximum(x, grey * 1.5 + 0.5)
    expected = cut(x + layer + np.rot90(layer, k=2))
    assert_almost_everywhere(result, expected, share=0.01)


def direct_plasma(generator: np.random.Generator, side: int, decay: float) -> np.ndarray:
    """Diamond-square point by point, indices wrapping around."""
    draws = iter(generator.random(side * side - 1, dtype=np.float32).astype(float) * 2 - 1)
    field = np.zeros((side, side))
    step, wibble = side, 100.0
    while step >= 2:
        half = step // 2
        places = range(0, side, step)
        middles = range(half, side, step)

        def fill(ys, xs, arms, wibble=wibble):
            for y in ys:
                for x in xs:
                    corners = [field[(y + dy) % side, (x + dx) % side] for dy, dx in arms]
                    field[y, x] = np.mean(corners) + wibble * wibble * next(draws)

        fill(middles, middles, [(-half, -half), (-half, half), (half, -half), (half, half)])
        cross = [(-half, 0), (half, 0), (0, -half), (0, half)]
        fill(places, middles, cross)
        fill(middles, places, cross)
        step, wibble = half, wibble / decay
    field -= field.min()
    return field / field.max()


@pytest.mark.parametrize("decay", [3, 1.4])
def test_the_plasma_is_diamond_square(decay):
    result = weather.plasma(generators(2), 32, decay)
    assert result.min() == 0
    assert result.max() == 1
    for i, generator in enumerate(generators(2)):
        np.testing.assert_allclose(result[i], direct_plasma(generator, 32, decay), atol=1e-5)


@pytest.mark.parametrize("strength", [Fog(0.2, 3), Fog(3, 1.4)])
def test_fog_is_its_definition(strength):
    image = np.minimum(photo(48), 180)[:40]  # its brightest value is not white
    result = filters.truncate(weather.fog(image[None], generators(), strength))[0]
    x = image / 255
    brightest = x.max()
    veil = direct_plasma(generators()[0], 64, strength.decay)[:40, :48, None]
    x = (x + strength.amplitude * veil) * brightest / (brightest + strength.amplitude)
    assert_almost_everywhere(result, cut(x))


def test_fog_on_black_is_black():
    assert not corrupt(np.zeros((32, 32, 3), np.uint8), "fog", 5).any()


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("severity", SEVERITIES)
def test_brightness_is_the_hsv_value_plus_a_constant(table, severity):
    image = image_for(table).copy()
    image[0] = np.arange(len(image))[:, None]  # greys, with black
    hsv = skimage.color.rgb2hsv(image / 255)
    hsv[..., 2] = np.clip(hsv[..., 2] + STRENGTHS[table]["brightness"][severity - 1], 0, 1)
    result = corrupt(image, "brightness", severity, strengths=table)
    assert_almost_everywhere(result, cut(skimage.color.hsv2rgb(hsv)))


# --- digital ---


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("severity", SEVERITIES)
def test_contrast_shrinks_towards_the_channel_means(table, severity):
    image = image_for(table)
    x = image / 255
    means = x.mean(axis=(0, 1), keepdims=True)
    expected = (x - means) * STRENGTHS[table]["contrast"][severity - 1] + means
    assert_almost_everywhere(corrupt(image, "contrast", severity, strengths=table), cut(expected))


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("severity", SEVERITIES)
def test_saturate_is_scikit_images_hsv(table, severity):
    image = image_for(table).copy()
    image[0] = np.arange(len(image))[:, None]  # greys turn reddish
    factor, offset = STRENGTHS[table]["saturate"][severity - 1]
    hsv = skimage.color.rgb2hsv(image / 255)
    hsv[..., 1] = np.clip(hsv[..., 1] * factor + offset, 0, 1)
    result = corrupt(image, "saturate", severity, strengths=table)
    assert_almost_everywhere(result, cut(skimage.color.hsv2rgb(hsv)), share=0.005)


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("severity", SEVERITIES)
def test_pixelate_is_pillows_box_filter_both_ways(table, severity):
    image = image_for(table)[: 30 if table == "cifar" else 200]
    h, w, _ = image.shape
    factor = STRENGTHS[table]["pixelate"][severity - 1]
    small = Image.fromarray(image).resize((int(w * factor), int(h * factor)), Image.BOX)
    expected = np.asarray(small.resize((w, h), Image.BOX))
    result = corrupt(image, "pixelate", severity, strengths=table)
    np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("severity", SEVERITIES)
def test_jpeg_compression_is_pillows(table, severity):
    image = image_for(table)
    file = io.BytesIO()
    quality = STRENGTHS[table]["jpeg_compression"][severity - 1]
    Image.fromarray(image).save(file, "JPEG", quality=quality)
    result = corrupt(image, "jpeg_compression", severity, strengths=table)
    np.testing.assert_array_equal(result, np.asarray(Image.open(file)))


@pytest.mark.parametrize(("side", "sigma"), [(32, 6.4), (32, 0.96), (224, 170.8), (224, 2.44)])
def test_smooth_is_the_gaussian_filter_with_mirrored_edges(side, sigma):
    field = np.random.default_rng(0).uniform(-1, 1, (2, side, side - 5))
    expected = ndimage.gaussian_filter(field, (0, sigma, sigma), mode="reflect", truncate=3)
    result = digital.smooth(field.astype(np.float32), sigma)
    np.testing.assert_allclose(result, expected, atol=2e-6)


@pytest.mark.parametrize(
    ("side", "strength"),
    [(32, s) for s in STRENGTHS["cifar"]["elastic_transform"]]
    + [(224, s) for s in STRENGTHS["imagenet"]["elastic_transform"]],
)
def test_elastic_transform_is_its_definition(side: int, strength: Elastic):
    image = photo(side)
    result = digital.elastic_transform(image[None], generators(), strength)[0]

    drawn = generators()[0]
    third, middle = side // 3, side // 2
    points = np.array(
        [
            [middle + third, middle + third],
            [middle + third, middle - third],
            [middle - third, middle - third],
        ],
        float,
    )
    moved = points + drawn.uniform(-1, 1, (3, 2)) * strength.affine
    warp = skimage.transform.AffineTransform.from_estimate(points, moved)
    y, x = np.mgrid[:side, :side].astype(float)
    source = warp.inverse(np.stack([x.ravel(), y.ravel()], axis=1)).T
    source = source[::-1].reshape(2, side, side)
    x_then_y = drawn.random((2, side, side), dtype=np.float32).astype(float) * 2 - 1
    expected = np.empty(image.shape)
    for channel in range(3):
        plane = image[..., channel].astype(float)
        plane = ndimage.map_coordinates(plane, source, order=1, mode="mirror")
        if strength.displacement:
            dx, dy = (
                ndimage.gaussian_filter(f, strength.smoothing, mode="reflect", truncate=3)
                * strength.displacement
                for f in x_then_y
            )
            plane = ndimage.map_coordinates(plane, [y + dy, x + dx], order=1, mode="reflect")
        expected[..., channel] = plane
    np.testing.assert_allclose(result, expected, atol=0.25)
    assert np.abs(result - expected).mean() < 0.005


def test_elastic_transform_carries_the_three_points_to_their_new_places():
    """Severity 1 of the small table is the affine map alone: check where a dot goes."""
    image = np.zeros((1, 96, 96, 3), np.uint8)
    image[0, 80, 80] = 255  # the middle plus a third, in x and y
    strength = Elastic(0, 0, 6.0)
    spread = digital.elastic_transform(image, generators(), strength)[0, ..., 0].astype(float)
    y, x = np.mgrid[:96, :96]
    place = np.array([(spread * x).sum(), (spread * y).sum()]) / spread.sum()
    wanted = 80 + np.random.default_rng(0).uniform(-1, 1, (3, 2))[0] * 6
    np.testing.assert_allclose(place, wanted, atol=0.6)
