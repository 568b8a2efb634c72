"""The Keras metrics against the NumPy functions: by batches, in fit, on JAX and on replicas."""

import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from sklearn import datasets, discriminant_analysis, naive_bayes
from sklearn.model_selection import cross_val_predict

from dynmix_tf import metrics
from dynmix_tf.errors import InputError

CLASSES = [
    metrics.ErrorRate,
    metrics.NegativeLogLikelihood,
    metrics.BrierScore,
    metrics.ExpectedCalibrationError,
    metrics.RMSCalibrationError,
]


def numpy_results(probabilities, labels):
    confidence = probabilities.max(axis=1)
    correct = probabilities.argmax(axis=1) == labels
    p = probabilities.astype(np.float64)
    return {
        "error": 1 - correct.mean(),
        "negative_log_likelihood": metrics.negative_log_likelihood(p, labels),
        "brier_score": metrics.brier_score(p, labels),
        "expected_calibration_error": metrics.expected_calibration_error(confidence, correct),
        "rms_calibration_error": metrics.rms_calibration_error(confidence, correct),
    }


def streamed(made, labels, scores, batch, weights=None):
    found = {}
    for metric in made:
        for start in range(0, len(labels), batch):
            part = slice(start, start + batch)
            metric.update_state(labels[part], scores[part], weights and weights[part])
        found[metric.name] = float(metric.result())
    return found


def simulated(count, seed=0, scale=3.0, classes=10):
    """Logits, and labels drawn from their softmax."""
    draws = np.random.default_rng(seed)
    logits = draws.normal(0, scale, (count, classes)).astype(np.float32)
    labels = (logits + draws.gumbel(size=logits.shape)).argmax(axis=1)
    return logits, labels


def softmax(logits):
    return keras.ops.convert_to_numpy(keras.ops.softmax(logits))


@pytest.fixture(scope="module")
def digits():
    """Real classifiers on real images: probabilities, and labels."""
    images, labels = datasets.load_digits(return_X_y=True)
    found = {}
    for name, model in (
        ("often sure", discriminant_analysis.LinearDiscriminantAnalysis()),
        ("mostly sure", naive_bayes.GaussianNB()),
    ):
        p = cross_val_predict(model, images + 1e-3, labels, cv=3, method="predict_proba")
        found[name] = p.astype(np.float32)
    return found, labels


@pytest.mark.parametrize("batch", [64, 1797])
@pytest.mark.parametrize("name", ["often sure", "mostly sure"])
def test_equals_numpy_on_real_predictions(digits, name, batch):
    p, labels = digits[0][name], digits[1]
    found = streamed([kind(from_logits=False) for kind in CLASSES], labels, p, batch)
    want = numpy_results(p, labels)
    nearly, exact = found.pop("rms_calibration_error"), want.pop("rms_calibration_error")
    assert found == pytest.approx(want, abs=1e-6)
    if name == "often sure":
        assert nearly == pytest.approx(exact, abs=1e-3)
    else:  # as its page says: 1,302 confidences are 1, which NumPy parts in the order of the file
        assert ((p.max(axis=1) == 1).sum(), round(nearly, 3), round(exact, 3)) == (
            1302,
            0.212,
            0.22,
        )


def test_equals_numpy_of_logits_and_for_labels_in_a_column():
    logits, labels = simulated(5000)
    found = streamed([kind() for kind in CLASSES], labels[:, None], logits, 250)
    want = numpy_results(softmax(logits), labels)
    nearly = found.pop("rms_calibration_error")
    assert nearly == pytest.approx(want.pop("rms_calibration_error"), abs=1e-3)
    assert found == pytest.approx(want, abs=1e-6)


def test_certain_predictions():
    p, labels = np.eye(3, dtype=np.float32)[[1, 2, 0, 0]], np.array([0, 1, 2, 0])
    found = streamed([kind(from_logits=False) for kind in CLASSES], labels, p, 3)
    assert found == pytest.approx(numpy_results(p, labels), abs=1e-6)
    # of logits too, whose log-softmax has no least value
    found = streamed([metrics.NegativeLogLikelihood()], labels, 1000 * p, 3)
    assert found["negative_log_likelihood"] == pytest.approx(0.75 * -np.log(1e-12))


