"""What a benchmark is made of, and what the processes compute of it: a chunk of images each."""

from __future__ import annotations

import io
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from dynmix_tf import corruptions
from dynmix_tf.benchmark_files.settings import Settings
from dynmix_tf.benchmark_files.video import encode_video
from dynmix_tf.corruptions.sequences import NOISE_SEQUENCES
from dynmix_tf.data.image_files import ImageFiles, decode

__all__ = ["Chunk", "Product", "make_arrays", "make_files", "products"]


@dataclass(frozen=True)
class Product:
    """One file or folder of the benchmark: a corruption, or a sequence at a difficulty.

    Args:
        name: Of the file or folder, without an ending.
        corruption: What is done to the images.
        severities: Of a corruption; () for a sequence.
        difficulty: Of a sequence.
        frames: Of a sequence; 0 for a corruption.
    """

    name: str
    corruption: str
    severities: tuple[int, ...] = ()
    difficulty: int = 1
    frames: int = 0

    @property
    def parts(self) -> int:
        """How many images come of one: severities or frames."""
        return self.frames or len(self.severities)


@dataclass(frozen=True)
class Chunk:
    """Neighbouring images of the data set, for one process.

    Args:
        product: What is made of them.
        first: The index of the first one in the data set.
        images: uint8 `(n, h, w, 3)`, or the files.
        table: Of strengths, "cifar" or "imagenet".
        seed: Of the random streams.
        folder: Where `make_files` writes.
        names: Of the images for it: `class/name`, without an ending.
        quality: Of its JPEG files.
    """

    product: Product
    first: int
    images: np.ndarray | ImageFiles
    table: str
    seed: int
    folder: Path = Path()
    names: tuple[str, ...] = ()
    quality: int = 85


def products(settings: Settings, table: str) -> list[Product]:
    """The files or folders of a benchmark, in the order in which they are written.

    Args:
        settings: With the names of its corruptions.
        table: Of strengths, "cifar" or "imagenet".

    Example:
        >>> names = ("gaussian_noise", "rotate")
        >>> [product.name for product in products(Settings("a", benchmark="p", corruptions=names),
        ...     "cifar")]
        ['gaussian_noise', 'gaussian_noise_2', 'gaussian_noise_3', 'rotate']
    """
    if settings.benchmark == "c":
        return [Product(name, name, settings.severities) for name in settings.corruptions]
    return [
        Product(
            name if difficulty == 1 else f"{name}_{difficulty}",
            name,
            difficulty=difficulty,
            frames=corruptions.num_frames(name, table),
        )
        for name in settings.corruptions
        for difficulty in (settings.difficulties if name in NOISE_SEQUENCES else (1,))
    ]


def make_arrays(chunk: Chunk) -> np.ndarray:
    """What comes of a chunk of n images in memory.

    Returns:
        uint8 `(severities, n, h, w, 3)`, or for sequences `(n, frames, h, w, 3)`.
    """
    images = np.asarray(chunk.images)
    if chunk.product.severities:
        return np.stack([_corrupted(chunk, images, level) for level in chunk.product.severities])
    return np.stack([_frames(chunk, image, index) for index, image in enumerate(images)])


def make_files(chunk: Chunk) -> int:
    """Writes what comes of a chunk of files into `chunk.folder`, and waits for the disk.

    Returns:
        The number of files.

    Raises:
        InputError: A file cannot be decoded.
        OSError: A file cannot be written.
    """
    files = chunk.images
    if not isinstance(files, ImageFiles):
        raise TypeError(f"expected ImageFiles. Received: {type(files)}")
    resize_to = files.resize_to or round(files.image_size * 256 / 224)
    # a sequence moves the image before its middle is cut out
    side = files.image_size if chunk.product.severities else resize_to
    images = [decode(path, side, resize_to) for path in files.paths]
    if chunk.product.frames:
        for index, image in enumerate(images):
            video = _frames(chunk, image, index, crop=files.image_size)
            path = chunk.folder / f"{chunk.names[index]}.mp4"
            path.parent.mkdir(parents=True, exist_ok=True)
            encode_video(path, video, grain=chunk.product.corruption in NOISE_SEQUENCES)
        return len(images)
    for severity in chunk.product.severities:
        corrupted = _corrupted(chunk, np.stack(images), severity)
        for name, image in zip(chunk.names, corrupted, strict=True):
            buffer = io.BytesIO()
            Image.fromarray(image).save(buffer, "JPEG", quality=chunk.quality, optimize=True)
            path = chunk.folder / str(severity) / f"{name}.JPEG"
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("wb") as file:
                file.write(buffer.getvalue())
                file.flush()
                os.fsync(file.fileno())
    return len(images) * len(chunk.product.severities)


def _corrupted(chunk: Chunk, images: np.ndarray, severity: int) -> np.ndarray:
    name = chunk.product.corruption
    return corruptions.corrupt(images, name, severity, chunk.seed, chunk.table, chunk.first)


def _frames(chunk: Chunk, image: np.ndarray, index: int, crop: int | None = None) -> np.ndarray:
    return corruptions.sequence(
        image,
        chunk.product.corruption,
        chunk.seed,
        chunk.product.difficulty,
        chunk.table,
        chunk.first + index,
        crop,
    )
