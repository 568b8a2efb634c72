"""Columns follow the names."""

from __future__ import annotations

import numpy as np
import pytest

from dynmix_tf.errors import InputError
from dynmix_tf.predictors import in_class_order

WANTED = ["n01440764", "n01443537", "n01484850"]


@pytest.fixture
def images(photo_crops):
    return photo_crops(32, 4)


def predictor(outputs):
    values = np.random.default_rng(outputs).random((4, outputs)).astype("float32")
    values /= values.sum(axis=1, keepdims=True)
    return lambda images: values[: len(images)]


def test_columns_are_permuted(images):
    predict = predictor(3)
    got = in_class_order(predict, ["b", "c", "a"], ["a", "b", "c"])(images)
    np.testing.assert_array_equal(got, predict(images)[:, [2, 0, 1]])


def test_a_background_is_left_out_and_the_rest_scaled(images):
    predict = predictor(5)
    order = ["background", *WANTED[::-1], "background"]
    got = in_class_order(predict, order, WANTED)(images)
    kept = predict(images)[:, [3, 2, 1]].astype("float64")
    np.testing.assert_allclose(got, kept / kept.sum(axis=1, keepdims=True), rtol=1e-6)
    assert got.dtype == np.float32
    nothing = in_class_order(lambda images: np.eye(4, dtype="float32"), list("abcd"), ["c", "b"])
    np.testing.assert_array_equal(nothing(images), [[0.5, 0.5], [0, 1], [1, 0], [0.5, 0.5]])


@pytest.mark.parametrize("line", ["{}", "{}\ttench, Tinca", "{} tench, Tinca tinca", "  {}  "])
def test_names_are_read_from_a_file(line, images, tmp_path):
    path = tmp_path / "synsets.txt"
    lines = [line.format(name) for name in (WANTED[2], "n09999999", *WANTED[:2])]
    path.write_text("\ufeff" + "\r\n".join(lines) + "\n\n", "utf-8")
    got = in_class_order(predictor(4), path, WANTED)(images)
    same = in_class_order(predictor(4), [WANTED[2], "other", *WANTED[:2]], WANTED)(images)
    np.testing.assert_array_equal(got, same)


def test_names_of_several_words(images, tmp_path):
    wanted = ["great white shark", "great grey owl", "dog"]
    (tmp_path / "names.txt").write_text("dog\ngreat grey owl\ngreat white shark\tn01484850\n")
    got = in_class_order(predictor(3), str(tmp_path / "names.txt"), wanted)(images)
    np.testing.assert_array_equal(got, predictor(3)(images)[:, [2, 1, 0]])


def test_names_that_do_not_fit_are_told(images, tmp_path):
    told = "lacks 2 of the benchmark's 3 classes: n01443537, n01484850; it has tench, n1, which no"
    with pytest.raises(InputError, match=told):
        in_class_order(predictor(3), [WANTED[0], "tench", "n1"], WANTED)
    many = [str(number) for number in range(1000)]
    with pytest.raises(InputError, match="lacks 999 .*: 1, 2, 3, 4, 5 and 994 more$"):
        in_class_order(predictor(1), ["0"], many)
    with pytest.raises(InputError, match="named more than once cannot be told apart: crane;"):
        in_class_order(predictor(3), ["crane", "dog", "crane"], ["crane", "dog"])
    with pytest.raises(InputError, match="named more than once cannot be told apart: crane;"):
        in_class_order(predictor(3), ["crane", "dog"], ["crane", "dog", "crane"])
    with pytest.raises(InputError, match="the model has 4 outputs, the class order 3 names"):
        in_class_order(predictor(4), WANTED, WANTED)(images)
    with pytest.raises(InputError, match="is no text file of class names"):
        in_class_order(predictor(3), tmp_path / "absent.txt", WANTED)
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="is no text file of class names"):
        in_class_order(predictor(3), tmp_path / "binary", WANTED)
