"""Writing a whole corrupted benchmark: checks, progress, and continuing."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import io
import math
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from dynmix_tf import corruptions
from dynmix_tf.benchmark_files import manifest as manifests
from dynmix_tf.benchmark_files.outputs import ArrayOutput, FolderOutput, Output, record_of
from dynmix_tf.benchmark_files.pool import cores, in_processes
from dynmix_tf.benchmark_files.products import (
    Chunk,
    Product,
    make_arrays,
    make_files,
    products,
)
from dynmix_tf.benchmark_files.settings import Settings
from dynmix_tf.benchmark_files.source import Source, load_source
from dynmix_tf.data.image_files import ImageFiles
from dynmix_tf.errors import InputError, unknown_name
from dynmix_tf.files import locked, write_atomic

__all__ = ["write_benchmark"]

VALUES_IN_CHUNK = 2**22
"""Channel values that come of a chunk: a second or so of work, and a few MB of memory."""

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_LABELS = "labels.npy"
_SPARE = 64 * 2**20
"""Bytes that must be free besides, for folders, journals and the like."""


def write_benchmark(settings: Settings, folder: Path, workers: int = 0) -> str:
    """Writes a benchmark's files, or what an interrupted call left to do.

    Image i has the random stream of (seed, corruption, severity, i), so the bytes do not depend
    on the number of processes, nor on interruptions.

    Args:
        settings: What to write.
        folder: Where; missing, empty, or begun with these very settings.
        workers: Processes; 0 is one for each core.

    Returns:
        A line that says what is there.

    Raises:
        InputError: An unknown name, images that are too small, a folder that holds something
            else, too little space; or a disk that is full, which leaves what is written whole.
        OSError: Files cannot be read or written.

    Example:
        >>> from dynmix_tf.benchmark_files.settings import Settings
        >>> settings = Settings("photos", num_test=9, corruptions=("fog",), severities=(1,))
        >>> if __name__ == "__main__":  # as the processes import the main module
        ...     print(write_benchmark(settings, Path("photos_c")))
    """
    settings = _with_names(settings)
    manifest = manifests.open_manifest(folder, settings)
    complete = manifest is not None and manifest["complete"]
    if manifest and complete and manifests.check_files(folder, manifest) == {*manifest["files"]}:
        return _summary(folder, manifest)
    source = load_source(settings)
    as_files = isinstance(source.images, ImageFiles)
    if settings.quality != Settings.quality and not (as_files and settings.benchmark == "c"):
        raise InputError("--quality is of JPEG files, and none are written here; leave it out")
    here = {
        "settings": settings.to_json(),
        "source": source.record(),
        "strengths": manifests.strengths_of(settings, source.table),
        "versions": manifests.versions(video=as_files and settings.benchmark == "p"),
        "complete": False,
        "files": {},
    }
    if manifest:
        manifests.check_same(folder, manifest, here)
    manifest = {**(manifest or here), "complete": False}
    there = manifests.check_files(folder, manifest)
    outputs = _outputs(settings, source, folder)
    todo = [output for output in outputs if output.path.name not in there]
    _check_space(folder, todo)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with locked(folder):
            manifests.write(folder, manifest)
            if settings.benchmark == "c" and not as_files and _LABELS not in there:
                _write_labels(folder / _LABELS, source, len(settings.severities))
                manifest["files"][_LABELS] = record_of(folder / _LABELS)
            _make(todo, manifest, settings, source, workers or cores())
            _remove_leftovers(folder, outputs)
            manifest["complete"] = True
            manifests.write(folder, manifest)
    except OSError as error:
        if error.errno not in _FULL:
            raise
        raise InputError(
            f"{folder}: {error}; what is written is whole: make space, and the same command "
            "continues"
        ) from error
    return _summary(folder, manifest)


def _with_names(settings: Settings) -> Settings:
    """The settings with the names of all their corruptions."""
    kind, names = "corruption", corruptions.names
    if settings.benchmark == "p":
        kind, names = "sequence", corruptions.sequence_names
    for name in settings.corruptions:
        if name not in names(extra=True):
            raise unknown_name(kind, name, names(extra=True))
    chosen = settings.corruptions or names(extra=settings.extra)
    return dataclasses.replace(settings, corruptions=chosen)


def _outputs(settings: Settings, source: Source, folder: Path) -> list[Output]:
    kind, ending = (
        (FolderOutput, "") if isinstance(source.images, ImageFiles) else (ArrayOutput, ".npy")
    )
    image = source.images.shape[1:]
    return [
        kind(
            folder / f"{product.name}{ending}",
            product,
            len(source.images),
            max(1, VALUES_IN_CHUNK // (math.prod(image) * product.parts)),
            image,
        )
        for product in products(settings, source.table)
    ]


def _make(
    outputs: Sequence[Output],
    manifest: dict[str, Any],
    settings: Settings,
    source: Source,
    workers: int,
) -> None:
    """Makes what is missing, and keeps a record of each product as soon as it is whole."""
    by_product = {output.product: output for output in outputs}

    def record(output: Output) -> None:
        manifest["files"][output.path.name] = output.finish()
        manifests.write(output.path.parent, manifest)
        output.forget_journal()

    def chunks() -> Iterator[Chunk]:
        names = source.file_names()
        for output in outputs:
            for first, length in output.todo():
                yield Chunk(
                    output.product,
                    first,
                    source.images[first : first + length],
                    source.table,
                    settings.seed,
                    output.part,
                    names[first : first + length],
                    settings.quality,
                )

    unfinished = sum(len(output.todo()) for output in outputs)
    with _Progress(outputs, len(source.images)) as progress:
        for output in outputs:
            if not output.todo():
                record(output)
        if not unfinished:
            return
        function = make_files if isinstance(source.images, ImageFiles) else make_arrays
        results = in_processes(function, chunks(), min(workers, unfinished))
        with contextlib.closing(results):
            for chunk, result in results:
                output = by_product[chunk.product]
                output.write((chunk.first, len(chunk.images)), result)
                progress.add(output, len(chunk.images))
                if not output.todo():
                    record(output)


class _Progress:
    """A bar for each product that is being made, and one for all, in images of the data set."""

    def __init__(self, outputs: Sequence[Output], count: int) -> None:
        self._count = count
        self._bars: dict[Product, tqdm] = {}
        self._terminal = os.isatty(2)
        done = sum(output.images_done() for output in outputs)
        self._all = self._bar("all", count * len(outputs), done, shown=True)

    def __enter__(self) -> _Progress:
        return self

    def __exit__(self, *_: Any) -> None:
        for bar in (*self._bars.values(), self._all):
            bar.close()

    def add(self, output: Output, images: int) -> None:
        """Counts images that came, once more, through a product."""
        done = output.images_done()
        if output.product not in self._bars:
            name = output.product.name
            bar = self._bar(name, self._count, done - images, shown=self._terminal)
            self._bars[output.product] = bar
        self._bars[output.product].update(images)
        self._all.update(images)
        if done == self._count:
            self._bars.pop(output.product).close()

    def _bar(self, label: str, total: int, done: int, shown: bool) -> tqdm:
        # a file of messages takes one bar only: it cannot go up a line
        return tqdm(
            desc=label,
            total=total,
            initial=done,
            unit=" images",
            delay=2,
            mininterval=0.5 if self._terminal else 10,
            leave=label == "all",
            disable=not shown,
        )


def _write_labels(path: Path, source: Source, times: int) -> None:
    kind = np.uint8 if len(source.class_names) <= 256 else np.int32  # uint8 in CIFAR-10-C
    buffer = io.BytesIO()
    np.save(buffer, np.tile(source.labels.astype(kind), times))
    write_atomic(path, buffer.getvalue())


def _remove_leftovers(folder: Path, outputs: Sequence[Output]) -> None:
    """Removes what a kill at an unlucky moment has left."""
    for output in outputs:
        output.forget_journal()
    for name in (manifests.NAME, _LABELS):
        for path in folder.glob(f".{name}.*.tmp"):
            path.unlink()


def _check_space(folder: Path, outputs: Sequence[Output]) -> None:
    needed = _SPARE
    for output in outputs:
        left = 1 - output.images_done() / output.count
        needed += int(left * output.bytes)
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    free = shutil.disk_usage(there).free
    if needed > free:
        raise InputError(
            f"{folder} needs about {_size(needed)} more, and {_size(free)} are free there; make "
            "space, or write fewer --corruptions, --severities or images"
        )


def _size(count: int) -> str:
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.0f} MiB"


def _summary(folder: Path, manifest: dict[str, Any]) -> str:
    files = len([name for name in manifest["files"] if name != _LABELS])
    kind = "corruption" if manifest["settings"]["benchmark"] == "c" else "sequence"
    size = _size(sum(record["bytes"] for record in manifest["files"].values()))
    return (
        f"{folder} is complete: {files} {kind}{'' if files == 1 else 's'} of "
        f"{manifest['source']['images']:,} images, {size}"
    )
