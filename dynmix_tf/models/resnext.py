"""ResNet-50 (He et al., 2016) and ResNeXt-29 (Xie et al., 2017): bottleneck blocks in stages."""

from __future__ import annotations

from typing import Any

import keras

from dynmix_tf.models.layer_factory import LayerFactory

__all__ = ["resnet50", "resnext29"]


def resnext29(make: LayerFactory, images: Any, groups: int = 4, base_width: int = 32) -> Any:
    """A 3x3 stem of 64 channels, then three stages of three bottleneck blocks.

    Args:
        make: Makes the layers.
        images: Symbolic tensor (B, H, W, C) with values in -1..1.
        groups: Groups of the 3x3 convolutions, the paper's cardinality.
        base_width: Channels of a group in the first stage.

    Returns:
        Symbolic tensor (B, 1024), the features before the last layer.

    Source: https://github.com/google-research/augmix, `ResNeXt_DenseNet/models/resnext.py`,
        which AugMix builds with 4 groups of 32.
    """
    x = make.conv(64, name="stem")(images)
    x = _activate(make, x, "stem")
    for stage, (planes, strides) in enumerate(((64, 1), (128, 2), (256, 2)), start=1):
        width = planes * base_width // 64 * groups
        x = _stage(make, x, f"stage{stage}", 3, width, planes * 4, strides, groups)
    return keras.layers.GlobalAveragePooling2D(name="global_pool")(x)


def resnet50(make: LayerFactory, images: Any) -> Any:
    """A 7x7 stem and max pooling, then four stages of 3, 4, 6 and 3 bottleneck blocks.

    The 3x3 convolution of a stage's first block has the stride, as in torchvision ("v1.5").

    Args:
        make: Makes the layers.
        images: Symbolic tensor (B, H, W, 3), normalised, sides of 32 px or more.

    Returns:
        Symbolic tensor (B, 2048), the features before the last layer.

    Source: https://github.com/pytorch/vision, `resnet50`.
    """
    x = keras.layers.ZeroPadding2D(3, name="stem_pad")(images)
    x = _activate(make, make.conv(64, 7, 2, padding="valid", name="stem")(x), "stem")
    # PyTorch pads by minus infinity; after a ReLU nothing is below these zeros
    x = keras.layers.ZeroPadding2D(1, name="pool_pad")(x)
    x = keras.layers.MaxPooling2D(3, 2, name="pool")(x)
    for stage, (planes, blocks) in enumerate(((64, 3), (128, 4), (256, 6), (512, 3)), start=1):
        strides = 1 if stage == 1 else 2
        x = _stage(make, x, f"stage{stage}", blocks, planes, planes * 4, strides, 1)
    return keras.layers.GlobalAveragePooling2D(name="global_pool")(x)


def _stage(
    make: LayerFactory,
    x: Any,
    name: str,
    blocks: int,
    width: int,
    filters: int,
    strides: int,
    groups: int,
) -> Any:
    for block in range(1, blocks + 1):
        x = _block(
            make, x, f"{name}_block{block}", width, filters, strides if block == 1 else 1, groups
        )
    return x


def _block(
    make: LayerFactory, x: Any, name: str, width: int, filters: int, strides: int, groups: int
) -> Any:
    shortcut = x
    if strides != 1 or x.shape[-1] != filters:
        shortcut = make.conv(filters, 1, strides, name=f"{name}_shortcut")(x)
        shortcut = make.batch_norm(name=f"{name}_shortcut_bn")(shortcut)
    y = _activate(make, make.conv(width, 1, name=f"{name}_conv1")(x), f"{name}_1")
    # PyTorch pads one pixel on every side; "same" pads none at the top and left with a stride
    y = keras.layers.ZeroPadding2D(1, name=f"{name}_pad")(y)
    y = make.conv(width, 3, strides, padding="valid", groups=groups, name=f"{name}_conv2")(y)
    y = _activate(make, y, f"{name}_2")
    y = make.batch_norm(name=f"{name}_bn3")(make.conv(filters, 1, name=f"{name}_conv3")(y))
    y = keras.layers.Add(name=f"{name}_add")([shortcut, y])
    return keras.layers.ReLU(name=f"{name}_relu")(y)


def _activate(make: LayerFactory, x: Any, name: str) -> Any:
    return keras.layers.ReLU(name=f"{name}_relu")(make.batch_norm(name=f"{name}_bn")(x))
