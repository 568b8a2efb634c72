"""What tests share: quiet TensorFlow, real photographs, a network, and the experiments."""

import gc
import importlib
import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import pytest


def pytest_collection_finish():
    """Has the garbage collector leave alone what was imported: it stays, and is a lot."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def photo_crops():
    """`crops(side, count)`: square crops of real photographs, uint8 (count, side, side, 3)."""
    import skimage.data

    photos = [skimage.data.astronaut(), skimage.data.chelsea(), skimage.data.coffee()]

    def crops(side, count=12, seed=0):
        rng = np.random.default_rng(seed)
        out = []
        for index in range(count):
            photo = photos[index % 3]
            top, left = (rng.integers(0, length - side) for length in photo.shape[:2])
            out.append(photo[top : top + side, left : left + side])
        return np.stack(out)

    return crops


@pytest.fixture(scope="module")
def network():
    """An untrained network of three classes for images of 32 pixels; not to be changed."""
    from dynmix_tf import models

    return models.build("small_cnn", (32, 32, 3), 3, seed=0)


@pytest.fixture
def benchmark(photo_crops):
    """Two corruptions of 20 photographs in three classes, at the severities 1 and 5."""
    from dynmix_tf.benchmarks import GeneratedBenchmark

    labels = np.arange(20) % 3
    return GeneratedBenchmark(
        photo_crops(32, 20), labels, "crops", ["fog", "pixelate"], severities=(1, 5), seed=4
    )


@pytest.fixture(scope="module")
def experiments():
    """The folder of the scripts, from which they are imported while a file's tests run."""
    folder = Path(__file__).parents[1] / "experiments"
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        yield folder


@pytest.fixture(scope="module")
def tables(experiments):
    """The paper's tables."""
    return importlib.import_module("paper_tables")
