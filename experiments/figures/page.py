"""What the pictures share: photographs, panels, colours, and writing PNG and PDF.

The style is that of `dynmix_tf.reports.plots`. A page is 9 inches wide: at 150 dots per inch it is
1,350 pixels, and text of 9 points is 12 pixels high where a page of 900 pixels shows it.
"""

import functools
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image, ImageColor

from dynmix_tf.data.photos import CLASS_NAMES, photographs
from dynmix_tf.files import write_atomic
from dynmix_tf.reports import style

WIDTH = 9.0  # inches
INK, SOFT, FAINT = "#24292f", "#57606a", "#d9dde2"
ORIGINAL, MIXED = style.colors(["Standard", "Dynamic Mixup"]).values()
_EXACT = ("white", INK, SOFT, FAINT, ORIGINAL, MIXED)
# Squares that show the subject of a photograph: top, left, side in pixels. The pictures show these
# four, public domain or CC0; two of the others would have to name their photographers.
CROPS = {
    "astronaut": (0, 100, 260),
    "chelsea": (0, 60, 300),
    "coffee": (0, 120, 400),
    "rocket": (60, 150, 360),
}


@functools.cache
def photo(name: str, side: int) -> np.ndarray:
    """A square of one of the package's photographs, the middle without an entry in CROPS.

    Returns:
        uint8 (side, side, 3).
    """
    pixels = photographs()[CLASS_NAMES.index(name)]
    height, width = pixels.shape[:2]
    middle = ((height - min(height, width)) // 2, (width - min(height, width)) // 2)
    top, left, size = CROPS.get(name, (*middle, min(height, width)))
    crop = Image.fromarray(pixels[top : top + size, left : left + size])
    return np.asarray(crop.resize((side, side), Image.Resampling.LANCZOS))


def page(height: float, title: str, note: str = "") -> Figure:
    """An empty page, `height` inches high, with a bold title and a line under it."""
    figure = Figure(figsize=(WIDTH, height))
    write(figure, 0.1, height - 0.18, title, size=11.5, weight="bold")
    write(figure, 0.1, height - 0.4, note, color=SOFT)
    return figure


def write(figure: Figure, left: float, bottom: float, text: str, **style: Any) -> None:
    """Text at a place given in inches from the lower left corner, centred in height."""
    page_width, page_height = figure.get_size_inches()
    style = {"size": 9, "color": INK, "va": "center", **style}
    figure.text(left / page_width, bottom / page_height, text, **style)


def panel(
    figure: Figure, left: float, bottom: float, width: float, height: float, **kwargs: Any
) -> Axes:
    """Axes at a place given in inches from the lower left corner."""
    page_width, page_height = figure.get_size_inches()
    box = (left / page_width, bottom / page_height, width / page_width, height / page_height)
    return figure.add_axes(box, **kwargs)


def show(
    figure: Figure, image: np.ndarray, left: float, bottom: float, side: float, label: str
) -> None:
    """Draws an image, 0..255, `side` inches wide, and its label above it."""
    axes = panel(figure, left, bottom, side, side)
    axes.imshow(np.clip(np.rint(image), 0, 255).astype(np.uint8))
    axes.set_axis_off()
    for line, text in enumerate(reversed(label.split("\n"))):
        axes.annotate(
            text.replace("-", "−"), (0.5, 1), (0, 5 + 12.5 * line), ha="center", va="baseline",
            xycoords="axes fraction", textcoords="offset points", size=9, color=INK,
        )  # fmt: skip


def plain(axes: Axes, x: str, y: str) -> None:
    """Axes of a plot as in the reports: a grid of thin lines, no frame."""
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(FAINT)
    axes.tick_params(length=0, labelsize=8.5, labelcolor=INK, pad=4)
    axes.grid(axis="y", color=FAINT, linewidth=0.8, zorder=0)
    axes.set_axisbelow(True)
    axes.set_xlabel(x, fontsize=9, color=INK)
    axes.set_ylabel(y, fontsize=9, color=INK)


def save(figure: Figure, stem: Path, dpi: int) -> None:
    """Writes `stem`.png and `stem`.pdf, the same bytes for the same figure.

    Photographs do not compress: to keep the files small the PNG has 256 colours, chosen for the
    page, and in the PDF each photograph has 256 of its own. Lines and text of the PDF are vectors.
    """
    FigureCanvasAgg(figure)
    data = io.BytesIO()
    figure.savefig(data, format="png", dpi=dpi, facecolor="white", metadata={"Software": None})
    png = io.BytesIO()
    _of_256_colors(Image.open(data).convert("RGB"), _EXACT).save(png, format="png", optimize=True)
    write_atomic(stem.with_suffix(".png"), png.getvalue())

    for axes in figure.axes:
        for image in axes.get_images():
            if image.get_array().ndim == 3:
                image.set_interpolation("none")  # the pixels as they are, for the viewer to enlarge
                colors = _of_256_colors(Image.fromarray(np.asarray(image.get_array())))
                image.set_data(np.asarray(colors.convert("RGB")))
    data = io.BytesIO()
    with matplotlib.rc_context({"pdf.fonttype": 42, "image.composite_image": False}):
        figure.savefig(data, format="pdf", dpi=dpi, metadata={"CreationDate": None})
    write_atomic(stem.with_suffix(".pdf"), data.getvalue())


def _of_256_colors(image: Image.Image, exact: Sequence[str] = ()) -> Image.Image:
    """Reduces an image to 256 colours and spreads the error; pixels of `exact` ones keep theirs."""
    colors = image.quantize(256 - len(exact), Image.Quantize.MEDIANCUT).getpalette() or []
    first = len(colors) // 3
    rgb = [ImageColor.getrgb(color) for color in exact]
    palette = Image.new("P", (1, 1))
    palette.putpalette([*colors, *np.ravel(rgb).astype(int).tolist()])
    reduced = image.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG)
    pixels, places = np.asarray(image), np.array(reduced)
    for place, color in enumerate(rgb, start=first):
        places[(pixels == color).all(axis=-1)] = place
    result = Image.fromarray(places)
    result.putpalette(reduced.getpalette())
    return result
