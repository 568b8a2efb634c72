import gzip
import shutil

import keras
import numpy as np
import pytest
from PIL import Image

from dynmix_tf.data import fashion_mnist, find_fashion_mnist
from dynmix_tf.data.fashion_mnist import CLASS_NAMES, FILES, load_fashion_mnist, read_idx
from dynmix_tf.errors import InputError


def idx(array):
    """The IDX bytes of a uint8 array, written as the format's description has it."""
    sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
    return bytes([0, 0, 8, array.ndim]) + sizes + array.tobytes()


@pytest.fixture(scope="module")
def arrays(photo_crops):
    """Real photographs as Fashion-MNIST holds its images: 28 px, grey."""

    def grey(count, seed):
        crops = photo_crops(112, count, seed)
        return np.stack([Image.fromarray(c).convert("L").resize((28, 28)) for c in crops])

    labels = np.arange(12, dtype=np.uint8)
    return {
        "train-images-idx3-ubyte": grey(12, 0),
        "train-labels-idx1-ubyte": labels[:12] % 10,
        "t10k-images-idx3-ubyte": grey(6, 1),
        "t10k-labels-idx1-ubyte": labels[:6] % 10,
    }


@pytest.fixture
def write(arrays):
    def write(folder, zipped=True):
        folder.mkdir(parents=True, exist_ok=True)
        for name, array in arrays.items():
            if zipped:
                (folder / f"{name}.gz").write_bytes(gzip.compress(idx(array)))
            else:
                (folder / name).write_bytes(idx(array))
        return folder

    return write


@pytest.fixture(autouse=True)
def bare_machine(monkeypatch, tmp_path):
    """No cache, no system files, and no download: the machine's own must not decide a test."""

    def no_network():
        raise Exception("URL fetch failure on https://example.org:\nNone")

    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras_home"))
    monkeypatch.setattr(fashion_mnist, "SYSTEM_FOLDER", tmp_path / "system")
    monkeypatch.setattr(keras.datasets.fashion_mnist, "load_data", no_network)


@pytest.mark.parametrize("zipped", [True, False])
def test_reads_pads_and_repeats(arrays, write, tmp_path, zipped):
    data = load_fashion_mnist(write(tmp_path / "files", zipped))
    assert data.name == "fashion_mnist"
    assert data.class_names == CLASS_NAMES
    assert data.train_images.shape == (12, 32, 32, 3)
    assert data.test_images.shape == (6, 32, 32, 3)
    for channel in range(3):
        inside = data.train_images[:, 2:30, 2:30, channel]
        np.testing.assert_array_equal(inside, arrays["train-images-idx3-ubyte"])
    border = np.ones((32, 32), bool)
    border[2:30, 2:30] = False
    assert not data.train_images[:, border].any()
    np.testing.assert_array_equal(data.train_labels, arrays["train-labels-idx1-ubyte"])
    np.testing.assert_array_equal(data.test_labels, arrays["t10k-labels-idx1-ubyte"])


def test_order_of_the_places(write, tmp_path):
    assert find_fashion_mnist() is None
    system = write(tmp_path / "system")
    assert find_fashion_mnist() == system
    cache = write(tmp_path / "keras_home" / "datasets" / "fashion-mnist")
    assert find_fashion_mnist() == cache
    given = write(tmp_path / "given")
    assert find_fashion_mnist(given) == given
    assert find_fashion_mnist(tmp_path) is None  # nothing else is tried then


def test_a_half_filled_cache_is_passed_over(write, tmp_path):
    system = write(tmp_path / "system")
    cache = write(tmp_path / "keras_home" / "datasets" / "fashion-mnist")
    (cache / f"{FILES[3]}.gz").unlink()
    assert find_fashion_mnist() == system
    assert len(load_fashion_mnist().test_images) == 6


