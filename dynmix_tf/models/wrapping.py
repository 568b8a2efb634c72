"""Any Keras network as a classifier that trains with the method."""

from __future__ import annotations

from typing import Any

from dynmix_tf.errors import InputError

__all__ = ["refuse_softmax", "wrap"]


def wrap(
    network: Any,
    num_classes: int | None = None,
    *,
    input_shape: tuple[int, int, int] | None = None,
    preprocess: Any = None,
    seed: int | None = None,
) -> Any:
    """A network of the user's own as one that takes images in 0..255 and returns float32 logits.

    Args:
        network: A `keras.Model` of one image input with features `(B, F)`, a feature map
            `(B, h, w, F)`, or logits: an own model, one of `keras.applications`, or a KerasHub
            backbone.
        num_classes: Adds a last layer of this many logits, after averaging a feature map over
            its places. None: the output of `network` are the logits.
        input_shape: (height, width, channels), for a network that leaves its size open.
        preprocess: What the network expects done to images in 0..255: a Keras layer, such as
            `keras.layers.Rescaling(1 / 255)`. None: nothing, as the network normalises them.
        seed: Of the last layer's weights.

    Returns:
        A `keras.Model` from images `(B, H, W, C)` to logits `(B, num_classes)`.

    Raises:
        InputError: `network` is no such model, ends in a softmax, or has no fixed input size.

    Example:
        >>> import keras
        >>> backbone = keras.applications.MobileNetV2(
        ...     (32, 32, 3), weights=None, include_top=False)
        >>> network = wrap(backbone, 10, preprocess=keras.layers.Rescaling(1 / 127.5, -1.0))
        >>> network.output_shape
        (None, 10)
    """
    import keras

    from dynmix_tf.models.layer_factory import LayerFactory

    if not isinstance(network, keras.Model) or len(getattr(network, "inputs", None) or ()) != 1:
        raise InputError(
            "`network` must be a keras.Model of one image input, functional or built Sequential. "
            f"Received: {network!r}"
        )
    shape = tuple(input_shape or network.inputs[0].shape[1:])
    if len(shape) != 3 or not shape[2]:
        raise InputError(
            f"`network` must take images (height, width, channels). Received: {shape}; "
            "name them with `input_shape`"
        )
    if preprocess is not None and not isinstance(preprocess, keras.layers.Layer):
        raise InputError(f"`preprocess` must be a Keras layer. Received: {preprocess!r}")
    images = keras.Input(shape, name="image")
    x = network(images if preprocess is None else preprocess(images))
    if not hasattr(x, "shape") or len(x.shape) not in (2, 4):
        raise InputError(
            "`network` must return one tensor, (B, features) or (B, h, w, features). "
            f"Received: {x!r}"
        )
    if num_classes is None:
        refuse_softmax(network)
        if len(x.shape) != 2:
            raise InputError(
                f"`network` returns a feature map {x.shape}; say how many classes: `num_classes`"
            )
        logits = keras.layers.Activation("linear", dtype="float32", name="logits")(x)
    else:
        if num_classes < 2:
            raise InputError(f"`num_classes` must be 2 or more, or None. Received: {num_classes}")
        if len(x.shape) == 4:
            x = keras.layers.GlobalAveragePooling2D(name="global_pool")(x)
        logits = LayerFactory(seed).logits(num_classes)(x)
    return keras.Model(images, logits, name=f"{network.name}_classifier")


def refuse_softmax(network: Any, instead: str = "") -> None:
    """Finds a network to end in no softmax, whose probabilities would pass for logits unnoticed.

    Args:
        network: A `keras.Model`.
        instead: What else the user can do, for the message.

    Raises:
        InputError: Its last layer is a softmax, or has one for its activation.
    """
    import keras

    last = network
    while getattr(last, "layers", None):
        last = last.layers[-1]
    softmax = getattr(last, "activation", None) is keras.activations.softmax
    if softmax or isinstance(last, keras.layers.Softmax):
        raise InputError(
            f"`network` must return logits, but its layer '{last.name}' ends in a softmax; "
            f"build it with activation=None (classifier_activation=None){instead}"
        )
