"""How the pictures look: colours, axes, legends, and saving them."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from dynmix_tf.files import write_atomic

__all__ = ["FAINT", "INK", "WIDTH", "colors", "figure", "legend", "percent_axis", "save", "styles"]

# The colour-blind safe palettes of Okabe and Ito 2008 and of Tol 2021 ("muted").
_OWN = {"Standard": "#8f959e", "Dynamic Mixup": "#d55e00", "AugMix": "#0072b2"}
_OTHERS = ("#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#332288", "#999933", "#882255", "#44aa99")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X")  # one less than the colours: pairs repeat late
INK, FAINT = "#24292f", "#d9dde2"
WIDTH = 9.0  # inches; 900 pixels on a page at 100 per inch
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


def styles(labels: Iterable[str]) -> list[tuple[tuple[str, str], str]]:
    """((label, colour), marker) in order: the marker tells lines apart without colour."""
    chosen = colors(labels)
    return [(item, _MARKERS[index % len(_MARKERS)]) for index, item in enumerate(chosen.items())]


def figure(height: float, panels: int) -> tuple[Figure, list[Axes]]:
    """An empty figure of the page's width, inches, with panels side by side."""
    drawn = Figure(figsize=(WIDTH, height), layout="constrained")
    drawn.get_layout_engine().set(w_pad=0.08, h_pad=0.08, wspace=0.04)  # type: ignore[union-attr,call-arg]
    cells = list(drawn.subplots(1, panels, squeeze=False)[0])
    for axes in cells:
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.spines["bottom"].set_color(FAINT)
        axes.tick_params(length=0, labelsize=9, labelcolor=INK, pad=5)
        axes.grid(axis="y", color=FAINT, linewidth=0.8, zorder=0)
        axes.set_axisbelow(True)
    return drawn, cells


def percent_axis(axes: Axes, caption: str) -> None:
    """A vertical axis from 0 with a caption."""
    axes.set_ylabel(caption, fontsize=9.5, color=INK)
    axes.set_ylim(bottom=0)


def legend(figure: Figure, axes: Axes, title: str) -> None:
    """The title, and under it the labels: above the panels, where no data can be covered."""
    handles, labels = axes.get_legend_handles_labels()
    longest = max(len(label) for label in labels)
    columns = min(5, max(1, int(WIDTH / (0.5 + 0.08 * longest))))  # inches
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
        labelcolor=INK,
        handlelength=1.4,
        columnspacing=1.6,
        borderpad=0.1,
    )


def save(figure: Figure, path: str | os.PathLike[str]) -> None:
    """Writes a PNG, atomically; its bytes depend on the numbers only."""
    FigureCanvasAgg(figure)
    data = io.BytesIO()
    # no "Software" entry, which would name the version of matplotlib
    figure.savefig(data, format="png", dpi=_DPI, facecolor="white", metadata={"Software": None})
    write_atomic(path, data.getvalue())
