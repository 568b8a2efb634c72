from __future__ import annotations

import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from dynmix_tf import corruptions, export, metrics, models, predictors, results, scoring
from dynmix_tf.benchmarks import GeneratedBenchmark
from dynmix_tf.consistency import ConsistencyModel
from dynmix_tf.errors import InputError
from dynmix_tf.files import locked
from dynmix_tf.metrics import rms_calibration_error

IDENTITY = {"model": "small_cnn", "method": "standard", "epoch": 1}


def score(predict, benchmark, folder, **arguments):
    return scoring.score(
        predict, benchmark, folder / "robustness.csv", folder / "images", IDENTITY, **arguments
    )


def test_rows_are_what_numpy_says(network, benchmark, tmp_path):
    rows = score(predictors.network_predictor(network), benchmark, tmp_path, batch_size=7)
    assert [(row["corruption"], row["severity"]) for row in rows] == [
        ("clean", 0), ("fog", 1), ("fog", 5), ("pixelate", 1), ("pixelate", 5),
    ]  # fmt: skip
    assert results.read(tmp_path / "robustness.csv") == rows
    for row in rows:
        images = benchmark.images
        if row["severity"]:
            images = corruptions.corrupt(images, row["corruption"], row["severity"], seed=4)
        p = tf.nn.softmax(network(images.astype("float32"), training=False)).numpy()
        correct = p.argmax(axis=1) == benchmark.labels
        kept = results.load_images(
            tmp_path / "images" / row["measurement"], row["corruption"], row["severity"]
        )
        np.testing.assert_allclose(kept["confidence"], p.max(axis=1), rtol=1e-5)
        np.testing.assert_array_equal(kept["correct"], correct)
        assert row["error"] == pytest.approx(1 - correct.mean())
        calibration = rms_calibration_error(kept["confidence"], correct)
        assert row["rms_calibration_error"] == calibration
        likelihood = metrics.negative_log_likelihood(p, benchmark.labels)
        assert row["negative_log_likelihood"] == pytest.approx(likelihood, abs=1e-6)
        assert row["brier_score"] == pytest.approx(metrics.brier_score(p, benchmark.labels))
        assert (kept["predicted"] == p.argmax(axis=1)).all()
        assert (kept["label"] == benchmark.labels).all()
        where = tmp_path / "images" / row["measurement"]
        worst = results.images_path(where, row["corruption"], row["severity"]).with_suffix(".png")
        least = p[np.arange(20), benchmark.labels].argmin()
        np.testing.assert_array_equal(np.asarray(Image.open(worst)), images[least])
        spread = metrics.expected_calibration_error(kept["confidence"], correct)
        assert row["expected_calibration_error"] == spread
        assert row["num_images"] == 20 and row["dataset"] == "crops" and row["benchmark_seed"] == 4


def test_an_interrupted_evaluation_continues(network, benchmark, tmp_path):
    predict = predictors.network_predictor(network)
    whole = score(predict, benchmark, tmp_path / "whole")
    seen = []

    def failing(images):
        seen.append(len(images))
        if len(seen) == 3:
            raise KeyboardInterrupt
        return predict(images)

    with pytest.raises(KeyboardInterrupt):
        score(failing, benchmark, tmp_path / "broken")
    assert len(results.read(tmp_path / "broken" / "robustness.csv")) == 2
    calls = []
    again = score(lambda x: calls.append(1) or predict(x), benchmark, tmp_path / "broken")
    assert again == whole and len(calls) == 4  # the clean images, to know the model by, and three
    files = [(tmp_path / name / "robustness.csv").read_bytes() for name in ("whole", "broken")]
    assert files[0] == files[1]


def test_a_measurement_is_made_by_one_process_at_a_time(network, benchmark, tmp_path):
    predict = predictors.network_predictor(network)
    (row, *_) = score(predict, benchmark, tmp_path)
    before = (tmp_path / "robustness.csv").read_bytes()
    (held,) = tmp_path.glob(f"*/{row['measurement']}")
    with (
        locked(held),
        pytest.raises(InputError, match="another command is writing into"),
    ):
        score(predict, benchmark, tmp_path)
    assert (tmp_path / "robustness.csv").read_bytes() == before


def test_other_models_and_benchmarks_are_measured_beside(network, benchmark, tmp_path):
    predict = predictors.network_predictor(network)
    first = score(predict, benchmark, tmp_path)
    twin = predictors.network_predictor(models.build("small_cnn", (32, 32, 3), 3, seed=1))
    second = score(twin, benchmark, tmp_path)  # of the same name, method, epoch and data
    assert second == score(twin, benchmark, tmp_path / "alone") != first
    benchmark.seed = 5
    rows = score(predict, benchmark, tmp_path)
    assert {row["benchmark_seed"] for row in rows} == {5}
    assert results.read(tmp_path / "robustness.csv") == [*first, *second, *rows]
    for row in first:  # and nothing of the first was overwritten
        folder = tmp_path / "images" / row["measurement"]
        correct = results.load_images(folder, row["corruption"], row["severity"])["correct"]
        assert row["error"] == pytest.approx(1 - correct.mean())


def test_other_classes_are_refused(network, photo_crops, tmp_path):
    benchmark = GeneratedBenchmark(photo_crops(32, 4), np.arange(4), "crops", ["fog"])
    with pytest.raises(InputError, match=r"gives \(3,\) values for an image.* has 4 classes"):
        score(predictors.network_predictor(network), benchmark, tmp_path)
    assert not (tmp_path / "robustness.csv").exists()