@pytest.mark.parametrize("num_bins", [1, 7, 10, 15])
def test_borders_of_bins_belong_where_numpy_has_them(num_bins):
    edges = np.linspace(0, 1, num_bins + 1)[1:].astype(np.float32)
    for confidence in (np.nextafter(edges, np.float32(0)), edges):
        p = np.stack([confidence, 1 - confidence, -np.ones_like(confidence)], axis=1)
        labels = np.arange(len(edges)) % 2
        metric = metrics.ExpectedCalibrationError(num_bins, from_logits=False)
        found = streamed([metric], labels, p, 4)["expected_calibration_error"]
        top = p.max(axis=1)
        want = metrics.expected_calibration_error(top, p.argmax(axis=1) == labels, num_bins)
        assert found == pytest.approx(want, abs=1e-6)


@pytest.mark.parametrize("scale", [1.0, 3.0, 8.0])
@pytest.mark.parametrize("count", [99, 1000, 10_000, 200_000])
def test_rms_is_near_that_of_numpy(count, scale):
    logits, labels = simulated(count, seed=count, scale=scale)
    found = streamed([metrics.RMSCalibrationError()], labels, logits, 50_000)
    want = numpy_results(softmax(logits), labels)["rms_calibration_error"]
    assert found["rms_calibration_error"] == pytest.approx(want, abs=1e-3)


def test_rms_of_equal_confidences():
    # NumPy cuts equal confidences in the order of the examples; here they are one bin.
    right = np.random.default_rng(0).random(10_000) < 0.75
    p = np.tile(np.float32([0.75, 0.25]), (10_000, 1))
    found = streamed([metrics.RMSCalibrationError(from_logits=False)], 1 - right, p, 1000)
    assert found["rms_calibration_error"] == pytest.approx(abs(0.75 - right.mean()), abs=1e-6)
    exact = metrics.rms_calibration_error(p[:, 0], right)
    noise = np.sqrt(0.75 * 0.25 / 100)
    assert exact - found["rms_calibration_error"] == pytest.approx(noise, rel=0.1)


@pytest.mark.parametrize("bin_size", [10, 30, 1000])
def test_rms_of_other_bins(bin_size):
    logits, labels = simulated(2000, seed=1)
    metric = metrics.RMSCalibrationError(bin_size)
    p = softmax(logits)
    want = metrics.rms_calibration_error(p.max(axis=1), p.argmax(axis=1) == labels, bin_size)
    found = streamed([metric], labels, logits, 500)["rms_calibration_error"]
    assert found == pytest.approx(want, abs=2e-3)


def test_weights_are_copies():
    logits, labels = simulated(300, seed=2)
    copies = np.random.default_rng(3).integers(0, 4, 300)
    spread = np.repeat(np.arange(300), copies)
    labels[copies == 0] = -1  # as in a padded batch
    logits[copies == 0] = np.nan
    for kind in CLASSES:
        metric, repeated = kind(), kind()
        metric.update_state(labels, logits, copies)
        repeated.update_state(labels[spread], logits[spread])
        abs_ = 1e-3 if kind is metrics.RMSCalibrationError else 1e-6
        assert float(metric.result()) == pytest.approx(float(repeated.result()), abs=abs_)


def test_small_batches_count_after_many_examples():
    # In float32 alone 2^24 + 1 is 2^24, and the mistakes would not be counted.
    for kind in CLASSES[:1] + CLASSES[2:4]:
        metric = kind(from_logits=False)
        metric.update_state([0], [[1.0, 0.0]], [2.0**24])
        for _ in range(100):
            metric.update_state([1, 1, 1], [[1.0, 0.0]] * 3)
        want = 300 / (2**24 + 300) * (2 if kind is metrics.BrierScore else 1)
        assert float(metric.result()) == pytest.approx(want, rel=1e-6)


