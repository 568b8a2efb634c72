"""The perturbation sequences against the benchmark's definitions, written independently.

Geometry is done here with SciPy's sampling and matrices that are inverted numerically.
"""

from __future__ import annotations

import numpy as np
import pytest
import skimage.color
import skimage.data
import skimage.filters
from PIL import Image
from scipy import ndimage

from dynmix_tf.corruptions import (
    filters,
    num_frames,
    sequence,
    sequence_frames,
    sequence_names,
    sequence_step,
    sequences,
    spatter,
)
from dynmix_tf.errors import InputError

TABLES = ("cifar", "imagenet")
NOISE = ("gaussian_noise", "shot_noise", "speckle_noise")
RANDOM = (*NOISE, "snow", "spatter")
ALL = sequence_names(extra=True)


def photo(side: int) -> np.ndarray:
    return np.asarray(Image.fromarray(skimage.data.astronaut()).resize((side, side)))


PHOTO_32 = photo(32)
WIDE = photo(64)[4:52]  # 48 x 64
GREY = np.full((64, 64, 3), 128, np.uint8)


def cut(values: np.ndarray) -> np.ndarray:
    """Values 0..1 to grey levels as the reference casts them, rounding errors forgiven."""
    return (np.clip(values, 0, 1) * 255 + 1e-6).astype(np.uint8)


def distance(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.abs(one.astype(int) - other).mean())


def assert_almost_everywhere(result, expected, share: float = 0.002):
    off = np.abs(result.astype(int) - expected)
    assert off.max() <= 1
    assert np.mean(off > 0) <= share


# --- all of them ---


def test_names_are_the_benchmarks():
    assert sequence_names() == (
        "gaussian_noise",
        "shot_noise",
        "motion_blur",
        "zoom_blur",
        "snow",
        "brightness",
        "translate",
        "rotate",
        "tilt",
        "scale",
    )
    assert ALL[:10] == sequence_names()
    assert ALL[10:] == ("speckle_noise", "gaussian_blur", "spatter", "shear")


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("name", ALL)
def test_every_sequence_has_the_benchmarks_number_of_frames(name, table):
    frames = {
        ("cifar", "motion_blur"): 21,
        ("cifar", "translate"): 16,
        ("imagenet", "translate"): 41,
    }.get((table, name), 31)
    assert num_frames(name, table) == frames
    video = sequence(WIDE, name, strengths=table)
    assert video.shape == (frames, 48, 64, 3)
    assert video.dtype == np.uint8
    assert video.flags.c_contiguous
    assert video.flags.writeable


@pytest.mark.parametrize("name", ALL)
def test_repeatable_and_random_where_it_should_be(name):
    image = PHOTO_32.copy()
    video = sequence(image, name, seed=1, index=5)
    np.testing.assert_array_equal(image, PHOTO_32)  # the input is left alone
    np.testing.assert_array_equal(sequence(image, name, seed=1, index=5), video)
    np.testing.assert_array_equal(sequence(np.asfortranarray(image), name, 1, index=5), video)
    random = name in RANDOM
    assert np.array_equal(sequence(image, name, seed=2, index=5), video) is not random
    assert np.array_equal(sequence(image, name, seed=1, index=6), video) is not random


@pytest.mark.parametrize("name", ALL)
def test_difficulty_is_more_noise_or_a_larger_step(name):
    videos = [sequence(PHOTO_32, name, difficulty=difficulty) for difficulty in (1, 2, 3)]
    steps = [sequence_step(name, difficulty) for difficulty in (1, 2, 3)]
    if name in NOISE:
        change = [distance(video[1:], PHOTO_32) for video in videos]
        assert change == sorted(change)
        assert change[2] > 1.5 * change[0]
        assert steps == [1, 1, 1]
    else:
        np.testing.assert_array_equal(videos[1], videos[0])
        np.testing.assert_array_equal(videos[2], videos[0])
        assert steps == [1, 2, 3]


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("name", [name for name in ALL if name not in NOISE])
def test_neighbouring_frames_are_closer_than_distant_ones(name, table):
    video = sequence(photo(64), name, strengths=table)
    near = np.mean([distance(a, b) for a, b in zip(video, video[1:], strict=False)])
    half = len(video) // 2
    far = np.mean([distance(a, b) for a, b in zip(video, video[half:], strict=False)])
    assert 0 < near < 0.6 * far


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize(
    ("name", "neutral"),
    [
        *((name, (0, 0)) for name in (*NOISE, "zoom_blur")),
        *((name, (15, 15)) for name in ("brightness", "rotate", "shear")),
        ("translate", (7, 20)),
        ("scale", (15, 24)),
    ],
)
def test_one_frame_is_the_image(name, neutral, table):
    video = sequence(WIDE, name, strengths=table)
    frame = neutral[TABLES.index(table)]
    np.testing.assert_array_equal(video[frame], WIDE)
    assert not np.array_equal(video[frame + 1], WIDE)


