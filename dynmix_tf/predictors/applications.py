"""The networks of `keras.applications` by name, with weights from a file."""

from __future__ import annotations

import types
import warnings
import zipfile
from pathlib import Path

import keras

from dynmix_tf.archives import check_sizes
from dynmix_tf.errors import InputError, unknown_name, whole_number

__all__ = ["application_names", "load_application"]


def application_names() -> list[str]:
    """The names that `load_application` knows: the networks of `keras.applications`.

    Example:
        >>> "ResNet50" in application_names()
        True
    """
    return sorted(name for name, item in vars(keras.applications).items() if callable(item))


def load_application(name: str, weights: str | Path, image_size: int | None = None) -> keras.Model:
    """A network of `keras.applications` for images 0..255, with its own preprocessing inside.

    Args:
        name: As in `keras.applications`, such as "ResNet50".
        weights: A file of weights for its 1,000 classes: `.weights.h5`, the `.h5` that Keras
            publishes, or a `.keras` file of the same network. Nothing is downloaded.
        image_size: Side of the images in pixels; that which the network was made for if None.

    Returns:
        A network from `(N, image_size, image_size, 3)`, 0..255, to logits `(N, 1000)`, the
        outputs in the order of the sorted WordNet numbers.

    Raises:
        InputError: An unknown name, or weights that do not fit.

    Example:
        >>> keras.applications.MobileNetV2(weights=None).save_weights("mine.weights.h5")
        >>> load_application("MobileNetV2", "mine.weights.h5").input_shape
        (None, 224, 224, 3)
    """
    if name not in application_names():
        raise unknown_name("network of keras.applications", name, application_names())
    if not Path(weights).is_file():
        raise InputError(f"no weights at {weights}; expected a file for {name}, .h5 or .keras")
    shape = None
    if image_size is not None:
        side = whole_number("image_size", image_size, 1)
        shape = (side, side, 3)
    try:
        network = getattr(keras.applications, name)(
            weights=None, classifier_activation=None, input_shape=shape
        )
    except ValueError as error:  # an image that is too small for it
        raise InputError(f"{name} cannot be made: {_one_line(error)}") from None
    try:
        with warnings.catch_warnings():
            if str(weights).endswith(".keras"):
                with zipfile.ZipFile(weights) as archive:
                    check_sizes(archive)
            # Keras looks for weights in lists of layers that have none; those that are missing
            # where some are expected raise
            warnings.filterwarnings("ignore", "Skipping nested container")
            network.load_weights(weights)
    except Exception as error:  # a damaged or hostile file can raise nearly anything
        raise InputError(f"{weights} holds no weights for {name}: {_one_line(error)}") from None
    images = keras.Input(network.input_shape[1:])
    return keras.Model(images, network(_module(name).preprocess_input(images)), name=name)


def _module(name: str) -> types.ModuleType:
    """The module of a network, which is where its `preprocess_input` is."""
    if name.startswith("MobileNetV3"):  # whose module does not name them
        return keras.applications.mobilenet_v3
    modules = [item for item in vars(keras.applications).values() if hasattr(item, name)]
    return modules[0]


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
