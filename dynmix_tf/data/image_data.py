"""The one form in which every data set reaches training, evaluation and corruption."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from dynmix_tf.data.image_files import ImageFiles
from dynmix_tf.errors import InputError

__all__ = ["ImageData"]


@dataclass(frozen=True, eq=False)
class ImageData:
    """Labelled images, checked once when they are put together.

    Args:
        name: The data set's name, as it stands in reports.
        train_images: uint8 array (N, H, W, 3), or `ImageFiles`, which stands for one.
        train_labels: int32 array (N,) with values in [0, len(class_names)).
        test_images: Alike, of the same H and W.
        test_labels: int32 array (M,) with values in [0, len(class_names)).
        class_names: The name of each class, in the order of the labels.

    Raises:
        InputError: A shape, dtype, count or label is not as above, or a name is no printable text.

    Example:
        >>> import numpy as np
        >>> images = np.zeros((4, 32, 32, 3), np.uint8)
        >>> labels = np.array([0, 1, 0, 1], np.int32)
        >>> data = ImageData("demo", images, labels, images, labels, ("cat", "dog"))
        >>> data.image_shape, data.num_classes, len(data.limited(num_test=2).test_labels)
        ((32, 32, 3), 2, 2)
    """

    name: str
    train_images: np.ndarray | ImageFiles
    train_labels: np.ndarray
    test_images: np.ndarray | ImageFiles
    test_labels: np.ndarray
    class_names: tuple[str, ...]

    def __post_init__(self) -> None:
        for name in (self.name, *self.class_names):  # they go into rows, tables and pictures
            if not name.isprintable():
                raise InputError(
                    f"names of data sets and classes must be printable text. Received: {name!a}"
                )
        for split in ("train", "test"):
            images: np.ndarray | ImageFiles = getattr(self, f"{split}_images")
            labels: np.ndarray = getattr(self, f"{split}_labels")
            where = f"dataset '{self.name}': `{split}_"
            if images.dtype != np.uint8 or images.ndim != 4 or images.shape[-1] != 3:
                raise InputError(
                    f"{where}images` must be uint8 of shape (N, H, W, 3). "
                    f"Received: {images.dtype} of shape {images.shape}"
                )
            if images.size == 0:
                raise InputError(f"{where}images` holds no image. Received: {images.shape}")
            if labels.dtype != np.int32 or labels.shape != images.shape[:1]:
                raise InputError(
                    f"{where}labels` must be int32 of shape ({len(images)},), one per image. "
                    f"Received: {labels.dtype} of shape {labels.shape}"
                )
            if labels.min() < 0 or labels.max() >= self.num_classes:
                raise InputError(
                    f"{where}labels` must be in [0, {self.num_classes}), one of the "
                    f"{self.num_classes} classes. Received: {labels.min()} to {labels.max()}"
                )
        if self.train_images.shape[1:] != self.test_images.shape[1:]:
            raise InputError(
                f"dataset '{self.name}': training and test images must have one size. "
                f"Received: {self.train_images.shape[1:]} and {self.test_images.shape[1:]}"
            )

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Height, width and channels (3) of every image."""
        height, width, channels = self.train_images.shape[1:]
        return height, width, channels

    @property
    def num_classes(self) -> int:
        """The number of classes."""
        return len(self.class_names)

    def limited(self, num_train: int | None = None, num_test: int | None = None) -> ImageData:
        """The same data with the first images of each split only.

        Args:
            num_train: How many training images to keep; None keeps all.
            num_test: How many test images to keep; None keeps all.

        Returns:
            New `ImageData` whose arrays are views of these.

        Raises:
            InputError: More images are asked for than there are, or fewer than one.
        """
        for flag, wanted, there in (
            ("num_train", num_train, len(self.train_images)),
            ("num_test", num_test, len(self.test_images)),
        ):
            if wanted is not None and not 1 <= wanted <= there:
                raise InputError(
                    f"`{flag}` must be in [1, {there}], the images that dataset '{self.name}' "
                    f"has. Received: {flag}={wanted}"
                )
        return replace(
            self,
            train_images=self.train_images[:num_train],
            train_labels=self.train_labels[:num_train],
            test_images=self.test_images[:num_test],
            test_labels=self.test_labels[:num_test],
        )
