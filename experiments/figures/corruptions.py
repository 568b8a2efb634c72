"""Draws the gallery: every corruption at every severity, and the perturbation sequences.

python experiments/figures/corruptions.py

Writes `corruptions` (19 x 5 on one photograph of 224 px), `corruptions_32` (strengths for 32)
and `sequences` (frames of the ten), each as PNG and PDF, on photographs that need no download.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import page
from tqdm import tqdm

from dynmix_tf import corruptions

SEVERITIES = range(1, 6)
LABEL = 1.45  # inches, for the names beside the pictures
FRAMES = 6  # of each sequence


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--output_dir", type=Path, default=Path(__file__).parent, help="default: that of the script"
    )
    arguments = parser.parse_args()
    progress = tqdm(FIGURES.items(), desc="figures", unit="figure")
    for name, draw in progress:
        progress.set_postfix_str(name)
        draw(arguments.output_dir / name)
    print(f"{2 * len(FIGURES)} files in {arguments.output_dir}", file=sys.stderr)


def all_corruptions(stem: Path, side: int = 224, dpi: int = 100) -> None:
    """A row for each corruption: the photograph, then severities 1 to 5."""
    image = page.photo("chelsea", side)
    names = corruptions.names(extra=True)
    rows = [
        [image, *(corruptions.corrupt(image, name, severity) for severity in SEVERITIES)]
        for name in names
    ]
    table = corruptions.strengths_for(image.shape)
    title = f"The corruptions, strengths for {'224' if table == 'imagenet' else '32'} px"
    note = f"One photograph at {side} px, seed 0; the last four are the benchmark's extra ones."
    heads = ["clean", *(f"severity {severity}" for severity in SEVERITIES)]
    strips(stem, dpi, title, note, heads, list(names), rows)


def at_32_px(stem: Path, dpi: int = 100) -> None:
    """The same of a small image."""
    all_corruptions(stem, 32, dpi)


def sequences(stem: Path, side: int = 224, dpi: int = 100) -> None:
    """A row for each perturbation of the benchmark: frames from its first to its last."""
    image = page.photo("astronaut", side)
    names = corruptions.sequence_names()
    rows, counts = [], []
    for name in names:
        frames = corruptions.sequence(image, name)
        counts.append(len(frames))
        rows.append(
            [frames[i] for i in np.linspace(0, len(frames) - 1, FRAMES).round().astype(int)]
        )
    labels = [f"{name}\n{count} frames" for name, count in zip(names, counts, strict=True)]
    heads = ["first frame", *[""] * (FRAMES - 2), "last frame"]
    note = f"{FRAMES} frames of each, evenly spaced; one photograph at {side} px, seed 0."
    strips(stem, dpi, "The perturbation sequences", note, heads, labels, rows)


def strips(
    stem: Path,
    dpi: int,
    title: str,
    note: str,
    heads: list[str],
    labels: list[str],
    rows: list[list[np.ndarray]],
) -> None:
    """Rows of pictures with their names on the left and what the columns are on top."""
    gap = 0.05
    side = (page.WIDTH - LABEL - 0.1) / len(heads) - gap
    height = 0.85 + len(rows) * (side + gap)
    figure = page.page(height, title, note)
    for number, (label, images) in enumerate(zip(labels, rows, strict=True)):
        bottom = height - 0.8 - (number + 1) * (side + gap) + gap
        page.write(figure, 0.1, bottom + side / 2, label.replace("_", " "))
        for column, image in enumerate(images):
            left = LABEL + column * (side + gap)
            page.show(figure, image, left, bottom, side, "" if number else heads[column])
    page.save(figure, stem, dpi)


FIGURES: dict[str, Callable[[Path], None]] = {
    "corruptions": all_corruptions,
    "corruptions_32": at_32_px,
    "sequences": sequences,
}

if __name__ == "__main__":
    main()
