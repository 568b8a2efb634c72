"""The reader of CIFAR-10-C's layout, on folders that `corrupt` writes from real photographs."""

import hashlib
import shutil
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from dynmix_tf import GeneratedBenchmark, corruptions, data, models, predictors, results
from dynmix_tf.benchmark_files.settings import Settings
from dynmix_tf.benchmark_files.writing import write_benchmark
from dynmix_tf.benchmarks import CifarCBenchmark, cifar_c, find_cifar_c, verify_cifar_c
from dynmix_tf.errors import InputError
from dynmix_tf.scoring import score

NAMES = ("fog", "jpeg_compression")
MAPS = Path("/proc/self/maps")


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    path = tmp_path_factory.mktemp("photos") / "photos.npz"
    whole = data.load("photos", num_train=18, num_test=27)
    data.write_packed(path, whole)
    return path, whole


@pytest.fixture(scope="module")
def written(photos, tmp_path_factory):
    folder = tmp_path_factory.mktemp("benchmark") / "CIFAR-10-C"
    write_benchmark(Settings(dataset=str(photos[0]), corruptions=NAMES), folder, workers=1)
    return folder


@pytest.fixture
def folder(written, tmp_path):
    return shutil.copytree(written, tmp_path / "copy")


def benchmark(folder, photos, **options):
    whole = photos[1]
    return CifarCBenchmark(
        folder, whole.test_images, whole.test_labels, "photos", **{"names": NAMES, **options}
    )


@pytest.mark.parametrize("batch_size", [4, 27, 100])
def test_batches_are_the_generated_ones(written, photos, batch_size):
    read = benchmark(written, photos)
    made = GeneratedBenchmark(photos[1].test_images, photos[1].test_labels, names=NAMES)
    assert read.conditions == made.conditions and len(read) == 27
    for condition in read.conditions:
        pairs = zip(
            read.batches(*condition, batch_size), made.batches(*condition, batch_size), strict=True
        )
        for (images, labels), (wanted, truth) in pairs:
            assert images.dtype == np.uint8 and not isinstance(images, np.memmap)
            np.testing.assert_array_equal(images, wanted)
            np.testing.assert_array_equal(labels, truth)


def test_the_first_images_of_each_severity(written, photos):
    whole = photos[1]
    part = CifarCBenchmark(written, whole.test_images[:5], whole.test_labels[:5], names=["fog"])
    ((images, labels),) = part.batches("fog", 4)
    wanted = corruptions.corrupt(whole.test_images[:5], "fog", 4)
    np.testing.assert_array_equal(images, wanted)
    np.testing.assert_array_equal(labels, whole.test_labels[:5])


def test_no_more_than_a_batch_is_in_memory(photos, tmp_path):
    images, labels = np.repeat(photos[1].test_images, 40, axis=0), np.arange(27 * 40) % 3
    np.save(tmp_path / "labels.npy", np.tile(labels, 5))
    np.save(tmp_path / "fog.npy", np.tile(images, (5, 1, 1, 1)))
    read = CifarCBenchmark(tmp_path, images, labels, names=["fog"], severities=[5])
    file = (tmp_path / "fog.npy").stat().st_size  # 84 batches; what else runs may take one or two
    tracemalloc.start()
    for _ in read.batches("fog", 5, 64):
        assert tracemalloc.get_traced_memory()[1] < file / 4
        # the pages of a map would count as this process's memory too, though Python knows nothing
        assert not MAPS.exists() or "fog.npy" not in MAPS.read_text()
    tracemalloc.stop()


def test_the_folder_and_the_one_around_it(written, tmp_path):
    assert find_cifar_c("cifar10_c", written) == find_cifar_c("cifar10_c", written.parent)
    with pytest.raises(InputError, match=r"no cifar100_c in .*CIFAR-100-C\.tar"):
        find_cifar_c("cifar100_c", tmp_path)


def cut(folder):
    with (folder / "fog.npy").open("r+b") as file:
        file.truncate(5000)


def shorten(folder):
    np.save(folder / "fog.npy", np.load(folder / "fog.npy")[:100])


def four_severities(folder):
    np.save(folder / "fog.npy", np.load(folder / "fog.npy")[: 4 * 27])


def last_byte_lost(folder):
    with (folder / "fog.npy").open("r+b") as file:
        file.truncate((folder / "fog.npy").stat().st_size - 1)


def columns_first(folder):
    np.save(folder / "fog.npy", np.asfortranarray(np.load(folder / "fog.npy")))


def short_labels(folder):
    np.save(folder / "labels.npy", np.load(folder / "labels.npy")[: 4 * 27])


def other_labels(folder):
    np.save(folder / "labels.npy", np.load(folder / "labels.npy")[::-1])


def pickled(folder):
    np.save(folder / "fog.npy", np.array([{}]), allow_pickle=True)


