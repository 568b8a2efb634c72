"""Wide residual networks (Zagoruyko and Komodakis, 2016) for small images."""

from __future__ import annotations

from typing import Any

import keras

from dynmix_tf.models.layer_factory import LayerFactory

__all__ = ["wide_resnet"]


def wide_resnet(make: LayerFactory, images: Any, depth: int, width: int) -> Any:
    """A 3x3 stem of 16 channels, then three groups of pre-activation blocks.

    The groups have `width` times 16, 32 and 64 channels; the second and third halve the image.
    No dropout, as AugMix trains it.

    Args:
        make: Makes the layers.
        images: Symbolic tensor (B, H, W, C) with values in -1..1.
        depth: Number of layers, 6n + 4 for n blocks in a group.
        width: Widening factor.

    Returns:
        Symbolic tensor (B, 64 * width), the features before the last layer.

    Source: https://github.com/xternalz/WideResNet-pytorch, which AugMix uses.
    """
    x = make.conv(16, name="stem")(images)
    for group, (channels, strides) in enumerate(((16, 1), (32, 2), (64, 2)), start=1):
        for block in range(1, (depth - 4) // 6 + 1):
            x = _block(
                make,
                x,
                filters=channels * width,
                strides=strides if block == 1 else 1,
                name=f"group{group}_block{block}",
            )
    x = make.batch_norm(name="bn")(x)
    x = keras.layers.ReLU(name="relu")(x)
    return keras.layers.GlobalAveragePooling2D(name="global_pool")(x)


def _block(make: LayerFactory, x: Any, filters: int, strides: int, name: str) -> Any:
    activated = make.batch_norm(name=f"{name}_bn1")(x)
    activated = keras.layers.ReLU(name=f"{name}_relu1")(activated)
    if strides != 1 or x.shape[-1] != filters:
        shortcut = make.conv(filters, 1, strides, name=f"{name}_shortcut")(activated)
    else:
        shortcut = x
    if strides == 1:
        y = make.conv(filters, name=f"{name}_conv1")(activated)
    else:
        # PyTorch pads one pixel on every side; "same" would pad none at the top and left of an
        # even-sided image, and weights of the reference network would see it shifted.
        padded = keras.layers.ZeroPadding2D(1, name=f"{name}_pad")(activated)
        y = make.conv(filters, 3, strides, padding="valid", name=f"{name}_conv1")(padded)
    y = make.batch_norm(name=f"{name}_bn2")(y)
    y = keras.layers.ReLU(name=f"{name}_relu2")(y)
    y = make.conv(filters, name=f"{name}_conv2")(y)
    return keras.layers.Add(name=f"{name}_add")([shortcut, y])
