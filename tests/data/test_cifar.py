import hashlib
import pickle
import tarfile

import numpy as np
import pytest

from dynmix_tf.data import cifar
from dynmix_tf.data.cifar import load_cifar10, load_cifar100
from dynmix_tf.errors import InputError

CLASSES_10 = ["airplane", "automobile", "bird", "cat", "deer"]
CLASSES_10 += ["dog", "frog", "horse", "ship", "truck"]
CLASSES_100 = [f"class_{number}" for number in range(100)]
BATCHES = [f"data_batch_{number}" for number in range(1, 6)]


def python_2_pickle(content):
    """A dictionary as Python 2 pickles it (protocol 2), the way the official files are.

    Python 3 cannot write these: its strings and bytes have other opcodes than Python 2's `str`.
    """

    def item(value):
        if isinstance(value, bytes):
            return b"T" + len(value).to_bytes(4, "little") + value
        if isinstance(value, int):
            return b"J" + value.to_bytes(4, "little", signed=True)
        if isinstance(value, list):
            return b"](" + b"".join(map(item, value)) + b"e"
        if isinstance(value, dict):
            return b"}(" + b"".join(map(item, sum(value.items(), ()))) + b"u"
        none = b"N"
        dtype = (
            b"cnumpy\ndtype\n" + item(b"u1") + item(0) + item(1) + b"\x87R"
            b"(" + item(3) + item(b"|") + 3 * none + item(-1) + item(-1) + item(0) + b"tb"
        )
        shape = b"(" + b"".join(map(item, value.shape)) + b"t"
        return (
            b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\n"
            + (item(0) + b"\x85" + item(b"b") + b"\x87R")
            + (b"(" + item(1) + shape + dtype + b"\x89" + item(value.tobytes()) + b"tb")
        )

    return b"\x80\x02" + item(content) + b"."


def planes(images):
    """(N, 32, 32, 3) to the files' rows: all red values, all green, all blue."""
    return np.concatenate(
        [images[..., channel].reshape(len(images), -1) for channel in range(3)], 1
    )


@pytest.fixture(scope="module")
def batches(photo_crops):
    """File name: images and labels of CIFAR-10, four images a file."""
    rng = np.random.default_rng(0)
    return {
        name: (photo_crops(32, 4, seed=seed), rng.integers(0, 10, 4))
        for seed, name in enumerate([*BATCHES, "test_batch"])
    }


@pytest.fixture
def write_python(batches):
    def write(folder, dumps=python_2_pickle):
        folder.mkdir(parents=True)
        for name, (images, labels) in batches.items():
            content = {
                b"batch_label": name.encode(),
                b"labels": labels.tolist(),
                b"data": planes(images),
                b"filenames": [b"crop.png"] * 4,
            }
            (folder / name).write_bytes(dumps(content))
        meta = {
            b"num_cases_per_batch": 4,
            b"label_names": [name.encode() for name in CLASSES_10],
            b"num_vis": 3072,
        }
        (folder / "batches.meta").write_bytes(dumps(meta))
        return folder

    return write


@pytest.fixture
def write_binary(batches):
    def write(folder):
        folder.mkdir(parents=True)
        for name, (images, labels) in batches.items():
            records = np.concatenate([labels[:, None], planes(images)], axis=1)
            (folder / f"{name}.bin").write_bytes(records.astype(np.uint8).tobytes())
        (folder / "batches.meta.txt").write_text("\n".join(CLASSES_10) + "\n\n")
        return folder

    return write


def assert_holds(data, batches):
    expected = [batches[name] for name in BATCHES]
    np.testing.assert_array_equal(data.train_images, np.concatenate([x for x, _ in expected]))
    np.testing.assert_array_equal(data.train_labels, np.concatenate([y for _, y in expected]))
    np.testing.assert_array_equal(data.test_images, batches["test_batch"][0])
    np.testing.assert_array_equal(data.test_labels, batches["test_batch"][1])
    assert data.class_names == tuple(CLASSES_10)
    assert data.name == "cifar10"


