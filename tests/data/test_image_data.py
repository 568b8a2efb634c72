import dataclasses

import numpy as np
import pytest

from dynmix_tf.data import ImageData
from dynmix_tf.errors import InputError


@pytest.fixture
def fields(photo_crops):
    return {
        "name": "crops",
        "train_images": photo_crops(32, 12),
        "train_labels": np.arange(12, dtype=np.int32) % 3,
        "test_images": photo_crops(32, 6, seed=1),
        "test_labels": np.arange(6, dtype=np.int32) % 3,
        "class_names": ("astronaut", "chelsea", "coffee"),
    }


def test_properties(fields):
    data = ImageData(**fields)
    assert data.image_shape == (32, 32, 3)
    assert data.num_classes == 3
    with pytest.raises(dataclasses.FrozenInstanceError):
        data.name = "other"


def test_limited_takes_the_first_images(fields):
    data = ImageData(**fields)
    limited = data.limited(num_train=5, num_test=2)
    np.testing.assert_array_equal(limited.train_images, data.train_images[:5])
    np.testing.assert_array_equal(limited.train_labels, [0, 1, 2, 0, 1])
    np.testing.assert_array_equal(limited.test_images, data.test_images[:2])
    np.testing.assert_array_equal(limited.test_labels, [0, 1])
    assert limited.class_names == data.class_names


def test_limited_without_numbers_keeps_all(fields):
    data = ImageData(**fields).limited()
    assert (len(data.train_images), len(data.test_images)) == (12, 6)


@pytest.mark.parametrize("numbers", [{"num_train": 13}, {"num_test": 7}, {"num_train": 0}])
def test_limited_refuses_what_is_not_there(fields, numbers):
    (name,) = numbers
    with pytest.raises(InputError, match=f"`{name}` must be in .*'crops'"):
        ImageData(**fields).limited(**numbers)


@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize(
    ("part", "change", "message"),
    [
        ("images", lambda images: images.astype(np.float32), "must be uint8"),
        ("images", lambda images: images[..., :1], "must be uint8 of shape"),
        ("images", lambda images: images[0], "must be uint8 of shape"),
        ("images", lambda images: images[:0], "no image"),
        ("labels", lambda labels: labels.astype(np.int64), "must be int32"),
        ("labels", lambda labels: labels[:-1], "one per image"),
        ("labels", lambda labels: labels[:, None], "one per image"),
        ("labels", lambda labels: labels + 1, r"in \[0, 3\).*1 to 3"),
        ("labels", lambda labels: labels - 1, r"in \[0, 3\).*-1 to 1"),
    ],
)
def test_each_array_is_checked(fields, split, part, change, message):
    key = f"{split}_{part}"
    with pytest.raises(InputError, match=f"'crops': `{key}` .*{message}"):
        ImageData(**{**fields, key: change(fields[key])})


def test_splits_must_have_one_size(fields):
    with pytest.raises(InputError, match="one size"):
        ImageData(**{**fields, "test_images": fields["test_images"][:, :, :-1]})
