"""The reader of ImageNet-C's layout, on folders that `corrupt` writes from real photographs."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dynmix_tf import corruptions, data
from dynmix_tf.benchmark_files.settings import Settings
from dynmix_tf.benchmark_files.writing import write_benchmark
from dynmix_tf.benchmarks import ImageFolderBenchmark, image_folders, imagenet_classes
from dynmix_tf.errors import InputError

SIDE = 96
SYNSETS = ("n01440764", "n01443537", "n15075141")  # the first, second and last
NAMES = ("shot_noise", "jpeg_compression")
SEVERITIES = (1, 4)
CHOICE = {"names": NAMES, "severities": SEVERITIES}


def save(image, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path)


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    """Class folders of twelve photographs; two in a folder differ in their ending only."""
    root = tmp_path_factory.mktemp("photographs")
    images = data.load("photos", image_size=SIDE, num_train=9, num_test=12).test_images
    for index, image in enumerate(images):
        name = {3: "7.jpg", 7: "7.png"}.get(index, f"{100 - index}.png")
        save(image, root / "val" / SYNSETS[index % 4 % 3] / name)
    for synset in SYNSETS:
        save(images[0], root / "train" / synset / "0.png")
    return root


@pytest.fixture(scope="module")
def clean(photographs):
    return data.load(str(photographs), image_size=SIDE).test_images


@pytest.fixture(scope="module")
def written(photographs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("benchmark") / "ImageNet-C"
    settings = Settings(
        dataset=str(photographs), image_size=SIDE, corruptions=NAMES, severities=SEVERITIES
    )
    write_benchmark(settings, folder, workers=1)
    return folder


@pytest.fixture
def folder(written, tmp_path):
    return shutil.copytree(written, tmp_path / "ImageNet-C")


def whole(benchmark, corruption, severity, batch_size=256):
    batches = list(benchmark.batches(corruption, severity, batch_size))
    assert [len(labels) for _, labels in batches[:-1]] == [batch_size] * (len(batches) - 1)
    return tuple(np.concatenate(parts) for parts in zip(*batches, strict=True))


@pytest.mark.parametrize("batch_size", [5, 12, 100])
def test_images_are_those_of_the_files_in_the_order_of_their_names(written, batch_size):
    read = ImageFolderBenchmark(written, **CHOICE)
    assert read.conditions == [(name, level) for name in NAMES for level in SEVERITIES]
    assert (len(read), read.num_classes, read.strengths) == (12, 1000, "imagenet")
    assert (read.name, read.dataset, read.seed) == ("imagenet_c", "imagenet2012", 0)
    for corruption, severity in read.conditions:
        paths = sorted((written / corruption / str(severity)).glob("*/*"))
        images, labels = whole(read, corruption, severity, batch_size)
        assert images.dtype == np.uint8 and labels.dtype == np.int32
        np.testing.assert_array_equal(images, [np.asarray(Image.open(path)) for path in paths])
        synsets = [imagenet_classes()[label] for label in labels]
        assert synsets == [path.parent.name for path in paths]
    assert set(labels.tolist()) == {0, 1, 999}


def test_the_clean_images_are_those_of_the_corrupted_ones(written, clean):
    read = ImageFolderBenchmark(written, clean=clean, **CHOICE)
    assert read.conditions[0] == ("clean", 0)
    originals, truth = whole(read, "clean", 0, 5)
    mild, labels = whole(read, "jpeg_compression", 1)
    np.testing.assert_array_equal(truth, labels)
    away = np.abs(originals[:, None].astype(float) - mild[None]).mean(axis=(2, 3, 4))
    np.testing.assert_array_equal(away.argmin(axis=1), np.arange(12))
    assert away.diagonal().max() < 10
    assert {f"{SYNSETS[0]}/7.jpg.JPEG", f"{SYNSETS[0]}/7.png.JPEG"} < set(read.files)
    # the files that a data set lists are in an order of their own
    assert not np.array_equal(np.asarray(clean), originals)
    part = ImageFolderBenchmark(written, clean=clean, max_images=5, **CHOICE)
    assert len(part) == len(whole(part, "clean", 0)[1]) == 5


def test_other_classes_in_another_order(written, folder):
    classes = ("other", *reversed(SYNSETS))
    read = ImageFolderBenchmark(written, "folder_c", "mine", classes=classes, **CHOICE)
    assert (read.name, read.dataset, read.num_classes) == ("folder_c", "mine", 4)
    assert [classes[label] for label in read.labels] == [f.split("/")[0] for f in read.files]
    with pytest.raises(InputError, match="'folder_c' needs `classes`"):
        ImageFolderBenchmark(written, "folder_c", **CHOICE)
    with pytest.raises(InputError, match="`classes` has 'n01440764' twice"):
        ImageFolderBenchmark(written, classes=(*SYNSETS, SYNSETS[0]), **CHOICE)


def test_an_even_part_of_all_classes_the_same_in_all_conditions(written):
    read = ImageFolderBenchmark(written, max_images=6, **CHOICE)
    everything = ImageFolderBenchmark(written, **CHOICE)
    rows = [everything.files.index(file) for file in read.files]
    assert [row // 2 for row in rows] == list(range(6)) and len(set(read.labels.tolist())) == 3
    for condition in read.conditions:
        images, _ = whole(read, *condition)
        np.testing.assert_array_equal(images, whole(everything, *condition)[0][rows])
    assert len(ImageFolderBenchmark(written, max_images=1000, **CHOICE)) == 12
    with pytest.raises(InputError, match="`max_images` must be a whole number, at least 1"):
        ImageFolderBenchmark(written, max_images=0, **CHOICE)


@pytest.mark.parametrize("around", [".", "ImageNet-C", "imagenet_c"])
def test_where_the_archives_are_unpacked(written, tmp_path, around):
    expected = ImageFolderBenchmark(written, **CHOICE)
    for group, name in (("noise", "shot_noise"), ("digital", "jpeg_compression")):
        shutil.copytree(written / name, tmp_path / around / group / name)
    for place in (tmp_path, tmp_path / around):
        read = ImageFolderBenchmark(place, **CHOICE)
        assert read.files == expected.files
        images, _ = whole(read, "shot_noise", 4)
        np.testing.assert_array_equal(images, whole(expected, "shot_noise", 4)[0])


@pytest.mark.parametrize(
    ("name", "folder_name", "count"),
    [("imagenet_3dcc", "ImageNet-3DCC", 12), ("imagenet_c_bar", "imagenet-c-bar", 10)],
)
def test_the_other_benchmarks_have_corruptions_of_their_own(
    written, clean, tmp_path, name, folder_name, count
):
    names = image_folders.CORRUPTIONS[name]
    for index, corruption in enumerate(names):
        for level in range(1, 6):
            source = written / NAMES[index % 2] / str(SEVERITIES[level % 2])
            shutil.copytree(source, tmp_path / folder_name / corruption / str(level))
    read = ImageFolderBenchmark(tmp_path, name, clean=clean)
    assert len(names) == count and len(read.conditions) == 1 + 5 * count and read.strengths == ""
    images, _ = whole(read, names[1], 2)
    original = ImageFolderBenchmark(written, **CHOICE)
    np.testing.assert_array_equal(images, whole(original, NAMES[1], 1)[0])
    with pytest.raises(InputError, match="unknown corruption 'fog'"):
        ImageFolderBenchmark(tmp_path, name, names=["fog"])


def test_the_default_is_the_fifteen_and_the_extra_ones_are_known(written, tmp_path):
    for name in corruptions.names(extra=True):
        for level in "12345":
            shutil.copytree(written / NAMES[0] / "1", tmp_path / name / level)
    fifteen = [(name, level) for name in corruptions.names() for level in range(1, 6)]
    assert ImageFolderBenchmark(tmp_path).conditions == fifteen
    extra = ImageFolderBenchmark(tmp_path, names=["spatter"], severities=[2])
    assert extra.conditions == [("spatter", 2)]


def last(folder, *levels):
    return max((folder / "jpeg_compression").joinpath(*levels).iterdir())


def empty(folder):
    shutil.rmtree(last(folder, "4"))
    (folder / "jpeg_compression/4/n15075141").mkdir()


def flat(folder):
    shutil.rmtree(folder / "shot_noise/1")
    (folder / "shot_noise/1").mkdir()


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (
            lambda folder: shutil.rmtree(folder / "jpeg_compression"),
            r"lacks jpeg_compression: expected <corruption>/<severity>/<class>/",
        ),
        (
            lambda folder: shutil.rmtree(folder / "shot_noise/4"),
            r"no folder \S+/shot_noise/4 \(1 in all\); unpack",
        ),
        (
            lambda folder: last(folder, "4", "n15075141").unlink(),
            r"ession/4 lacks 1 of the images in \S+/shot_noise/1, such as n15075141/9\d\.JPEG;",
        ),
        (
            lambda folder: last(folder, "1").rename(folder / "jpeg_compression/1/n02119789"),
            r"jpeg_compression/1 lacks 3 of the images in \S+/shot_noise/1, such as n15075141/",
        ),
        (
            lambda folder: max((folder / "shot_noise/1/n01440764").iterdir()).unlink(),
            r"shot_noise/1 lacks 1 of the images in \S+, such as n01440764/",
        ),
        (
            lambda folder: last(folder, "4").rename(folder / "jpeg_compression/4/n1507514"),
            r"jpeg_compression/4/n1507514 is the folder of no class \(1 such folders\); expected",
        ),
        (empty, r"class folder \S+/jpeg_compression/4/n15075141 is empty"),
        (flat, r"shot_noise/1 holds no class folders"),
        (shutil.rmtree, r"no folder '\S+ImageNet-C'; expected that of imagenet_c"),
    ],
)
def test_what_is_missing_is_named(folder, damage, told):
    damage(folder)
    with pytest.raises(InputError, match=told) as caught:
        ImageFolderBenchmark(folder, **CHOICE)
    assert "\n" not in str(caught.value)


def test_hidden_files_do_not_count(folder):
    for place in ("", "fog", "shot_noise", "shot_noise/1", "shot_noise/1/n01440764"):
        (folder / place).mkdir(exist_ok=True)
        (folder / place / ".DS_Store").write_text("")
    (folder / "shot_noise/4/.ipynb_checkpoints").mkdir()
    assert len(ImageFolderBenchmark(folder, **CHOICE)) == 12


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"name": "imagenet-c"}, "unknown benchmark of image folders .* did you mean 'imagenet_c'"),
        ({"names": ["fogg"]}, "did you mean 'fog'"),
        ({"names": []}, "no corruption or no severity is named"),
        ({"severities": (1, 6)}, "severities are 1 to 5"),
        ({"names": ["fog", "snow"]}, "lacks fog, snow: expected"),
        ({"severities": (1, 2, 3)}, r"no folder \S+/2, \S+/3, \S+/2, \S+/3 \(4 in all\)"),
    ],
)
def test_what_is_asked_for_and_not_there(written, options, told):
    with pytest.raises(InputError, match=told):
        ImageFolderBenchmark(written, **{**CHOICE, **options})
    with pytest.raises(InputError, match=r"no condition \(clean, 0\)"):
        next(ImageFolderBenchmark(written, **CHOICE).batches("clean", 0))


def test_clean_images_that_do_not_fit(written, clean, photographs):
    with pytest.raises(InputError, match="1 of the 12 corrupted images have no clean one, such as"):
        ImageFolderBenchmark(written, clean=clean[1:], **CHOICE)
    larger = data.load(str(photographs), image_size=112).test_images
    with pytest.raises(InputError, match="clean images have 112 pixels a side, .* 96 x 96; load"):
        ImageFolderBenchmark(written, clean=larger, **CHOICE)
    resized = ImageFolderBenchmark(written, clean=larger, image_size=112, **CHOICE)
    assert whole(resized, "clean", 0)[0].shape == (12, 112, 112, 3)


def test_a_damaged_image_is_named_when_it_is_reached(folder):
    read = ImageFolderBenchmark(folder, **CHOICE)
    path = folder / "shot_noise/4" / read.files[3]
    path.write_bytes(path.read_bytes()[:2000])
    batches = read.batches("shot_noise", 4, 3)
    images, _ = next(batches)  # files are decoded batch by batch
    assert len(images) == 3
    with pytest.raises(InputError, match=rf"cannot decode '{path}': .*truncated"):
        next(batches)
    assert len(whole(read, "shot_noise", 1)[0]) == 12


def test_an_image_of_another_size(folder):
    read = ImageFolderBenchmark(folder, **CHOICE)
    path = folder / "jpeg_compression/1" / read.files[5]
    Image.open(path).resize((90, 80)).save(path)
    told = rf"{path} has 90 x 80 pixels, {Path(read._first)} 96 x 96; .* `image_size`"
    with pytest.raises(InputError, match=told):
        whole(read, "jpeg_compression", 1)
    small = ImageFolderBenchmark(folder, image_size=48, **CHOICE)
    images, _ = whole(small, "jpeg_compression", 1)
    assert images.shape == (12, 48, 48, 3)
    half = Image.open(folder / "jpeg_compression/1" / read.files[0])
    half = half.resize((48, 48), Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(images[0], np.asarray(half))


def test_images_need_not_be_square(tmp_path, photo_crops):
    for index, image in enumerate(photo_crops(64, 3)):
        save(image[:40], tmp_path / f"fog/2/{SYNSETS[index]}/a.png")
    read = ImageFolderBenchmark(tmp_path, names=["fog"], severities=[2])
    images, _ = whole(read, "fog", 2)
    np.testing.assert_array_equal(images, photo_crops(64, 3)[:, :40])


def test_the_synsets(monkeypatch):
    synsets = imagenet_classes()
    assert list(synsets) == sorted(set(synsets)) and len(synsets) == 1000
    assert {len(name) for name in synsets} == {9} and synsets[207] == "n02099601"  # a retriever
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    imagenet_classes.cache_clear()
    with pytest.raises(InputError, match="no list of ImageNet's 1,000 synsets .* give `classes`"):
        imagenet_classes()
    monkeypatch.undo()
    assert imagenet_classes() == synsets
