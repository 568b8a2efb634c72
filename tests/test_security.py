"""Data of strangers: archives, pickles, arrays. What is malicious is refused in one line.

Images, models and run folders are in the other test_security_*.py.
"""

import gzip
import io
import os
import pickle
import struct
import tarfile
import zipfile

import numpy as np
import pytest

from dynmix_tf import data
from dynmix_tf.archives import check_sizes, read_npz
from dynmix_tf.benchmarks.arrays import header_of
from dynmix_tf.benchmarks.cifar_c import CifarCBenchmark, find_cifar_c
from dynmix_tf.benchmarks.image_folders import ImageFolderBenchmark
from dynmix_tf.data.fashion_mnist import read_idx
from dynmix_tf.data.safe_pickle import read_pickle
from dynmix_tf.errors import InputError


def refused(error):
    """The message, which must be one line that a terminal shows."""
    message = str(error.value)
    assert message and message.isprintable() and len(message) < 1000
    return message


# --- archives ---


def hostile_tar(path):
    """Members that lead out of any folder, by name and by link, and a device."""
    with tarfile.open(path, "w:gz") as archive:
        for name, kind, target in (
            ("../escaped", tarfile.REGTYPE, ""),
            ("/tmp/escaped", tarfile.REGTYPE, ""),
            ("cifar-10-batches-py/test_batch", tarfile.SYMTYPE, "/etc/passwd"),
            ("cifar-10-batches-py/data_batch_1", tarfile.LNKTYPE, "../../etc/passwd"),
            ("cifar-10-batches-py/batches.meta", tarfile.CHRTYPE, ""),
        ):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, target
            archive.addfile(member, io.BytesIO())


@pytest.mark.parametrize("name", ["cifar10", "cifar100"])
def test_an_archive_that_is_not_the_official_one_is_not_opened(tmp_path, monkeypatch, name):
    path = tmp_path / f"{name.replace('cifar', 'cifar-')}-python.tar.gz"
    hostile_tar(path)
    monkeypatch.setattr(tarfile, "open", lambda *_: pytest.fail("it was opened"))
    with pytest.raises(InputError, match="not the official file") as error:
        data.load(name, path)
    refused(error)


def test_links_in_an_archive_are_not_followed(tmp_path, monkeypatch):
    """Even if somebody made one with the right md5."""
    import hashlib

    path = tmp_path / "cifar-10-python.tar.gz"
    hostile_tar(path)
    md5 = hashlib.md5(path.read_bytes()).hexdigest()
    monkeypatch.setattr("dynmix_tf.data.cifar.MD5", {path.name: md5})
    with pytest.raises(InputError, match="lacks data_batch_1") as error:
        data.load("cifar10", path)
    refused(error)
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_an_archive_of_a_benchmark_is_not_unpacked(tmp_path):
    path = tmp_path / "CIFAR-10-C.tar"
    hostile_tar(path)
    with pytest.raises(InputError, match="no cifar10_c in") as error:
        find_cifar_c("cifar10_c", path)
    refused(error)
    with pytest.raises(InputError, match="no folder") as error:
        ImageFolderBenchmark(path)
    refused(error)


def says_it_is_large(path, size=0xF0000000):
    """Writes a size into the directory of a zip archive, which is where readers look."""
    content = bytearray(path.read_bytes())
    place = content.index(b"PK\x01\x02")
    content[place + 24 : place + 28] = struct.pack("<I", size)
    path.write_bytes(content)


def test_a_bomb_by_its_directory(tmp_path):
    path = tmp_path / "images.npz"
    np.savez_compressed(path, train_images=np.zeros(10, np.uint8))
    says_it_is_large(path)
    with pytest.raises(InputError, match="says that it unpacks to 4,026,531,") as error:
        data.load(str(path))
    refused(error)


def test_a_bomb_whose_directory_says_that_it_is_small(tmp_path):
    path = tmp_path / "images.npz"
    np.savez_compressed(path, train_images=np.zeros(2**22, np.uint8))
    says_it_is_large(path, 200)
    with pytest.raises(InputError, match="damaged") as error:
        data.load(str(path))
    refused(error)


def test_a_real_bomb_unpacks_to_no_more_than_it_may(tmp_path, monkeypatch):
    monkeypatch.setattr("dynmix_tf.archives._LARGE", 2**20)
    path = tmp_path / "bomb.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("train_images.npy", bytes(2**23))
    with path.open("rb") as file, pytest.raises(ValueError, match="unpacks to 8,388,608"):
        read_npz(file)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("train_images.npy", bytes(2**23))
    check_sizes(zipfile.ZipFile(path))  # large, and no bomb


