"""Baselines from files: what is read, and what is refused in one line."""

import json

import pytest

from dynmix_tf import metrics, results
from dynmix_tf.errors import InputError

ROW = {
    "model": "alexnet", "method": "standard", "epoch": 0, "dataset": "imagenet2012",
    "num_images": 50000, "strengths": "imagenet", "benchmark_seed": 0, "measurement": "5f3a0c11",
}  # fmt: skip
CALIBRATION = {"rms_calibration_error": 0.1, "mean_confidence": 0.5}


def image_row(corruption, severity, error, **changes):
    row = {"benchmark": "imagenet_c", "corruption": corruption, "severity": severity}
    return {**ROW, **CALIBRATION, **row, "error": error, **changes}


def sequence_row(perturbation, flips, **changes):
    row = {"benchmark": "imagenet_p", "corruption": perturbation, "difficulty": 1}
    return {**ROW, **row, "flip_probability": flips, **changes}


def write(path, rows):
    for row in rows:
        results.append(path, row)
    return path


@pytest.fixture
def alexnet_rows():
    rows = [image_row("clean", 0, metrics.ALEXNET_CLEAN_ERROR)]
    # in another order than that of the severities
    return rows + [
        image_row(name, severity, rates[severity - 1])
        for severity in (3, 1, 2, 5, 4)
        for name, rates in metrics.ALEXNET_IMAGENET_C.items()
    ]


def test_measured_rows_become_a_baseline(tmp_path, alexnet_rows):
    path = write(tmp_path / "robustness.csv", alexnet_rows)
    baseline = metrics.read_baseline(path)
    assert baseline == metrics.ALEXNET_IMAGENET_C
    assert list(baseline) == list(metrics.ALEXNET_IMAGENET_C)
    clean = metrics.read_baseline_clean_error(path)
    assert clean == metrics.ALEXNET_CLEAN_ERROR
    errors = {name: [rate * 0.9 for rate in rates] for name, rates in baseline.items()}
    assert metrics.mean_corruption_error(errors, baseline) == pytest.approx(90)
    assert metrics.relative_mean_corruption_error(
        errors, 0.3, baseline, clean
    ) == metrics.relative_mean_corruption_error(errors, 0.3)


def test_measured_flips_become_a_baseline(tmp_path):
    flips = metrics.ALEXNET_IMAGENET_P
    path = write(tmp_path / "rows.csv", [sequence_row(*entry) for entry in flips.items()])
    baseline = metrics.read_baseline(path)
    assert baseline == flips
    assert metrics.mean_flip_rate(flips, baseline) == pytest.approx(100)
    with pytest.raises(InputError, match="no error on clean images"):
        metrics.read_baseline_clean_error(path)


@pytest.mark.parametrize(
    "table",
    [metrics.ALEXNET_IMAGENET_C, metrics.ALEXNET_IMAGENET_3DCC, metrics.ALEXNET_IMAGENET_P],
)
def test_json_becomes_a_baseline(tmp_path, table):
    path = tmp_path / "baseline.json"
    path.write_text(json.dumps(table))
    assert metrics.read_baseline(path) == table
    path.write_text(json.dumps({"clean": 1, **table}))
    assert metrics.read_baseline(path) == table
    assert metrics.read_baseline_clean_error(path) == 1


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "b.json is no JSON"),
        ("[0.5]", "b.json must be a JSON object of names"),
        ("{}", "b.json holds no corruption"),
        ('{"clean": 0.5}', "b.json holds no corruption"),
        ('{"fog": [0.1, 0.1, 0.1, 0.1]}', "b.json: 'fog' is .* five error rates"),
        ('{"fog": [0.1, 0.1, 0.1, 0.1, 26.9]}', "b.json: 'fog' is .*26.9.*0..1"),
        ('{"fog": [0.1, 0.1, 0.1, 0.1, NaN]}', "b.json: 'fog' is .*nan"),
        ('{"fog": [0.1, 0.1, 0.1, 0.1, true]}', "b.json: 'fog' is .*True"),
        ('{"fog": [0.1, 0.1, 0.1, 0.1, null, 0.2]}', "b.json: 'fog' is .*None"),
        ('{"tilt": 7.05}', "b.json: 'tilt' is 7.05"),
        ('{"tilt": "0.07"}', "b.json: 'tilt' is 0.07; expected five"),
        ('{"tilt": ' + 500 * "9" + "}", "b.json: 'tilt' is 9{60}; expected five"),
        ('{"tilt": {"1": 0.1}}', "b.json: 'tilt' is "),
        ('{"tilt": 0.1, "tilt": 0.2}', "b.json: 'tilt' is there twice"),
        ('{"clean": [0.1, 0.1, 0.1, 0.1, 0.1]}', "b.json: 'clean' is "),
        (
            '{"tilt": 0.1, "fog": [0.1, 0.1, 0.1, 0.1, 0.1]}',
            "b.json mixes corruptions .'fog': five rates. and perturbations .'tilt': one number.",
        ),
        ("\xff", "b.json is no JSON"),
        (100000 * "[", "b.json is no JSON"),
    ],
)
def test_malformed_json(tmp_path, text, told):
    path = tmp_path / "b.json"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(InputError, match=told) as error:
        metrics.read_baseline(path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda rows: rows[:-1], "b.csv: 'jpeg_compression' lacks severity 4"),
        (lambda rows: [*rows, rows[-1]], "b.csv: 'jpeg_compression', severity 4 is there twice"),
        (lambda rows: [rows[0], *rows], "b.csv: 'clean', severity 0 is there twice"),
        (
            lambda rows: [*rows, {**rows[-1], "measurement": "other"}],
            r"b.csv holds more than one measurement \(5f3a0c11, other\)",
        ),
        (lambda rows: [*rows, sequence_row("tilt", 0.1)], "b.csv mixes corruptions"),
        (lambda rows: rows[:1], "b.csv holds no corruption"),
        (
            lambda rows: [sequence_row("tilt", 0.1), sequence_row("tilt", 0.1, difficulty=2)],
            r"b.csv holds more than one difficulty \(1, 2\)",
        ),
        (lambda rows: [sequence_row("tilt", 0.1)] * 2, "b.csv: 'tilt' is there twice"),
    ],
)
def test_rows_that_are_no_baseline(tmp_path, alexnet_rows, change, told):
    path = write(tmp_path / "b.csv", change(alexnet_rows))
    with pytest.raises(InputError, match=told):
        metrics.read_baseline(path)


def test_files_that_are_none(tmp_path):
    for name in ("none.csv", "none.json"):
        with pytest.raises(InputError, match=f"no such file: .*{name}"):
            metrics.read_baseline(tmp_path / name)
    (tmp_path / "empty.csv").touch()
    with pytest.raises(InputError, match="holds no corruption"):
        metrics.read_baseline(tmp_path / "empty.csv")
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match="other.csv has another header"):
        metrics.read_baseline(tmp_path / "other.csv")
