"""Folders of class folders, built from real photographs."""

import numpy as np
import pytest
from PIL import Image

from dynmix_tf import data
from dynmix_tf.data.class_folders import damaged, load_folder, load_imagenet2012
from dynmix_tf.data.image_files import ImageFiles
from dynmix_tf.errors import InputError

CLASSES = ("robin", "thrush", "wren")


def write_classes(root, images, classes=CLASSES, ending="jpg"):
    for index, image in enumerate(images):
        path = root / classes[index % len(classes)] / f"{index:03}.{ending}"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path, **({"quality": 90} if ending == "jpg" else {}))
    return root


@pytest.fixture
def split_folder(photo_crops, tmp_path):
    write_classes(tmp_path / "birds/train", photo_crops(48, 12))
    write_classes(tmp_path / "birds/val", photo_crops(48, 6, seed=1))
    return tmp_path / "birds"


def test_small_images_are_decoded_once(photo_crops, tmp_path):
    images = photo_crops(32, 12)
    write_classes(tmp_path / "train", images, ending="png")
    write_classes(tmp_path / "test", images[:6], ending="png")
    loaded = load_folder(tmp_path, image_size=32, name="birds")
    assert (loaded.name, loaded.class_names) == ("birds", CLASSES)
    assert isinstance(loaded.train_images, np.ndarray)
    contents = [image.tobytes() for image in loaded.train_images]
    found = dict(zip(contents, loaded.train_labels.tolist(), strict=True))
    assert found == {image.tobytes(): index % 3 for index, image in enumerate(images)}
    assert len(loaded.test_images) == 6


def test_large_images_stay_in_their_files(split_folder):
    loaded = load_folder(split_folder, image_size=96)
    assert loaded.name == "birds"
    assert isinstance(loaded.train_images, ImageFiles)
    assert loaded.image_shape == (96, 96, 3)
    assert [path.split("/")[-2] for path in loaded.train_images.paths] == [
        CLASSES[label] for label in loaded.train_labels
    ]
    # the first images are of all classes, so that a limit does not cut classes off
    assert set(loaded.limited(num_train=6).train_labels) == {0, 1, 2}


def test_the_order_is_the_same_wherever_the_folder_lies(split_folder, tmp_path):
    here = load_folder(split_folder, image_size=96).train_images.paths
    split_folder.rename(tmp_path / "moved")
    there = load_folder(tmp_path / "moved", image_size=96).train_images.paths
    assert [p.split("/")[-2:] for p in here] == [p.split("/")[-2:] for p in there]


def test_without_splits_one_in_ten_is_for_testing(photo_crops, tmp_path):
    write_classes(tmp_path, photo_crops(16, 90))
    loaded = load_folder(tmp_path, image_size=80)
    train, test = set(loaded.train_images.paths), set(loaded.test_images.paths)
    assert len(train) + len(test) == 90 and not train & test
    assert 2 <= len(test) <= 20
    # a new file moves no other one to the other side
    write_classes(tmp_path, photo_crops(16, 99))
    again = load_folder(tmp_path, image_size=80)
    assert train <= set(again.train_images.paths) and test <= set(again.test_images.paths)


def test_load_takes_folders_by_path_and_by_name(split_folder):
    by_path = data.load(str(split_folder), image_size=40, num_train=5)
    by_name = data.load("folder", data_dir=split_folder, image_size=40, num_train=5)
    np.testing.assert_array_equal(by_path.train_images, by_name.train_images)
    assert by_path.train_images.shape == (5, 40, 40, 3)


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def text(path):
    path.write_text("not an image, whatever its name says")


def empty(path):
    path.write_bytes(b"")


def scrambled(path):
    content = bytearray(path.read_bytes())
    content[4:200] = bytes(196)  # the tables; beginning and end are right
    path.write_bytes(content)


@pytest.mark.parametrize("spoil", [cut, text, empty])
def test_damaged_files_are_named_and_counted(split_folder, spoil):
    bad = sorted((split_folder / "train/wren").iterdir())[:2]
    for path in bad:
        spoil(path)
    with pytest.raises(InputError, match=r"2 of 12 files are no complete image: \S+/wren/"):
        load_folder(split_folder, image_size=96)


