import numpy as np
import pytest

from dynmix_tf.data.npz import load_npz
from dynmix_tf.errors import InputError

KERAS = {
    "train_images": "x_train",
    "train_labels": "y_train",
    "test_images": "x_test",
    "test_labels": "y_test",
}


@pytest.fixture
def arrays(photo_crops):
    return {
        "train_images": photo_crops(32, 9),
        "train_labels": np.arange(9) % 3,
        "test_images": photo_crops(32, 6, seed=1),
        "test_labels": np.arange(6) % 3,
    }


@pytest.fixture
def path(tmp_path):
    return tmp_path / "mine.npz"


def test_reads_colour_images(arrays, path):
    np.savez(path, **arrays)
    data = load_npz(path)
    assert data.name == "mine"
    assert data.class_names == ("0", "1", "2")
    for key, array in arrays.items():
        np.testing.assert_array_equal(getattr(data, key), array)


@pytest.mark.parametrize("compressed", [False, True])
def test_reads_keras_names_and_column_labels(arrays, path, compressed):
    renamed = {KERAS[key]: array for key, array in arrays.items()}
    renamed["y_train"] = renamed["y_train"].astype(np.uint8)[:, None]
    (np.savez_compressed if compressed else np.savez)(path, **renamed)
    data = load_npz(str(path))
    np.testing.assert_array_equal(data.train_images, arrays["train_images"])
    np.testing.assert_array_equal(data.train_labels, arrays["train_labels"])


@pytest.mark.parametrize("channel", [slice(0, 1), 0])
def test_grey_is_repeated(arrays, path, channel):
    grey = {key: a[..., channel] if "images" in key else a for key, a in arrays.items()}
    np.savez(path, **grey)
    data = load_npz(path)
    expected = np.stack([arrays["test_images"][..., 0]] * 3, axis=-1)
    np.testing.assert_array_equal(data.test_images, expected)


def test_class_names_are_kept(arrays, path):
    np.savez(path, **arrays, class_names=np.array(["astronaut", "chelsea", "coffee", "rocket"]))
    assert load_npz(path).class_names == ("astronaut", "chelsea", "coffee", "rocket")


def test_class_of_the_test_images_only(arrays, path):
    arrays["test_labels"] = arrays["test_labels"] + 2
    np.savez(path, **arrays)
    assert load_npz(path).class_names == ("0", "1", "2", "3", "4")


def test_wrong_keys_are_listed(arrays, path):
    np.savez(path, images=arrays["train_images"], y_train=arrays["train_labels"])
    with pytest.raises(InputError, match="Expected train_images.*x_train.*found images, y_train"):
        load_npz(path)


def test_missing_file(path):
    with pytest.raises(InputError, match="no such file"):
        load_npz(path)


class Mischief:
    """Tells, by a file, that unpickling executed it."""

    def __init__(self, flag):
        self.flag = flag

    def __reduce__(self):
        return open, (self.flag, "w")


def test_a_pickle_is_not_executed(arrays, path, tmp_path):
    flag = tmp_path / "executed"
    arrays["train_labels"] = np.array([Mischief(str(flag))] * 9, dtype=object)
    np.savez(path, **arrays, allow_pickle=True)
    with pytest.raises(InputError, match="no .npz file of plain arrays"):
        load_npz(path)
    assert not flag.exists()


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: b"not an archive",
        lambda content: content[: len(content) // 2],
        lambda content: content[:300] + bytes(300) + content[600:],
    ],
)
def test_damaged_file(arrays, path, damage):
    np.savez_compressed(path, **arrays)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(InputError, match="no .npz file of plain arrays, or it is damaged"):
        load_npz(path)


def test_a_single_array_under_the_wrong_name(arrays, path):
    with path.open("wb") as file:
        np.save(file, arrays["train_images"])
    with pytest.raises(InputError, match="no .npz file"):
        load_npz(path)


@pytest.mark.parametrize(
    ("key", "change", "message"),
    [
        ("train_images", lambda a: a / 255.0, "must be uint8.*float64"),
        ("test_images", lambda a: a[..., :2], "must be uint8 of shape"),
        ("train_labels", lambda a: a.astype(float), "must be integers"),
        ("train_labels", lambda a: np.eye(3, dtype=int)[a], "must be integers of shape"),
        ("test_labels", lambda a: a - 1, "-1 to 1"),
        ("test_labels", lambda a: a + 10**12, "1000000000000 to"),
        ("test_labels", lambda a: a[:5], "one per image"),
        ("train_images", lambda a: a[:0], "no image"),
        ("train_images", lambda a: a[:, :30], "one size"),
    ],
)
def test_wrong_arrays(arrays, path, key, change, message):
    arrays[key] = change(arrays[key])
    np.savez(path, **arrays)
    with pytest.raises(InputError, match=message):
        load_npz(path)


def test_label_beyond_the_class_names(arrays, path):
    np.savez(path, **arrays, class_names=np.array(["astronaut", "chelsea"]))
    with pytest.raises(InputError, match=r"in \[0, 2\)"):
        load_npz(path)
