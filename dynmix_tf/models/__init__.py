"""Networks: Keras functional models of built-in layers, from images in 0..255 to logits.

Because every layer is Keras' own, a saved network loads where this package is not installed.
The names can be checked without importing Keras.
"""

from __future__ import annotations

import re
from typing import Any

from dynmix_tf.errors import InputError, unknown_name
from dynmix_tf.models.wrapping import wrap

__all__ = ["build", "check_name", "names", "wrap"]

_NAMES = (
    "small_cnn", "allconvnet", "densenet_40_12", "densenet_bc_100_12", "resnext29_4x32d",
    "wrn_16_4", "wrn_40_2", "resnet50", "alexnet",
)  # fmt: skip
# families of several sizes, and the n of their depths n*k + 4 (k blocks), where they have one
_SIZES = {
    "wrn_<depth>_<width>": (re.compile(r"wrn_(\d+)_(\d+)"), 6),
    "densenet_<depth>_<growth>": (re.compile(r"densenet_(\d+)_(\d+)"), 3),
    "densenet_bc_<depth>_<growth>": (re.compile(r"densenet_bc_(\d+)_(\d+)"), 6),
    "resnext29_<groups>x<width>d": (re.compile(r"resnext29_(\d+)x(\d+)d"), 0),
}
_SMALLEST_SIDES = {"allconvnet": 24, "resnet50": 32, "alexnet": 224}
_IMAGENET = ("resnet50", "alexnet")


def names() -> tuple[str, ...]:
    """The names that `build` knows, without further sizes such as `wrn_28_10`.

    Example:
        >>> names()[:2]
        ('small_cnn', 'allconvnet')
    """
    return _NAMES


def check_name(name: str) -> None:
    """Raises `InputError` unless `build` knows the name; Keras is not imported.

    Raises:
        InputError: An unknown name, or a size that the family does not have.

    Example:
        >>> check_name("wrn_28_10")
        >>> check_name("wrn_40")
        Traceback (most recent call last):
        ...
        dynmix_tf.errors.InputError: unknown model 'wrn_40'; did you mean 'wrn_40_2'? Known: ...
    """
    family, (first, second) = _size(name)
    if not family:
        if name not in _NAMES:
            raise unknown_name("model", name, [*_NAMES, *_SIZES])
        return
    step = _SIZES[family][1]
    if step and (first < step + 4 or (first - 4) % step):
        depths = ", ".join(str(step * blocks + 4) for blocks in (1, 2, 3))
        raise InputError(
            f"model '{name}': the depth must be {step}n + 4 ({depths}, ...). Received: {first}"
        )
    if not (first and second):
        raise InputError(f"model '{name}': the numbers of {family} must be 1 or more")


def _size(name: str) -> tuple[str, tuple[int, int]]:
    """The family of a name and its two numbers; "" where it has none."""
    for family, (pattern, _) in _SIZES.items():
        if match := pattern.fullmatch(name):
            first, second = map(int, match.groups())
            return family, (first, second)
    return "", (0, 0)


def build(
    name: str,
    input_shape: tuple[int | None, int | None, int] = (32, 32, 3),
    num_classes: int = 10,
    seed: int | None = None,
) -> Any:
    """Builds a network with fresh weights.

    Args:
        name: One of `names()`; or another size: `wrn_<depth>_<width>` or
            `densenet_bc_<depth>_<growth>` with a depth of 6n + 4, `densenet_<depth>_<growth>`
            with 3n + 4, `resnext29_<groups>x<width>d`.
        input_shape: (height, width, channels); height and width of 8 or more, or None
            for any; 24 or more for `allconvnet`, 32 for `resnet50`, and 224 for `alexnet`.
        num_classes: Number of logits, 2 or more.
        seed: Non-negative integer; the same seed gives the same weights. None draws one.

    Returns:
        A `keras.Model` named `name`. It takes images (B, H, W, C) with values in 0..255, uint8
        or float, normalises them itself, `resnet50` and `alexnet` by ImageNet's means and
        deviations, and returns float32 logits (B, num_classes), also under mixed precision.

    Raises:
        InputError: An unknown name, or an argument that is not as above.

    Example:
        >>> build("wrn_40_2", num_classes=100).output_shape
        (None, 100)

    Source: the networks and constants of AugMix, https://github.com/google-research/augmix;
        `resnet50` and `alexnet` are torchvision's; `small_cnn` is this package's own.
    """
    check_name(name)
    smallest = _SMALLEST_SIDES.get(name, 8)
    sides_are_right = len(input_shape) == 3 and all(
        side is None or side >= smallest for side in input_shape[:2]
    )
    if not sides_are_right or not input_shape[2] or input_shape[2] < 1:
        raise InputError(
            f"`input_shape` of '{name}' must be (height, width, channels) with sides of "
            f"{smallest} px or more. Received: {input_shape}"
        )
    if name in _IMAGENET and input_shape[2] != 3:
        raise InputError(
            f"'{name}' normalises red, green and blue, so `input_shape` must have 3 channels. "
            f"Received: {input_shape}"
        )
    if name == "alexnet" and tuple(input_shape[:2]) != (224, 224):
        raise InputError(f"'alexnet' takes images of 224 x 224 px. Received: {input_shape}")
    if num_classes < 2:
        raise InputError(f"`num_classes` must be 2 or more. Received: {num_classes}")
    if seed is not None and seed < 0:
        raise InputError(f"`seed` must be 0 or more, or None. Received: {seed}")

    import keras

    from dynmix_tf.models.alexnet import alexnet
    from dynmix_tf.models.allconvnet import allconvnet
    from dynmix_tf.models.densenet import densenet
    from dynmix_tf.models.layer_factory import LayerFactory
    from dynmix_tf.models.resnext import resnet50, resnext29
    from dynmix_tf.models.small_cnn import small_cnn
    from dynmix_tf.models.wide_resnet import wide_resnet

    make = LayerFactory(seed)
    images = keras.Input(input_shape, name="image")
    rescaled = make.rescaling(imagenet=name in _IMAGENET)(images)
    family, (first, second) = _size(name)
    if family.startswith("wrn"):
        features = wide_resnet(make, rescaled, depth=first, width=second)
    elif family.startswith("densenet"):
        bottleneck = family.startswith("densenet_bc")
        features = densenet(make, rescaled, depth=first, growth=second, bottleneck=bottleneck)
    elif family:
        features = resnext29(make, rescaled, groups=first, base_width=second)
    else:
        makers = {
            "small_cnn": small_cnn, "allconvnet": allconvnet, "resnet50": resnet50,
            "alexnet": alexnet,
        }  # fmt: skip
        features = makers[name](make, rescaled)
    return keras.Model(images, make.logits(num_classes)(features), name=name)
