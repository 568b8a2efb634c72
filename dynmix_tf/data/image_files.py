"""Images that stay in their files until they are needed."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError
from tqdm import tqdm

from dynmix_tf.errors import InputError

__all__ = ["ImageFiles", "decode", "in_threads", "rgb_image"]

# Not all that Pillow knows: it would hand an EPS file to Ghostscript, to be run.
_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF")


@dataclass(frozen=True, eq=False)
class ImageFiles:
    """Image files that pass for a uint8 array `(N, image_size, image_size, 3)`.

    `np.asarray` decodes them; slicing by a slice or an array of indices decodes nothing.
    As in ImageNet's evaluation, the shorter side is resized to `resize_to`, bilinear and
    antialiased, and the central square is taken.

    Args:
        paths: The files, `(N,)` strings: JPEG, PNG, WebP, BMP or GIF, grey, palette and CMYK too. A
            turn that a camera noted in EXIF is not applied.
        image_size: Side of the images, pixels.
        resize_to: Of the shorter side, pixels; None is 256 for 224, and in proportion.

    Example:
        >>> files = ImageFiles(np.array(["a.jpg", "b.png"]), image_size=224)
        >>> files.shape, files[:1].shape
        ((2, 224, 224, 3), (1, 224, 224, 3))
    """

    paths: np.ndarray
    image_size: int
    resize_to: int | None = None

    dtype = np.dtype(np.uint8)
    ndim = 4

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """That of the array."""
        return len(self.paths), self.image_size, self.image_size, 3

    @property
    def size(self) -> int:
        """The number of values of the array."""
        return int(np.prod(self.shape))

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: slice | np.ndarray) -> ImageFiles:
        return replace(self, paths=np.atleast_1d(self.paths[index]))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        resize_to = self.resize_to or round(self.image_size * 256 / 224)
        read = partial(decode, image_size=self.image_size, resize_to=resize_to)
        images: np.ndarray = np.empty(self.shape, np.uint8)
        for index, image in enumerate(in_threads(read, self.paths)):
            images[index] = image
        return images if dtype is None else images.astype(dtype)


def decode(path: str | os.PathLike[str] | bytes, image_size: int, resize_to: int) -> np.ndarray:
    """The central square of an image file, uint8 `(image_size, image_size, 3)`.

    Args:
        path: The file, or its content.
        image_size: Side of the square, pixels.
        resize_to: The shorter side is brought to this before, pixels.

    Raises:
        InputError: It is no image, or an incomplete one.
    """
    image = rgb_image(path)
    width, height = image.size
    shorter = min(width, height)
    if shorter != resize_to:
        sides = (round(width * resize_to / shorter), round(height * resize_to / shorter))
        image = image.resize(sides, Image.Resampling.BILINEAR)
    left, top = ((side - image_size) // 2 for side in image.size)
    return np.asarray(image.crop((left, top, left + image_size, top + image_size)))


def rgb_image(path: str | os.PathLike[str] | bytes, name: str = "an image") -> Image.Image:
    """An image file as it is, in RGB.

    Args:
        path: The file, or its content.
        name: Of what is given as content, for messages.

    Raises:
        InputError: It is no image, an incomplete one, or one of more than 178 million pixels.
    """
    name = name if isinstance(path, bytes) else f"'{path}'"
    try:
        if not isinstance(path, bytes) and not os.path.isfile(path):  # a pipe would be waited for
            raise FileNotFoundError("no such file")
        source = io.BytesIO(path) if isinstance(path, bytes) else path
        with Image.open(source, formats=_FORMATS) as file:
            if file.mode.startswith("I"):  # 16 bits of grey, which Pillow would cut off at 255
                file = Image.fromarray((np.asarray(file, np.int32) >> 8).astype(np.uint8))
            return file.convert("RGB")
    except Exception as error:  # a damaged image can raise nearly anything
        why = "no image" if isinstance(error, UnidentifiedImageError) else error
        raise InputError(f"cannot decode {name}: {why}") from error


def in_threads(
    read: Callable[[Any], Any], items: Iterable[Any], label: str = "", unit: str = "images"
) -> Iterable[Any]:
    """`read` of each item, in order, by as many threads as there are cores.

    Args:
        read: Called in threads; Pillow and files let others run meanwhile.
        items: What to read.
        label: For a progress bar that shows itself after two seconds; "" shows none.
        unit: What the bar counts.
    """
    items = list(items)
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        done = threads.map(read, items)
        often = 0.5 if os.isatty(2) else 10
        yield from tqdm(
            done, label, len(items), unit=f" {unit}", delay=2, mininterval=often, disable=not label
        )
