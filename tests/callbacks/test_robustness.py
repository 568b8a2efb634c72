from __future__ import annotations

import keras
import numpy as np
import pytest

from dynmix_tf import results
from dynmix_tf.benchmarks import GeneratedBenchmark
from dynmix_tf.benchmarks.conditions import evenly_spread
from dynmix_tf.callbacks import RobustnessEvaluation
from dynmix_tf.errors import InputError


def test_callback_during_fit(network, benchmark, photo_crops, tmp_path):
    """With an ordinary Keras model; an epoch that was measured before is not measured again."""
    model = keras.models.clone_model(network)
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    images, labels = photo_crops(32, 8).astype("float32"), np.arange(8) % 3
    path = tmp_path / "by_epoch.csv"
    watch = RobustnessEvaluation(benchmark, every=2, csv_path=path, model_name="mine")
    history = model.fit(images, labels, epochs=3, verbose=0, callbacks=[watch]).history
    rows = results.read(path)
    assert [row["epoch"] for row in rows] == [2] * 5 + [3] * 5
    assert len(history["corruption_error"]) == 2
    last = rows[5:]
    corrupted = np.mean([row["error"] for row in last[1:]])
    assert history["corruption_error"][-1] == pytest.approx(corrupted)
    assert history["clean_error"][-1] == last[0]["error"]
    before = path.read_bytes()
    watch.on_epoch_end(2, {})  # a resumed run comes here again
    assert path.read_bytes() == before
    model.fit(images, labels, epochs=3, initial_epoch=2, verbose=0, callbacks=[watch])
    assert len(results.read(path)) == 15  # a model that was trained on is another
    with pytest.raises(InputError, match="1 or more whole epochs"):
        RobustnessEvaluation(benchmark, every=0)
    with pytest.raises(InputError, match="must name a .csv file"):
        RobustnessEvaluation(benchmark, csv_path=tmp_path / "by_epoch")


def compiled(network, *more):
    model = keras.Sequential([keras.models.clone_model(network), *more])
    model.compile("sgd", "sparse_categorical_crossentropy")
    return model


def test_one_callback_watches_one_model_after_another(network, benchmark, photo_crops, tmp_path):
    images, labels = photo_crops(32, 8).astype("float32"), np.arange(8) % 3
    watch = RobustnessEvaluation(benchmark, csv_path=tmp_path / "both.csv")
    alone = RobustnessEvaluation(benchmark, csv_path=tmp_path / "alone.csv")
    first, second = compiled(network), compiled(network, keras.layers.Rescaling(-1.0))
    for model, callbacks in ((first, [watch]), (second, [watch, alone])):
        model.fit(images, labels, epochs=1, verbose=0, callbacks=callbacks)
    assert results.read(tmp_path / "both.csv")[5:] == results.read(tmp_path / "alone.csv")


def test_probabilities_are_not_taken_for_logits(network, benchmark, photo_crops, tmp_path):
    images, labels = photo_crops(32, 8).astype("float32"), np.arange(8) % 3
    model = compiled(network, keras.layers.Activation("softmax"))
    watch = RobustnessEvaluation(benchmark, csv_path=tmp_path / "a.csv")
    with pytest.raises(InputError, match="ends in a softmax; .* tell the callback logits=False"):
        model.fit(images, labels, epochs=1, verbose=0, callbacks=[watch])
    watch = RobustnessEvaluation(benchmark, csv_path=tmp_path / "a.csv", logits=False)
    model.fit(images, labels, epochs=1, verbose=0, callbacks=[watch])
    assert len(results.read(tmp_path / "a.csv")) == 5


@pytest.mark.parametrize(
    ("side", "classes", "told"),
    [
        (32, 4, r"takes images \(32, 32, 3\) of 3 classes, the benchmark has \(32, 32, 3\) of 4;"),
        (40, 3, r"the benchmark has \(40, 40, 3\) of 3;"),
    ],
)
def test_a_benchmark_of_other_data_is_told_before_an_epoch_is_trained(
    network, photo_crops, tmp_path, side, classes, told
):
    labels = np.arange(8) % 3
    other = GeneratedBenchmark(photo_crops(side, 8), labels, names=["fog"], num_classes=classes)
    model = keras.models.clone_model(network)
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    before = model.get_weights()
    watch = RobustnessEvaluation(other, csv_path=tmp_path / "a.csv")
    with pytest.raises(InputError, match=told):
        model.fit(photo_crops(32, 8).astype("float32"), labels, verbose=0, callbacks=[watch])
    for one, two in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)


