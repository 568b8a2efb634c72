"""A predictor of any function, and what is asked of a model's outputs."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy.special import softmax

from dynmix_tf.errors import InputError, unknown_name

__all__ = ["TAKEN_AS_PROBABILITIES", "Predict", "callable_predictor"]

Predict = Callable[[np.ndarray], np.ndarray]

TAKEN_AS_PROBABILITIES = (
    "the model gives probabilities where logits are expected; they are taken as they are. "
    "output='probabilities' says so beforehand"
)


def callable_predictor(
    function: Callable[[np.ndarray], Any],
    output: str = "auto",
    image_shape: Sequence[int | None] = (None, None, None),
) -> Predict:
    """A function from uint8 images to probabilities, of any function that classifies.

    Args:
        function: uint8 `(N, H, W, C)` to logits or probabilities `(N, classes)`, as anything
            that NumPy makes an array of: a model of another framework, for example.
        output: "logits", "probabilities", or "auto": probabilities where nothing of the first
            batch is negative and each image's sum is 1 to 0.001.
        image_shape: `(H, W, C)` that the function takes; None is any.

    Returns:
        `(N, H, W, C) uint8 -> (N, classes) float32`. It raises `InputError` for other images,
        for NaN, and for outputs that are not `(N, classes)` or no probabilities though said to be.

    Raises:
        InputError: An unknown `output`.

    Warns:
        UserWarning: At the first batch, where "auto" took the outputs for probabilities.

    Example:
        >>> predict = callable_predictor(lambda batch: batch.mean(axis=(1, 2)), output="logits")
        >>> predict(images[:8]).shape
        (8, 3)
    """
    known = "logits", "probabilities", "auto"
    if output not in known:
        raise unknown_name("output", output, known)

    def predict(images: np.ndarray) -> np.ndarray:
        nonlocal output
        _check_images(images, image_shape)
        outputs = np.asarray(function(images), np.float32)
        _check_outputs(outputs, len(images))
        off = np.inf if outputs.min() < 0 else np.abs(outputs.sum(axis=1) - 1).max()
        if output == "auto":
            output = "probabilities" if off <= 1e-3 else "logits"
            if output == "probabilities":
                warnings.warn(TAKEN_AS_PROBABILITIES, stacklevel=2)
        if output == "logits":
            return softmax(outputs, axis=1)
        if off > 0.05:  # half precision comes as far as 0.01
            raise InputError(
                "the model's outputs are no probabilities: they are "
                f"{outputs.min():.3g} to {outputs.max():.3g}, the first image's sum is "
                f"{outputs[0].sum():.3g}; output='logits' takes them as logits"
            )
        return outputs

    return predict


def _check_images(images: np.ndarray, expected: Sequence[int | None]) -> None:
    # TensorFlow itself would run on, and score noise
    if images.dtype != np.uint8 or images.ndim != 4:
        raise InputError(
            f"a predictor takes uint8 images (N, H, W, C). Received: {images.dtype} {images.shape}"
        )
    pairs = zip(images.shape[1:], expected, strict=True)
    if any(wanted not in (None, came) for came, wanted in pairs):
        raise InputError(
            f"the model takes images of shape {tuple(expected)}, not {images.shape[1:]}; "
            "evaluate it on data of its own size"
        )


def _check_outputs(outputs: np.ndarray, images: int) -> None:
    if outputs.ndim != 2 or len(outputs) != images:
        raise InputError(
            f"the model gives outputs of shape {outputs.shape} for {images} images; "
            f"expected ({images}, classes)"
        )
    wrong = ~np.isfinite(outputs.max(axis=1))  # a class may have the logit -inf
    if wrong.any():
        raise InputError(
            f"the model gives NaN or infinity for {wrong.sum()} of {images} images of a batch, "
            f"first for number {wrong.argmax()} (from 0); look at its weights, and at what range "
            "of values it takes"
        )