@pytest.mark.parametrize("given", [".", "cifar-10-batches-py"])
def test_cifar10_as_python_2_wrote_it(batches, write_python, tmp_path, given):
    write_python(tmp_path / "cifar-10-batches-py")
    assert_holds(load_cifar10(tmp_path / given), batches)


def test_cifar10_written_again_by_python_3(batches, write_python, tmp_path):
    folder = write_python(tmp_path / "renamed", dumps=pickle.dumps)
    assert_holds(load_cifar10(folder), batches)


@pytest.mark.parametrize("given", [".", "cifar-10-batches-bin"])
def test_cifar10_binary(batches, write_binary, tmp_path, given):
    write_binary(tmp_path / "cifar-10-batches-bin")
    assert_holds(load_cifar10(tmp_path / given), batches)


@pytest.fixture
def cifar100(photo_crops):
    fine = {"train": np.arange(88, 100), "test": np.arange(5)}
    images = {"train": photo_crops(32, 12), "test": photo_crops(32, 5, seed=1)}
    return images, fine


@pytest.fixture
def write_cifar100(cifar100):
    images, fine = cifar100

    def write(folder, layout):
        folder.mkdir()
        for split in ("train", "test"):
            coarse = fine[split] // 5
            if layout == "python":
                content = {
                    b"fine_labels": fine[split].tolist(),
                    b"coarse_labels": coarse.tolist(),
                    b"data": planes(images[split]),
                }
                (folder / split).write_bytes(python_2_pickle(content))
            else:
                columns = [coarse[:, None], fine[split][:, None], planes(images[split])]
                records = np.concatenate(columns, axis=1).astype(np.uint8)
                (folder / f"{split}.bin").write_bytes(records.tobytes())
        names = [name.encode() for name in CLASSES_100]
        if layout == "python":
            (folder / "meta").write_bytes(python_2_pickle({b"fine_label_names": names}))
        else:
            (folder / "fine_label_names.txt").write_bytes(b"\n".join(names))

    return write


@pytest.mark.parametrize("layout", ["python", "binary"])
def test_cifar100_fine_labels(cifar100, write_cifar100, tmp_path, layout):
    images, fine = cifar100
    write_cifar100(tmp_path / f"cifar-100-{layout}", layout)
    data = load_cifar100(tmp_path)
    for split in ("train", "test"):
        np.testing.assert_array_equal(getattr(data, f"{split}_images"), images[split])
        np.testing.assert_array_equal(getattr(data, f"{split}_labels"), fine[split])
    assert data.class_names == tuple(CLASSES_100)
    assert data.name == "cifar100"


@pytest.mark.parametrize("load", [load_cifar10, load_cifar100])
def test_no_folder_and_a_foreign_folder(load, tmp_path):
    with pytest.raises(InputError, match="needs `data_dir`: the folder cifar-10"):
        load()
    with pytest.raises(InputError, match=r"no cifar10.* in .*Expected cifar-10.*/ with .*\.bin"):
        load(tmp_path)
    with pytest.raises(InputError, match=r"no cifar10.* in "):
        load(tmp_path / "absent")


@pytest.mark.parametrize("missing", ["data_batch_3", "batches.meta"])
def test_missing_python_file_is_named(write_python, tmp_path, missing):
    folder = write_python(tmp_path / "files")
    (folder / missing).unlink()
    with pytest.raises(InputError, match=f"cannot read .*{missing}"):
        load_cifar10(folder)


@pytest.mark.parametrize("missing", ["data_batch_3.bin", "batches.meta.txt"])
def test_missing_binary_file_is_named(write_binary, tmp_path, missing):
    folder = write_binary(tmp_path / "files")
    (folder / missing).unlink()
    with pytest.raises(InputError, match=f"cannot read .*{missing}"):
        load_cifar10(folder)


