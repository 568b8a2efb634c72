"""The perturbation sequences of ImageNet-P and CIFAR-10-P, generated from a clean image."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dynmix_tf.corruptions import sequence_frames as frames
from dynmix_tf.corruptions import sequence_warps as warps
from dynmix_tf.corruptions.generator import (
    SMALLEST_SIDE,
    checked_integer,
    image_stream,
    strengths_for,
)
from dynmix_tf.corruptions.sequence_frames import Blurs, Flood, Snowfall, Streaks
from dynmix_tf.corruptions.sequence_warps import Frames, Ramp
from dynmix_tf.corruptions.strengths import Motion, Snow, Spatter
from dynmix_tf.errors import InputError, unknown_name

__all__ = [
    "NOISE_SEQUENCES",
    "SEQUENCE_STRENGTHS",
    "num_frames",
    "sequence",
    "sequence_names",
    "sequence_step",
]

_NAMES = (
    "gaussian_noise",
    "shot_noise",
    "motion_blur",
    "zoom_blur",
    "snow",
    "brightness",
    "translate",
    "rotate",
    "tilt",
    "scale",
)
_EXTRA = ("speckle_noise", "gaussian_blur", "spatter", "shear")

NOISE_SEQUENCES = ("gaussian_noise", "shot_noise", "speckle_noise")
"""Their frames are compared with the first, and each difficulty has draws of its own."""
_BEFORE_THE_CROP = ("zoom_blur", "translate", "rotate", "tilt", "scale", "shear")
"""These show what lies around the crop, where there is something."""

_FUNCTIONS: dict[str, Callable[[NDArray[np.uint8], np.random.Generator, Any], Frames]] = {
    "gaussian_noise": frames.gaussian_noise,
    "shot_noise": frames.shot_noise,
    "motion_blur": frames.motion_blur,
    "zoom_blur": frames.zoom_blur,
    "snow": frames.snow,
    "brightness": frames.brightness,
    "translate": warps.translate,
    "rotate": warps.rotate,
    "tilt": warps.tilt,
    "scale": warps.scale,
    "speckle_noise": frames.speckle_noise,
    "gaussian_blur": frames.gaussian_blur,
    "spatter": frames.spatter,
    "shear": warps.shear,
}

# A tuple of plain numbers goes by difficulty; the rest holds the frames' parameters.
_CIFAR: dict[str, Any] = {
    "gaussian_noise": (0.02, 0.04, 0.06),  # sigma
    "shot_noise": (700, 400, 200),  # photons at full white
    "motion_blur": Streaks(Motion(6, 1.8), Ramp(-180, 9, frames=21)),
    "zoom_blur": Ramp(100, 0.4),  # per cent
    "snow": Snowfall(Snow(0.05, 0.3, 2, 0.5, 10, 2, 0.85), Ramp(-150, 4)),
    "brightness": Ramp(-22.5, 1.5),  # per cent
    "translate": Ramp(-7, 1, frames=16),  # pixels
    "rotate": Ramp(-15, 1),  # degrees
    "tilt": Ramp(-11.25, 0.75),  # degrees
    "scale": Ramp(70, 2),  # per cent
    "speckle_noise": (0.05, 0.07, 0.1),  # sigma of the factor on a value
    "gaussian_blur": Blurs(Ramp(0.3, 0.015), reach=7),
    "spatter": Flood(Spatter(0.6, 0.265, 1.75, 0.7, 0.6, False), (0.2, 0.8)),
    "shear": Ramp(-15, 1),  # degrees
}

_IMAGENET: dict[str, Any] = {
    "gaussian_noise": (0.03, 0.05, 0.08),
    "shot_noise": (300, 120, 60),
    "motion_blur": Streaks(Motion(10, 3), Ramp(-120, 4)),
    "zoom_blur": Ramp(100, 0.4),
    "snow": Snowfall(Snow(0.05, 0.3, 3, 0.5, 14, 4, 0.85), Ramp(-150, 4)),
    "brightness": Ramp(-30, 2),
    "translate": Ramp(-20, 1, frames=41),
    "rotate": Ramp(-15, 1),
    "tilt": Ramp(-15, 1),
    "scale": Ramp(40, 2.5),
    "speckle_noise": (0.05, 0.1, 0.15),
    "gaussian_blur": Blurs(Ramp(0.25, 0.035), reach=6),
    "spatter": Flood(Spatter(0.65, 0.27, 3.7, 0.69, 0.6, False), (0.05, 0.1, 0.15, 0.7)),
    "shear": Ramp(-15, 1),
}

SEQUENCE_STRENGTHS = {"cifar": _CIFAR, "imagenet": _IMAGENET}
"""`SEQUENCE_STRENGTHS[table][name]`: the parameters of a sequence; the units stand beside them."""


def sequence_names(extra: bool = False) -> tuple[str, ...]:
    """The benchmark's ten perturbations, in its order.

    Args:
        extra: Also its four validation sequences: speckle_noise, gaussian_blur, spatter and
            shear.

    Example:
        >>> sequence_names()[-4:]
        ('translate', 'rotate', 'tilt', 'scale')
    """
    return _NAMES + _EXTRA if extra else _NAMES


def num_frames(name: str, strengths: str) -> int:
    """How many frames a sequence has in a table, "cifar" or "imagenet".

    Raises:
        InputError: The name of neither a sequence nor a table.

    Example:
        >>> num_frames("translate", "cifar"), num_frames("translate", "imagenet")
        (16, 41)
    """
    if strengths not in SEQUENCE_STRENGTHS:
        raise unknown_name("table of strengths", strengths, SEQUENCE_STRENGTHS)
    _check_name(name)
    return (
        frames.NOISE_FRAMES
        if name in NOISE_SEQUENCES
        else SEQUENCE_STRENGTHS[strengths][name].frames
    )


def sequence_step(name: str, difficulty: int = 1) -> int:
    """How far apart the frames are that the benchmark compares, 1 to 3.

    A noise sequence of more difficulty has more noise: each of its frames is compared with
    frame 0, so the step is 1. The others have one video, walked in steps of the difficulty.

    Raises:
        InputError: An unknown name, or a difficulty other than 1, 2 and 3.

    Example:
        >>> sequence_step("rotate", difficulty=3), sequence_step("shot_noise", difficulty=3)
        (3, 1)
    """
    _check_name(name)
    difficulty = checked_integer("difficulty", difficulty, 1, 3)
    return 1 if name in NOISE_SEQUENCES else difficulty


def sequence(
    image: NDArray[np.uint8],
    name: str,
    seed: int = 0,
    difficulty: int = 1,
    strengths: str = "auto",
    index: int = 0,
    crop: int | None = None,
) -> NDArray[np.uint8]:
    """The frames of a perturbation, as ImageNet-P or CIFAR-10-P were made from an image.

    The definitions are the benchmark's, quirks included; its random draws are not (they were
    never fixed), and ImageNet-P went through a lossy video file, which these frames do not.
    Noise sequences begin with the clean image; each further frame has a draw of its own. Snow
    and spatter draw one layer for all frames. Everything else draws nothing.

    A random stream belongs to (seed, name, index), and to the difficulty where there is
    noise: the frames have the same bits in whatever order images are worked on (NumPy, SciPy
    and Pillow being the same).

    translate, rotate, tilt, scale and shear show black beyond the image, as CIFAR-10-P does.
    ImageNet-P moved images of 256 pixels before it cut out the middle 224: given the larger
    image and `crop=224` so does this, and what black remains is the benchmark's own.

    Args:
        image: uint8 array (h, w, 3); sides of 8 pixels or more.
        name: One of `sequence_names(extra=True)`.
        seed: Non-negative integer.
        difficulty: 1 to 3: how strong noise is. The other sequences have the same frames at
            all three; see `sequence_step` for what it changes in how they are compared.
        strengths: The table of parameters: "cifar" (made for 32 pixels), "imagenet" (for 224
            pixels), or "auto": "cifar" if the frames' shorter side is below 96 pixels.
        index: The index of the image in its data set, 0 or more.
        crop: The side of the frames, cut out of the middle: 8 to the shorter side. None: all
            of the image.

    Returns:
        uint8 array (frames, h, w, 3), or (frames, crop, crop, 3).

    Raises:
        InputError: If an argument is not as said above.

    Example:
        >>> import numpy as np
        >>> image = np.full((32, 32, 3), 128, np.uint8)
        >>> sequence(image, "rotate").shape
        (31, 32, 32, 3)

    Source: Hendrycks and Dietterich, "Benchmarking Neural Network Robustness to Common
    Corruptions and Perturbations", 2019, and its code `hendrycks/robustness`,
    `ImageNet-P/create_p/make_imagenet_p.py` and `make_cifar_p.py`.
    """
    image = _checked_image(image)
    _check_name(name)
    seed = checked_integer("seed", seed, 0)
    difficulty = checked_integer("difficulty", difficulty, 1, 3)
    index = checked_integer("index", index, 0)
    if crop is not None:
        crop = checked_integer("crop", crop, SMALLEST_SIDE, min(image.shape[:2]))
    shape = warps.middle(image, crop).shape
    table = strengths_for(shape, strengths)
    strength = SEQUENCE_STRENGTHS[table][name]
    entropy = [seed, zlib.crc32(b"sequence"), zlib.crc32(name.encode())]
    if name in NOISE_SEQUENCES:
        strength = strength[difficulty - 1]
        entropy.append(difficulty)
    key = np.random.SeedSequence(entropy).generate_state(2, np.uint64)
    late_crop = crop if name in _BEFORE_THE_CROP else None
    source = image if name in _BEFORE_THE_CROP else warps.middle(image, crop)
    video = np.empty((num_frames(name, table), *shape), np.uint8)
    for i, frame in enumerate(_FUNCTIONS[name](source, image_stream(key, index), strength)):
        video[i] = warps.middle(frame, late_crop)
    return video


def _check_name(name: str) -> None:
    if name not in _FUNCTIONS:
        raise unknown_name("sequence", name, sequence_names(extra=True))


def _checked_image(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    image = np.asarray(image)
    if image.dtype != np.uint8:
        raise InputError(f"`image` must be uint8 with values 0..255. Received: dtype={image.dtype}")
    if image.ndim != 3 or image.shape[-1] != 3:
        raise InputError(f"`image` must have the shape (h, w, 3). Received: shape={image.shape}")
    if min(image.shape[:2]) < SMALLEST_SIDE:
        raise InputError(
            f"the sides of `image` must be {SMALLEST_SIDE} pixels or more. "
            f"Received: shape={image.shape}"
        )
    return image
