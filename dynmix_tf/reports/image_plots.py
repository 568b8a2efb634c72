"""Pictures that are made of images."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from dynmix_tf.errors import InputError
from dynmix_tf.reports import style

__all__ = ["captioned", "views"]


def views(
    path: str | os.PathLike[str],
    rows: Sequence[Sequence[ArrayLike]] | np.ndarray,
    titles: Sequence[str] | None = None,
) -> None:
    """Draws a grid of images: each row an original and its mixed views.

    Args:
        path: PNG to write.
        rows: Equally many images per row, each (H, W, 3), uint8 or float in 0..255; floats are
            rounded, and clipped to that range.
        titles: One per column; "Original", "Mixed view 1", "Mixed view 2", ... by default.

    Raises:
        InputError: No image, rows of different lengths, another shape, or values that are not
            finite.
    """
    grid = [[_image(image) for image in row] for row in rows]
    columns = len(grid[0]) if grid else 0
    if columns == 0 or any(len(row) != columns for row in grid):
        raise InputError(
            "`rows` must hold at least one image, and equally many in each row. "
            f"Received rows of {', '.join(str(len(row)) for row in grid) or 'none'}"
        )
    if titles is None:
        titles = ["Original", *(f"Mixed view {index}" for index in range(1, columns))]
    if len(titles) != columns:
        raise InputError(f"`titles` must have {columns} entries. Received: {len(titles)}")
    captions = [titles, *([""] * columns for _ in grid[1:])]
    _draw(path, grid, captions, heading=0.22)


def captioned(
    path: str | os.PathLike[str], images: Sequence[ArrayLike], captions: Sequence[str]
) -> None:
    """Draws images five in a row, each with a caption of up to three lines above it.

    Args:
        path: PNG to write.
        images: Each (H, W, 3), as `views` takes them.
        captions: One for each.

    Raises:
        InputError: No image, another number of captions, or an image as `views` refuses it.
    """
    if not images or len(images) != len(captions):
        raise InputError(
            "every image needs a caption, and there must be one. "
            f"Received: {len(images)} images, {len(captions)} captions"
        )
    drawn = [_image(image) for image in images]
    starts = range(0, len(drawn), 5)
    grid = [drawn[start : start + 5] for start in starts]
    _draw(
        path, grid, [captions[start : start + 5] for start in starts], heading=0.48, everywhere=True
    )


def _draw(
    path: str | os.PathLike[str],
    grid: Sequence[Sequence[np.ndarray]],
    captions: Sequence[Sequence[str]],
    heading: float,
    everywhere: bool = False,
) -> None:
    """Rows of images with captions above the first row, or above every one; sizes in inches."""
    gap = 0.05
    width = min(1.5, style.WIDTH / len(grid[0]))
    height = width * max(image.shape[0] / image.shape[1] for row in grid for image in row)
    headings = len(grid) if everywhere else 1
    figure = Figure(figsize=(width * len(grid[0]), heading * headings + height * len(grid)))
    total_width, total_height = figure.get_size_inches()
    for index, (row, row_captions) in enumerate(zip(grid, captions, strict=True)):
        below = len(grid) - 1 - index
        bottom = height * below + (heading * below if everywhere else 0)
        for column, (image, caption) in enumerate(zip(row, row_captions, strict=True)):
            axes = figure.add_axes(
                (
                    (width * column + gap / 2) / total_width,
                    (bottom + gap / 2) / total_height,
                    (width - gap) / total_width,
                    (height - gap) / total_height,
                )
            )
            # Small images stay blocks of pixels: "antialiased" smooths only when shrinking.
            axes.imshow(image, interpolation="antialiased")
            axes.set_axis_off()
            axes.set_title(caption, fontsize=7, color=style.INK, pad=3)
    style.save(figure, path)


def _image(image: ArrayLike) -> np.ndarray:
    pixels = np.asarray(image)
    if pixels.ndim != 3 or pixels.shape[-1] != 3:
        raise InputError(f"an image must have shape (H, W, 3). Received: {pixels.shape}")
    if not np.isfinite(pixels).all():
        raise InputError("an image holds values that are not finite")
    return np.clip(np.rint(pixels), 0, 255).astype(np.uint8)
