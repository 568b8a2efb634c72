"""AlexNet (Krizhevsky, 2014), the network by which ImageNet-C's errors are normalised."""

from __future__ import annotations

from typing import Any

import keras

from dynmix_tf.models.layer_factory import LayerFactory

__all__ = ["alexnet"]


def alexnet(make: LayerFactory, images: Any) -> Any:
    """Five convolutions with bias and two hidden layers of 4,096 with dropout.

    Args:
        make: Makes the layers.
        images: Symbolic tensor (B, 224, 224, 3), normalised.

    Returns:
        Symbolic tensor (B, 4096), the features before the last layer.

    Source: https://github.com/pytorch/vision, `alexnet`. Its adaptive pooling to 6 x 6 does
        nothing at 224 px, the size that is taken here.
    """
    x = images
    for number, (filters, size, strides, padding, pooled) in enumerate(
        ((64, 11, 4, 2, True), (192, 5, 1, 2, True), (384, 3, 1, 1, False), (256, 3, 1, 1, False),
         (256, 3, 1, 1, True)), start=1,
    ):  # fmt: skip
        x = keras.layers.ZeroPadding2D(padding, name=f"pad{number}")(x)
        x = make.conv(filters, size, strides, padding="valid", use_bias=True, name=f"conv{number}")(
            x
        )
        x = keras.layers.ReLU(name=f"relu{number}")(x)
        if pooled:
            x = keras.layers.MaxPooling2D(3, 2, name=f"pool{number}")(x)
    x = keras.layers.Flatten(name="flatten")(x)
    for number in (1, 2):
        x = keras.layers.Dropout(0.5, seed=make.next_seed(), name=f"dropout{number}")(x)
        x = make.dense(4096, name=f"dense{number}")(x)
        x = keras.layers.ReLU(name=f"dense{number}_relu")(x)
    return x
