"""Randomness as data: every draw is a hash of (seed, example index, purpose).

Nothing here has a state. The draws of an example do not depend on the batch it comes in, on the
number of parallel calls or workers, or on where a run was resumed. Keys are uint32 and are made
into floats by a shift, so eager and compiled code draw the same bits; what is computed from
these is the same too for ranges, and to the last bit or two of a float for Beta and Dirichlet.
"""

from __future__ import annotations

import numbers
import random
import zlib
from typing import Any

import numpy as np
import tensorflow as tf

from dynmix_tf.errors import InputError
from dynmix_tf.quantiles import NODES, beta_quantiles, log_gamma_quantiles

__all__ = [
    "ALPHAS",
    "beta",
    "call_seeds",
    "check_seed",
    "dirichlet",
    "example_keys",
    "fold",
    "integers",
    "uniform",
]

Tensor = Any
ALPHAS = (1e-3, 1e3)  # of Beta and Dirichlet: beyond, float32 knows next to nothing but 0 and 1


def fold(key: Tensor, purpose: str | int | Tensor) -> Tensor:
    """New keys from old ones: one independent stream for each purpose.

    Args:
        key: uint32, any shape.
        purpose: A name (hashed by CRC-32, the same on every machine) or integers that broadcast
            against `key`.

    Returns:
        uint32 keys.

    Example:
        >>> keys = example_keys((7, 42), tf.range(3))
        >>> bool(tf.reduce_all(fold(keys, "level") != fold(keys, "sign")))
        True
    """
    word = zlib.crc32(purpose.encode()) if isinstance(purpose, str) else purpose
    word = tf.constant(word, tf.uint32) if isinstance(word, int) else tf.cast(word, tf.uint32)
    return _scramble(key * tf.constant(0x9E3779B1, tf.uint32) + _scramble(word))


def example_keys(seed: Any, indices: Tensor) -> Tensor:
    """One key for each example.

    Args:
        seed: Two integers, or an integer tensor `(2,)`; 64 bits of each count.
        indices: Integers `(B,)`, the examples' numbers in the stream; 64 bits count.

    Returns:
        uint32 `(B,)`.

    Raises:
        InputError: `seed` is not two integers.
    """
    seed = tf.convert_to_tensor(seed)
    if seed.shape != (2,) or not seed.dtype.is_integer:
        raise InputError(
            f"`seed` must be two integers or an integer tensor of shape (2,). Received: {seed}"
        )
    key = tf.zeros_like(indices, tf.uint32)
    for word in (*tf.unstack(tf.cast(seed, tf.int64)), tf.cast(indices, tf.int64)):
        for half in (word, tf.bitwise.right_shift(word, 32)):
            key = fold(key, tf.bitwise.bitwise_and(half, 0xFFFFFFFF))
    return key


def check_seed(seed: Any) -> int | None:
    """A layer's own seed.

    Raises:
        InputError: Neither None nor a whole number.
    """
    whole = isinstance(seed, numbers.Integral) and not isinstance(seed, bool)
    if seed is not None and not (whole and abs(seed) < 2**63):
        raise InputError(f"`seed` must be a whole number or None. Received: seed={seed!r}")
    return None if seed is None else int(seed)


def call_seeds(seed: int | None) -> tf.random.Generator:
    """Where calls that bring no seed take one: `call_seeds(seed).make_seeds(1)[:, 0]`.

    The generator counts on from call to call, in graphs, from one pass over a data set to the
    next and on several replicas too, where `tf.random.uniform` begins again once
    `keras.utils.set_random_seed` was called. Without a seed it takes one from Python's `random`,
    as Keras' layers do, so that a program which calls `set_random_seed` repeats itself.
    """
    first = random.getrandbits(62) if seed is None else seed
    with tf.init_scope(), tf.device("CPU"):
        return tf.random.Generator.from_seed(first, alg="philox")


def uniform(key: Tensor, low: float = 0.0, high: float = 1.0) -> Tensor:
    """float32 in [low, high), of 24 random bits (`low` if they are equal); the shape of `key`."""
    unit = tf.cast(tf.cast(tf.bitwise.right_shift(key, _u32(8)), tf.int32), tf.float32) * 2.0**-24
    if (low, high) == (0.0, 1.0):
        return unit
    # the maximum is always the product, which a compiler does not know: else it would round
    # product and sum at once, and draw other bits than uncompiled code
    return low + tf.maximum(unit * (high - low), -unit)


def integers(key: Tensor, count: int) -> Tensor:
    """int32 in [0, count), each equally likely to 1 part in 2**24 / count; the shape of `key`."""
    bits = tf.cast(tf.bitwise.right_shift(key, _u32(8)), tf.int64)
    return tf.cast(tf.bitwise.right_shift(bits * count, 24), tf.int32)


def beta(key: Tensor, alpha: float) -> Tensor:
    """float32 from Beta(alpha, alpha), through 4,096 quantiles; the shape of `key`."""
    return uniform(key) if alpha == 1.0 else _from_quantiles(key, beta_quantiles(alpha))


def dirichlet(key: Tensor, alpha: float, count: int) -> Tensor:
    """float32 weights from Dirichlet(alpha, ..., alpha); a last axis of `count` that sums to 1.

    Two weights are Beta(alpha, alpha) and its complement.
    """
    if count == 2:
        first = beta(key, alpha)
        return tf.stack([first, 1.0 - first], axis=-1)
    # as logarithms: for a small alpha most Gamma numbers are below the smallest float
    keys = fold(key[..., None], tf.range(count))
    return tf.nn.softmax(_from_quantiles(keys, log_gamma_quantiles(alpha)), axis=-1)


def _u32(value: int) -> Tensor:
    return tf.constant(value, tf.uint32)


def _scramble(word: Tensor) -> Tensor:
    """Chris Wellons' 32-bit finaliser "lowbias32" (public domain): a bijection without bias."""
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
        word = tf.bitwise.bitwise_xor(word, tf.bitwise.right_shift(word, _u32(shift)))
        word *= _u32(factor)
    return tf.bitwise.bitwise_xor(word, tf.bitwise.right_shift(word, _u32(16)))


def _from_quantiles(key: Tensor, quantiles: np.ndarray) -> Tensor:
    position = uniform(key) * NODES - 0.5
    low = tf.clip_by_value(tf.cast(tf.floor(position), tf.int32), 0, NODES - 2)
    weight = tf.clip_by_value(position - tf.cast(low, tf.float32), 0.0, 1.0)
    below, above = tf.gather(quantiles, low), tf.gather(quantiles, low + 1)
    return below + (above - below) * weight
