"""The All Convolutional Network (Springenberg et al., 2015) as AugMix trains it."""

from __future__ import annotations

from typing import Any

import keras

from dynmix_tf.models.layer_factory import LayerFactory

__all__ = ["allconvnet"]


def allconvnet(make: LayerFactory, images: Any) -> Any:
    """Nine convolutions with bias, BatchNorm and a sigmoid-approximated GELU, pooled twice.

    The seventh convolution has no padding and the two 1x1 convolutions have one pixel of it,
    which a 32 px image turns into 8, 6, 8 and 10 px; the mean is over the top left 8 x 8.

    Args:
        make: Makes the layers.
        images: Symbolic tensor (B, H, W, C) with values in -1..1, sides of 24 px or more.

    Returns:
        Symbolic tensor (B, 192), the features before the last layer.

    Source: `models/cifar/allconv.py` of https://github.com/google-research/augmix.
    """
    x = images
    for stage, filters in enumerate((96, 192), start=1):
        for number in range(1, 4):
            x = _conv(make, x, filters, name=f"stage{stage}_conv{number}")
        x = keras.layers.MaxPooling2D(name=f"pool{stage}")(x)
        x = keras.layers.Dropout(0.5, seed=make.next_seed(), name=f"dropout{stage}")(x)
    x = _conv(make, x, 192, padding="valid", name="stage3_conv1")
    for number in (2, 3):
        x = keras.layers.ZeroPadding2D(1, name=f"stage3_pad{number}")(x)
        x = _conv(make, x, 192, kernel_size=1, name=f"stage3_conv{number}")
    if x.shape[1] == x.shape[2] == 10:
        x = keras.layers.Cropping2D(((0, 2), (0, 2)), name="top_left")(x)
    return keras.layers.GlobalAveragePooling2D(name="global_pool")(x)


def _conv(make: LayerFactory, x: Any, filters: int, name: str, **options: Any) -> Any:
    x = make.conv(filters, use_bias=True, name=name, **options)(x)
    x = make.batch_norm(name=f"{name}_bn")(x)
    gate = keras.layers.Rescaling(1.702, name=f"{name}_scale")(x)
    gate = keras.layers.Activation("sigmoid", name=f"{name}_gate")(gate)
    return keras.layers.Multiply(name=f"{name}_gelu")([x, gate])