@pytest.mark.parametrize("name", ["motion_blur", "zoom_blur", "gaussian_blur", "brightness"])
def test_a_flat_image_stays_flat(name):
    video = sequence(GREY, name)
    if name == "zoom_blur":  # black enters nowhere: the image only grows
        np.testing.assert_array_equal(video, np.broadcast_to(GREY, video.shape))
    assert np.all(np.ptp(video, axis=(1, 2, 3)) == 0)


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("level", [0, 255])
def test_black_white_and_the_smallest_images_are_taken(name, level):
    image = np.full((8, 9, 3), level, np.uint8)
    for table in TABLES:
        assert sequence(image, name, strengths=table).shape[1:] == (8, 9, 3)


# --- noise ---


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("difficulty", [1, 2, 3])
@pytest.mark.parametrize("name", NOISE)
def test_noise_has_its_strength_and_frames_of_their_own(name, difficulty, table):
    strength = {
        ("gaussian_noise", "cifar"): (0.02, 0.04, 0.06),
        ("gaussian_noise", "imagenet"): (0.03, 0.05, 0.08),
        ("shot_noise", "cifar"): (700, 400, 200),
        ("shot_noise", "imagenet"): (300, 120, 60),
        ("speckle_noise", "cifar"): (0.05, 0.07, 0.1),
        ("speckle_noise", "imagenet"): (0.05, 0.1, 0.15),
    }[name, table][difficulty - 1]
    sigma = {
        "gaussian_noise": 255 * strength,
        "shot_noise": np.sqrt(128 * 255 / strength) if name == "shot_noise" else 0,
        "speckle_noise": 128 * strength,
    }[name]
    noise = sequence(GREY, name, difficulty=difficulty, strengths=table)[1:] - 127.5
    # Cutting to whole levels lowers the mean by half a level and adds a variance of 1/12 (a
    # little else where photons come in steps of levels).
    assert abs(noise.std() / np.hypot(sigma, np.sqrt(1 / 12)) - 1) < 0.02
    assert abs(noise.mean()) < 0.25
    noise /= noise.std()
    together = noise.reshape(30, -1) @ noise.reshape(30, -1).T / noise[0].size
    assert np.abs(together - np.eye(30)).max() < 0.06  # no two frames are alike


def test_noise_streams_are_those_of_no_other_difficulty():
    signs = [
        np.sign(sequence(GREY, "gaussian_noise", difficulty=d)[1:].astype(int) - 127.5)
        for d in (1, 2, 3)
    ]
    assert abs(np.mean(signs[0] * signs[1])) < 0.01
    assert abs(np.mean(signs[0] * signs[2])) < 0.01


# --- blur and weather ---


@pytest.mark.parametrize(
    ("table", "radius", "sigma", "angles"),
    [
        ("cifar", 6, 1.8, [(i - 20) * 9 for i in range(21)]),
        ("imagenet", 10, 3, [(i - 30) * 4 for i in range(31)]),
    ],
)
def test_motion_blur_turns(table, radius, sigma, angles):
    expected = [filters.streak(WIDE[None], radius, sigma, [angle])[0] for angle in angles]
    np.testing.assert_array_equal(sequence(WIDE, "motion_blur", strengths=table), expected)


@pytest.mark.parametrize(
    ("table", "first", "step", "reach"), [("cifar", 0.3, 0.015, 7), ("imagenet", 0.25, 0.035, 6)]
)
def test_gaussian_blur_is_scikit_images(table, first, step, reach):
    video = sequence(WIDE, "gaussian_blur", strengths=table)
    for i in (0, 1, 17, 30):
        sigma = first + step * i
        expected = skimage.filters.gaussian(
            WIDE / 255, sigma=sigma, channel_axis=-1, truncate=reach, mode="nearest"
        )
        assert_almost_everywhere(video[i], cut(expected))


