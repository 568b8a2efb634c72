from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from rows import CLEAN, ROW

from dynmix_tf import results
from dynmix_tf.errors import InputError

OF_IMAGES = (
    "severity", "error", "rms_calibration_error", "expected_calibration_error", "mean_confidence",
    "negative_log_likelihood", "brier_score",
)  # fmt: skip
FLIPS = {
    **ROW, **dict.fromkeys(OF_IMAGES), "benchmark": "imagenet_p", "corruption": "tilt",
    "difficulty": 2, "flip_probability": 0.125, "top5_distance": 3.5,
}  # fmt: skip


def test_rows_come_back_as_they_were_written(tmp_path):
    path = tmp_path / "run" / "robustness.csv"
    rows = [
        CLEAN,
        FLIPS,
        ROW,
        {**ROW, "severity": 4, "error": 1 / 3, "model": 'a, "b"', "strengths": ""},
    ]
    for row in rows:
        results.append(path, row)
    assert results.read(path) == rows
    types = {key: type(value) for key, value in results.read(path)[2].items()}
    assert types == {key: type(value) for key, value in ROW.items()}


def test_the_bytes_are_fixed(tmp_path):
    path = tmp_path / "robustness.csv"
    shuffled = dict(reversed(ROW.items()))
    results.append(path, shuffled | {"error": np.float64(0.1), "severity": np.int64(3)})
    assert path.read_bytes() == (
        b"model,method,epoch,dataset,benchmark,corruption,severity,difficulty,num_images,error,"
        b"rms_calibration_error,expected_calibration_error,mean_confidence,"
        b"negative_log_likelihood,brier_score,flip_probability,top5_distance,strengths,"
        b"benchmark_seed,measurement\n"
        b"wrn_40_2,dynmix,100,cifar10,generated,fog,3,,10000,0.1,0.05,0.04,0.9,1.5,0.25,,,cifar,0,"
        b"5f3a0c11\n"
    )


@pytest.mark.parametrize("keep", [4, 230, 245, 290])
def test_a_kill_costs_at_most_the_row_being_written(tmp_path, keep):
    path = tmp_path / "robustness.csv"
    results.append(path, CLEAN)
    whole = path.read_bytes()
    path.write_bytes(whole[:keep])
    assert results.read(path) == []
    results.append(path, CLEAN)
    assert path.read_bytes() == whole
    path.write_bytes(whole + whole.splitlines()[1][:-1])
    assert results.read(path) == [CLEAN]


def test_a_file_from_before_the_later_columns_is_read_and_not_added_to(tmp_path):
    path = tmp_path / "robustness.csv"
    path.write_text(
        "model,method,epoch,dataset,benchmark,corruption,severity,num_images,error,"
        "rms_calibration_error,mean_confidence,strengths,benchmark_seed,measurement\n"
        "wrn_40_2,dynmix,100,cifar10,generated,fog,3,10000,0.1234,0.05,0.9,cifar,0,5f3a0c11\n"
    )
    later = ("expected_calibration_error", "negative_log_likelihood", "brier_score")
    assert results.read(path) == [ROW | dict.fromkeys(later)]
    with pytest.raises(InputError, match="another header"):
        results.append(path, ROW)


def test_rows_of_sequences_have_flips_and_those_of_images_errors(tmp_path):
    path = tmp_path / "robustness.csv"
    short = {key: value for key, value in FLIPS.items() if key not in OF_IMAGES}
    results.append(path, short | {"top5_distance": None})  # less than five classes
    results.append(path, {key: value for key, value in ROW.items() if value is not None})
    assert results.read(path) == [FLIPS | {"top5_distance": None}, ROW]
    for row, message in (
        (ROW | {"error": None}, "`error` must be a number"),
        (ROW | {"flip_probability": 0.5, "difficulty": 0}, "`difficulty` must be 1 to 3"),
        (FLIPS | {"flip_probability": None}, "`flip_probability` must be"),
        (FLIPS | {"top5_distance": -1.0}, "must be a number, 0 or more. Received: -1.0"),
    ):
        with pytest.raises(InputError, match=message):
            results.append(path, row)
    assert len(results.read(path)) == 2


def test_a_file_with_another_header_is_left_alone(tmp_path):
    path = tmp_path / "robustness.csv"
    path.write_text("epoch,loss\n1,2.0\n")
    for action in (lambda: results.append(path, ROW), lambda: results.read(path)):
        with pytest.raises(InputError, match="robustness.csv has another header: 'epoch,loss'"):
            action()
    assert path.read_text() == "epoch,loss\n1,2.0\n"


