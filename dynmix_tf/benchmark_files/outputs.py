"""Files that grow chunk by chunk, survive a kill, and take their names when they are whole."""

from __future__ import annotations

import abc
import contextlib
import hashlib
import io
import math
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from dynmix_tf.benchmark_files.products import Product
from dynmix_tf.errors import InputError
from dynmix_tf.files import append_line, complete_lines

__all__ = ["ArrayOutput", "FolderOutput", "Output", "record_of", "sync_folder"]

_BLOCK = 1 << 20
VIDEO_NOISE, VIDEO = 0.25, 0.05
"""Bytes that a pixel of a frame takes in a video, about."""


class Output(abc.ABC):
    """A product on the disk.

    While it is made it has the name `.NAME.part`, and `.NAME.journal` lists the chunks whose
    content is on the disk, as `FIRST COUNT` lines.

    Args:
        path: Its name when it is whole.
        product: What it is.
        count: Images of the data set.
        at_once: Images in a chunk.

    Attributes:
        done: The chunks that are written, `(first, count)`.
    """

    def __init__(self, path: Path, product: Product, count: int, at_once: int) -> None:
        self.path = path
        self.product = product
        self.count = count
        self.at_once = at_once
        self.part = path.with_name(f".{path.name}.part")
        self.journal = path.with_name(f".{path.name}.journal")
        self.done: set[tuple[int, int]] = set()
        if self.path.exists():  # the kill came between its renaming and its record
            self.done = set(self.chunks())
        elif self._part_is_usable() and self.journal.exists():
            for line in complete_lines(self.journal):
                first, _, length = line.partition(" ")
                self.done.add((int(first), int(length)))
            self.done &= set(self.chunks())

    def chunks(self) -> Iterator[tuple[int, int]]:
        """All chunks, as first image and number of images."""
        for first in range(0, self.count, self.at_once):
            yield first, min(self.at_once, self.count - first)

    def todo(self) -> list[tuple[int, int]]:
        """The chunks that are not written."""
        return [chunk for chunk in self.chunks() if chunk not in self.done]

    def images_done(self) -> int:
        """How many of the data set's images are through."""
        return sum(length for _, length in self.done)

    def write(self, chunk: tuple[int, int], result: Any) -> None:
        """Takes the result of a chunk, and notes it when it is on the disk."""
        if not self.done:
            self.journal.unlink(missing_ok=True)
        self._store(chunk[0], result)
        append_line(self.journal, f"{chunk[0]} {chunk[1]}")
        self.done.add(chunk)

    def finish(self) -> dict[str, Any]:
        """Gives the whole product its name, and returns its record."""
        record = self._close()
        if not self.path.exists():
            os.rename(self.part, self.path)
            sync_folder(self.path.parent)
        return record

    @property
    @abc.abstractmethod
    def bytes(self) -> int:
        """Size of the whole product, about."""

    def forget_journal(self) -> None:
        """Removes the journal, which is no longer needed once the record is kept."""
        self.journal.unlink(missing_ok=True)

    @abc.abstractmethod
    def _part_is_usable(self) -> bool:
        """Whether what lies there can be gone on with."""

    @abc.abstractmethod
    def _store(self, first: int, result: Any) -> None:
        """Writes what a chunk came to."""

    @abc.abstractmethod
    def _close(self) -> dict[str, Any]:
        """Ends the product, and gives its record."""


