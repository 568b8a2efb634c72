"""The corrupted images that a model classified worst."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from dynmix_tf import results

__all__ = ["worst_images"]

_LONGEST = 16  # characters of a class that fit above its image


def worst_images(
    folder: Path,
    predictions: Mapping[tuple[str, int], Mapping[str, np.ndarray]],
    class_names: Sequence[str] = (),
) -> tuple[list[np.ndarray], list[str]]:
    """Of each corruption the image that the model found least likely, with what it took it for.

    Args:
        folder: Of a measurement, with the pictures that `scoring.score` kept.
        predictions: `{(corruption, severity): what `results.load_images` gives}`.
        class_names: In the order of the labels; numbers are shown without.

    Returns:
        Images uint8 `(H, W, 3)` and their captions, a pair for each corruption, the worst first.
    """
    found: dict[str, tuple[float, np.ndarray, str]] = {}
    for (corruption, severity), values in predictions.items():
        picture = results.images_path(folder, corruption, severity).with_suffix(".png")
        if not (picture.is_file() and "predicted" in values):
            continue  # measured before these were kept
        loss = values["negative_log_likelihood"]
        place = int(loss.argmax())
        if corruption in found and found[corruption][0] >= loss[place]:
            continue
        true, taken = (
            class_names[int(values[name][place])] if class_names else str(values[name][place])
            for name in ("label", "predicted")
        )
        caption = (
            f"{corruption.replace('_', ' ')} {severity}\n"
            f"{_short(true)}\ntaken for {_short(taken)} ({100 * values['confidence'][place]:.0f} %)"
        )
        with Image.open(picture) as image:
            found[corruption] = (float(loss[place]), np.asarray(image.convert("RGB")), caption)
    ordered = sorted(found.values(), key=lambda entry: -entry[0])
    return [image for _, image, _ in ordered], [caption for _, _, caption in ordered]


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…"