def test_wrong_keys_are_named(tmp_path):
    path = tmp_path / "robustness.csv"
    row = {**ROW, "eror": 0.5}
    del row["error"]
    with pytest.raises(InputError, match="Missing: error; unknown: eror"):
        results.append(path, row)
    assert not path.exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"error": 12.3}, "`error` must be in 0..1. Received: 12.3"),
        ({"error": 1.0005}, "`error` must be in"),
        ({"error": float("nan")}, "Received: nan"),
        ({"mean_confidence": float("inf")}, "Received: inf"),
        ({"rms_calibration_error": -0.1}, "`rms_calibration_error`"),
        ({"error": "low"}, "`error` must be a number. Received: 'low'"),
        ({"severity": 3.5}, "`severity` must be a whole number. Received: 3.5"),
        ({"severity": 6}, "`severity` of 'fog' must be 1 to 5. Received: 6"),
        ({"severity": 0}, "`severity` of 'fog' must be 1 to 5. Received: 0"),
        ({"corruption": "clean"}, "`severity` of 'clean' must be 0. Received: 3"),
        ({"num_images": 0}, "`num_images` must be at least 1"),
        ({"benchmark_seed": None}, "`benchmark_seed` must be a whole number. Received: None"),
        ({"model": None}, "`model` must be text of one line. Received: None"),
        ({"model": "a\nb"}, "`model` must be text of one line"),
    ],
)
def test_wrong_values_are_not_written(tmp_path, change, message):
    path = tmp_path / "robustness.csv"
    with pytest.raises(InputError, match=message):
        results.append(path, ROW | change)
    assert not path.exists()


def test_half_precision_confidence_may_exceed_one_a_little(tmp_path):
    path = tmp_path / "robustness.csv"
    results.append(path, ROW | {"mean_confidence": np.float32(1.0000001)})
    assert results.read(path)[0]["mean_confidence"] == float(np.float32(1.0000001))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("a,b,c", "line 3: 3 values instead of 20"),
        ("", "line 3: 0 values instead of 20"),
        ("m,x,1,d,b,fog,3,,10,zero,0.1,,0.9,,,,,cifar,0,5f", "line 3: `error` must be a number"),
        (
            "m,x,1,d,b,fog,3.0,,10,0.1,0.1,,0.9,,,,,cifar,0,5f",
            "line 3: `severity` must be a whole number",
        ),
        ("m,x,1,d,b,fog,9,,10,0.1,0.1,,0.9,,,,,cifar,0,5f", "line 3: `severity` of 'fog'"),
        ('"m,x,1,d,b,fog,3,10,0.1,0.1,0.9,cifar,0', "line 3: "),
    ],
)
def test_malformed_rows_are_named(tmp_path, line, message):
    path = tmp_path / "robustness.csv"
    results.append(path, ROW)
    with open(path, "a") as file:
        file.write(line + "\n")
    results_before = path.read_bytes()
    with pytest.raises(InputError, match=message):
        results.read(path)
    assert path.read_bytes() == results_before


def test_files_that_are_no_csv(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        results.read(tmp_path / "robustness.csv")
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\n")
    with pytest.raises(InputError, match="UTF-8"):
        results.read(tmp_path / "binary.csv")


def test_images_come_back(tmp_path):
    confidence = np.random.default_rng(0).uniform(0.1, 1, 50)
    values = {"confidence": confidence, "correct": confidence > 0.5}
    results.save_images(tmp_path / "images", "fog", 3, values)
    loaded = results.load_images(tmp_path / "images", "fog", 3)
    assert [array.dtype for array in loaded.values()] == [np.float32, np.bool_]
    np.testing.assert_array_equal(loaded["confidence"], confidence.astype(np.float32))
    np.testing.assert_array_equal(loaded["correct"], values["correct"])
    first = (tmp_path / "images" / "fog_3.npz").read_bytes()
    results.save_images(tmp_path / "images", "fog", 3, values)
    assert (tmp_path / "images" / "fog_3.npz").read_bytes() == first


def test_an_image_is_kept_beside_them(tmp_path):
    image = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    results.save_images(tmp_path, "fog", 3, ONE, image)
    path = results.images_path(tmp_path, "fog", 3).with_suffix(".png")
    np.testing.assert_array_equal(np.asarray(Image.open(path)), image)


ONE = {"confidence": [0.5], "correct": [True]}


def test_malformed_images(tmp_path):
    with pytest.raises(InputError, match="lists of one length"):
        results.save_images(tmp_path, "fog", 3, ONE | {"correct": [True, False]})
    with pytest.raises(InputError, match="letters, digits"):
        results.save_images(tmp_path, "../fog", 3, ONE)
    with pytest.raises(InputError, match="must be 0. Received: 1"):
        results.save_images(tmp_path, "clean", 1, ONE)
    with pytest.raises(InputError, match="no such file"):
        results.load_images(tmp_path, "fog", 3)
    assert list(tmp_path.iterdir()) == []


def pickled():
    import io

    data = io.BytesIO()
    np.savez(data, confidence=np.array([{}]), correct=np.array([True]), allow_pickle=True)
    return data.getvalue()


@pytest.mark.parametrize("data", [b"", b"junk", b"PK\x03\x04", b"\x93NUMPY", pickled()])
def test_damaged_images(tmp_path, data):
    (tmp_path / "fog_3.npz").write_bytes(data)
    with pytest.raises(InputError, match="fog_3.npz is no record of images"):
        results.load_images(tmp_path, "fog", 3)


def test_truncated_and_foreign_images(tmp_path):
    path = tmp_path / "fog_3.npz"
    results.save_images(tmp_path, "fog", 3, ONE)
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(InputError, match="no record of images"):
        results.load_images(tmp_path, "fog", 3)
    with open(path, "wb") as file:
        np.save(file, np.zeros(3))
    with pytest.raises(InputError, match="no record of images"):
        results.load_images(tmp_path, "fog", 3)