def test_a_gzip_bomb(tmp_path, monkeypatch):
    path = tmp_path / "t10k-labels-idx1-ubyte.gz"
    header = b"\0\0\x08\x01" + struct.pack(">I", 10)
    path.write_bytes(gzip.compress(header + bytes(2**26)))
    read = []
    original = gzip.GzipFile.read
    monkeypatch.setattr(
        gzip.GzipFile, "read", lambda file, size=-1: read.append(size) or original(file, size)
    )
    with pytest.raises(InputError, match="needs 10 bytes .* received more") as error:
        read_idx(path)
    refused(error)
    assert all(0 <= size <= 11 for size in read)


@pytest.mark.parametrize(
    "content",
    [
        b"\0\0\x08\x03" + b"\xff" * 12,  # 2**96 bytes
        b"\0\0\x08\xc8" + struct.pack(">200I", *[1] * 200) + b"x",  # 200 dimensions
        b"\0\0\x08\x00x",
        b"\0\0\x08\x03\0\0",
    ],
)
def test_headers_of_idx_files_that_lie(tmp_path, content):
    path = tmp_path / "images"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"damaged|no IDX file") as error:
        read_idx(path)
    refused(error)


# --- pickles ---


def shared_tuples():
    return b"\x80\x04}K\x01\x85\x94" + b"".join(b"h%c\x86\x94" % i for i in range(60)) + b"K\x01s."


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\x80\x02}r\xff\xff\xff\x7f.", "object number 2,147,483,647"),  # takes 32 GiB
        (b"\x80\x02}q\x00r\xff\xff\xff\x7f.", "object number"),
        (shared_tuples(), "a tuple twice"),  # a key that is hashed for years
        (b"\x80\x02})" + b"2\x86" * 60 + b"K\x01s.", "opcode DUP"),
        (b"\x80\x02})" + b"\x85" * 1_000_000 + b"K\x01s.", "tuples in tuples"),  # crashes Python
        (b"\x80\x02}" + b"(" * 50_000 + b"t" * 50_000 + b"K\x01s.", "tuples in tuples"),
        (b"\x80\x04\x8e" + struct.pack("<Q", 2**40) + b"x.", "only 2 remain"),
        (b"\x80\x05\x96" + struct.pack("<Q", 2**40) + b"x.", "only 2 remain"),
        (b"I" + b"9" * 100_000 + b"\n.", "4300 digits"),
        (b"\x80\x02\x82\x01.", "opcode EXT1"),  # copyreg's registry
        (b"Pelsewhere\n.", "opcode PERSID"),
        (b"(S'touch pwned'\nios\nsystem\n.", "opcode INST"),
        (b"\x80\x02cnumpy\nndarray\n)\x81.", "opcode NEWOBJ"),
        (b"\x80\x04\x8c\x07copyreg\x8c\x0e_reconstructor\x93.", "it asks for copyreg"),
        (b"ccopy_reg\n_reconstructor\n.", "it asks for copy"),
        (b"cbuiltins\ngetattr\n.", "it asks for builtins.getattr"),
        (b"cnumpy._core.multiarray\nscalar\n.", "it asks for numpy"),
        (b"cnumpy.core.multiarray\n_reconstruct.__globals__\n.", "it asks for numpy"),
        (b"\x80\x02cnumpy\nndarray\n}X\x01\0\0\0aK\x01sb.", "damaged"),  # sets up the class
        (pickle.dumps({(1, 2): 3}, 2), "whose keys are text"),
        (pickle.dumps({"data": np.array([{}, []], object)}, 2), "not uint8"),
        (pickle.dumps({"data": np.zeros(2, "U9")}, 5), "not uint8"),
    ],
)
def test_pickles(tmp_path, content, message):
    path = tmp_path / "test_batch"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message) as error:
        read_pickle(path)
    refused(error)


