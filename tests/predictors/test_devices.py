"""Several devices, and Keras on JAX: each in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

import dynmix_tf
from dynmix_tf import models, predictors

SEVERAL_DEVICES = """
import sys
from pathlib import Path
import numpy as np
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 3)
from dynmix_tf import predictors
from dynmix_tf.predictors.networks import compiled

folder = Path(sys.argv[1])
images, expected = np.load(folder / "images.npy"), np.load(folder / "expected.npy")

def where(batch):
    "Which replica an image comes to, with how many others, and its first pixel."
    replica = tf.distribute.get_replica_context().replica_id_in_sync_group
    count = tf.shape(batch)[0]
    each = tf.repeat([[replica, count]], count, axis=0)
    return tf.concat([tf.cast(each, tf.uint8), batch[:, 0, 0]], axis=1)

for replicas in (2, 3):
    strategy = tf.distribute.MirroredStrategy([f"CPU:{index}" for index in range(replicas)])
    place = compiled(where, strategy)
    with strategy.scope():
        predicts = [predictors.load_predictor(folder / name) for name in ("model.keras", "export")]
    for size in (1, 2, 3, 5, 64, 99):
        batch = images[:size]
        each = -(-size // replicas)
        got = place(batch)
        np.testing.assert_array_equal(got[:, 0], np.arange(size) // each)
        assert (got[:, 1] == each).all()
        np.testing.assert_array_equal(got[:, 2:], batch[:, 0, 0])
        for predict in predicts:
            got = predict(batch)
            np.testing.assert_allclose(got, expected[:size], rtol=0, atol=1e-6)
            np.testing.assert_array_equal(got.argmax(axis=1), expected[:size].argmax(axis=1))
print("done")
"""
ON_JAX = """
import sys
from pathlib import Path
import numpy as np
from dynmix_tf import models, predictors

folder = Path(sys.argv[1])
network = models.build("small_cnn", (32, 32, 3), 9, seed=1)
network.load_weights(folder / "model.weights.h5")
images, expected = np.load(folder / "images.npy"), np.load(folder / "expected.npy")
predict = predictors.network_predictor(network)
got = np.concatenate([predict(images[:64]), predict(images[64:])])
np.testing.assert_allclose(got, expected, rtol=0, atol=1e-5)
assert "tensorflow" not in sys.modules
print("done")
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    network = models.build("small_cnn", (32, 32, 3), 9, seed=0)
    images = dynmix_tf.data.load("photos", num_train=1, num_test=99).test_images
    network.save(folder / "model.keras")
    network.save_weights(folder / "model.weights.h5")
    dynmix_tf.export_saved_model(network, folder / "export")
    np.save(folder / "images.npy", images)
    np.save(folder / "expected.npy", predictors.network_predictor(network)(images))
    return folder


def run(code, folder, **environment):
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder)], capture_output=True, text=True,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", **environment},
    )  # fmt: skip
    assert done.stdout == "done\n", done.stderr


def test_every_image_counts_once_on_several_devices(folder):
    run(SEVERAL_DEVICES, folder)


def test_a_network_of_jax_predicts_the_same_without_tensorflow(folder):
    run(ON_JAX, folder, KERAS_BACKEND="jax", JAX_PLATFORMS="cpu")
