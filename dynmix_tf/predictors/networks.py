"""Predictors of Keras networks, and the graph in which TensorFlow's models predict."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dynmix_tf.errors import InputError
from dynmix_tf.predictors.functions import TAKEN_AS_PROBABILITIES, Predict, callable_predictor

__all__ = ["compiled", "network_predictor", "scaling"]


def network_predictor(
    network: Any, *, output: str = "auto", value_range: Sequence[float] = (0, 255)
) -> Predict:
    """A function from uint8 images to probabilities, of a Keras network.

    A network that was made, or loaded, under the scope of a `tf.distribute` strategy predicts on
    all its devices: each gets a part of the batch, and each image counts once.

    Args:
        network: From images `(N, H, W, C)` to `(N, classes)`, or a `ConsistencyModel`, whose
            network is taken.
        output: "logits", "probabilities", or "auto": probabilities after a softmax as the last
            layer's activation, or where the values say so, see `callable_predictor`.
        value_range: What the network takes black and white as, such as (0, 1) or (-1, 1).

    Returns:
        `(N, H, W, C) uint8 -> (N, classes) float32`, with the checks of `callable_predictor`.

    Raises:
        InputError: It takes something else than one batch of images, or ends in a sigmoid.

    Warns:
        UserWarning: Where "auto" took the outputs for probabilities.

    Example:
        >>> network_predictor(network)(images[:8]).shape
        (8, 10)
    """
    import keras

    from dynmix_tf.consistency import ConsistencyModel

    if isinstance(network, ConsistencyModel):
        network = network.network
    # a subclass may have none: it takes what it takes
    shape = getattr(network, "input_shape", (None,) * 4)
    if not isinstance(shape, tuple) or len(shape) != 4 or shape[0] is not None:
        raise InputError(
            f"the network must take one batch of images (None, H, W, C). Received: {shape}"
        )
    if output == "auto":
        output = _expected_output(network)
    scaled = scaling(value_range)
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        compute = compiled(
            lambda images: network(scaled(tf.cast(images, tf.float32)), training=False),
            network.distribute_strategy,
        )
    else:
        # by `predict` the weights are arguments of what JAX compiles, not constants in it
        def compute(images: np.ndarray) -> np.ndarray:
            count = len(images)
            # devices that share a batch need equal parts: the first images come again
            distribution = keras.distribution.distribution()
            parts = distribution.device_mesh.devices.size if distribution else 1
            images = images[np.arange(-(-count // parts) * parts) % count]
            return _single(network.predict_on_batch(scaled(images.astype("float32"))))[:count]

    return callable_predictor(compute, output, shape[1:])


def _expected_output(network: Any) -> str:
    import keras

    layer = network
    while getattr(layer, "layers", None):
        layer = layer.layers[-1]
    activation = getattr(getattr(layer, "activation", None), "__name__", "")
    if activation == "softmax" or isinstance(layer, keras.layers.Softmax):
        warnings.warn(TAKEN_AS_PROBABILITIES, stacklevel=3)
        return "probabilities"
    if activation == "sigmoid":
        raise InputError(
            "the network ends in a sigmoid, which gives neither logits nor probabilities with the "
            "sum 1; say by `output` as which they shall count"
        )
    return "auto"


def compiled(forward: Callable[[Any], Any], strategy: Any) -> Callable[[np.ndarray], np.ndarray]:
    """`forward` as a graph for batches of every size, shared among a strategy's replicas.

    Args:
        forward: A uint8 tensor `(N, H, W, C)` to `(N, classes)`.
        strategy: That under which the variables were made.

    Returns:
        uint8 `(N, H, W, C)` to float32 `(N, classes)`; traced once for each size of images. It
        raises `InputError` where the model fails on a batch.

    Example:
        >>> compute = compiled(lambda images: images[:, 0, 0], tf.distribute.get_strategy())
        >>> compute(images[:8]).shape
        (8, 3)
    """
    import tensorflow as tf

    if isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        strategy = tf.distribute.get_strategy()  # one worker predicts all, alone
    replicas = strategy.num_replicas_in_sync

    def of_replica(images: Any) -> Any:
        if replicas > 1:
            count = tf.shape(images)[0]
            each = -(-count // replicas)
            first = each * tf.distribute.get_replica_context().replica_id_in_sync_group
            # after the last come the first images again, so all get as many; they are cut off below
            with tf.device("CPU:0"):
                images = tf.gather(images, (first + tf.range(each)) % count)
        return tf.cast(_single(forward(images)), tf.float32)

    @tf.function
    def function(images: Any) -> Any:
        outputs = strategy.run(of_replica, args=(images,))
        parts = strategy.experimental_local_results(outputs)
        return parts[0] if replicas == 1 else tf.concat(parts, 0)[: tf.shape(images)[0]]

    def compute(images: np.ndarray) -> np.ndarray:
        with tf.device("CPU:0" if replicas > 1 else None):
            batch = tf.constant(images)
        # a smaller last batch goes through the same graph
        spec = tf.TensorSpec((None, *images.shape[1:]), tf.uint8)
        try:
            return function.get_concrete_function(spec)(batch).numpy()
        except (tf.errors.InvalidArgumentError, tf.errors.ResourceExhaustedError) as error:
            raise InputError(
                f"the model fails on a batch of {len(images)} images: {error.message.strip()[:200]}"
            ) from error

    return compute


def scaling(value_range: Sequence[float]) -> Callable[[Any], Any]:
    """What makes values of a range from 0..255, on tensors and arrays.

    Raises:
        InputError: It is no range.

    Example:
        >>> scaling((-1, 1))(np.array([0, 255.0]))
        array([-1.,  1.])
    """
    low, high = value_range if len(value_range) == 2 else (0, 0)
    if not -np.inf < low < high < np.inf:
        raise InputError(
            "`value_range` must be two numbers, of black and of white, such as (0, 1). "
            f"Received: {value_range}"
        )
    if (low, high) == (0, 255):
        return lambda images: images
    return lambda images: images * ((high - low) / 255) + low


def _single(outputs: Any) -> Any:
    if isinstance(outputs, (list, tuple, dict)):
        if len(outputs) != 1:
            raise InputError(f"the model gives {len(outputs)} outputs; expected one")
        (outputs,) = outputs.values() if isinstance(outputs, dict) else outputs
    return outputs
