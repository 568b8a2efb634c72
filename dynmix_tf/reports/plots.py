"""Pictures of robustness results: one function, one PNG, from plain numbers.

Drawn with matplotlib's object interface on the Agg backend: no display, no global state, and the
same bytes for the same numbers. Widths suit a page of about 900 pixels at twice the resolution.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike

from dynmix_tf.errors import InputError
from dynmix_tf.files import write_atomic
from dynmix_tf.reports.tables import grouped

__all__ = [
    "colors",
    "error_and_calibration_by_severity",
    "error_by_corruption",
    "training_curves",
    "views",
]

# The colour-blind safe palettes of Okabe and Ito 2008 and of Tol 2021 ("muted").
_OWN = {"Standard": "#8f959e", "Dynamic Mixup": "#d55e00", "AugMix": "#0072b2"}
_OTHERS = ("#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#332288", "#999933", "#882255", "#44aa99")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X")  # one less than the colours: pairs repeat late
_INK, _FAINT = "#24292f", "#d9dde2"
_WIDTH = 9.0  # inches; 900 pixels on a page at 100 per inch
_DPI = 200


def colors(labels: Iterable[str]) -> dict[str, str]:
    """The colour of each label: fixed for Standard, AugMix and Dynamic Mixup, a list for others.

    Args:
        labels: Method names, also with something in parentheses, as in "Dynamic Mixup (run_b)";
            the first label of a method takes its fixed colour.

    Returns:
        `{label: "#rrggbb"}`; more than 11 labels repeat colours.

    Example:
        >>> colors(["Standard", "Mixup"])
        {'Standard': '#8f959e', 'Mixup': '#009e73'}
    """
    chosen: dict[str, str] = {}
    others = 0
    for label in labels:
        own = _OWN.get(label.split(" (")[0])
        if own is None or own in chosen.values():
            own, others = _OTHERS[others % len(_OTHERS)], others + 1
        chosen[label] = own
    return chosen


def error_by_corruption(
    path: str | os.PathLike[str],
    errors: Mapping[str, Mapping[str, float]],
    clean: Mapping[str, float],
) -> None:
    """Draws the error per corruption as grouped bars, beside the error on clean images.

    A line across each bar repeats the label's clean error: what is above it the corruption added.

    Args:
        path: PNG to write.
        errors: `{label: {corruption: per cent}}`, the same corruptions for every label.
        clean: `{label: per cent}`.

    Raises:
        InputError: No label, or labels with different corruptions.
    """
    names = _same_keys(errors, "corruptions")
    _same_keys({"errors": errors, "clean": clean}, "labels")
    groups = [("", ["clean"]), *grouped(names).items()]
    positions: dict[str, float] = {}
    headings = []
    at = 0.0
    for heading, members in groups:
        headings.append((heading, at + (len(members) - 1) / 2))
        for name in members:
            positions[name] = at
            at += 1
        at += 0.55

    figure, (axes,) = _figure(height=4.3, panels=1)
    width = 0.82 / len(errors)
    for index, (label, color) in enumerate(colors(errors).items()):
        offset = (index - (len(errors) - 1) / 2) * width
        values = {"clean": clean[label], **errors[label]}
        centers = np.array(list(positions.values())) + offset
        axes.bar(
            centers,
            [values[name] for name in positions],
            width=width * 0.94,
            color=color,
            label=label,
            zorder=3,
        )
        left, right = centers - width * 0.47, centers + width * 0.47
        axes.hlines([clean[label]] * len(centers), left, right, color=_INK, linewidth=1.2, zorder=4)
    axes.set_xlim(-0.75, at - 0.8)
    axes.set_xticks(
        list(positions.values()),
        [name.replace("_", " ") for name in positions],
        rotation=38,
        ha="right",
        rotation_mode="anchor",
    )
    for heading, center in headings:
        axes.text(
            center, 1.015, heading, transform=axes.get_xaxis_transform(),
            ha="center", va="bottom", fontsize=9, color="#57606a",
        )  # fmt: skip
    _percent_axis(axes, "Error, %")
    _legend(figure, axes, "Error by corruption, mean of five severities (line: clean error)")
    _save(figure, path)


def error_and_calibration_by_severity(
    path: str | os.PathLike[str], series: Mapping[str, Mapping[str, Sequence[float]]]
) -> None:
    """Draws error and RMS calibration error against severity, in two panels.

    Args:
        path: PNG to write.
        series: `{label: {"error": six values, "calibration": six values}}`, per cent, from
            severity 0 (clean) to 5.

    Raises:
        InputError: No label, or not six values.
    """
    if not series:
        raise InputError("nothing to draw: no label")
    figure, panels = _figure(height=3.5, panels=2)
    captions = {"error": "Error, %", "calibration": "RMS calibration error, %"}
    for axes, (key, caption) in zip(panels, captions.items(), strict=True):
        for (label, color), marker in _styles(series):
            values = series[label].get(key, ())
            if len(values) != 6:
                raise InputError(
                    f"`{key}` of '{label}' must have six values, severity 0 to 5. "
                    f"Received: {len(values)}"
                )
            axes.plot(
                range(6), values, color=color, marker=marker, markersize=5.5, linewidth=2,
                label=label, clip_on=False, zorder=3,
            )  # fmt: skip
        axes.set_xticks(range(6), ["clean", "1", "2", "3", "4", "5"])
        axes.set_xlabel("Severity", fontsize=9.5, color=_INK)
        _percent_axis(axes, caption)
    _legend(figure, panels[0], "Mean over the corruptions, by severity")
    _save(figure, path)


def training_curves(
    path: str | os.PathLike[str], epochs: Mapping[str, Sequence[Mapping[str, Any]]]
) -> None:
    """Draws the training loss per epoch, and dashed its cross-entropy part where known.

    Args:
        path: PNG to write.
        epochs: `{label: a dict per epoch}` with `epoch` and `loss`, perhaps `ce`.

    Raises:
        InputError: No label, or an epoch without `epoch` or `loss`.
    """
    if not epochs:
        raise InputError("nothing to draw: no label")
    figure, (axes,) = _figure(height=3.4, panels=1)
    parts = False
    for (label, color), marker in _styles(epochs):
        lines = epochs[label]
        for key in ("epoch", "loss"):
            if not all(key in line for line in lines):
                raise InputError(f"an epoch of '{label}' has no `{key}`")
        numbers = [line["epoch"] for line in lines]
        axes.plot(
            numbers, [line["loss"] for line in lines], color=color, linewidth=2, label=label,
            marker=marker if len(lines) <= 25 else None, markersize=4.5, zorder=3,
        )  # fmt: skip
        if any("ce" in line and line["ce"] != line["loss"] for line in lines):
            parts = True
            axes.plot(
                numbers, [line.get("ce", np.nan) for line in lines], color=color, linewidth=1.3,
                linestyle=(0, (4, 2.5)), zorder=3,
            )  # fmt: skip
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("Epoch", fontsize=9.5, color=_INK)
    _percent_axis(axes, "Training loss")
    note = " (dashed: its cross-entropy part)" if parts else ""
    _legend(figure, axes, f"Training loss by epoch{note}")
    _save(figure, path)


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
    gap, heading = 0.05, 0.22  # inches
    width = min(1.5, _WIDTH / columns)
    height = width * max(image.shape[0] / image.shape[1] for row in grid for image in row)
    figure = Figure(figsize=(width * columns, heading + height * len(grid)))
    total_width, total_height = figure.get_size_inches()
    for index, row in enumerate(grid):
        bottom = height * (len(grid) - 1 - index)
        for column, image in enumerate(row):
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
            if index == 0:
                axes.set_title(titles[column], fontsize=7, color=_INK, pad=3)
    _save(figure, path)


def _image(image: ArrayLike) -> np.ndarray:
    pixels = np.asarray(image)
    if pixels.ndim != 3 or pixels.shape[-1] != 3:
        raise InputError(f"an image must have shape (H, W, 3). Received: {pixels.shape}")
    if not np.isfinite(pixels).all():
        raise InputError("an image holds values that are not finite")
    return np.clip(np.rint(pixels), 0, 255).astype(np.uint8)


def _same_keys(items: Mapping[str, Mapping[str, Any]], what: str) -> list[str]:
    """The keys that all items share; an error where one differs."""
    if not items:
        raise InputError("nothing to draw: no label")
    (first, expected), *others = items.items()
    for label, item in others:
        if set(item) != set(expected):
            different = ", ".join(sorted(set(item) ^ set(expected)))
            raise InputError(f"'{first}' and '{label}' have different {what}: {different}")
    return list(expected)


def _styles(labels: Iterable[str]) -> list[tuple[tuple[str, str], str]]:
    """((label, colour), marker) in order: the marker tells lines apart without colour."""
    chosen = colors(labels)
    return [(item, _MARKERS[index % len(_MARKERS)]) for index, item in enumerate(chosen.items())]


def _figure(height: float, panels: int) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(_WIDTH, height), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.08, h_pad=0.08, wspace=0.04)  # type: ignore[union-attr,call-arg]
    cells = list(figure.subplots(1, panels, squeeze=False)[0])
    for axes in cells:
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.spines["bottom"].set_color(_FAINT)
        axes.tick_params(length=0, labelsize=9, labelcolor=_INK, pad=5)
        axes.grid(axis="y", color=_FAINT, linewidth=0.8, zorder=0)
        axes.set_axisbelow(True)
    return figure, cells


def _percent_axis(axes: Axes, caption: str) -> None:
    axes.set_ylabel(caption, fontsize=9.5, color=_INK)
    axes.set_ylim(bottom=0)


def _legend(figure: Figure, axes: Axes, title: str) -> None:
    """The title, and under it the labels: above the panels, where no data can be covered."""
    handles, labels = axes.get_legend_handles_labels()
    longest = max(len(label) for label in labels)
    columns = min(5, max(1, int(_WIDTH / (0.5 + 0.08 * longest))))  # inches
    rows = -(-len(labels) // columns)
    figure.set_figheight(figure.get_figheight() + 0.2 * (rows - 1))
    figure.legend(
        handles,
        labels,
        title=title,
        title_fontproperties={"size": 11.5, "weight": "bold"},
        alignment="left",
        loc="outside upper left",
        ncols=columns,
        frameon=False,
        fontsize=9.5,
        labelcolor=_INK,
        handlelength=1.4,
        columnspacing=1.6,
        borderpad=0.1,
    )


def _save(figure: Figure, path: str | os.PathLike[str]) -> None:
    FigureCanvasAgg(figure)
    data = io.BytesIO()
    # No "Software" entry: the bytes depend on the numbers only.
    figure.savefig(data, format="png", dpi=_DPI, facecolor="white", metadata={"Software": None})
    write_atomic(path, data.getvalue())
