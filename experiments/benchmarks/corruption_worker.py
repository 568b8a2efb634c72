"""One generator of corruptions, timed in a process of its own.

corruption_worker.py dynmix_tf IMAGES.npy           a corruption's name on each line of stdin,
corruption_worker.py imagecorruptions IMAGES.npy    an answer in JSON for each

Severities 1 to 5 take turns over the images. It runs with any Python that has the generator.
"""

import importlib
import json
import sys
import time
from importlib import metadata

import numpy as np


def main(generator: str, path: str) -> None:
    try:
        corruptions = importlib.import_module(
            {"dynmix_tf": "dynmix_tf.corruptions", "imagecorruptions": "imagecorruptions"}[
                generator
            ]
        )
    except ImportError as error:
        print(json.dumps({"missing": str(error)}))
        return
    images = np.load(path)

    def run(name: str, images: np.ndarray) -> None:
        for severity in range(1, 6):
            part = images[severity - 1 :: 5]
            if generator == "dynmix_tf":
                corruptions.corrupt(part, name, severity)
            else:
                for image in part:
                    corruptions.corrupt(image, corruption_name=name, severity=severity)

    packages = {"dynmix_tf": ("numpy", "scipy", "pillow")}.get(
        generator, ("imagecorruptions-imaug", "numpy", "scipy", "opencv-python-headless", "numba")
    )
    versions = {}
    for package in packages:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    print(json.dumps({"versions": versions}), flush=True)
    warm: set[str] = set()
    for line in sys.stdin:
        name = line.strip()
        try:
            if name not in warm:  # tables, and what numba compiles
                run(name, images[:5])
                warm.add(name)
            begin = time.process_time()
            run(name, images)
            answer = {"milliseconds": 1000 * (time.process_time() - begin) / len(images)}
        except Exception as error:  # a peer's failure is a row of the table
            answer = {"missing": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
