"""Chains of operations: how they are drawn, run and added up, for every method that has them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from dynmix_tf import randomness
from dynmix_tf.layers.operations import OperationLayer, draw_strength
from dynmix_tf.ops.kernels import run_kernels
from dynmix_tf.ops.pixels import unpack

__all__ = ["add_chains", "draw_chains", "run_chains"]

Tensor = Any


def draw_chains(
    keys: Tensor, num_chains: int, max_depth: int, num_operations: int, severity: float
) -> dict[str, Tensor]:
    """Draws for each image its own chains: their depths, operations, strengths and signs.

    Args:
        keys: uint32 `(B,)`, one for each image.
        num_chains: Chains of an image.
        max_depth: Longest chain; the depth is uniform in 1..max_depth.
        num_operations: What the operations are drawn from, uniformly and with replacement.
        severity: 0 to 10; each application draws s ~ U(min(0.1, severity), severity).

    Returns:
        `depth` int32 (B, chains); `operation` int32, `strength` float32 and `negative` bool
        (B, chains, max_depth).

    Example:
        >>> keys = randomness.example_keys((0, 1), tf.range(5))
        >>> drawn = draw_chains(keys, 3, max_depth=2, num_operations=9, severity=3.0)
        >>> drawn["depth"].shape, drawn["operation"].shape
        (TensorShape([5, 3]), TensorShape([5, 3, 2]))
    """
    chains = randomness.fold(keys[:, None], 1 + tf.range(num_chains))
    steps = randomness.fold(chains[..., None], 1 + tf.range(max_depth))
    return {
        "depth": 1 + randomness.integers(randomness.fold(chains, "depth"), max_depth),
        "operation": randomness.integers(randomness.fold(steps, "operation"), num_operations),
        **draw_strength(steps, severity),
    }


def run_chains(
    images: Tensor, drawn: dict[str, Tensor], layers: Sequence[OperationLayer]
) -> Tensor:
    """Applies chains of operations to every image.

    Args:
        images: uint8 `(B, H, W, C)`.
        drawn: As `draw_chains` gives it, for `(B, chains, steps)`; without `depth` all steps are
            applied. An `operation` of `len(layers)` does nothing.
        layers: The operations.

    Returns:
        The ends of the chains: values 0..255, int32 `(B, chains, H, W, C)`.

    Example:
        >>> from dynmix_tf.layers import Equalize, FlipUpDown
        >>> drawn = {"strength": tf.ones((1, 1, 2)), "negative": tf.zeros((1, 1, 2), tf.bool)}
        >>> drawn["operation"] = tf.constant([[[1, 1]]])
        >>> ends = run_chains(images[:1], drawn, [Equalize(), FlipUpDown()])
        >>> bool(tf.reduce_all(ends[:, 0] == images[:1].astype("int32")))
        True
    """
    operation = drawn["operation"]
    if "depth" in drawn:
        steps = tf.range(tf.shape(operation)[2])
        operation = tf.where(steps < drawn["depth"][..., None], operation, len(layers))
    levels = tf.zeros_like(drawn["strength"], tf.float64)
    for number, layer in enumerate(layers):
        argument = layer.argument(drawn["strength"], drawn["negative"], images)
        levels = tf.where(operation == number, argument, levels)
    kernels = [layer.kernel for layer in layers]
    count = images.shape[3]
    return unpack(run_kernels(images, operation, levels, kernels, count), count)


def add_chains(ends: Tensor, weights: Tensor) -> Tensor:
    """Adds up what the chains of an image have come to.

    Args:
        ends: Numbers `(B, chains, H, W, C)`.
        weights: float32 `(B, chains)`.

    Returns:
        float32 `(B, H, W, C)`.

    Example:
        >>> add_chains(np.array([10, 20]).reshape(1, 2, 1, 1, 1), tf.constant([[0.5, 0.5]]))
        <tf.Tensor: shape=(1, 1, 1, 1), dtype=float32, numpy=array([[[[15.]]]], dtype=float32)>
    """
    total = tf.zeros([], tf.float32)
    for chain in range(weights.shape[1]):  # term by term, which compiles to one pass
        weight = weights[:, chain, None, None, None]
        total = weight * tf.cast(ends[:, chain], tf.float32) + total
    return total
