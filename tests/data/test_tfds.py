"""A small data set that TensorFlow Datasets itself prepares, from real photographs."""

import numpy as np
import pytest
import tensorflow_datasets as tfds

from dynmix_tf import data
from dynmix_tf.data import tfds as tfds_reader
from dynmix_tf.data.tfds import load_tfds
from dynmix_tf.errors import InputError

CROPS = {}


class TinyBirds(tfds.core.GeneratorBasedBuilder):
    VERSION = tfds.core.Version("1.0.0")
    SIDE = 32
    SPLITS = ("train", "test")
    LABEL = tfds.features.ClassLabel(names=["robin", "thrush", "wren"])
    ENCODING = "png"

    def _info(self):
        shape = (self.SIDE, self.SIDE, 3)
        image = tfds.features.Image(shape=shape, encoding_format=self.ENCODING)
        features = tfds.features.FeaturesDict({"image": image, "label": self.LABEL})
        keys = ("image", "label")
        return tfds.core.DatasetInfo(builder=self, features=features, supervised_keys=keys)

    def _split_generators(self, dl_manager):
        return {split: self._generate_examples(split) for split in self.SPLITS}

    def _generate_examples(self, split):
        for index, image in enumerate(CROPS[split]):
            yield index, {"image": image[: self.SIDE or 50, : self.SIDE], "label": index % 3}


class TinyUnsplit(TinyBirds):
    SPLITS = ("train",)


class TinyNumbers(TinyBirds):
    LABEL = tfds.features.Scalar(np.int64)


class TinyLarge(TinyBirds):
    SIDE = None
    SPLITS = ("train", "validation")
    ENCODING = "jpeg"


@pytest.fixture
def prepared(photo_crops, tmp_path):
    CROPS.update(train=photo_crops(70, 9), test=photo_crops(70, 6, 1))
    CROPS["validation"] = CROPS["test"]

    def prepare(builder):
        builder(data_dir=tmp_path).download_and_prepare()
        return builder.name, tmp_path

    return prepare


def ordered(images):
    return sorted(image.tobytes() for image in images)


def test_small_images_as_they_are(prepared):
    name, folder = prepared(TinyBirds)
    loaded = data.load(f"tfds:{name}", data_dir=folder)
    assert loaded.class_names == ("robin", "thrush", "wren")
    # TensorFlow Datasets shuffles once, as it prepares
    assert ordered(loaded.train_images) == ordered(CROPS["train"][:, :32, :32])
    expected = {image[:32, :32].tobytes(): i % 3 for i, image in enumerate(CROPS["test"])}
    for image, label in zip(loaded.test_images, loaded.test_labels, strict=True):
        assert expected[image.tobytes()] == label
    again = data.load(f"tfds:{name}", data_dir=folder)
    np.testing.assert_array_equal(again.train_images, loaded.train_images)


def test_images_of_many_sizes_are_cut_to_one(prepared):
    name, folder = prepared(TinyLarge)
    assert load_tfds(name, folder).image_shape == (224, 224, 3)
    small = load_tfds(name, folder, image_size=24)
    assert small.train_images.shape == (9, 24, 24, 3)
    assert small.test_images.shape == (6, 24, 24, 3)


def test_not_prepared(tmp_path):
    with pytest.raises(InputError, match=r"is not prepared in \S+; prepare it: python -c"):
        load_tfds("cifar10", tmp_path)
    with pytest.raises(InputError, match="'imagenet2012' is not prepared"):
        load_tfds("imagenet2012", tmp_path)


def test_unknown_name(tmp_path):
    with pytest.raises(InputError, match="unknown TensorFlow data set 'cifar1'; did you mean 'cif"):
        load_tfds("cifar1", tmp_path)


def test_no_test_split(prepared):
    with pytest.raises(InputError, match="needs the splits train, and test or validation"):
        load_tfds(*prepared(TinyUnsplit))


def test_no_classes(prepared):
    with pytest.raises(InputError, match="has no class as its label"):
        load_tfds(*prepared(TinyNumbers))


def test_too_large_for_memory(prepared, monkeypatch):
    name, folder = prepared(TinyBirds)
    monkeypatch.setattr(tfds_reader, "_AT_MOST", 15 * 32 * 32 * 3 - 1)
    with pytest.raises(InputError, match="takes .* GiB at 32 px"):
        load_tfds(name, folder)
    monkeypatch.setattr(tfds_reader, "_AT_MOST", 15 * 32 * 32 * 3)
    assert len(load_tfds(name, folder).train_images) == 9
