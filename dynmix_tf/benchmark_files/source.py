"""The clean images of a benchmark."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dynmix_tf import corruptions, data
from dynmix_tf.benchmark_files.settings import Settings
from dynmix_tf.benchmark_files.video import check_ffmpeg
from dynmix_tf.corruptions.generator import SMALLEST_SIDE
from dynmix_tf.data.image_files import ImageFiles
from dynmix_tf.errors import InputError

__all__ = ["Source", "file_names", "load_source"]


@dataclass(frozen=True, eq=False)
class Source:
    """Labelled images, and the strengths that fit them.

    Args:
        name: Of the data set.
        images: uint8 `(N, h, w, 3)`, or files.
        labels: int32 `(N,)`.
        class_names: In the order of the labels.
        table: Of strengths, "cifar" or "imagenet".
    """

    name: str
    images: np.ndarray | ImageFiles
    labels: np.ndarray
    class_names: tuple[str, ...]
    table: str

    def file_names(self) -> tuple[str, ...]:
        """`class/name` of each image that is a file, without its ending; () of others."""
        if not isinstance(self.images, ImageFiles):
            return ()
        return file_names(self.images.paths, self.labels, self.class_names)

    def record(self) -> dict[str, Any]:
        """What tells the images apart from others.

        Returns:
            `name`, `images` (their number), `shape` of one, `classes` (their number), and `md5`: of
            the pixels and labels, or for files of their names and sizes.
        """
        digest = hashlib.md5("\0".join(self.class_names).encode("utf-8", "surrogateescape"))
        digest.update(np.ascontiguousarray(self.labels))
        if isinstance(self.images, ImageFiles):
            for path in self.images.paths:
                parent, file = os.path.split(path)
                line = f"{os.path.basename(parent)}/{file} {os.path.getsize(path)}\n"
                digest.update(line.encode("utf-8", "surrogateescape"))
        else:
            for image in self.images:  # one by one: together they may be no single block of memory
                digest.update(np.ascontiguousarray(image))
        return {
            "name": self.name,
            "images": len(self.images),
            "shape": list(self.images.shape[1:]),
            "classes": len(self.class_names),
            "md5": digest.hexdigest(),
        }


def load_source(settings: Settings) -> Source:
    """Loads the images that settings name.

    Raises:
        InputError: There are none, they are too small, or sequences of them cannot be videos.
    """
    names = ("data_dir", "image_size", "skip_damaged")
    options = {name: getattr(settings, name) for name in names if getattr(settings, name)}
    if settings.num_test:
        options[f"num_{settings.split}"] = settings.num_test
    found = data.load(settings.dataset, **options)
    train = settings.split == "train"
    images = found.train_images if train else found.test_images
    sides = images.shape[1:3]
    if min(sides) < SMALLEST_SIDE:
        raise InputError(
            f"dataset '{settings.dataset}' has images of {sides[0]} x {sides[1]} pixels; "
            f"the corruptions need {SMALLEST_SIDE} or more"
        )
    if settings.benchmark == "p" and isinstance(images, ImageFiles):
        if images.image_size % 2:
            raise InputError(
                f"videos need an even side. Received: --image_size={settings.image_size}"
            )
        check_ffmpeg()
    return Source(
        found.name,
        images,
        found.train_labels if train else found.test_labels,
        found.class_names,
        corruptions.strengths_for(images.shape, settings.strengths),
    )


def file_names(
    paths: Sequence[str] | np.ndarray,
    labels: Sequence[int] | np.ndarray,
    class_names: Sequence[str],
) -> tuple[str, ...]:
    """`class/name` of each image file, without its ending: no two are equal.

    Files of a class whose names differ in their ending only keep it: `a.jpg` and `a.png` are
    `a.jpg` and `a.png` here, where `b.jpg` is `b`.

    Example:
        >>> file_names(["x/a.jpg", "x/a.png", "x/b.jpg"], [0, 0, 0], ["x"])
        ('x/a.jpg', 'x/a.png', 'x/b')
    """
    plain = [
        (f"{class_names[label]}/{Path(path).stem}", f"{class_names[label]}/{Path(path).name}")
        for path, label in zip(paths, labels, strict=True)
    ]
    times = Counter(stem for stem, _ in plain)
    taken = {stem for stem, count in times.items() if count == 1}
    names = []
    for stem, name in plain:
        if times[stem] > 1:
            while name in taken:  # such as the stem of `a.jpg.png`
                name += "_"
            taken.add(name)
        names.append(stem if times[stem] == 1 else name)
    return tuple(names)