@pytest.mark.parametrize(("table", "step"), [("cifar", 1.5), ("imagenet", 2)])
def test_brightness_is_the_hsv_value_plus_a_constant(table, step):
    image = WIDE.copy()
    image[0] = np.arange(64)[:, None]  # greys, with black
    video = sequence(image, "brightness", strengths=table)
    for i, frame in enumerate(video):
        hsv = skimage.color.rgb2hsv(image / 255)
        hsv[..., 2] = np.clip(hsv[..., 2] + (i - 15) * step / 100, 0, 1)
        assert_almost_everywhere(frame, cut(skimage.color.hsv2rgb(hsv)))


@pytest.mark.parametrize(
    ("table", "zoom", "radius", "sigma"), [("cifar", 2, 10, 2), ("imagenet", 3, 14, 4)]
)
def test_snow_is_its_definition(table, zoom, radius, sigma):
    image = photo(48)
    fall = sequences.SEQUENCE_STRENGTHS[table]["snow"]
    video = sequence_frames.snow(image, np.random.default_rng(3), fall)

    layer = np.random.default_rng(3).standard_normal((48, 48), dtype=np.float32) * 0.3 + 0.05
    crop = int(np.ceil(48 / zoom))
    top = (48 - crop) // 2
    layer = layer[top : top + crop, top : top + crop].astype(float)
    layer = ndimage.zoom(layer, zoom, order=1)
    trim = (len(layer) - 48) // 2
    layer = layer[trim : trim + 48, trim : trim + 48]
    layer[layer < 0.5] = 0
    layer = cut(layer)[None, ..., None]
    x = image / 255
    grey = 0.299 * x[..., :1] + 0.587 * x[..., 1:2] + 0.114 * x[..., 2:]
    x = 0.85 * x + (1 - 0.85) * np.maximum(x, grey * 1.5 + 0.5)
    for i, frame in enumerate(video):
        flakes = filters.streak(layer, radius, sigma, [i * 4 - 150])[0] / 255
        assert_almost_everywhere(frame, cut(x + flakes + np.rot90(flakes, k=2)), share=0.01)
    assert i == 30


@pytest.mark.parametrize(
    ("table", "mean", "spread", "sigma", "threshold", "kernel"),
    [
        ("cifar", 0.6, 0.265, 1.75, 0.7, [0.2, 0.8]),
        ("imagenet", 0.65, 0.27, 3.7, 0.69, [0.05, 0.1, 0.15, 0.7]),
    ],
)
def test_spatters_layer_runs_down_its_columns(table, mean, spread, sigma, threshold, kernel):
    video = sequence_frames.spatter(
        WIDE, np.random.default_rng(2), sequences.SEQUENCE_STRENGTHS[table]["spatter"]
    )
    layer = np.random.default_rng(2).standard_normal((48, 64), dtype=np.float32).astype(float)
    layer = skimage.filters.gaussian(layer * spread + mean, sigma=sigma)
    layer[layer < threshold] = 0
    wet = []
    for frame in video:
        wet.append(layer[:12].mean())
        expected = spatter.water(WIDE[None], cut(layer)[None], 0.6)[0]
        np.testing.assert_array_equal(frame, cut(expected / 255))
        layer = np.stack([np.convolve(column, kernel, mode="same") for column in layer.T], axis=1)
    assert len(wet) == 31
    assert wet[0] > 0.01
    assert wet[30] < 0.1 * wet[0]  # it has run down from there


# --- geometry ---


def bilinear(image: np.ndarray, x: np.ndarray, y: np.ndarray, mode: str) -> np.ndarray:
    """The image at places in units of pixels, pixel centres at whole numbers."""
    planes = image.astype(float).transpose(2, 0, 1)
    sampled = [ndimage.map_coordinates(p, [y, x], order=1, mode=mode) for p in planes]
    return np.stack(sampled, axis=-1)