def test_equals_numpy_after_750_000_examples():
    logits, labels = simulated(750_000, seed=4, classes=3)
    made = [kind() for kind in CLASSES[:4]]
    found = streamed(made, labels, logits, 5000)
    assert found == pytest.approx(
        {name: numpy_results(softmax(logits), labels)[name] for name in found}, abs=1e-6
    )


def test_nothing_seen_and_seen_anew():
    logits, labels = simulated(50)
    for kind in CLASSES:
        metric = kind()
        assert float(metric.result()) == 0
        first = float(metric(labels, logits))
        assert first > 0
        metric.reset_state()
        assert float(metric.result()) == 0
        assert float(metric(labels, logits)) == first


@pytest.mark.parametrize("kind", CLASSES)
def test_a_label_that_is_no_class_is_no_result(kind):
    for label in (-1, 10):
        metric = kind()
        metric.update_state([0, label], np.eye(10)[:2])
        assert np.isnan(float(metric.result()))


@pytest.mark.parametrize(("noise", "step"), [(False, 1), (False, 3), (True, 1)])
def test_flip_probability_equals_numpy(noise, step):
    draws = np.random.default_rng(step)
    logits = draws.normal(size=(37, 31, 4))
    classes = logits.argmax(axis=2)
    want = metrics.flip_probability(classes, noise, step)
    for scores in (classes, logits):
        metric = metrics.FlipProbability(noise, step)
        for start in range(0, 37, 8):
            metric.update_state(None, scores[start : start + 8])
        assert float(metric.result()) == pytest.approx(want, abs=1e-6)
    metric = metrics.FlipProbability(noise, step)
    metric.update_state(None, classes, [2] + [0] * 36)
    want = metrics.flip_probability(classes[:1], noise, step)
    assert float(metric.result()) == pytest.approx(want, abs=1e-6)


@pytest.mark.parametrize(
    "metric",
    [
        *(kind(from_logits=False, name="mine") for kind in CLASSES),
        metrics.ExpectedCalibrationError(num_bins=7),
        metrics.RMSCalibrationError(bin_size=30),
        metrics.FlipProbability(step=2),
        metrics.FlipProbability(noise=True),
    ],
)
def test_serialisation(metric):
    config = keras.saving.serialize_keras_object(metric)
    assert config["registered_name"].startswith("dynmix_tf>")
    again = keras.saving.deserialize_keras_object(json.loads(json.dumps(config)))
    assert type(again) is type(metric)
    assert again.get_config() == metric.get_config()


def test_in_fit_and_compiled_in_evaluate():
    logits, labels = simulated(1000, seed=5)
    model = keras.Sequential([keras.Input((10,)), keras.layers.Rescaling(1.0)])
    model.add(keras.layers.Dense(10, kernel_initializer="identity"))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(
        keras.optimizers.SGD(0.0), loss, metrics=[kind() for kind in CLASSES], jit_compile=False
    )
    fitted = model.fit(logits, labels, batch_size=96, epochs=2, verbose=0).history
    # others: Keras does not reset those that were compiled before
    model.compile(
        keras.optimizers.SGD(0.0), loss, metrics=[kind() for kind in CLASSES], jit_compile=True
    )
    evaluated = model.evaluate(logits, labels, batch_size=125, verbose=0, return_dict=True)
    for name, want in numpy_results(softmax(logits), labels).items():
        close = pytest.approx(want, abs=1e-3 if name == "rms_calibration_error" else 1e-6)
        assert fitted[name] == [close, close]
        assert evaluated[name] == close


@pytest.mark.parametrize("jit_compile", [False, True])
def test_what_rounding_cuts_off_is_kept_when_compiled(jit_compile):
    metric = metrics.ErrorRate()
    add = tf.function(metric.update_state, jit_compile=jit_compile)
    right, wrong = tf.constant([[1.0, 0.0]]), tf.constant([[0.0, 1.0]])
    add(tf.constant([0]), right, tf.constant([2.0**24]))
    for _ in range(50):
        add(tf.constant([0]), wrong, tf.constant([1.0]))
    assert float(metric.result()) == pytest.approx(50 / (2**24 + 50), rel=1e-6)


