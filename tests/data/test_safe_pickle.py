import os
import pickle

import numpy as np
import pytest

from dynmix_tf.data.safe_pickle import read_pickle
from dynmix_tf.errors import InputError


class Call:
    """Pickles as the call of a function."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.fixture
def path(tmp_path):
    return tmp_path / "batch"


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_reads_what_python_3_writes(photo_crops, path, protocol):
    data = photo_crops(32, 4).reshape(4, -1)
    content = {b"data": data, b"labels": [3, 1, 2, 0], "name": "batch", b"raw": b"\xff\0"}
    path.write_bytes(pickle.dumps(content, protocol))
    read = read_pickle(path)
    assert list(read) == ["data", "labels", "name", "raw"]
    np.testing.assert_array_equal(read["data"], data)
    assert read["data"].dtype == np.uint8
    assert read["labels"] == [3, 1, 2, 0]
    assert read["raw"] == b"\xff\0"


@pytest.mark.parametrize("protocol", [2, 5])
def test_keeps_fortran_order(photo_crops, path, protocol):
    data = np.asfortranarray(photo_crops(32, 2).reshape(2, -1))
    path.write_bytes(pickle.dumps({"data": data}, protocol))
    np.testing.assert_array_equal(read_pickle(path)["data"], data)


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_nothing_is_executed(path, tmp_path, protocol):
    flag = tmp_path / "executed"
    for function, arguments in (
        (os.system, (f"touch {flag}",)),
        (open, (str(flag), "w")),
        (eval, (f"open({str(flag)!r}, 'w')",)),
        (os.mkdir, (str(flag),)),
    ):
        path.write_bytes(pickle.dumps({"data": Call(function, *arguments)}, protocol))
        with pytest.raises(InputError, match="it asks for"):
            read_pickle(path)
        assert not flag.exists()


@pytest.mark.parametrize(
    "name", ["numpy.load", "numpy.fromfile", "numpy.f2py.compile", "dynmix_tf.data.npz.load_npz"]
)
def test_other_names_of_numpy_and_of_this_package_are_refused(path, name):
    module, _, attribute = name.rpartition(".")
    path.write_bytes(f"c{module}\n{attribute}\n(S'x'\ntR.".encode())
    with pytest.raises(InputError, match=f"it asks for {name}"):
        read_pickle(path)


@pytest.mark.parametrize("protocol", [2, 5])
def test_arrays_of_another_type_are_refused(path, protocol):
    for array in (np.zeros(3), np.array([None, {}], dtype=object), np.array(["text"])):
        path.write_bytes(pickle.dumps({"data": array}, protocol))
        with pytest.raises(InputError, match="not uint8"):
            read_pickle(path)


def test_array_without_content(path):
    path.write_bytes(b"\x80\x02}X\x04\0\0\0datacnumpy.core.multiarray\n_reconstruct\n)Rs.")
    assert read_pickle(path) == {"data": None}


def test_shape_that_does_not_fit_the_content(path):
    good = pickle.dumps({"data": np.arange(12, dtype=np.uint8).reshape(3, 4)}, 2)
    assert good.count(b"K\x03K\x04") == 1
    path.write_bytes(good.replace(b"K\x03K\x04", b"K\xffK\xff"))
    with pytest.raises(InputError, match="cut or damaged"):
        read_pickle(path)


@pytest.mark.parametrize(
    "damage", [lambda c: b"", lambda c: c[:-200], lambda c: b"PK\x03\x04" + c, lambda c: c[40:]]
)
def test_damaged_files(photo_crops, path, damage):
    content = pickle.dumps({"data": photo_crops(32, 4).reshape(4, -1)}, 2)
    path.write_bytes(damage(content))
    with pytest.raises(InputError, match="cut or damaged"):
        read_pickle(path)


def test_a_missing_file_and_something_that_is_no_dictionary(path):
    with pytest.raises(InputError, match="cannot read .*batch"):
        read_pickle(path)
    path.write_bytes(pickle.dumps([1, 2]))
    with pytest.raises(InputError, match="must hold a dictionary. Received: list"):
        read_pickle(path)