def affine(image: np.ndarray, turn: float = 0, size: float = 1, lean: float = 0) -> np.ndarray:
    """An affine map, forwards, about the torchvision of 2018's centre; angles in degrees."""
    h, w, _ = image.shape
    a, s = np.deg2rad(turn), np.deg2rad(lean)
    centre = np.array([[1, 0, w / 2 + 0.5], [0, 1, h / 2 + 0.5], [0, 0, 1]])
    forwards = np.array(
        [
            [np.cos(a) * size, -np.sin(a + s) * size, 0],
            [np.sin(a) * size, np.cos(a + s) * size, 0],
            [0, 0, 1],
        ]
    )
    back = np.linalg.inv(centre @ forwards @ np.linalg.inv(centre))
    y, x = np.mgrid[:h, :w] + 0.5
    from_x, from_y, _ = np.tensordot(back, np.stack([x, y, np.ones_like(x)]), axes=1)
    sampled = bilinear(image, from_x - 0.5, from_y - 0.5, "nearest")
    inside = (from_x > -1e-9) & (from_x < w - 1e-9) & (from_y > -1e-9) & (from_y < h - 1e-9)
    return sampled * inside[..., None]


def assert_same_map(result: np.ndarray, expected: np.ndarray):
    """`expected` levels cut to whole ones, where a rounding error may decide about a level.

    And, right at the image's edge, about black.
    """
    lowest, highest = np.floor(expected - 1e-6), np.floor(expected + 1e-6)
    assert np.mean((result < lowest) | (result > highest)) < 0.001


@pytest.mark.parametrize("table", TABLES)
def test_rotate_is_the_map_of_torchvision(table):
    for i, frame in enumerate(sequence(WIDE, "rotate", strengths=table)):
        assert_same_map(frame, affine(WIDE, turn=i - 15))


def test_rotate_turns_clockwise():
    dot = np.zeros((65, 65, 3), np.uint8)
    dot[8:11, 31:34] = 255  # above the middle: clockwise is to the right
    column = sequence(dot, "rotate")[:, ..., 0].sum(axis=1).argmax(axis=1)
    assert column[0] < column[15] < column[30]


@pytest.mark.parametrize("table", TABLES)
def test_shear_is_the_map_of_torchvision(table):
    for i, frame in enumerate(sequence(WIDE, "shear", strengths=table)):
        assert_same_map(frame, affine(WIDE, lean=i - 15))


@pytest.mark.parametrize(("table", "first", "step"), [("cifar", 70, 2), ("imagenet", 40, 2.5)])
def test_scale_is_the_map_of_torchvision(table, first, step):
    video = sequence(WIDE, "scale", strengths=table)
    for i, frame in enumerate(video):
        assert_same_map(frame, affine(WIDE, size=(first + step * i) / 100))
    black = np.mean(~video[0].any(axis=(0, 2)))
    assert abs(black - (1 - first / 100)) < 0.03  # columns around the small image


@pytest.mark.parametrize("table", TABLES)
def test_zoom_blur_is_the_running_mean_of_enlargements(table):
    total = WIDE.astype(float)
    for i, frame in enumerate(sequence(WIDE, "zoom_blur", strengths=table)):
        if i:
            total += np.floor(affine(WIDE, size=1 + 0.004 * i) + 1e-6)
        assert_almost_everywhere(frame, np.floor(total / (i + 1)), share=0.01)


@pytest.mark.parametrize(("table", "reach", "frames"), [("cifar", 7, 16), ("imagenet", 20, 41)])
def test_translate_shifts_to_the_right_and_leaves_black(table, reach, frames):
    video = sequence(WIDE, "translate", strengths=table)
    for i in range(frames):
        expected = np.roll(WIDE, i - reach, axis=1)
        expected[:, : max(0, i - reach)] = 0
        expected[:, 64 + min(0, i - reach) :] = 0
        np.testing.assert_array_equal(video[i], expected)


