import subprocess
import sys

import numpy as np
import pytest

from dynmix_tf import data
from dynmix_tf.errors import InputError


def test_names():
    assert data.names() == (
        "cifar10",
        "cifar100",
        "fashion_mnist",
        "folder",
        "imagenet2012",
        "photos",
    )


def test_options_reach_the_loader():
    loaded = data.load("photos", image_size=40, num_train=9, num_test=2)
    assert loaded.train_images.shape == (9, 40, 40, 3)
    assert loaded.test_images.shape == (2, 40, 40, 3)


def test_npz_by_its_path(photo_crops, tmp_path):
    images, labels = photo_crops(32, 6), np.arange(6) % 2
    path = tmp_path / "mine.npz"
    np.savez(path, x_train=images, y_train=labels, x_test=images, y_test=labels)
    loaded = data.load(str(path))
    assert loaded.name == "mine"
    np.testing.assert_array_equal(loaded.test_images, images)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("photo", "unknown dataset 'photo'; did you mean 'photos'"),
        (
            "imagenet",
            r"did you mean 'imagenet2012'.*cifar100, .*, FILE\.npz, FOLDER, tfds:NAME",
        ),
        ("absent.npz", "no such file"),
        (None, "must be a data set's name or a path. Received: None"),
    ],
)
def test_unknown_names(name, message):
    with pytest.raises(InputError, match=message):
        data.load(name)


@pytest.mark.parametrize(
    ("name", "arguments", "option"),
    [
        ("photos", {"data_dir": "folder"}, "data_dir"),
        ("mine.npz", {"data_dir": "folder"}, "data_dir"),
        ("photos", {"image_sise": 40}, "image_sise"),
        ("cifar10", {"seed": 1}, "seed"),
    ],
)
def test_options_that_a_data_set_does_not_take(name, arguments, option):
    with pytest.raises(InputError, match=f"'{name}' takes no `{option}`. It takes: "):
        data.load(name, **arguments)


def test_neither_tensorflow_nor_keras_is_imported():
    code = (
        "import sys; from dynmix_tf import data; data.find_fashion_mnist(); "
        "data.load('photos', num_train=9, num_test=9); "
        "sys.exit(bool({'tensorflow', 'keras'} & set(sys.modules)))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
