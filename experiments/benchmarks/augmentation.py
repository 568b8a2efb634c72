"""How fast three views are made: this package in tf.data against Dynamic Mixup written with Pillow.

python experiments/benchmarks/augmentation.py

Both crop, flip and mix the same photographs on this machine in turn, five times each; the figures
are images (of three views each) per second of CPU time, over all threads. Rows are appended to
experiments/results/augmentation_benchmark.csv.
"""

import os
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from PIL import Image, ImageOps

RESULTS = Path(__file__).parent.parent / "results" / "augmentation_benchmark.csv"
ROUNDS = 5
BILINEAR, AFFINE = Image.Resampling.BILINEAR, Image.Transform.AFFINE


def pillow_operation(image: Image.Image, index: int, s: float, sign: int) -> Image.Image:
    """Operation `index` at strength `s`, as AugMix's `augmentations.py`."""
    width, _ = image.size
    shift, shear = sign * int(s * (width / 3) / 10), sign * s * 0.3 / 10
    affine = {3: (1, 0, shift, 0, 1, 0), 4: (1, 0, 0, 0, 1, shift)}
    affine |= {5: (1, shear, 0, 0, 1, 0), 6: (1, 0, 0, shear, 1, 0)}
    if index in affine:
        return image.transform(image.size, AFFINE, affine[index], BILINEAR)
    if index == 2:
        return image.rotate(sign * int(s * 30 / 10), BILINEAR)
    if index == 9:
        return ImageOps.solarize(image, 256 - int(s * 256 / 10))
    if index == 10:
        return ImageOps.posterize(image, 4 - int(s * 4 / 10))
    plain = {0: ImageOps.mirror, 1: ImageOps.flip, 7: ImageOps.autocontrast, 8: ImageOps.equalize}
    return plain[index](image)


def pillow_chain(image: Image.Image, rng: np.random.Generator, severity: float = 3.0) -> np.ndarray:
    """One or two operations."""
    for _ in range(rng.integers(1, 3)):
        strength, sign = rng.uniform(0.1, severity), rng.choice((-1, 1))
        image = pillow_operation(image, int(rng.integers(11)), strength, sign)
    return np.asarray(image, np.float32)


def pillow_views(images: np.ndarray, rng: np.random.Generator) -> None:
    """The original and two mixes of each image, one image after the other."""
    for array in images:
        height, width = array.shape[:2]
        if rng.random() < 0.5:
            array = array[:, ::-1]
        top, left = rng.integers(0, 9, 2)
        padded = np.pad(array, ((4, 4), (4, 4), (0, 0)))
        image = Image.fromarray(np.ascontiguousarray(padded[top:][:height, left:][:, :width]))
        views = [np.asarray(image, np.float32)]
        for _ in range(2):
            weight = 1 - (1 - rng.beta(1, 1)) ** 2
            views.append(
                weight * pillow_chain(image, rng) + (1 - weight) * pillow_chain(image, rng)
            )


def speed(work: Callable[[], None], count: int) -> float:
    """Images per second of CPU time of this process, all threads."""
    started = time.process_time()
    work()
    return count / (time.process_time() - started)


def rounds(side: int, count: int, batch: int) -> dict[str, list[float]]:
    """The speeds of both, measured in turn."""
    import tensorflow as tf

    from dynmix_tf import DynamicMixup, StandardAugmentation, Views, data

    images = data.load("photos", image_size=side, num_train=count, num_test=9).train_images
    made = Views(DynamicMixup(), 2, StandardAugmentation())
    ds = made.over(tf.data.Dataset.from_tensor_slices(images).batch(batch), seed=0)
    rng = np.random.default_rng(0)
    for _ in ds:  # warm-up
        pass
    speeds: dict[str, list[float]] = {"dynmix_tf": [], "pillow": []}
    for _ in range(ROUNDS):
        speeds["dynmix_tf"].append(speed(lambda: [None for _ in ds], count))
        speeds["pillow"].append(speed(lambda: pillow_views(images, rng), count))
    return speeds


def main() -> None:
    import tensorflow as tf

    from dynmix_tf.files import append_line

    lines = []
    for side, count, batch in ((32, 4096, 128), (224, 128, 32)):
        speeds = rounds(side, count, batch)
        for name, values in speeds.items():
            lines += [(side, name, turn, value) for turn, value in enumerate(values)]
        middle = {name: statistics.median(values) for name, values in speeds.items()}
        print(
            f"{side} px: dynmix_tf {middle['dynmix_tf']:.0f} images per CPU-second, Pillow "
            f"{middle['pillow']:.0f}, ratio {middle['dynmix_tf'] / middle['pillow']:.2f}"
        )
    machine = f"{os.cpu_count()} cores {platform.machine()}, TensorFlow {tf.__version__}"
    if not RESULTS.exists():
        append_line(RESULTS, "machine,side,implementation,round,images_per_cpu_second")
    for line in lines:
        append_line(RESULTS, ",".join(map(str, (f'"{machine}"', *line))))


if __name__ == "__main__":
    main()
