"""The corruptions of the public generator's own script, measured in a process of their own.

public_corruptions.py SCRIPT.py IMAGES.npy        "name severity" on each line of stdin, an answer
                                                  in JSON for each

SCRIPT.py is `make_cifar_c.py` or `make_imagenet_c.py` of hendrycks/robustness, with its frost
photographs beside it. Only its imports, functions and classes are run, with the names that NumPy,
SciPy and scikit-image have dropped since. It needs OpenCV, scikit-image and Wand (ImageMagick).
"""

import ast
import json
import os
import sys
import types
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import scipy.ndimage
import skimage.filters
from PIL import Image


def functions(script: Path) -> dict[str, Any]:
    """What the script defines."""
    numpy: Any = np
    numpy.float_ = np.float64
    numpy.fromstring = np.frombuffer
    interpolation: Any = types.ModuleType("scipy.ndimage.interpolation")
    interpolation.map_coordinates = scipy.ndimage.map_coordinates
    sys.modules["scipy.ndimage.interpolation"] = interpolation
    gaussian = skimage.filters.gaussian

    def with_old_name(image, *rest, multichannel=None, **options):
        return gaussian(image, *rest, channel_axis=-1 if multichannel else None, **options)

    skimage.filters.gaussian = with_old_name
    names: dict[str, Any] = {}
    for node in ast.parse(script.read_text()).body:
        statement = ast.Module([node], [])
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            try:
                exec(compile(statement, script.name, "exec"), names)
            except ImportError:  # torch, which only its data loaders use
                continue
        elif isinstance(node, ast.FunctionDef) or "wand" in ast.unparse(node).lower():
            exec(compile(statement, script.name, "exec"), names)
    return names


def strength(clean: np.ndarray, corrupted: np.ndarray) -> tuple[float, float]:
    """Mean absolute change, and mean absolute difference of horizontal neighbours; grey levels."""
    values = corrupted.astype(np.float64)
    return float(np.abs(values - clean).mean()), float(np.abs(np.diff(values, axis=2)).mean())


def main(script: str, path: str) -> None:
    warnings.simplefilter("ignore")
    images = np.load(path)
    known = functions(Path(script).resolve())
    os.chdir(Path(script).resolve().parent)  # where it looks for its frost photographs
    np.random.seed(0)
    for line in sys.stdin:
        name, severity = line.split()
        corrupt = known[name]
        made = [
            np.uint8(corrupt(Image.fromarray(image), severity=int(severity))) for image in images
        ]
        change, gradient = strength(images, np.stack(made))
        print(json.dumps({"change": change, "gradient": gradient}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
