import numpy as np
import pytest

from dynmix_tf import data
from dynmix_tf.data.image_data import ImageData
from dynmix_tf.data.packed import write_packed
from dynmix_tf.errors import InputError


@pytest.fixture
def birds(photo_crops):
    labels = np.arange(9, dtype=np.int32) % 3
    classes = ("robin", "thrush", "wren")
    return ImageData("x", photo_crops(32, 9), labels, photo_crops(32, 6, 1), labels[:6], classes)


def test_without_loss(birds, tmp_path):
    write_packed(tmp_path / "birds.npz", birds)
    loaded = data.load(str(tmp_path / "birds.npz"))
    assert (loaded.name, loaded.class_names) == ("birds", birds.class_names)
    for name in ("train_images", "train_labels", "test_images", "test_labels"):
        np.testing.assert_array_equal(getattr(loaded, name), getattr(birds, name))
        assert getattr(loaded, name).dtype == getattr(birds, name).dtype


def test_as_jpeg(birds, tmp_path):
    write_packed(tmp_path / "png.npz", birds)
    write_packed(tmp_path / "jpeg.npz", birds, quality=90)
    loaded = data.load(str(tmp_path / "jpeg.npz"))
    difference = np.abs(loaded.train_images.astype(int) - birds.train_images)
    assert 0 < difference.mean() < 6
    sizes = [(tmp_path / name).stat().st_size for name in ("jpeg.npz", "png.npz")]
    assert sizes[0] < sizes[1] / 2


@pytest.mark.parametrize("quality", [0, 96])
def test_quality_out_of_its_range(birds, tmp_path, quality):
    with pytest.raises(InputError, match=r"`quality` must be in \[1, 95\]"):
        write_packed(tmp_path / "a.npz", birds, quality=quality)


@pytest.mark.parametrize(
    ("key", "change", "message"),
    [
        ("train_offsets", lambda a: a[:-1], "`train_offsets` .* must rise from 0 to"),
        ("train_offsets", lambda a: a[::-1], "must rise from 0 to"),
        ("train_offsets", lambda a: a.astype(float), "must rise from 0 to"),
        ("test_offsets", lambda a: np.insert(a, 2, a[2]), "must rise from 0 to"),
        ("train_jpeg", lambda a: a.astype(np.int32), r"must be uint8 \(bytes,\)"),
        ("test_jpeg", lambda a: np.where(np.arange(len(a)) < 99, 0, a), "image 0 of `test_jpeg`"),
        ("train_labels", lambda a: a[:-1], "train"),
        ("train_labels", lambda a: a + 7, "train"),
    ],
)
def test_arrays_that_do_not_fit(birds, tmp_path, key, change, message):
    path = tmp_path / "a.npz"
    write_packed(path, birds)
    arrays = dict(np.load(path))
    changed = change(arrays[key])
    np.savez(path, **{**arrays, key: changed.astype(np.uint8) if key == "test_jpeg" else changed})
    with pytest.raises(InputError, match=message):
        data.load(str(path))


def test_images_of_two_sizes(birds, photo_crops, tmp_path):
    paths = [tmp_path / "a.npz", tmp_path / "b.npz"]
    write_packed(paths[0], birds)
    labels = birds.train_labels
    larger = photo_crops(40, 9)
    write_packed(paths[1], ImageData("y", larger, labels, larger, labels, birds.class_names))
    first, second = (dict(np.load(path)) for path in paths)
    half = [arrays["train_jpeg"][: arrays["train_offsets"][4]] for arrays in (first, second)]
    offsets = [arrays["train_offsets"][:5] for arrays in (first, second)]
    first["train_jpeg"] = np.concatenate(half)
    first["train_offsets"] = np.concatenate([offsets[0], offsets[0][-1] + offsets[1][1:]])
    np.savez(paths[0], **first)
    with pytest.raises(InputError, match=r"image 4 .*\(40, 40\) instead of \(32, 32\)"):
        data.load(str(paths[0]))