ELSEWHERE = """
import json, sys
import numpy as np, keras
if keras.backend.backend() == "tensorflow":
    import tensorflow as tf
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    strategies = [tf.distribute.OneDeviceStrategy("CPU:0"),
                  tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])]
    assert strategies[1].num_replicas_in_sync == 2
else:
    import contextlib
    class Strategy:
        scope = contextlib.nullcontext
    strategies = [Strategy]
from dynmix_tf import metrics
data = np.load(sys.argv[1])
kinds = [metrics.ErrorRate, metrics.NegativeLogLikelihood, metrics.BrierScore,
         metrics.ExpectedCalibrationError, metrics.RMSCalibrationError]
found = []
for strategy in strategies:
    with strategy.scope():
        model = keras.Sequential([keras.Input((10,)), keras.layers.Rescaling(1.0)])
        model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True),
                      metrics=[kind() for kind in kinds])
    for count in (517, 513):  # last batches of 5 and of 1, fewer than the replicas
        found.append(model.evaluate(data["logits"][:count], data["labels"][:count], batch_size=16,
                                    verbose=0, return_dict=True))
        with strategy.scope():
            flips = metrics.FlipProbability()
        flips.update_state(None, data["labels"][:510].reshape(17, 30))
        found[-1]["flip_probability"] = float(flips.result())
print(json.dumps(found))
"""


@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_on_two_replicas_and_on_jax(tmp_path, backend):
    logits, labels = simulated(600, seed=6)
    np.savez(tmp_path / "data.npz", logits=logits, labels=labels)
    done = subprocess.run(
        [sys.executable, "-c", ELSEWHERE, str(tmp_path / "data.npz")],
        capture_output=True, text=True,
        env={**os.environ, "KERAS_BACKEND": backend, "JAX_PLATFORMS": "cpu"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout.splitlines()[-1])
    assert len(results) == (4 if backend == "tensorflow" else 2)
    for index, found in enumerate(results):
        count = (517, 513)[index % 2]
        want = numpy_results(softmax(logits[:count]), labels[:count])
        want["flip_probability"] = metrics.flip_probability(labels[:510].reshape(17, 30))
        for name, value in want.items():
            close = 1e-3 if name == "rms_calibration_error" else 1e-6
            assert found[name] == pytest.approx(value, abs=close), (index, name)


def test_the_numpy_side_needs_neither_keras_nor_tensorflow():
    code = (
        "import sys; from dynmix_tf import metrics; metrics.bootstrap_means, metrics.read_baseline;"
        "print([name for name in ('keras', 'tensorflow', 'jax') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    with pytest.raises(AttributeError, match="no attribute 'ErorRate'"):
        metrics.ErorRate  # noqa: B018


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda: metrics.ErrorRate()([[0, 1]], [[0.5, 0.5]]), r"\(1, 2\) and \(1, 2\)"),
        (lambda: metrics.ErrorRate()([0], [0.5]), r"scores \(B, classes\). Received: \(1,\)"),
        (
            lambda: metrics.BrierScore()([0], [[0.5, 0.5]], [[1.0, 1.0]]),
            r"`sample_weight` of `brier_score` must be \(B,\).*Received: \(1, 2\)",
        ),
        (lambda: metrics.ExpectedCalibrationError(0), "num_bins=0"),
        (lambda: metrics.RMSCalibrationError(1.5), "bin_size=1.5"),
        (lambda: metrics.FlipProbability(step=0), "step=0"),
        (lambda: metrics.FlipProbability(noise=True, step=2), "1 for noise"),
        (lambda: metrics.FlipProbability(step=3)(None, [[1, 2, 3]]), "more than 3 frames"),
        (lambda: metrics.FlipProbability()(None, [1, 2, 3]), r"Received: \(3,\)"),
    ],
)
def test_mistakes_are_told(call, told):
    with pytest.raises(InputError, match=told):
        call()