def test_damaged_files_are_skipped_with_a_flag(split_folder, capsys):
    files = sorted((split_folder / "train/wren").iterdir())
    for path, spoil in zip(files, (cut, text, scrambled), strict=False):
        spoil(path)
    loaded = load_folder(split_folder, image_size=96, skip_damaged=True)
    assert len(loaded.train_images) == len(loaded.train_labels) == 9
    assert not set(map(str, files[:3])) & set(loaded.train_images.paths)
    assert "skipped: 3 of 12 files" in capsys.readouterr().err


def test_only_decoding_finds_what_is_wrong_inside(split_folder):
    path = next((split_folder / "train/wren").iterdir())
    scrambled(path)
    assert damaged([path], decode_all=False) == []
    assert damaged([path], decode_all=True) == [path]


@pytest.mark.parametrize("ending", ["jpg", "png", "webp", "bmp", "gif"])
def test_formats_whole_and_cut(photo_crops, tmp_path, ending):
    whole, half = tmp_path / f"a.{ending}", tmp_path / f"b.{ending}"
    for path in (whole, half):
        Image.fromarray(photo_crops(64, 1)[0]).save(path)
    cut(half)
    assert damaged([whole, half], decode_all=False) == [half]
    assert damaged([whole, half], decode_all=True) == [half]


def test_no_image_left(split_folder):
    for path in (split_folder / "val").rglob("*.jpg"):
        text(path)
    with pytest.raises(InputError, match="6 of 6 .*no image is left"):
        load_folder(split_folder, image_size=96, skip_damaged=True)


def remove_class(root):
    for path in (root / "val/wren").iterdir():
        path.unlink()
    (root / "val/wren").rmdir()


def empty_class(root):
    for path in (root / "train/wren").iterdir():
        path.unlink()


def remove_val(root):
    (root / "val").rename(root.parent / "val")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (remove_class, r"class 'wren' is in '\S+train' but not in '\S+val' \(1 such classes\)"),
        (empty_class, r"class folder '\S+train/wren' holds no file"),
        (remove_val, r"has train/ but no val/"),
    ],
)
def test_incomplete_folders(split_folder, change, message):
    change(split_folder)
    with pytest.raises(InputError, match=message):
        load_folder(split_folder)


def test_senseless_arguments(tmp_path):
    with pytest.raises(InputError, match="no folder"):
        load_folder(tmp_path / "absent")
    with pytest.raises(InputError, match="needs `data_dir`"):
        load_folder()
    with pytest.raises(InputError, match="must hold a folder for each class, two or more"):
        load_folder(tmp_path)
    with pytest.raises(InputError, match="`image_size` must be 8 or more"):
        load_folder(tmp_path, image_size=4)


def test_too_few_to_split(photo_crops, tmp_path):
    write_classes(tmp_path, photo_crops(16, 3))
    with pytest.raises(InputError, match="3 images, too few to keep some for testing"):
        load_folder(tmp_path)


def test_imagenet(photo_crops, tmp_path):
    synsets = ("n01440764", "n01443537", "n02084071")
    write_classes(tmp_path / "train", photo_crops(40, 9), synsets)
    write_classes(tmp_path / "val", photo_crops(40, 6), synsets)
    loaded = load_imagenet2012(tmp_path)
    assert (loaded.name, loaded.class_names) == ("imagenet2012", synsets)
    assert loaded.image_shape == (224, 224, 3)
    (tmp_path / "val/n02084071").rename(tmp_path / "val/dog")
    (tmp_path / "train/n02084071").rename(tmp_path / "train/dog")
    with pytest.raises(InputError, match="'dog' in '.*' is no synset"):
        load_imagenet2012(tmp_path)


def test_imagenet_with_flat_validation_images(photo_crops, tmp_path):
    write_classes(tmp_path / "train", photo_crops(40, 4), ("n01440764", "n01443537"))
    (tmp_path / "val").mkdir()
    Image.fromarray(photo_crops(40, 1)[0]).save(tmp_path / "val/ILSVRC2012_val_00000001.JPEG")
    with pytest.raises(InputError, match="expected a folder for each synset"):
        load_imagenet2012(tmp_path)
