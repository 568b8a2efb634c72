"""Chains of operations, drawn for each image: the engine under every method and operation.

One image after the other goes through its chain. So what becomes of an image does not depend on
the rest of its batch, each operation costs only the images that drew it, and an image stays in
the processor's cache from the first operation to the last. The loop is made for XLA, which
compiles it once for each shape of a batch; uncompiled it gives the same images, slowly.

A kernel must not slice at a place that depends on what it is given (`tf.slice`, `x[i]`): XLA
takes such a place for a constant and compiles anew for every batch. `tf.gather` and `tf.roll` do.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from dynmix_tf.ops.arguments import level_per_image, uint8_batch
from dynmix_tf.ops.pixels import pack, unpack

__all__ = ["Kernel", "operation", "run_kernels"]

Tensor = Any
# from pixels int32 (H, W), a level (float64 scalar) and the number of channels to pixels (H, W)
Kernel = Callable[[Tensor, Tensor, int], Tensor]


def run_kernels(
    images: Tensor, operations: Tensor, levels: Tensor, kernels: Sequence[Kernel], count: int
) -> Tensor:
    """Runs one or more chains of operations on every image.

    Args:
        images: uint8 `(B, H, W, count)`.
        operations: int32 `(B, chains, depth)`: numbers of kernels, or `len(kernels)` for nothing.
        levels: `(B, chains, depth, ...)`: the operations' own arguments, float64 numbers for
            those of `dynmix_tf.ops`.
        kernels: The operations, on the pixels of one image.
        count: Channels, 1 or 3.

    Returns:
        The ends of the chains as pixels, int32 `(B, chains, H, W)`; see `dynmix_tf.ops.pixels`.
    """
    batch, num_chains, depth = tf.unstack(tf.shape(operations))
    total = batch * num_chains
    # an empty batch gets an image that nothing is done to, as XLA takes no slice of nothing
    spare = tf.maximum(1 - batch, 0)
    pixels, chosen, level = (
        tf.pad(values, [[0, spare], *[[0, 0]] * (values.shape.rank - 1)])
        for values in (pack(images, count), operations, levels)
    )
    chosen = tf.reshape(chosen, [-1, depth])
    level = tf.reshape(level, tf.concat([[-1, depth], tf.shape(level)[3:]], axis=0))

    def one_chain(number: Tensor, ends: Tensor) -> tuple[Tensor, Tensor]:
        def one_step(step: Tensor, image: Tensor) -> tuple[Tensor, Tensor]:
            def run(kernel: Kernel) -> Callable[[], Tensor]:
                return lambda: tf.ensure_shape(kernel(image, level[number, step], count), shape)

            branches = [*(run(kernel) for kernel in kernels), lambda: image]
            return step + 1, tf.switch_case(chosen[number, step], branches)

        start = pixels[number // num_chains]
        shape = start.shape
        _, end = tf.while_loop(lambda step, _: step < depth, one_step, (0, start))
        return number + 1, tf.tensor_scatter_nd_update(ends, [[number]], end[None])

    ends = tf.repeat(pixels, num_chains, axis=0)
    _, ends = tf.while_loop(lambda number, _: number < total, one_chain, (0, ends))
    return tf.reshape(ends[:total], [batch, num_chains, *tf.unstack(tf.shape(pixels))[1:]])


def operation(takes_level: bool = True) -> Callable[[Kernel], Callable[..., Tensor]]:
    """Makes the public form of an operation, on batches, from its kernel, on one image's pixels.

    Args:
        takes_level: Whether the operation needs a level.

    Returns:
        A decorator. The decorated function takes `(images, level=None)`, uint8 `(B, H, W, C)` and
        one level for the batch or one per image, gives uint8 of the same shape, is compiled once
        for each shape, and has the kernel as its attribute `kernel`. Its docstring is that of
        the kernel, which therefore speaks of images and levels.
    """

    def decorate(kernel: Kernel) -> Callable[..., Tensor]:
        def apply(images: Any, level: Any = None) -> Tensor:
            images = uint8_batch(images)
            levels = level_per_image(images, level if takes_level else 0.0)
            with tf.device("CPU"):  # image by image, in small steps: nothing for a GPU
                return _apply(kernel, images, levels, images.shape[3])

        names = ("__module__", "__name__", "__qualname__", "__doc__")
        public: Any = functools.update_wrapper(apply, kernel, names)
        del public.__wrapped__  # the signature is that of `apply`
        public.kernel = kernel
        return public

    return decorate


@tf.function(jit_compile=True, reduce_retracing=True, autograph=False)
def _apply(kernel: Kernel, images: Tensor, levels: Tensor, count: int) -> Tensor:
    operations = tf.zeros([tf.shape(images)[0], 1, 1], tf.int32)
    pixels = run_kernels(images, operations, levels[:, None, None], [kernel], count)[:, 0]
    return tf.ensure_shape(tf.cast(unpack(pixels, count), tf.uint8), images.shape)
