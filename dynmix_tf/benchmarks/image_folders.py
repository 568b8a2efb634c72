"""ImageNet-C, ImageNet-C-bar, ImageNet-3DCC, and their likes: a folder for each condition."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from dynmix_tf import corruptions
from dynmix_tf.benchmark_files.manifest import written_with
from dynmix_tf.benchmark_files.source import file_names
from dynmix_tf.benchmarks.conditions import Benchmark, checked_conditions, evenly_spread
from dynmix_tf.benchmarks.imagenet_classes import imagenet_classes
from dynmix_tf.data.image_files import ImageFiles, decode, in_threads, rgb_image
from dynmix_tf.errors import InputError, unknown_name

__all__ = ["ImageFolderBenchmark"]

CORRUPTIONS: dict[str, tuple[str, ...] | None] = {
    "imagenet_c": None,
    "imagenet_c_bar": (
        "blue_noise_sample", "brownish_noise", "caustic_refraction", "checkerboard_cutout",
        "cocentric_sine_waves", "inverse_sparkles", "perlin_noise", "plasma_noise",
        "single_frequency_greyscale", "sparkles",
    ),
    "imagenet_3dcc": (
        "near_focus", "far_focus", "fog_3d", "flash", "color_quant", "low_light", "xy_motion_blur",
        "z_motion_blur", "iso_noise", "bit_error", "h265_abr", "h265_crf",
    ),
    "folder_c": None,
}  # fmt: skip
"""The benchmarks by name, and their corruptions; None is the fifteen of ImageNet-C."""

_ARCHIVES = ("noise", "blur", "weather", "digital", "extra")


class ImageFolderBenchmark(Benchmark):
    """The images `<corruption>/<severity>/<class>/<name>` in a folder, decoded as they are needed.

    Images are read as they are, neither cut nor resized: those of the released benchmarks have
    224 x 224 pixels. What `python -m dynmix_tf.corrupt` writes of image files has this layout too.

    Args:
        data_dir: The folder of the corruptions, or the one around a folder named like the
            benchmark (`ImageNet-C`, `imagenet-c`, `imagenet_c`, ...). In both the corruptions may
            lie in folders named like ImageNet-C's archives: noise, blur, weather, digital, extra.
        name: "imagenet_c", "imagenet_c_bar", "imagenet_3dcc", or "folder_c" for other data sets.
        dataset: Name for the results; "" is "imagenet2012" for the three of ImageNet.
        names: Corruptions; None is all of the benchmark: 15, 10, 12, 15. ImageNet-C's four extra
            ones are read where they are named.
        severities: Of 1..5.
        classes: Names of the class folders in the order of the model's outputs; None is
            ImageNet's 1,000 synsets, and `folder_c` needs them. Not all must have a folder.
        clean: The clean images; None measures none. They are paired with the corrupted ones by
            class folder and file name; those without a corrupted one are left out.
        max_images: At most so many images, spread over the classes, the same ones in all
            conditions; None is all.
        image_size: None is as they are. Otherwise the side to which the shorter side is resized,
            bilinear, before the central square is taken, for a model that needs another size.

    Attributes:
        conditions: `(corruption, severity)` pairs, `("clean", 0)` first if there are clean images.
        classes: Names of the classes in the order of the labels.
        files: `class/name` of the images, in the order of `batches`.

    Raises:
        InputError: A corruption, severity or image is missing, a class folder is empty or of no
            class, clean images do not fit; an unknown corruption or severity. From `batches`: an
            image is damaged, or of another size than the first one.

    Example:
        >>> from PIL import Image
        >>> for kind, image in zip(["robin", "wren"], images):
        ...     Path(f"fog/3/{kind}").mkdir(parents=True)
        ...     Image.fromarray(image).save(f"fog/3/{kind}/1.JPEG")
        >>> benchmark = ImageFolderBenchmark(
        ...     ".", "folder_c", "birds", names=["fog"], severities=[3], classes=["robin", "wren"]
        ... )
        >>> batch, truth = next(benchmark.batches("fog", 3))
        >>> batch.shape, truth, benchmark.conditions
        ((2, 32, 32, 3), array([0, 1], dtype=int32), [('fog', 3)])

    Source: https://zenodo.org/records/2235448 and `ImageNet-C/test.py` of hendrycks/robustness;
    facebookresearch/augmentation-corruption; EPFL-VILAB/3DCommonCorruptions.
    """

    def __init__(
        self,
        data_dir: str | os.PathLike[str],
        name: str = "imagenet_c",
        dataset: str = "",
        names: Sequence[str] | None = None,
        severities: Sequence[int] = (1, 2, 3, 4, 5),
        classes: Sequence[str] | None = None,
        clean: ImageFiles | None = None,
        max_images: int | None = None,
        image_size: int | None = None,
    ) -> None:
        if name not in CORRUPTIONS:
            raise unknown_name("benchmark of image folders", name, CORRUPTIONS)
        chosen, self.conditions = checked_conditions(
            names, severities, CORRUPTIONS[name], clean is not None
        )
        self.name = name
        self.classes = _checked_classes(name, classes)
        self.dataset = dataset or ("imagenet2012" if name.startswith("imagenet") else "")
        self.num_classes = len(self.classes)
        self._folders = _find(Path(data_dir), name, chosen, severities)
        files = _same_files(list(self._folders.values()), frozenset(self.classes))
        self.files = tuple(evenly_spread(files, "max_images", max_images))
        number = {kind: index for index, kind in enumerate(self.classes)}
        self.labels = np.array([number[file.split("/")[0]] for file in self.files], np.int32)
        self.image_size = image_size
        self._first = os.path.join(next(iter(self._folders.values())), self.files[0])
        width, height = rgb_image(self._first).size
        self._shape = (image_size or height, image_size or width, 3)
        by_size = corruptions.strengths_for(self._shape, "auto")
        table = {"imagenet_c": "imagenet", "folder_c": by_size}.get(name, "")
        self.strengths, self.seed = written_with(data_dir, self._shape) or (table, 0)
        self._clean = None if clean is None else self._paired(clean)

    def __len__(self) -> int:
        return len(self.files)

    def batches(
        self, corruption: str, severity: int, batch_size: int = 256
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """uint8 images and their labels under one condition, in order, each exactly once."""
        if (corruption, severity) not in self.conditions:
            raise InputError(f"this benchmark has no condition ({corruption}, {severity})")
        for first in range(0, len(self), batch_size):
            rows = slice(first, first + batch_size)
            if corruption == "clean" and self._clean is not None:
                images = np.asarray(self._clean[rows])
            else:
                images = self._decoded(self._folders[corruption, severity], self.files[rows])
            yield images, self.labels[rows]

    def _decoded(self, folder: Path, files: Sequence[str]) -> np.ndarray:
        images: np.ndarray = np.empty((len(files), *self._shape), np.uint8)
        paths = [os.path.join(folder, file) for file in files]
        for index, image in enumerate(in_threads(self._decode, paths)):
            images[index] = image
        return images

    def _decode(self, path: str) -> np.ndarray:
        if self.image_size:
            return decode(path, self.image_size, self.image_size)
        image = np.asarray(rgb_image(path))
        if image.shape != self._shape:
            raise InputError(
                f"{path} has {image.shape[1]} x {image.shape[0]} pixels, {self._first} "
                f"{self._shape[1]} x {self._shape[0]}; unpack it again, or give `image_size` to "
                "bring all to one size"
            )
        return image

    def _paired(self, clean: ImageFiles) -> ImageFiles:
        """The clean images of the corrupted ones, in their order."""
        if clean.shape[1:] != self._shape:
            raise InputError(
                f"the clean images have {clean.image_size} pixels a side, the corrupted ones "
                f"{self._shape[1]} x {self._shape[0]}; load both in one size"
            )
        kinds = [Path(path).parent.name for path in clean.paths]
        found = file_names(clean.paths, range(len(kinds)), kinds)
        place = {name: index for index, name in enumerate(found)}
        wanted = [os.path.splitext(file)[0] for file in self.files]
        if missing := [name for name in wanted if name not in place]:
            raise InputError(
                f"{len(missing)} of the {len(wanted)} corrupted images have no clean one, such as "
                f"{missing[0]}; give the images that they were made of, or no clean ones"
            )
        return clean[np.array([place[name] for name in wanted])]


def _checked_classes(name: str, classes: Sequence[str] | None) -> tuple[str, ...]:
    if classes is None:
        if name == "folder_c":
            raise InputError(
                "benchmark 'folder_c' needs `classes`: the class folders in the order of the "
                "model's outputs"
            )
        return imagenet_classes()
    for index, kind in enumerate(classes):
        if kind in classes[:index]:
            raise InputError(f"`classes` has '{kind}' twice")
    return tuple(classes)


def _find(
    data_dir: Path, name: str, chosen: Sequence[str], severities: Sequence[int]
) -> dict[tuple[str, int], Path]:
    """The folder of each condition."""
    if not data_dir.is_dir():
        raise InputError(f"no folder '{data_dir}'; expected that of {name}")
    around = [
        data_dir / entry.name
        for entry in os.scandir(data_dir)
        if entry.name.lower().replace("-", "_") == name
    ]
    places = [
        root / archive for root in (data_dir, *sorted(around)) for archive in ("", *_ARCHIVES)
    ]
    homes = {
        corruption: next((p / corruption for p in places if (p / corruption).is_dir()), None)
        for corruption in chosen
    }
    if missing := [corruption for corruption, home in homes.items() if home is None]:
        raise InputError(
            f"'{data_dir}' lacks {', '.join(missing)}: expected <corruption>/<severity>/<class>/ "
            f"there, in a folder named like {name}, or in {', '.join(_ARCHIVES)} of these; unpack "
            "the other archives, or name the corruptions to use"
        )
    folders = {
        (corruption, level): home / str(level)
        for corruption, home in homes.items()
        if home is not None
        for level in dict.fromkeys(severities)
    }
    if missing := [str(folder) for folder in folders.values() if not folder.is_dir()]:
        raise InputError(
            f"no folder {', '.join(missing[:5])}{', ...' if len(missing) > 5 else ''} "
            f"({len(missing)} in all); unpack the archive again, or name the severities to use"
        )
    return folders


def _same_files(folders: Sequence[Path], classes: frozenset[str]) -> list[str]:
    """`class/name` of the images, which all folders must hold."""
    first, *others = folders
    files = _files(first, classes)
    compare = partial(_compare, first=first, files=files, classes=classes)
    for _ in in_threads(compare, others, "listing images", "conditions"):
        pass
    return files


def _compare(folder: Path, first: Path, files: list[str], classes: frozenset[str]) -> None:
    found = _files(folder, classes)
    if found == files:
        return
    lacking, there = (folder, first) if set(files) - set(found) else (first, folder)
    missing = set(files) - set(found) or set(found) - set(files)
    raise InputError(
        f"{lacking} lacks {len(missing)} of the images in {there}, such as {min(missing)}; all "
        "conditions must have the same: unpack the archive again"
    )


def _files(folder: Path, classes: frozenset[str]) -> list[str]:
    """`class/name` of the images of a condition, in the order of these names."""
    kinds = [entry.name for entry in os.scandir(folder) if entry.is_dir()]
    kinds = sorted(kind for kind in kinds if not kind.startswith("."))
    if not kinds:
        raise InputError(f"{folder} holds no class folders; unpack the archive again")
    if strange := [kind for kind in kinds if kind not in classes]:
        raise InputError(
            f"{folder / strange[0]} is the folder of no class ({len(strange)} such folders); "
            f"expected names of the {len(classes)} classes, such as {min(classes)}"
        )
    files: list[str] = []
    for kind in kinds:
        names = sorted(name for name in os.listdir(folder / kind) if not name.startswith("."))
        if not names:
            raise InputError(f"class folder {folder / kind} is empty; unpack the archive again")
        files += [f"{kind}/{name}" for name in names]
    return files
