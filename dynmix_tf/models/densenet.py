"""Densely connected networks (Huang et al., 2017) for small images."""

from __future__ import annotations

from typing import Any

import keras

from dynmix_tf.models.layer_factory import LayerFactory

__all__ = ["densenet"]


def densenet(
    make: LayerFactory, images: Any, depth: int, growth: int, bottleneck: bool = False
) -> Any:
    """A 3x3 stem of twice the growth, then three dense blocks with halving transitions between.

    With `bottleneck` (DenseNet-BC) each layer first reduces to four times the growth by a 1x1
    convolution, and each transition halves the channels. No dropout.

    Args:
        make: Makes the layers.
        images: Symbolic tensor (B, H, W, C) with values in -1..1.
        depth: Number of layers, 3n + 4; 6n + 4 with `bottleneck`.
        growth: Channels that each layer adds.
        bottleneck: Whether this is DenseNet-BC.

    Returns:
        Symbolic tensor (B, channels), the features before the last layer.

    Source: https://github.com/google-research/augmix, whose `-m densenet` is depth 40, growth 12
        without bottleneck; the papers name DenseNet-BC of depth 100, growth 12.
    """
    x = make.conv(2 * growth, name="stem")(images)
    for block in range(1, 4):
        for number in range(1, (depth - 4) // (6 if bottleneck else 3) + 1):
            name = f"block{block}_layer{number}"
            y = x
            if bottleneck:
                y = make.conv(4 * growth, 1, name=f"{name}_conv1")(_activate(make, y, f"{name}_1"))
            y = make.conv(growth, name=f"{name}_conv2")(_activate(make, y, f"{name}_2"))
            x = keras.layers.Concatenate(name=f"{name}_join")([x, y])
        if block < 3:
            channels = x.shape[-1] // 2 if bottleneck else x.shape[-1]
            name = f"transition{block}"
            x = make.conv(channels, 1, name=f"{name}_conv")(_activate(make, x, name))
            x = keras.layers.AveragePooling2D(2, name=f"{name}_pool")(x)
    x = _activate(make, x, "head")
    return keras.layers.GlobalAveragePooling2D(name="global_pool")(x)


def _activate(make: LayerFactory, x: Any, name: str) -> Any:
    return keras.layers.ReLU(name=f"{name}_relu")(make.batch_norm(name=f"{name}_bn")(x))
