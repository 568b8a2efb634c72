"""The layers that the networks are built from: one initialisation, one set of constants."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

__all__ = ["LayerFactory"]


class LayerFactory:
    """Makes layers whose initial weights follow from one seed.

    Every layer with weights takes the next seed of a stream, so no two layers share theirs, and
    a network that is built twice from one seed has equal weights.

    Args:
        seed: Non-negative integer, or None for weights that differ from build to build.

    Example:
        >>> import numpy as np
        >>> make = LayerFactory(seed=0)
        >>> make.conv(16)(np.zeros((1, 32, 32, 3))).shape
        TensorShape([1, 32, 32, 16])
    """

    def __init__(self, seed: int | None = None) -> None:
        self._seeds = np.random.SeedSequence(seed)

    def next_seed(self) -> int:
        """The next seed of the stream, for a layer with weights or dropout."""
        return int(self._seeds.spawn(1)[0].generate_state(1)[0] >> 1)  # below 2**31

    def rescaling(self, imagenet: bool = False) -> Any:
        """A layer that maps 0..255 to -1..1, as AugMix `cifar.py` (mean .5, deviation .5).

        With `imagenet`, by the means and deviations of ImageNet's channels, as torchvision. In
        float32 whatever the policy: bfloat16 would round the grey levels of mixed images.
        """
        if imagenet:
            return keras.layers.Normalization(
                mean=[255 * mean for mean in (0.485, 0.456, 0.406)],
                variance=[(255 * deviation) ** 2 for deviation in (0.229, 0.224, 0.225)],
                dtype="float32",
                name="normalization",
            )
        return keras.layers.Rescaling(1 / 127.5, offset=-1.0, dtype="float32", name="rescaling")

    def conv(
        self,
        filters: int,
        kernel_size: int = 3,
        strides: int = 1,
        padding: str = "same",
        groups: int = 1,
        use_bias: bool = False,
        name: str | None = None,
    ) -> Any:
        """A convolution layer with Normal(0, sqrt(2 / (size^2 * filters))), He's by fan-out.

        `filters` counts all groups, as in the reference.
        """
        return keras.layers.Conv2D(
            filters,
            kernel_size,
            strides=strides,
            padding=padding,
            groups=groups,
            use_bias=use_bias,
            kernel_initializer=keras.initializers.VarianceScaling(
                2.0, "fan_out", "untruncated_normal", seed=self.next_seed()
            ),
            name=name,
        )

    def batch_norm(self, name: str | None = None) -> Any:
        """A batch normalisation layer with PyTorch's constants, those of the papers' networks."""
        return keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=name)

    def dense(self, units: int, name: str, dtype: str | None = None) -> Any:
        """A dense layer with PyTorch's default weights, U(-1/sqrt(fan_in), 1/sqrt(fan_in))."""
        return keras.layers.Dense(
            units,
            kernel_initializer=keras.initializers.VarianceScaling(
                1 / 3, "fan_in", "uniform", seed=self.next_seed()
            ),
            dtype=dtype,
            name=name,
        )

    def logits(self, num_classes: int) -> Any:
        """The last layer, float32 out whatever the policy; bias 0."""
        return self.dense(num_classes, name="logits", dtype="float32")