@pytest.mark.parametrize(
    ("damage", "options", "told"),
    [
        (cut, {}, r"fog\.npy is missing or damaged"),
        (pickled, {}, r"fog\.npy is missing or damaged"),
        (shorten, {}, r"fog\.npy must be uint8 \(135, 32, 32, 3\), .* Received: uint8 \(100,"),
        (four_severities, {}, r"fog\.npy must be uint8 \(135, .* Received: uint8 \(108,"),
        (last_byte_lost, {}, r"fog\.npy is missing or damaged"),
        (columns_first, {}, r"fog\.npy must be uint8 .*, the last axis innermost"),
        (short_labels, {}, r"labels\.npy must hold five classes for each of the 27 test images"),
        (other_labels, {}, "are not those of the test images of photos"),
        (lambda folder: (folder / "labels.npy").unlink(), {}, r"labels\.npy is missing"),
        (lambda folder: None, {"names": None}, r"lacks gaussian_noise\.npy, shot_noise\.npy"),
        (lambda folder: None, {"names": ["fogg"]}, "did you mean 'fog'"),
        (lambda folder: None, {"severities": (0, 1)}, "severities are 1 to 5"),
    ],
)
def test_what_does_not_fit_is_named(folder, photos, damage, options, told):
    damage(folder)
    with pytest.raises(InputError, match=told):
        benchmark(folder, photos, **options)


def test_a_condition_that_was_not_asked_for(written, photos):
    with pytest.raises(InputError, match=r"no condition \(fog, 2\)"):
        next(benchmark(written, photos, severities=(1, 3)).batches("fog", 2))


def test_md5_of_the_released_files(folder, monkeypatch):
    assert {len(table) for table in cifar_c.MD5.values()} == {20}
    assert set(cifar_c.MD5["cifar10_c"]) == {"labels", *corruptions.names(extra=True)}
    with pytest.raises(InputError, match=r"labels\.npy is damaged or not the released file"):
        verify_cifar_c("cifar10_c", folder, NAMES)
    sums = {path.stem: hashlib.md5(path.read_bytes()).hexdigest() for path in folder.glob("*.npy")}
    monkeypatch.setitem(cifar_c.MD5, "cifar10_c", sums)
    verify_cifar_c("cifar10_c", folder, NAMES)
    cut(folder)
    with pytest.raises(InputError, match=r"fog\.npy is damaged .* expected " + sums["fog"]):
        verify_cifar_c("cifar10_c", folder, NAMES)


def test_files_made_anew_are_measured_anew(written, photos, tmp_path):
    """The table and the seed in the manifest, not the images alone, tell a benchmark."""
    settings = Settings(str(photos[0]), corruptions=NAMES[:1], strengths="imagenet", seed=3)
    write_benchmark(settings, tmp_path / "other")
    given = (photos[1].test_images, photos[1].test_labels, "photos", NAMES[:1])
    ours, other = (CifarCBenchmark(path, *given) for path in (written, tmp_path / "other"))
    assert (ours.strengths, ours.seed) == ("cifar", 0)
    assert (other.strengths, other.seed) == ("imagenet", 3)
    network = models.build("small_cnn", (32, 32, 3), photos[1].num_classes, seed=0)
    predict = predictors.network_predictor(network)
    places = (tmp_path / "rows.csv", tmp_path / "rows", {"model": "m", "method": "", "epoch": 0})
    rows = [row for benchmark in (ours, other) for row in score(predict, benchmark, *places)]
    assert len({row["measurement"] for row in rows}) == 2
    assert len(results.read(places[0])) == len(rows) == 12
    (tmp_path / "other" / "manifest.json").unlink()  # as released
    assert CifarCBenchmark(tmp_path / "other", *given).strengths == "cifar"


def evaluate(*words):
    command = [sys.executable, "-m", "dynmix_tf.evaluate", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True)


def test_the_command_scores_files_as_it_scores_generated_images(written, photos, tmp_path):
    network = models.build("small_cnn", (32, 32, 3), photos[1].num_classes, seed=0)
    network.save(tmp_path / "net.keras")
    common = (f"--model={tmp_path / 'net.keras'}", f"--dataset={photos[0]}",
              f"--corruptions={','.join(NAMES)}")  # fmt: skip
    rows = {}
    for name, more in (
        ("generated", ()),
        ("cifar10_c", ("--benchmark=cifar10_c", f"--data_dir={written.parent}")),
    ):
        done = evaluate(*common, *more, f"--output_dir={tmp_path / name}")
        assert done.returncode == 0, done.stderr
        rows[name] = results.read(tmp_path / name / "robustness.csv")
        assert {row["benchmark"] for row in rows[name]} == {name}
    for one, two in zip(*rows.values(), strict=True):
        for field in ("corruption", "severity", "error", "rms_calibration_error"):
            assert one[field] == two[field]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--benchmark=cifar10-c",), "did you mean 'cifar10_c'"),
        (("--benchmark=cifar10_c",), "--data_dir is missing: where cifar10_c lies"),
        (
            ("--benchmark=cifar10_c", "--data_dir=x", "--strengths=cifar"),
            "--strengths does nothing",
        ),
        (("--verify",), "--verify does nothing with --benchmark=generated"),
    ],
)
def test_mistakes_of_the_command_are_one_line(words, told):
    done = evaluate("--model=m.keras", "--output_dir=o", *words)
    assert done.returncode == 2 and told in done.stderr and len(done.stderr.splitlines()) == 1
