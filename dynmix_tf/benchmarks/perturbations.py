"""ImageNet-P and CIFAR-10-P as they are released: videos, and one array for each perturbation."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

import numpy as np

from dynmix_tf.benchmark_files.video import check_ffmpeg, decode_video
from dynmix_tf.benchmarks.arrays import StoredImages, header_of
from dynmix_tf.benchmarks.conditions import evenly_spread
from dynmix_tf.corruptions import num_frames, sequence_names, sequence_step, strengths_for
from dynmix_tf.corruptions.sequences import NOISE_SEQUENCES
from dynmix_tf.errors import InputError, unknown_name

__all__ = ["Cifar10PBenchmark", "ImageNetPBenchmark", "SequenceBenchmark"]

_ARCHIVES = ("noise", "blur", "weather", "digital")
_VIDEOS_AHEAD = min(8, os.cpu_count() or 1)  # 4.7 MB each, of 31 frames of 224 px


class SequenceBenchmark(Protocol):
    """What flips are measured on: sequences of frames of each perturbation, without labels.

    Attributes:
        name: "imagenet_p" or "cifar10_p", for the results.
        dataset: Name for the results.
        num_classes: Of the model; None is any, as no sequence has a label.
        strengths: "cifar" or "imagenet": the table that has the sequences' numbers of frames.
        seed: Of the results' rows; 0, as that of the released files is not known.
        conditions: `(perturbation, difficulty)` pairs; those of a perturbation are neighbours.
    """

    name: str
    dataset: str
    num_classes: int | None
    strengths: str
    seed: int
    conditions: list[tuple[str, int]]

    def __len__(self) -> int:
        """The number of sequences, the same for every condition."""

    def sequences(self, perturbation: str, difficulty: int) -> Iterator[np.ndarray]:
        """The sequences of a condition, uint8 `(frames, H, W, 3)`, in one order, each once."""

    def comparison(self, perturbation: str, difficulty: int) -> tuple[bool, int]:
        """How frames are compared: the arguments `noise` and `step` of the metrics.

        Noise of each difficulty has frames of its own, compared with the first. The other
        perturbations have the same frames at all three, compared `difficulty` apart.
        """
        return perturbation in NOISE_SEQUENCES, sequence_step(perturbation, difficulty)


class ImageNetPBenchmark(SequenceBenchmark):
    """The videos `<perturbation>/<class>/<name>.mp4` of ImageNet-P, decoded as they are needed.

    Noise of difficulty 2 and 3 is in `<perturbation>_2` and `_3`. Frames are read as they are,
    neither cut nor resized, by several ffmpeg at a time that run ahead of the model. What
    `python -m dynmix_tf.corrupt --benchmark=p` writes of image files has this layout.

    Args:
        data_dir: The folder of the perturbations, or the one around `ImageNet-P`; in both they may
            lie in folders named like their archives: noise, blur, weather, digital.
        dataset: Name for the results.
        names: Perturbations; None is the ten of the benchmark. Its four validation sequences,
            speckle_noise, gaussian_blur, spatter and shear, are read where they are named.
        difficulties: Of 1..3.
        max_sequences: At most so many videos, spread evenly over the classes; None is all.
        strengths: "imagenet", "cifar" or "auto", by the frames' size: the table with which the
            videos were made says how many frames they have.

    Raises:
        InputError: ffmpeg is not installed; a perturbation is missing, holds no videos or not
            those of the others; an unknown perturbation or difficulty. From `sequences`: a video is
            damaged, or has another number of frames or another size than it should.

    Example:
        >>> from dynmix_tf.benchmark_files.video import encode_video
        >>> Path("rotate/n01440764").mkdir(parents=True)
        >>> encode_video(Path("rotate/n01440764/a.mp4"), dynmix_tf.corruptions.sequence(
        ...     images[0], "rotate"))
        >>> benchmark = ImageNetPBenchmark(".", names=["rotate"], difficulties=(1, 2))
        >>> next(benchmark.sequences("rotate", 2)).shape
        (31, 32, 32, 3)
        >>> benchmark.comparison("rotate", 2)
        (False, 2)

    Source: https://zenodo.org/records/3565846 and hendrycks/robustness, `ImageNet-P/test.py`.
    """

    name = "imagenet_p"
    num_classes = None
    seed = 0

    def __init__(
        self,
        data_dir: str | os.PathLike[str],
        dataset: str = "imagenet2012",
        names: Sequence[str] | None = None,
        difficulties: Sequence[int] = (1,),
        max_sequences: int | None = None,
        strengths: str = "auto",
    ) -> None:
        check_ffmpeg()
        self.dataset = dataset
        self.conditions = _conditions(names, difficulties)
        roots = (Path(data_dir), Path(data_dir) / "ImageNet-P")
        self._folders = _found(
            [root / archive for root in roots for archive in ("", *_ARCHIVES)],
            [_stem(*condition) for condition in self.conditions],
            f"expected <perturbation>/<class>/<name>.mp4 in {data_dir}, in ImageNet-P in it, or in "
            f"folders {', '.join(_ARCHIVES)} of these",
        )
        first, *others = self._folders.values()
        videos = _videos(first)
        for folder in others:
            if different := set(videos).symmetric_difference(_videos(folder)):
                raise InputError(
                    f"{folder} and {first} must have the same videos, but {min(different)} and "
                    f"{len(different) - 1} others are in one of them only; unpack both again"
                )
        self._videos = evenly_spread(videos, "max_sequences", max_sequences)
        self._size = decode_video(first / self._videos[0], max_frames=1).shape[1:]
        self.strengths = strengths_for(self._size, strengths)

    def __len__(self) -> int:
        return len(self._videos)

    def sequences(self, perturbation: str, difficulty: int) -> Iterator[np.ndarray]:
        """The videos of a condition, uint8 `(frames, H, W, 3)`, in one order, each once."""
        folder = self._folders[_stem(perturbation, difficulty)]
        shape = (num_frames(perturbation, self.strengths), *self._size)
        upcoming: deque[Future[np.ndarray]] = deque()
        with ThreadPoolExecutor(_VIDEOS_AHEAD) as threads:
            for video in self._videos:
                upcoming.append(threads.submit(_decoded, folder / video, shape))
                if len(upcoming) > _VIDEOS_AHEAD:
                    yield upcoming.popleft().result()
            while upcoming:
                yield upcoming.popleft().result()


class Cifar10PBenchmark(SequenceBenchmark):
    """The arrays `<perturbation>.npy` of CIFAR-10-P, read sequence by sequence.

    Each is uint8 `(N, frames, 32, 32, 3)`; noise of difficulty 2 and 3 is in
    `<perturbation>_2.npy` and `_3.npy`. What `python -m dynmix_tf.corrupt --benchmark=p` writes
    of images in memory has this layout, and may have another size.

    The default is the ten perturbations that the paper of the benchmark names, which ImageNet-P has
    too. The script that came with CIFAR-10-P, `cifar-p-eval.py`, has the validation sequence
    spatter in place of snow: name them so to compare with its "Mean Flipping Prob".

    Args:
        data_dir: The folder of the files, or the one around `CIFAR-10-P`.
        dataset: Name for the results.
        names: As `ImageNetPBenchmark`.
        difficulties: Of 1..3.
        max_sequences: At most so many sequences, spread evenly over the rows; None is all.
        strengths: As `ImageNetPBenchmark`.

    Raises:
        InputError: A file is missing, short, of another type or shape than it should be, or not
            readable; an unknown perturbation or difficulty.

    Example:
        >>> frames = [dynmix_tf.corruptions.sequence(image, "rotate") for image in images]
        >>> np.save("rotate.npy", frames)
        >>> benchmark = Cifar10PBenchmark(".", names=["rotate"], max_sequences=16)
        >>> len(benchmark), next(benchmark.sequences("rotate", 1)).shape
        (16, (31, 32, 32, 3))

    Source: https://zenodo.org/records/2535967 and hendrycks/robustness, `create_p/make_cifar_p.py`.
    """

    name = "cifar10_p"
    num_classes = None
    seed = 0

    def __init__(
        self,
        data_dir: str | os.PathLike[str],
        dataset: str = "cifar10",
        names: Sequence[str] | None = None,
        difficulties: Sequence[int] = (1,),
        max_sequences: int | None = None,
        strengths: str = "auto",
    ) -> None:
        self.dataset = dataset
        self.conditions = _conditions(names, difficulties)
        files = _found(
            [Path(data_dir), Path(data_dir) / "CIFAR-10-P"],
            [f"{_stem(*condition)}.npy" for condition in self.conditions],
            f"expected <perturbation>.npy in {data_dir} or in CIFAR-10-P in it",
        )
        path = next(iter(files.values()))
        first = header_of(path)
        if first.ndim != 5 or not len(first):
            raise InputError(
                f"{path} must be uint8 (N, frames, H, W, 3). Received: {first.dtype} {first.shape}"
            )
        self.strengths = strengths_for(first.shape[2:], strengths)
        self._files: dict[str, StoredImages] = {}
        for perturbation, difficulty in self.conditions:
            file = f"{_stem(perturbation, difficulty)}.npy"
            frames = num_frames(perturbation, self.strengths)
            shape = (len(first), frames, *first.shape[2:4], 3)
            self._files[file] = StoredImages(files[file], shape)
        self._rows = evenly_spread(range(len(first)), "max_sequences", max_sequences)

    def __len__(self) -> int:
        return len(self._rows)

    def sequences(self, perturbation: str, difficulty: int) -> Iterator[np.ndarray]:
        """The sequences of a condition, uint8 `(frames, H, W, 3)`, in one order, each once."""
        file = self._files[f"{_stem(perturbation, difficulty)}.npy"]
        for row in self._rows:
            yield file.rows(row, 1)[0]


def _conditions(names: Sequence[str] | None, difficulties: Sequence[int]) -> list[tuple[str, int]]:
    chosen = sequence_names() if names is None else tuple(dict.fromkeys(names))
    levels = tuple(dict.fromkeys(difficulties))
    for name in chosen:
        if name not in sequence_names(extra=True):
            raise unknown_name("perturbation", name, sequence_names(extra=True))
    if not set(levels) <= {1, 2, 3}:
        raise InputError(f"difficulties are 1 to 3. Received: {levels}")
    if not chosen or not levels:
        raise InputError("no perturbation or no difficulty is named: nothing to measure")
    return [(name, level) for name in chosen for level in levels]


def _stem(perturbation: str, difficulty: int) -> str:
    """The name of the folder or file of a condition."""
    own = perturbation in NOISE_SEQUENCES and difficulty > 1
    return f"{perturbation}_{difficulty}" if own else perturbation


def _found(places: Sequence[Path], names: Sequence[str], expected: str) -> dict[str, Path]:
    """Where each folder or file lies, in the first of the places that has it."""
    found = {}
    for name in dict.fromkeys(names):
        here = [place / name for place in places if (place / name).exists()]
        found[name] = here[0] if here else None
    if missing := [name for name, path in found.items() if path is None]:
        raise InputError(
            f"{places[0]} lacks {', '.join(missing)}: {expected}; unpack the other archives, or "
            "name the perturbations to use"
        )
    return {name: path for name, path in found.items() if path is not None}


def _videos(folder: Path) -> list[str]:
    """`class/name.mp4` of the videos of a perturbation, in the order of these names."""
    if not folder.is_dir():
        raise InputError(f"{folder} is a file; expected a folder of <class>/<name>.mp4")
    found: list[str] = []
    kinds = [entry.name for entry in os.scandir(folder) if entry.is_dir()]
    for kind in sorted(name for name in kinds if not name.startswith(".")):
        names = [name for name in os.listdir(folder / kind) if name.endswith(".mp4")]
        names = sorted(f"{kind}/{name}" for name in names if not name.startswith("."))
        if not names:
            raise InputError(f"{folder / kind} holds no .mp4; unpack its archive again")
        found += names
    if not found:
        raise InputError(f"{folder} holds no <class>/<name>.mp4; unpack its archive again")
    return found


def _decoded(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    frames = decode_video(path, max_frames=shape[0] + 1)
    if frames.shape != shape:
        more = " or more" if len(frames) > shape[0] else ""
        raise InputError(
            f"{path} must have {shape[0]} frames of {shape[2]} x {shape[1]} pixels. "
            f"Received: {len(frames)}{more} of {frames.shape[2]} x {frames.shape[1]}"
        )
    return frames