@pytest.mark.parametrize(("table", "step"), [("cifar", 0.75), ("imagenet", 1)])
def test_tilt_is_the_perspective_map_of_opencv(table, step):
    """Bit for bit: OpenCV's places are multiples of 1/32 pixel, its weights of 1/1024."""
    h, w, _ = WIDE.shape
    f = np.sqrt(w**2 + h**2)
    y, x = np.mgrid[:h, :w].astype(float)
    for i, frame in enumerate(sequence(WIDE, "tilt", strengths=table)):
        a = np.deg2rad(step * (i - 15))
        # from the plane to space: about y, then about x, then away from the camera
        about_y = np.array([[np.cos(a), 0, -np.sin(a)], [0, 1, 0], [np.sin(a), 0, np.cos(a)]])
        about_x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
        turned = about_x @ about_y @ np.array([[1, 0, -w / 2], [0, 1, -h / 2], [0, 0, 1]])
        turned[2, 2] += f
        forwards = np.array([[f, 0, w / 2], [0, f, h / 2], [0, 0, 1]]) @ turned
        from_x, from_y, depth = np.tensordot(
            np.linalg.inv(forwards), np.stack([x, y, np.ones_like(x)]), axes=1
        )
        from_x, from_y = (np.rint(32 * v / depth) / 32 for v in (from_x, from_y))
        sampled = bilinear(WIDE, from_x, from_y, "grid-constant")
        assert_same_map(frame, sampled + 0.5)


def test_tilts_middle_frame_is_a_little_smaller_than_the_image():
    """The reference's image lies at the distance f + 1, for a focal length f."""
    white = np.full((32, 32, 3), 255, np.uint8)
    frame = sequence(white, "tilt")[15, ..., 0] / 255
    f = np.sqrt(2) * 32
    # the upper and left edges, half a pixel beyond the first centres, come in to
    edge = 16 - 16.5 * f / (f + 1)
    blended = frame[16, 0]
    assert 0 < blended < 1
    assert frame[16, 16] == 1
    np.testing.assert_allclose(1 - blended, edge + 0.5, atol=0.05)


# --- the crop ---


@pytest.mark.parametrize("name", ALL)
def test_a_crop_shows_what_lies_around_it(name):
    image = photo(80)[:65]
    video = sequence(image, name, strengths="imagenet", crop=40)
    rows, columns = slice(12, 52), slice(20, 60)  # 12.5 is rounded to 12
    moving = ("zoom_blur", "translate", "rotate", "tilt", "scale", "shear")
    if name in moving:
        whole = sequence(image, name, strengths="imagenet")
        np.testing.assert_array_equal(video, whole[:, rows, columns])
    else:
        alone = sequence(image[rows, columns], name, strengths="imagenet")
        np.testing.assert_array_equal(video, alone)


def test_the_table_goes_by_the_size_of_the_frames():
    image = np.zeros((96, 120, 3), np.uint8)
    assert len(sequence(image, "translate")) == 41
    assert len(sequence(image, "translate", crop=95)) == 16
    assert len(sequence(image[1:], "translate")) == 16


# --- wrong input ---


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "gausian_noise"}, "unknown sequence 'gausian_noise'; did you mean 'gaussian"),
        ({"difficulty": 0}, "`difficulty` must be an integer from 1 to 3. Received: difficulty=0"),
        ({"difficulty": 4}, "difficulty=4"),
        ({"difficulty": "2"}, "difficulty='2'"),
        ({"seed": -1}, "`seed` must be a non-negative integer"),
        ({"index": 1.5}, "`index` must be a non-negative integer"),
        ({"strengths": "cifer"}, "did you mean 'cifar'"),
        ({"crop": 7}, "`crop` must be an integer from 8 to 32. Received: crop=7"),
        ({"crop": 33}, "crop=33"),
        ({"image": PHOTO_32 / 255}, "`image` must be uint8 with values 0..255"),
        ({"image": PHOTO_32[..., 0]}, r"shape \(h, w, 3\). Received: shape=\(32, 32\)"),
        ({"image": PHOTO_32[None]}, r"shape=\(1, 32, 32, 3\)"),
        ({"image": PHOTO_32[:7]}, "sides of `image` must be 8 pixels or more"),
    ],
)
def test_wrong_input_is_told_in_one_line(arguments, message):
    with pytest.raises(InputError, match=message) as error:
        sequence(**{"image": PHOTO_32, "name": "rotate", **arguments})
    assert "\n" not in str(error.value)


def test_the_helpers_tell_wrong_names():
    with pytest.raises(InputError, match="did you mean 'rotate'"):
        num_frames("rotat", "cifar")
    with pytest.raises(InputError, match="unknown table of strengths 'auto'"):
        num_frames("rotate", "auto")
    with pytest.raises(InputError, match="unknown sequence 'fog'"):
        sequence_step("fog")
    with pytest.raises(InputError, match="`difficulty` must be an integer from 1 to 3"):
        sequence_step("rotate", 5)