def test_keras_file_and_saved_model_score_alike(network, benchmark, tmp_path):
    network.save(tmp_path / "final.keras")
    export.export_saved_model(network, tmp_path / "export")
    rows = [
        score(predictors.load_predictor(tmp_path / name), benchmark, tmp_path / f"of_{name}")
        for name in ("final.keras", "export")
    ]
    for ours, theirs in zip(*rows, strict=True):
        assert ours["error"] == theirs["error"]
        assert ours["mean_confidence"] == pytest.approx(theirs["mean_confidence"], rel=1e-5)


def test_export_has_both_endpoints_and_is_replaced_whole(network, tmp_path, photo_crops):
    for _ in range(2):
        export.export_saved_model(network, tmp_path / "export")
    served = tf.saved_model.load(str(tmp_path / "export"))
    image = photo_crops(32, 3)
    logits = network(image.astype("float32"), training=False).numpy()
    np.testing.assert_allclose(served.logits(image), logits, atol=1e-5)
    np.testing.assert_allclose(served.serve(image), tf.nn.softmax(logits), atol=1e-6)
    signature = served.signatures["serving_default"].structured_input_signature[1]["image"]
    assert signature.dtype == tf.uint8 and signature.shape == (None, 32, 32, 3)
    assert [path.name for path in tmp_path.iterdir()] == ["export"]


def test_probabilities_are_not_exported_for_logits(network, tmp_path):
    probabilities = keras.Sequential([network, keras.layers.Softmax()])
    with pytest.raises(InputError, match="must return logits, but its layer 'softmax.*' ends in"):
        export.export_saved_model(probabilities, tmp_path / "export")
    assert not list(tmp_path.iterdir())


def test_export_replaces_nothing_but_a_saved_model(network, tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").write_text("years of work")
    with pytest.raises(InputError, match="exists and is no SavedModel"):
        export.export_saved_model(network, tmp_path / "thesis")
    assert (tmp_path / "thesis" / "chapter.tex").read_text() == "years of work"
    with pytest.raises(InputError, match="must take one batch of images"):
        export.export_saved_model(keras.Sequential([keras.layers.Dense(3)]), tmp_path / "e")


def test_a_saved_consistency_model_scores_as_its_network(network, benchmark, tmp_path):
    ConsistencyModel(network).save(tmp_path / "model.keras")
    rows = score(predictors.load_predictor(tmp_path / "model.keras"), benchmark, tmp_path)
    assert rows == score(predictors.network_predictor(network), benchmark, tmp_path / "network")


def test_images_of_another_size_are_named(network, photo_crops, tmp_path):
    export.export_saved_model(network, tmp_path / "export")
    network.save(tmp_path / "final.keras")
    benchmark = GeneratedBenchmark(photo_crops(48, 4), np.arange(4) % 3, "crops", ["fog"])
    for name in ("export", "final.keras"):
        with pytest.raises(InputError, match=r"of shape \(32, 32, 3\), not \(48, 48, 3\)"):
            score(predictors.load_predictor(tmp_path / name), benchmark, tmp_path)
    assert not (tmp_path / "robustness.csv").exists()


def test_corruptions_that_training_resembled_are_told(benchmark):
    for operations in ("imagenet", ("rotate", "downscale"), ["downscale", "contrast"]):
        told = r"resemble corruptions of this benchmark \(downscale: pixelate\)"
        with pytest.warns(UserWarning, match=told) as warned:
            scoring.warn_of_overlap(operations, benchmark)
        assert len(warned) == 1 and warned[0].filename == __file__
    benchmark.conditions = [(name, 1) for name in ("contrast", "zoom_blur", "saturate")]
    told = r"\(color: saturate; contrast: contrast; sharpness: zoom_blur\)"
    with pytest.warns(UserWarning, match=told):
        scoring.warn_of_overlap("all", benchmark)


def test_unseen_corruptions_are_scored_in_silence(benchmark):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for operations in ("standard", "augmix", "all", ("autocontrast", "contrast")):
            scoring.warn_of_overlap(operations, benchmark)  # fog and pixelate
    with pytest.raises(InputError, match="unknown operation 'contrst'; did you mean 'contrast'"):
        scoring.warn_of_overlap(("contrst",), benchmark)


def test_benchmark_arguments_are_checked(photo_crops):
    images = photo_crops(32, 2)
    with pytest.raises(InputError, match="one label for each image"):
        GeneratedBenchmark(images, [1])
    with pytest.raises(InputError, match="unknown corruption 'fogg'; did you mean 'fog'"):
        GeneratedBenchmark(images, [0, 1], names=["fogg"])
    with pytest.raises(InputError, match="severities are 1 to 5"):
        GeneratedBenchmark(images, [0, 1], severities=(0, 1))
    with pytest.raises(InputError, match="uint8 images .* float32"):
        GeneratedBenchmark(images.astype("float32"), [0, 1])
    for labels, told in (
        ([-1, 0], "int64 from -1 to 0"),
        ([0.0, 1.0], "float64"),
        ([0, 3], "3 cl"),
    ):
        with pytest.raises(InputError, match=rf"labels must be whole numbers.*{told}"):
            GeneratedBenchmark(images, labels, num_classes=3)
    assert GeneratedBenchmark(images, [0, 0], names="fog", num_classes=1).num_classes == 1
    twice = GeneratedBenchmark(images, [[0], [1]], names=["fog", "fog"], severities=(1,))
    assert twice.conditions == [("clean", 0), ("fog", 1)] and twice.labels.shape == (2,)
    assert twice.strengths == "cifar" and twice.num_classes == 2