def test_class_names_that_grow_when_they_are_printed(tmp_path, photo_crops):
    pixels = photo_crops(32, 4).reshape(4, -1)
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    for name in (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"):
        (folder / name).write_bytes(pickle.dumps({"data": pixels, "labels": [0, 0, 0, 0]}))
    names = ["cat"]
    for _ in range(60):
        names = [names, names]
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": names}))
    with pytest.raises(InputError, match="a list of class names") as error:
        data.load("cifar10", folder)
    refused(error)


# --- arrays ---

HEADERS = {
    "objects": "'|O', 'fortran_order': False, 'shape': (1,)",
    "objects inside": "[('a', '|O')], 'fortran_order': False, 'shape': (1,)",
    "petabytes": "'|u1', 'fortran_order': False, 'shape': (1000000000000, 32, 32, 3)",
    "overflow": "'|u1', 'fortran_order': False, 'shape': (4611686018427387904, 4)",
    "overflow to nothing": "'|u1', 'fortran_order': False, 'shape': (4611686018427387904, 4, 0)",
    "beyond int64": f"'|u1', 'fortran_order': False, 'shape': ({10**30},)",
    "negative": "'|u1', 'fortran_order': False, 'shape': (-4, -8)",
    "200 dimensions": f"'|u1', 'fortran_order': False, 'shape': ({'1, ' * 200})",
    "large items": "'<U2000000000', 'fortran_order': False, 'shape': (1,)",
    "code": "__import__('os').system('touch pwned')",
    "nested": "(" * 3000,
    "long": " " * 20_000,
}


@pytest.fixture(params=HEADERS.values(), ids=HEADERS)
def npy(request):
    text = f"{{'descr': {request.param}}}".encode()
    text += b" " * (63 - (10 + len(text)) % 64) + b"\n"
    return b"\x93NUMPY\x01\0" + struct.pack("<H", len(text)) + text + b"abcd"


def test_headers_of_arrays(npy, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "fog.npy"
    path.write_bytes(npy)
    with pytest.raises(InputError, match="missing or damaged"):
        header_of(path)
    with zipfile.ZipFile("images.npz", "w") as archive:
        archive.writestr("train_images.npy", npy)
    with pytest.raises(InputError, match="damaged") as error:
        data.load("images.npz")
    refused(error)
    assert not (tmp_path / "pwned").exists()


@pytest.mark.parametrize("flag", ["encrypted", "method"])
def test_archives_that_cannot_be_unpacked(tmp_path, flag):
    path = tmp_path / "images.npz"
    np.savez(path, train_images=np.zeros(10, np.uint8))
    content = bytearray(path.read_bytes())
    place = content.index(b"PK\x01\x02") + (8 if flag == "encrypted" else 10)
    content[place] = 1 if flag == "encrypted" else 99
    if flag == "encrypted":
        content[6] = 1
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"encrypted|not supported") as error:
        data.load(str(path))
    refused(error)


def test_members_that_are_no_arrays(tmp_path):
    path = tmp_path / "images.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("train_images", "text")
    with pytest.raises(InputError, match="'train_images' in it is no array") as error:
        data.load(str(path))
    refused(error)


@pytest.mark.parametrize("labels", [np.array(["0"] * 20), np.zeros(20, "V0"), np.zeros(20)])
def test_labels_of_another_type(tmp_path, photo_crops, labels):
    images = photo_crops(32, 4)
    np.save(tmp_path / "labels.npy", labels)
    np.save(tmp_path / "fog.npy", np.concatenate([images] * 5))
    with pytest.raises(InputError, match="must hold five classes") as error:
        CifarCBenchmark(tmp_path, images, np.zeros(4, np.int32), names=["fog"])
    refused(error)


def test_nothing_here_allows_pickles_or_code():
    """A reader that is added later is held to the same."""
    package = os.path.dirname(data.__file__) + "/.."
    for folder, _, files in os.walk(package):
        for name in files:
            if name.endswith(".py"):
                with open(os.path.join(folder, name)) as file:
                    text = file.read()
                for word in ("allow_pickle=True", "safe_mode=False", "enable_unsafe_", "yaml.",
                             "extractall", "shell=True", "tempfile.mktemp("):  # fmt: skip
                    assert word not in text, (name, word)


def test_what_a_batch_of_cifar_holds_is_read(tmp_path, photo_crops):
    pixels = photo_crops(32, 4).reshape(4, -1)
    content = {b"data": pixels, b"labels": [1, 0, 1, 0], b"filenames": [b"a.png"] * 4}
    for protocol in range(6):
        path = tmp_path / "batch"
        path.write_bytes(pickle.dumps(content, protocol))
        read = read_pickle(path)
        np.testing.assert_array_equal(read["data"], pixels)
        assert read["filenames"] == [b"a.png"] * 4
