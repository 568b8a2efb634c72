"""The single operations of keras-cv, a second independent reference."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from dynmix_tf import ops


@pytest.fixture(scope="module")
def keras_cv_layers():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its own, of a package that is no longer developed
        import keras_cv

        return keras_cv.layers


@pytest.fixture(scope="module")
def batch(photo_crops):
    return photo_crops(48, 6)


def test_equalize(keras_cv_layers, batch):
    layer = keras_cv_layers.Equalization(value_range=(0, 255))
    want = np.stack([np.asarray(layer(image.astype("float32"))) for image in batch])
    np.testing.assert_array_equal(ops.equalize(batch), want)


def test_posterize(keras_cv_layers, batch):
    for bits in (1, 3, 4, 7):
        layer = keras_cv_layers.Posterization(value_range=(0, 255), bits=bits)
        want = np.asarray(layer(batch.astype("float32")))
        np.testing.assert_array_equal(ops.posterize(batch, bits), want)


def test_solarize(keras_cv_layers, batch):
    layer = keras_cv_layers.Solarization(value_range=(0, 255), threshold_factor=(128, 128))
    want = np.asarray(layer(batch.astype("float32")))
    np.testing.assert_array_equal(ops.solarize(batch, 128), want)


def test_autocontrast(keras_cv_layers, batch):
    layer = keras_cv_layers.AutoContrast(value_range=(0, 255))
    want = np.stack([np.asarray(layer(image.astype("float32"))) for image in batch])
    # keras-cv does not round to whole grey levels
    np.testing.assert_allclose(ops.autocontrast(batch).numpy().astype("float32"), want, atol=1.001)
