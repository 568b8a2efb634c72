"""Draws what the network is shown: real photographs and their Dynamic Mixup views.

python experiments/make_views.py experiments/figures/views.png
"""

import argparse
import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

COLUMNS = 4
SEED = (0, 1)


def rows_of_views(images: np.ndarray, severity: float = 3.0) -> np.ndarray:
    """uint8 (N, H, W, 3) to (N, 1 + COLUMNS, H, W, 3): each image and views of it, float32."""
    from dynmix_tf.augment import DynamicMixup, Views

    views = Views(DynamicMixup(severity=severity), num_views=COLUMNS)(images, seed=SEED)
    return np.stack([view.numpy() for view in views], axis=1)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("picture", type=Path, help="the .png file to write")
    path = parser.parse_args().picture

    from PIL import Image, ImageOps

    from dynmix_tf.data.photos import CLASS_NAMES, photographs
    from dynmix_tf.reports import image_plots

    chosen = [photographs()[CLASS_NAMES.index(name)] for name in ("chelsea", "astronaut", "rocket")]
    images = [np.asarray(ImageOps.fit(Image.fromarray(photo), (160, 160))) for photo in chosen]
    titles = ["original", *(f"view {number}" for number in range(1, COLUMNS + 1))]
    image_plots.views(path, rows_of_views(np.stack(images)), titles)


if __name__ == "__main__":
    main()
