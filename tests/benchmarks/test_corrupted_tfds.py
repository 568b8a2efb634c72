"""The corrupted data sets of TensorFlow Datasets, prepared by its own code from photographs."""

import shutil

import numpy as np
import pytest
import tensorflow_datasets as tfds
from tensorflow_datasets.datasets.imagenet2012_corrupted import (
    imagenet2012_corrupted_dataset_builder as imagenet,
)

from dynmix_tf import corruptions, data
from dynmix_tf.benchmarks import CorruptedTfdsBenchmark
from dynmix_tf.errors import InputError

NAMES = ("fog", "glass_blur", "elastic_transform")
CHOICE = {"names": NAMES, "severities": (2, 5)}
FILES = {"fog_2": 1, "fog_5": 4, "frosted_glass_blur_2": 2}  # a file each of the others


def prepare(name, folder, files=1):
    config = tfds.download.DownloadConfig(num_shards=files)
    tfds.builder(name, data_dir=folder).download_and_prepare(download_config=config)


@pytest.fixture(scope="module")
def photos():
    return data.load("photos", num_train=9, num_test=81)


@pytest.fixture(scope="module")
def prepared(photos, tmp_path_factory):
    """A folder of TensorFlow Datasets with six conditions of `cifar10_corrupted`."""
    root = tmp_path_factory.mktemp("tfds")
    (root / "CIFAR-10-C").mkdir()
    np.save(root / "CIFAR-10-C/labels.npy", np.tile(photos.test_labels, 5))
    for name in NAMES:
        severities = [corruptions.corrupt(photos.test_images, name, s) for s in range(1, 6)]
        np.save(root / "CIFAR-10-C" / f"{name}.npy", np.concatenate(severities))
    with pytest.MonkeyPatch.context() as patch:
        manager = tfds.download.DownloadManager
        patch.setattr(manager, "download_and_extract", lambda self, url: root)
        for name in ("fog", "frosted_glass_blur", "elastic"):
            for config in (f"{name}_2", f"{name}_5"):
                prepare(f"cifar10_corrupted/{config}", root / "data", FILES.get(config, 1))
    return root / "data"


def places(benchmark, condition, images, batch_size=32):
    """Which of the images each one of a condition is, and its labels."""
    batches = list(benchmark.batches(*condition, batch_size))
    assert all(len(labels) == batch_size for _, labels in batches[:-1])
    found, labels = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    assert found.dtype == np.uint8 and labels.dtype == np.int32
    index = {image.tobytes(): place for place, image in enumerate(images)}
    return [index[image.tobytes()] for image in found], labels


def test_image_i_is_of_the_same_photograph_in_every_condition(prepared, photos):
    read = CorruptedTfdsBenchmark("cifar10_corrupted", prepared, **CHOICE)
    assert read.conditions == [(name, level) for name in NAMES for level in (2, 5)]
    assert (len(read), read.num_classes, read.dataset) == (81, 10, "cifar10")
    assert (read.name, read.strengths) == ("cifar10_corrupted", "cifar")
    orders = []
    for condition in read.conditions:
        order, labels = places(read, condition, corruptions.corrupt(photos.test_images, *condition))
        np.testing.assert_array_equal(labels, photos.test_labels[order])
        orders.append(order)
    assert sorted(orders[0]) == list(range(81)) != orders[0]
    assert orders == [orders[0]] * len(orders)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"name": "cifar10_corupted"}, "did you mean 'cifar10_corrupted'"),
        ({"names": ["frosted_glass_blur"]}, "did you mean 'glass_blur'"),
        ({"severities": (0,)}, "severities are 1 to 5"),
        (
            {"names": None, "severities": (2,)},
            r"12 of 15 conditions of cifar10_corrupted are not prepared, such as "
            r"\S+/gaussian_noise_2/1\.0\.0; prepare each: python -c \"import tensorflow_datasets "
            r"as tfds; tfds\.load\('cifar10_corrupted/gaussian_noise_2', data_dir='\S+'\)\"",
        ),
    ],
)
def test_what_is_not_there(prepared, options, told):
    arguments = {"name": "cifar10_corrupted", "data_dir": prepared, **CHOICE, **options}
    with pytest.raises(InputError, match=told):
        CorruptedTfdsBenchmark(**arguments)


def test_a_condition_that_was_not_asked_for(prepared):
    read = CorruptedTfdsBenchmark("cifar10_corrupted", prepared, **CHOICE)
    with pytest.raises(InputError, match=r"no condition \(clean, 0\)"):
        next(read.batches("clean", 0))


@pytest.fixture
def of_imagenet(tmp_path, monkeypatch, photo_crops):
    """`prepare(config, photographs)` of `imagenet2012_corrupted`, whose own code needs ImageNet."""

    def prepare_condition(config, images):
        def examples(self):
            for index, image in enumerate(images):
                name = f"ILSVRC2012_val_{index:08}.JPEG"
                label = ("n01440764", "n15075141")[index % 2]
                yield name, {"image": image, "file_name": name, "label": label}

        monkeypatch.setattr(
            imagenet.Builder, "_split_generators", lambda self, dl: {"validation": examples(self)}
        )
        prepare(f"imagenet2012_corrupted/{config}", tmp_path)

    prepare_condition("fog_1", photo_crops(224, 5))
    return tmp_path, prepare_condition


def test_imagenet_with_a_warning_that_it_is_not_imagenet_c(of_imagenet, photo_crops):
    folder, _ = of_imagenet
    with pytest.warns(UserWarning, match="not to be compared with scores on the released files"):
        read = CorruptedTfdsBenchmark("imagenet2012_corrupted", folder, ["fog"], [1])
    ((images, labels),) = read.batches("fog", 1)
    assert images.shape == (5, 224, 224, 3) and read.num_classes == 1000
    assert (read.dataset, read.strengths) == ("imagenet2012", "imagenet")
    away = np.abs(images[:, None].astype(float) - photo_crops(224, 5)[None]).mean(axis=(2, 3, 4))
    order = away.argmin(axis=1)
    assert sorted(order) == list(range(5)) and away.min(axis=1).max() < 10  # JPEG
    np.testing.assert_array_equal(labels, np.where(order % 2, 999, 0))


def test_conditions_of_different_numbers_of_images(of_imagenet, photo_crops):
    folder, prepare_condition = of_imagenet
    prepare_condition("fog_2", photo_crops(224, 3))
    with pytest.raises(InputError, match=r"fog_2/3\.1\.0 has 3 images, other conditions 5; prep"):
        CorruptedTfdsBenchmark("imagenet2012_corrupted", folder, ["fog"], [1, 2])


def test_a_prepared_condition_that_is_damaged(prepared, tmp_path):
    shutil.copytree(prepared, tmp_path / "data")
    (file,) = (tmp_path / "data/cifar10_corrupted/fog_2/1.0.0").glob("*.tfrecord*")
    file.write_bytes(file.read_bytes()[:-1000])
    read = CorruptedTfdsBenchmark("cifar10_corrupted", tmp_path / "data", ["fog"], [2])
    with pytest.raises(InputError, match=r"fog_2/1\.0\.0 is damaged: .*truncated") as caught:
        list(read.batches("fog", 2))
    assert "\n" not in str(caught.value)
    file.unlink()
    with pytest.raises(InputError, match=r"fog_2/1\.0\.0 is damaged: .*prepare it again"):
        list(read.batches("fog", 2))