@pytest.mark.parametrize("keep", [0, 3072, -1])
def test_cut_binary_file(write_binary, tmp_path, keep):
    path = write_binary(tmp_path / "files") / "data_batch_2.bin"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(InputError, match="data_batch_2.bin' is cut or damaged"):
        load_cifar10(path.parent)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({b"data": None}, "`data`"),
        ({b"data": np.zeros((4, 3071), np.uint8)}, "`data`"),
        ({b"data": np.zeros(3072, np.uint8)}, "`data`"),
        ({b"labels": None}, "`labels`"),
        ({b"labels": [1, 2, 3]}, "`labels`"),
        ({b"labels": [1, 2, 3, "cat"]}, "`labels`"),
        ({b"labels": [1, 2, 3, 2**70]}, "`labels`"),
    ],
)
def test_wrong_content_of_a_python_file(write_python, tmp_path, change, message):
    path = write_python(tmp_path / "files", dumps=pickle.dumps) / "data_batch_4"
    content = {**pickle.loads(path.read_bytes()), **change}
    path.write_bytes(pickle.dumps(content))
    with pytest.raises(InputError, match=f"data_batch_4' must hold {message}"):
        load_cifar10(path.parent)


def test_label_beyond_the_classes(write_binary, tmp_path):
    path = write_binary(tmp_path / "files") / "test_batch.bin"
    path.write_bytes(b"\x0a" + path.read_bytes()[1:])
    with pytest.raises(InputError, match=r"'cifar10': `test_labels` must be in \[0, 10\)"):
        load_cifar10(path.parent)


def pack(folder, archive):
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(folder, arcname=folder.name)


@pytest.mark.parametrize("layout", ["python", "binary"])
@pytest.mark.parametrize("given", ["archive", "folder"])
def test_cifar10_from_its_archive(
    batches, write_python, write_binary, tmp_path, monkeypatch, layout, given
):
    folder = {"python": "cifar-10-batches-py", "binary": "cifar-10-batches-bin"}[layout]
    {"python": write_python, "binary": write_binary}[layout](tmp_path / folder)
    archive = tmp_path / "archives" / f"cifar-10-{layout}.tar.gz"
    archive.parent.mkdir()
    pack(tmp_path / folder, archive)
    from_folder = load_cifar10(tmp_path / folder)
    with pytest.raises(InputError, match=r"its md5 is [0-9a-f]{32}, expected c[0-9a-f]{31}; down"):
        load_cifar10(archive)
    monkeypatch.setitem(cifar.MD5, archive.name, hashlib.md5(archive.read_bytes()).hexdigest())
    data = load_cifar10(archive if given == "archive" else archive.parent)
    for name in ("train_images", "train_labels", "test_images", "test_labels"):
        np.testing.assert_array_equal(getattr(data, name), getattr(from_folder, name))
    assert data.class_names == from_folder.class_names
    assert list(archive.parent.iterdir()) == [archive]  # nothing was unpacked


def test_archives_that_lack_files_or_are_cut(write_python, tmp_path, monkeypatch):
    write_python(tmp_path / "cifar-10-batches-py")
    (tmp_path / "cifar-10-batches-py" / "data_batch_3").unlink()
    archive = tmp_path / "archives" / "cifar-10-python.tar.gz"
    archive.parent.mkdir()
    pack(tmp_path / "cifar-10-batches-py", archive)

    def load():
        md5 = hashlib.md5(archive.read_bytes()).hexdigest()
        monkeypatch.setitem(cifar.MD5, archive.name, md5)
        return load_cifar10(archive)

    with pytest.raises(InputError, match="cifar-10-python.tar.gz' lacks data_batch_3"):
        load()
    archive.write_bytes(archive.read_bytes()[:-1000])
    with pytest.raises(InputError, match="is no archive, or it is damaged"):
        load()


def test_members_that_point_elsewhere_are_not_read(write_python, tmp_path, monkeypatch):
    folder = tmp_path / "cifar-10-batches-py"
    write_python(folder)
    secret = tmp_path / "secret"
    (folder / "test_batch").rename(secret)
    (folder / "test_batch").symlink_to(secret)
    archive = tmp_path / "archives" / "cifar-10-python.tar.gz"
    archive.parent.mkdir()
    pack(folder, archive)
    md5 = hashlib.md5(archive.read_bytes()).hexdigest()
    monkeypatch.setitem(cifar.MD5, archive.name, md5)
    with pytest.raises(InputError, match="lacks test_batch"):
        load_cifar10(archive)