class ArrayOutput(Output):
    """A `.npy` file: uint8 `(severities * N, h, w, 3)`, or for sequences `(N, frames, h, w, 3)`.

    Chunks go to their places by `pwrite`, not through a memory map: a disk that is full is then
    an error instead of a signal that ends the process, and nothing counts as this process's
    memory.
    """

    def __init__(
        self, path: Path, product: Product, count: int, at_once: int, image: tuple[int, ...]
    ) -> None:
        shape = (count, product.frames) if product.frames else (count * product.parts,)
        self.shape = (*shape, *image)
        self.image_bytes = math.prod(image)
        header = io.BytesIO()
        np.lib.format.write_array_header_1_0(
            header, {"descr": "|u1", "fortran_order": False, "shape": self.shape}
        )
        self.header_bytes = len(header.getvalue())
        self._file: int | None = None
        super().__init__(path, product, count, at_once)

    @property
    def bytes(self) -> int:
        """Size of the whole file."""
        return self.header_bytes + math.prod(self.shape)

    def _part_is_usable(self) -> bool:
        return self.part.exists() and self.part.stat().st_size == self.bytes

    def _store(self, first: int, result: np.ndarray) -> None:
        if self._file is None:
            if not self.done:
                # the header, and a hole as large as the data
                array = np.lib.format.open_memmap(self.part, "w+", np.uint8, self.shape)
                del array
            self._file = os.open(self.part, os.O_WRONLY)
        blocks = [result] if self.product.frames else list(result)
        for index, block in enumerate(blocks):
            row = first * self.product.frames if self.product.frames else index * self.count + first
            _write_at(
                self._file, self.header_bytes + row * self.image_bytes, np.ascontiguousarray(block)
            )
        os.fdatasync(self._file)

    def _close(self) -> dict[str, Any]:
        if self._file is not None:
            os.fsync(self._file)
            os.close(self._file)
            self._file = None
        return record_of(self.path if self.path.exists() else self.part)


class FolderOutput(Output):
    """A folder of images or videos, which the processes write themselves."""

    def __init__(
        self, path: Path, product: Product, count: int, at_once: int, image: tuple[int, ...]
    ) -> None:
        self.pixels = image[0] * image[1]
        self.files = count * (1 if product.frames else product.parts)
        super().__init__(path, product, count, at_once)

    @property
    def bytes(self) -> int:
        """Size of the whole folder, about."""
        noisy = self.product.corruption.endswith("_noise")
        # of ImageNet-C: 30 KB for 224 x 224 pixels of noise, 7 to 16 for the other corruptions
        per_pixel = 0.6 if noisy else 0.25
        if self.product.frames:
            per_pixel = self.product.frames * (VIDEO_NOISE if noisy else VIDEO)
        return self.files * int(per_pixel * self.pixels + 4096)  # a file's last block is half empty

    def _part_is_usable(self) -> bool:
        return self.part.is_dir()

    def _store(self, first: int, result: int) -> None:
        pass

    def _close(self) -> dict[str, Any]:
        folder = self.path if self.path.exists() else self.part
        record = record_of(folder)
        if record["files"] != self.files:
            shutil.rmtree(folder)
            self.forget_journal()
            raise InputError(
                f"{folder} held {record['files']:,} files instead of {self.files:,}, "
                "and was removed; the same command makes it again"
            )
        for root, _, _ in os.walk(folder):
            sync_folder(Path(root))
        return record


def record_of(path: Path, content: bool = True) -> dict[str, Any]:
    """What the manifest says of a finished file or folder.

    Args:
        path: A file, or a folder of files.
        content: Whether to read them; else only sizes are looked at.

    Returns:
        `bytes`, and `md5` if `content`; for a folder `files` first, and its md5 is that of the
        lines which `md5sum` prints for its files, in the order of their names' bytes.

    Raises:
        OSError: It cannot be read.

    Example:
        >>> Path("a.txt").write_bytes(b"abc")
        3
        >>> record_of(Path("a.txt"))
        {'bytes': 3, 'md5': '900150983cd24fb0d6963f7d28e17f72'}
    """
    if not path.is_dir():
        record: dict[str, Any] = {"bytes": path.stat().st_size}
        return {**record, "md5": _md5(path)} if content else record
    files = sorted(
        os.path.relpath(os.path.join(root, name), path).encode()
        for root, _, names in os.walk(path)
        for name in names
    )
    places = [path / os.fsdecode(name) for name in files]
    record = {"files": len(files), "bytes": sum(place.stat().st_size for place in places)}
    if content:
        digest = hashlib.md5()
        for name, place in zip(files, places, strict=True):
            digest.update(_md5(place).encode() + b"  " + name + b"\n")
        record["md5"] = digest.hexdigest()
    return record


def sync_folder(path: Path) -> None:
    """Waits until the names in a folder are on the disk."""
    folder = os.open(path, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # some file systems cannot
            os.fsync(folder)
    finally:
        os.close(folder)


def _md5(path: Path) -> str:
    digest = hashlib.md5()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _write_at(file: int, offset: int, data: np.ndarray) -> None:
    view = data.reshape(-1).data
    while view:  # the system may take a part of it
        written = os.pwrite(file, view, offset)
        view, offset = view[written:], offset + written