def test_default_keras_home_is_in_the_home_folder(write, tmp_path, monkeypatch):
    monkeypatch.delenv("KERAS_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    cache = write(tmp_path / ".keras" / "datasets" / "fashion-mnist")
    assert find_fashion_mnist() == cache


def test_data_dir_without_the_files(write, tmp_path):
    write(tmp_path / "system")  # must not stand in for the folder that was asked for
    with pytest.raises(InputError, match="no Fashion-MNIST in .*t10k-labels-idx1-ubyte"):
        load_fashion_mnist(tmp_path / "absent")


def test_failed_download_names_the_ways_out_in_one_line():
    with pytest.raises(InputError) as caught:
        load_fashion_mnist()
    message = str(caught.value)
    for way_out in ("apt-get install dataset-fashion-mnist", "--data_dir", "--dataset=photos"):
        assert way_out in message
    assert "\n" not in message


def test_keras_download_is_used_when_nothing_is_there(arrays, monkeypatch, write, tmp_path):
    splits = [arrays[name] for name in FILES]
    monkeypatch.setattr(
        keras.datasets.fashion_mnist,
        "load_data",
        lambda: ((splits[0], splits[1]), (splits[2], splits[3])),
    )
    downloaded, read = load_fashion_mnist(), load_fashion_mnist(write(tmp_path / "files"))
    np.testing.assert_array_equal(downloaded.train_images, read.train_images)
    np.testing.assert_array_equal(downloaded.test_labels, read.test_labels)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (lambda good: b"", "no IDX file"),
        (lambda good: b"\x89PNG\r\n\x1a\n" + good, "no IDX file"),
        (lambda good: good[:2] + b"\x0d" + good[3:], "no IDX file"),  # type float
        (lambda good: good[:10], "cut or damaged"),
        (lambda good: good[:-1], "cut or damaged"),
        (lambda good: good + b"\0", "cut or damaged"),
    ],
)
def test_damaged_and_foreign_files(arrays, tmp_path, content, message):
    path = tmp_path / "file-ubyte"
    path.write_bytes(content(idx(arrays[FILES[0]])))
    with pytest.raises(InputError, match=f"file-ubyte.*{message}"):
        read_idx(path)


@pytest.mark.parametrize("content", [lambda good: good[: len(good) // 2], lambda good: b"<html>"])
def test_damaged_gzip(write, tmp_path, content):
    folder = write(tmp_path / "files")
    path = folder / f"{FILES[2]}.gz"
    path.write_bytes(content(path.read_bytes()))
    with pytest.raises(InputError, match=f"cannot read .*{FILES[2]}.gz"):
        load_fashion_mnist(folder)


def test_flipped_bit_in_the_compressed_stream(write, tmp_path):
    folder = write(tmp_path / "files")
    path = folder / f"{FILES[0]}.gz"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(InputError, match=FILES[0]):
        load_fashion_mnist(folder)


def test_images_of_another_data_set(write, tmp_path):
    folder = write(tmp_path / "files", zipped=False)
    (folder / FILES[0]).write_bytes(idx(np.zeros((12, 27, 28), np.uint8)))
    with pytest.raises(InputError, match=r"not of Fashion-MNIST.*\(12, 27, 28\)"):
        load_fashion_mnist(folder)


def test_labels_in_the_place_of_images(write, tmp_path):
    folder = write(tmp_path / "files", zipped=False)
    shutil.copy(folder / FILES[1], folder / FILES[0])
    with pytest.raises(InputError, match="not of Fashion-MNIST"):
        load_fashion_mnist(folder)


def test_one_label_too_few(write, tmp_path):
    folder = write(tmp_path / "files", zipped=False)
    (folder / FILES[1]).write_bytes(idx(np.zeros(11, np.uint8)))
    with pytest.raises(InputError, match="one per image"):
        load_fashion_mnist(folder)


def test_the_real_files(monkeypatch):
    monkeypatch.undo()
    folder = find_fashion_mnist()
    if folder is None:
        pytest.skip("Fashion-MNIST is not on this machine")
    data = load_fashion_mnist(folder)
    assert (len(data.train_images), len(data.test_images)) == (60_000, 10_000)
    np.testing.assert_array_equal(np.bincount(data.train_labels), np.full(10, 6_000))
    np.testing.assert_array_equal(np.bincount(data.test_labels), np.full(10, 1_000))
    assert data.test_images[:, 2:30, 2:30].mean() == pytest.approx(73.15, abs=0.005)
