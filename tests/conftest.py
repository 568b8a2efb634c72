"""What all tests share: quiet TensorFlow, and real photographs."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import pytest


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
