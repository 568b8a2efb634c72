import sys

import numpy as np
import pytest
from PIL import Image

from dynmix_tf.data import photos
from dynmix_tf.data.photos import CLASS_NAMES, load_photos, photographs, windows
from dynmix_tf.errors import InputError


def coverage(split, num=3000, image_size=32, seeds=(0, 1)):
    """Which pixels of each photograph occur in a patch of the split."""
    covered = [np.zeros(photograph.shape[:2], bool) for photograph in photographs()]
    for seed in seeds:
        for label, top, left, side in windows(split, num, image_size, seed):
            covered[label][top : top + side, left : left + side] = True
    return covered


def test_photographs_are_real_colour_images():
    assert len(photographs()) == len(CLASS_NAMES)
    for photograph in photographs():
        assert photograph.dtype == np.uint8
        assert photograph.shape[2] == 3
        assert min(photograph.shape[:2]) >= 300
        assert np.ptp(photograph.astype(int), axis=-1).mean() > 3  # not grey


def test_shapes_and_balance():
    data = load_photos(image_size=48, num_train=45, num_test=18)
    assert data.train_images.shape == (45, 48, 48, 3)
    assert data.test_images.shape == (18, 48, 48, 3)
    np.testing.assert_array_equal(np.bincount(data.train_labels), np.full(9, 5))
    np.testing.assert_array_equal(np.bincount(data.test_labels), np.full(9, 2))


@pytest.mark.parametrize("image_size", [32, 224])
def test_patches_are_the_windows_resized(image_size):
    data = load_photos(image_size=image_size, num_train=20, num_test=9, seed=4)
    for index, (label, top, left, side) in enumerate(windows("train", 20, image_size, 4)):
        patch = Image.fromarray(photographs()[label]).crop((left, top, left + side, top + side))
        expected = patch.resize((image_size, image_size), Image.Resampling.BILINEAR)
        np.testing.assert_array_equal(data.train_images[index], expected)
        assert data.train_labels[index] == label


def test_training_and_test_pixels_are_disjoint_for_all_seeds_together():
    for train, test in zip(coverage("train"), coverage("test"), strict=True):
        assert not (train & test).any()
        # The windows fill their two thirds and one third, so the first line is no empty claim.
        assert train.mean() > 0.6
        assert test.mean() > 0.3


def test_a_test_patch_holds_nothing_of_the_training_pixels(monkeypatch):
    expected = load_photos(num_train=1, num_test=90)
    blanked = tuple(
        np.where(covered[..., None], 0, photograph).astype(np.uint8)
        for photograph, covered in zip(photographs(), coverage("train"), strict=True)
    )
    monkeypatch.setattr(photos, "photographs", lambda: blanked)
    got = load_photos(num_train=1, num_test=90)
    np.testing.assert_array_equal(got.test_images, expected.test_images)
    assert not got.train_images.any()


@pytest.mark.parametrize(("image_size", "smallest"), [(32, 32), (128, 32), (224, 56)])
def test_windows_are_inside_and_of_all_sizes(image_size, smallest):
    for split in ("train", "test"):
        for label, top, left, side in windows(split, 900, image_size):
            height, width = photographs()[label].shape[:2]
            assert top >= 0 and left >= 0 and top + side <= height and left + side <= width
            assert smallest <= side <= min(height, width) // 3
    astronaut = windows("train", 9000, image_size)[::9, 3]
    # Log-uniform between `smallest` and 512 // 3: the median is the geometric mean.
    assert np.median(astronaut) == pytest.approx(np.sqrt(smallest * 170), rel=0.1)


def test_same_seed_same_patches_whatever_the_number():
    few, many = load_photos(num_train=10, num_test=4), load_photos(num_train=30, num_test=9)
    np.testing.assert_array_equal(few.train_images, many.train_images[:10])
    np.testing.assert_array_equal(few.test_images, many.test_images[:4])


def test_another_seed_and_the_other_split_give_other_patches():
    first, second = windows("train", 90, seed=0), windows("train", 90, seed=1)
    assert (first[:, 1:] != second[:, 1:]).any(axis=1).mean() > 0.95
    train, test = windows("train", 90), windows("test", 90)
    assert (train[:, 3] != test[:, 3]).mean() > 0.9


@pytest.mark.parametrize(
    "options",
    [{"image_size": 31}, {"image_size": 225}, {"num_train": 0}, {"num_test": 0}, {"seed": -1}],
)
def test_bad_options(options):
    ((name, value),) = options.items()
    with pytest.raises(InputError, match=f"`{name}` .*{name}={value}"):
        load_photos(**options)


def test_missing_package_is_named(monkeypatch):
    photographs.cache_clear()
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(InputError, match="pip install scikit-image scikit-learn"):
        load_photos()
