"""Any image classification data set that TensorFlow Datasets has prepared on this machine."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from dynmix_tf.data.image_data import ImageData
from dynmix_tf.data.image_files import decode, in_threads
from dynmix_tf.errors import InputError, unknown_name

__all__ = ["load_tfds"]

_AT_MOST = 8 << 30  # bytes in memory
_IN_MEMORY_AS_IS = 64  # px


def load_tfds(
    name: str, data_dir: str | os.PathLike[str] | None = None, image_size: int = 0
) -> ImageData:
    """Reads a prepared data set of TensorFlow Datasets into memory; downloads nothing.

    Args:
        name: As `tfds.load` takes it, such as "svhn_cropped" or "food101:2.0.0".
        data_dir: Where TensorFlow Datasets keeps its data; None is its own place.
        image_size: Side of the images, pixels: the shorter side is resized and the central square
            taken, as `load_folder` does. 0 leaves images of one size up to 64 px as they are,
            and is 224 for others.

    Returns:
        The splits `train`, and `test` or `validation`, in the order in which they are stored.

    Raises:
        InputError: No such data set, it is not prepared, it is no image classification, or it
            does not fit into 8 GiB.

    Example:
        >>> data = load_tfds("svhn_cropped")  # doctest: +SKIP
        >>> data.image_shape  # doctest: +SKIP
        (32, 32, 3)

    Source: https://www.tensorflow.org/datasets.
    """
    import tensorflow_datasets as tfds

    # a prepared data set is found without its code
    known = tfds.list_builders(with_community_datasets=False)
    try:
        builder = tfds.builder(name, data_dir=data_dir)
    except tfds.core.DatasetNotFoundError:
        raise unknown_name("TensorFlow data set", name, known) from None
    except (ValueError, AssertionError, OSError) as error:
        raise InputError(f"TensorFlow data set '{name}': {_line(error)}") from error
    splits = builder.info.splits
    if not splits or not all(info.num_examples for info in splits.values()):
        where = f", data_dir='{data_dir}'" if data_dir else ""
        raise InputError(
            f"TensorFlow data set '{name}' is not prepared in {builder.data_dir}; prepare it: "
            f"python -c \"import tensorflow_datasets as tfds; tfds.load('{name}'{where})\""
        )
    features = builder.info.features
    keys = builder.info.supervised_keys
    if not keys or not isinstance(features[keys[0]], tfds.features.Image):
        raise InputError(f"TensorFlow data set '{name}' has no image and label to learn from")
    if not isinstance(features[keys[1]], tfds.features.ClassLabel):
        raise InputError(f"TensorFlow data set '{name}' has no class as its label")
    test = next((split for split in ("test", "validation") if split in splits), None)
    if "train" not in splits or test is None:
        raise InputError(
            f"TensorFlow data set '{name}' needs the splits train, and test or validation. "
            f"It has: {', '.join(splits)}"
        )
    height, width, _ = features[keys[0]].shape
    as_is = not image_size and height and height == width <= _IN_MEMORY_AS_IS
    side = height if as_is else image_size or 224
    total = sum(splits[split].num_examples for split in ("train", test)) * side * side * 3
    if total > _AT_MOST:
        raise InputError(
            f"TensorFlow data set '{name}' takes {total / 2**30:.0f} GiB at {side} px; take a "
            "smaller --image_size, or a folder of class folders, whose files are read as needed"
        )
    arrays = [_read(builder, split, keys, side, as_is) for split in ("train", test)]
    (train_images, train_labels), (test_images, test_labels) = arrays
    class_names = tuple(features[keys[1]].names)
    return ImageData(name, train_images, train_labels, test_images, test_labels, class_names)


def _read(
    builder: Any, split: str, keys: tuple[str, str], side: int, as_is: bool
) -> tuple[np.ndarray, np.ndarray]:
    import tensorflow_datasets as tfds

    image_key, label_key = keys
    ds = builder.as_dataset(
        split, shuffle_files=False, decoders={image_key: tfds.decode.SkipDecoding()}
    )
    examples = list(tfds.as_numpy(ds))  # encoded, so small
    contents = [example[image_key] for example in examples]
    resize_to = side if as_is or side <= _IN_MEMORY_AS_IS else round(side * 256 / 224)
    images: np.ndarray = np.empty((len(contents), side, side, 3), np.uint8)
    read = in_threads(
        lambda content: decode(content, side, resize_to), contents, f"reading {split}"
    )
    for index, image in enumerate(read):
        images[index] = image
    return images, np.array([example[label_key] for example in examples], np.int32)


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