class Counting(GeneratedBenchmark):
    """Counts the images that are made."""

    made = 0

    def batches(self, *arguments):
        for images, labels in super().batches(*arguments):
            self.made += len(images)
            yield images, labels


def test_images_are_made_once_and_spread_evenly(network, benchmark, photo_crops, tmp_path):
    counting = Counting(photo_crops(32, 20), benchmark.labels, names=["fog"], severities=(1, 5))
    model = keras.models.clone_model(network)
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    path = tmp_path / "few.csv"
    watch = RobustnessEvaluation(counting, csv_path=path, max_images=7, batch_size=6)
    images, labels = photo_crops(32, 8).astype("float32"), np.arange(8) % 3
    model.fit(images, labels, epochs=3, verbose=0, callbacks=[watch])
    rows = results.read(path)
    assert len(rows) == 9 and {row["num_images"] for row in rows} == {7}
    chosen = evenly_spread(range(20), "max_images", 7)
    # clean and two severities, in three epochs; before them it was read as far as the first one
    assert counting.made == 3 * 20 + 1 + chosen[0]
    few = [np.concatenate(part) for part in zip(*watch.benchmark.batches("fog", 5, 6), strict=True)]
    all_of_them, truth = next(benchmark.batches("fog", 5, 20))
    clean = [np.concatenate(x) for x in zip(*watch.benchmark.batches("clean", 0, 6), strict=True)]
    np.testing.assert_array_equal(clean[0], photo_crops(32, 20)[chosen])
    np.testing.assert_array_equal(few[1], truth[chosen])
    assert few[0].shape == (7, 32, 32, 3)


def test_an_interrupted_evaluation_loses_no_row(network, benchmark, photo_crops, tmp_path):
    """A kill inside the evaluation of an epoch: the rest is measured when the epoch comes again."""
    model = keras.models.clone_model(network)
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.predict(photo_crops(32, 2).astype("float32"), verbose=0)

    def watch(name):
        callback = RobustnessEvaluation(benchmark, csv_path=tmp_path / name)
        callback.set_model(model)
        callback.set_params({"epochs": 1})
        return callback

    watch("whole.csv").on_epoch_end(0, {})
    interrupted = watch("broken.csv")
    batches = interrupted.benchmark.batches

    def failing(corruption, severity, batch_size):
        if corruption == "pixelate":
            raise KeyboardInterrupt
        return batches(corruption, severity, batch_size)

    interrupted.benchmark.batches = failing
    with pytest.raises(KeyboardInterrupt):
        interrupted.on_epoch_end(0, {})
    assert len(results.read(tmp_path / "broken.csv")) == 3
    watch("broken.csv").on_epoch_end(0, {})
    assert (tmp_path / "broken.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()


def test_tensorboard_gets_errors_by_severity_and_the_worst_images(
    network, benchmark, photo_crops, tmp_path
):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    model = keras.models.clone_model(network)
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    board = tmp_path / "board"
    watch = RobustnessEvaluation(benchmark, csv_path=tmp_path / "a.csv", log_dir=board / "worst")
    images, labels = photo_crops(32, 8).astype("float32"), np.arange(8) % 3
    callbacks = [watch, keras.callbacks.TensorBoard(board, write_graph=False)]
    model.fit(images, labels, epochs=2, verbose=0, callbacks=callbacks)
    events = EventAccumulator(str(board / "worst"))
    events.Reload()
    assert set(events.Tags()["tensors"]) == {
        "classified worst/clean 0", "classified worst/fog 5", "classified worst/pixelate 5",
    }  # fmt: skip
    assert [event.step for event in events.Tensors("classified worst/fog 5")] == [1, 2]
    events = EventAccumulator(str(board / "train"))
    events.Reload()
    severities = {f"epoch_corruption_error_{severity}" for severity in (1, 5)}
    assert severities < set(events.Tags()["tensors"])
