from __future__ import annotations

import io

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image
from skimage import data

from dynmix_tf.errors import InputError
from dynmix_tf.metrics import ALEXNET_IMAGENET_C
from dynmix_tf.reports import image_plots, plots, style

ERRORS = {
    "Standard": {name: 100 * rates[0] for name, rates in ALEXNET_IMAGENET_C.items()},
    "Dynamic Mixup": {name: 50 * rates[0] for name, rates in ALEXNET_IMAGENET_C.items()},
}
CLEAN = {"Standard": 5.0, "Dynamic Mixup": 4.5}
SERIES = {
    "Standard": {"error": [5, 10, 20, 30, 40, 60], "calibration": [1, 3, 6, 9, 12, 16]},
    "Dynamic Mixup": {"error": [5, 7, 9, 12, 15, 20], "calibration": [1, 2, 2, 3, 3, 4]},
}
CONFIDENCE = np.linspace(0.1, 1, 300)
PREDICTIONS = {
    "Standard": (CONFIDENCE, CONFIDENCE > 0.7),
    "Dynamic Mixup": (CONFIDENCE, np.arange(300) % 10 < 10 * CONFIDENCE),
}
MEANS = {
    "ImageNet-C": {"Standard": 80.6, "Dynamic Mixup": 64.4},
    "ImageNet-3DCC": {"Standard": 85.6, "Dynamic Mixup": 66.1},
}
EPOCHS = {
    "Standard": [{"epoch": 1, "loss": 2.0}, {"epoch": 2, "loss": 1.5}],
    "Dynamic Mixup": [{"epoch": 1, "loss": 2.6, "ce": 2.1}, {"epoch": 2, "loss": 2.0, "ce": 1.7}],
}
DRAW = {
    "corruptions": lambda path: plots.error_by_corruption(path, ERRORS, CLEAN),
    "severities": lambda path: plots.error_and_calibration_by_severity(path, SERIES),
    "training": lambda path: plots.training_curves(path, EPOCHS),
    "benchmarks": lambda path: plots.mean_by_benchmark(path, MEANS, "mCE, %"),
    "reliability": lambda path: plots.reliability(path, PREDICTIONS),
    "views": lambda path: image_plots.views(path, [[data.chelsea(), data.coffee()[:300, :451]]]),
}


def has_color(pixels, color):
    rgb = [int(color[index : index + 2], 16) for index in (1, 3, 5)]
    return (pixels == rgb).all(-1).sum() > 50


@pytest.mark.parametrize("kind", DRAW)
def test_draws_the_same_png_again(tmp_path, kind):
    for name in ("a.png", "b.png"):
        DRAW[kind](tmp_path / "new" / name)
    first, second = ((tmp_path / "new" / name).read_bytes() for name in ("a.png", "b.png"))
    assert first == second
    image = Image.open(io.BytesIO(first))
    assert not {"Software", "Creation Time", "date"} & set(image.info)
    if kind != "views":
        assert image.width == 1800
        pixels = np.asarray(image.convert("RGB"))
        assert has_color(pixels, "#8f959e") and has_color(pixels, "#d55e00")


def drawn(monkeypatch):
    """Collects the figures as they are saved."""
    figures = []
    monkeypatch.setattr(style, "save", lambda figure, path: figures.append(figure))
    return figures


def test_bars_have_the_heights_of_the_errors(monkeypatch):
    figures = drawn(monkeypatch)
    plots.error_by_corruption("x.png", ERRORS, CLEAN)
    (axes,) = figures[0].axes
    for container, label in zip(axes.containers, ERRORS, strict=True):
        assert container.get_label() == label
        heights = [bar.get_height() for bar in container]
        assert heights == [CLEAN[label], *ERRORS[label].values()]
    names = [tick.get_text() for tick in axes.get_xticklabels()]
    assert names == ["clean", *(name.replace("_", " ") for name in ALEXNET_IMAGENET_C)]
    assert [text.get_text() for text in axes.texts] == ["", "noise", "blur", "weather", "digital"]


def test_lines_have_the_values_given(monkeypatch):
    figures = drawn(monkeypatch)
    plots.error_and_calibration_by_severity("x.png", SERIES)
    plots.training_curves("x.png", EPOCHS)
    for axes, key in zip(figures[0].axes, ("error", "calibration"), strict=True):
        lines = {line.get_label(): list(line.get_ydata()) for line in axes.lines}
        assert lines == {label: values[key] for label, values in SERIES.items()}
    loss = [list(line.get_ydata()) for line in figures[1].axes[0].lines]
    assert loss == [[2.0, 1.5], [2.6, 2.0], [2.1, 1.7]]


@pytest.mark.parametrize("count", [1, 2, 9])
def test_nothing_covers_the_data(monkeypatch, count):
    figures = drawn(monkeypatch)
    labels = [f"Random AutoAugment* {index}" for index in range(count)]
    plots.error_by_corruption(
        "x.png", {label: ERRORS["Standard"] for label in labels}, dict.fromkeys(labels, 5.0)
    )
    plots.error_and_calibration_by_severity("x.png", dict.fromkeys(labels, SERIES["Standard"]))
    plots.training_curves("x.png", dict.fromkeys(labels, EPOCHS["Standard"]))
    for figure in figures:
        FigureCanvasAgg(figure).draw()
        (legend,) = figure.legends
        box = legend.get_window_extent()
        assert len(legend.get_texts()) == count
        assert box.x0 >= 0 and box.x1 <= figure.bbox.x1 and box.y1 <= figure.bbox.y1
        for axes in figure.axes:
            assert not box.overlaps(axes.get_tightbbox())
            assert axes.bbox.height > 100


def test_views_show_the_pixels(tmp_path):
    path = tmp_path / "views.png"
    red, green = np.zeros((8, 8, 3)), np.zeros((8, 8, 3), np.uint8)
    red[..., 0], green[..., 1] = 300.0, 255  # a mixed view may leave the range
    image_plots.views(path, np.stack([[red, green, red], [green, red, green]]))
    pixels = np.asarray(Image.open(path).convert("RGB"))
    height, width, _ = pixels.shape
    assert width == 900
    columns = [width // 6, width // 2, width * 5 // 6]
    top, bottom = height * 2 // 5, height * 4 // 5
    assert [tuple(pixels[top, x]) for x in columns] == [(255, 0, 0), (0, 255, 0), (255, 0, 0)]
    assert [tuple(pixels[bottom, x]) for x in columns] == [(0, 255, 0), (255, 0, 0), (0, 255, 0)]


def test_views_are_titled(monkeypatch):
    figures = drawn(monkeypatch)
    image_plots.views("x.png", np.zeros((2, 3, 8, 8, 3)))
    image_plots.views("x.png", np.zeros((1, 2, 8, 8, 3)), titles=["Before", "After"])
    titles = [[axes.get_title() for axes in figure.axes] for figure in figures]
    assert titles == [["Original", "Mixed view 1", "Mixed view 2", "", "", ""], ["Before", "After"]]


def test_colors_stay_with_their_method():
    own = style.colors(["Standard", "Dynamic Mixup", "AugMix"])
    assert style.colors(["AugMix", "Standard"]) == {k: own[k] for k in ("AugMix", "Standard")}
    runs = style.colors(["Dynamic Mixup (a)", "Dynamic Mixup (b)", "Mixup", "CutMix"])
    assert runs["Dynamic Mixup (a)"] == own["Dynamic Mixup"]
    assert len(set(runs.values())) == 4
    assert len(set(style.colors([*own, *"abcdefgh"]).values())) == 11


def test_draws_without_pyplot(tmp_path):
    import subprocess
    import sys

    code = (
        "import sys; from dynmix_tf.reports import image_plots, plots, style; "
        f"plots.training_curves({str(tmp_path / 'x.png')!r}, {EPOCHS!r}); "
        "bad = {'matplotlib.pyplot', 'tensorflow', 'keras'} & set(sys.modules); "
        "sys.exit(f'imported {bad}' if bad else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda p: plots.error_by_corruption(p, {}, {}), "no label"),
        (
            lambda p: plots.error_by_corruption(p, {"a": {"fog": 1}, "b": {"snow": 1}}, {}),
            "'a' and 'b' have different corruptions: fog, snow",
        ),
        (lambda p: plots.error_by_corruption(p, {"a": {"fog": 1}}, {}), "different labels: a"),
        (lambda p: plots.error_and_calibration_by_severity(p, {}), "no label"),
        (
            lambda p: plots.error_and_calibration_by_severity(
                p, {"a": {"error": [1] * 5, "calibration": [1] * 6}}
            ),
            "`error` of 'a' must have six values.*Received: 5",
        ),
        (
            lambda p: plots.error_and_calibration_by_severity(p, {"a": {"error": [1] * 6}}),
            "`calibration` of 'a' must have six values.*Received: 0",
        ),
        (lambda p: plots.training_curves(p, {}), "no label"),
        (lambda p: plots.training_curves(p, {"a": [{"epoch": 1}]}), "'a' has no `loss`"),
        (lambda p: image_plots.views(p, []), "Received rows of none"),
        (lambda p: image_plots.views(p, [[]]), "Received rows of 0"),
        (
            lambda p: image_plots.views(p, [[np.zeros((2, 2, 3))], [np.zeros((2, 2, 3))] * 2]),
            "equally many in each row. Received rows of 1, 2",
        ),
        (
            lambda p: image_plots.views(p, [[np.zeros((2, 2))]]),
            r"shape \(H, W, 3\). Received: \(2, 2\)",
        ),
        (lambda p: image_plots.views(p, [[np.full((2, 2, 3), np.nan)]]), "not finite"),
        (lambda p: image_plots.views(p, [[np.zeros((2, 2, 3))]], titles=["a", "b"]), "Received: 2"),
    ],
)
def test_malformed_input(tmp_path, draw, message):
    with pytest.raises(InputError, match=message):
        draw(tmp_path / "x.png")
    assert list(tmp_path.iterdir()) == []


def lines_of(axes):
    return {line.get_label(): np.array(line.get_xydata()) for line in axes.lines}


def test_reliability_is_accuracy_by_confidence(monkeypatch):
    figures = drawn(monkeypatch)
    confidence = np.array([0.05, 0.15, 0.25, 0.75, 1.0])
    correct = np.array([False, True, False, True, True])
    plots.reliability("x.png", {"Standard": (confidence, correct)}, num_bins=2)
    diagram, counts = figures[0].axes
    np.testing.assert_allclose(lines_of(diagram)["Standard"], [[15, 100 / 3], [87.5, 100]])
    np.testing.assert_allclose(counts.lines[0].get_xydata(), [[25, 60], [75, 40]])


def test_errors_by_epoch_are_drawn_where_they_were_measured(monkeypatch):
    figures = drawn(monkeypatch)
    epochs = [{"epoch": number, "loss": 1.0} for number in (1, 2, 3)]
    epochs[1] |= {"clean_error": 0.05, "corruption_error": 0.25}
    epochs[2] |= {"clean_error": 0.04, "corruption_error": 0.2}
    plots.training_curves("x.png", {"Standard": epochs})
    loss, error = figures[0].axes
    assert len(loss.lines) == 1
    full, dashed = error.lines
    np.testing.assert_allclose(full.get_xydata(), [[2, 25], [3, 20]])
    np.testing.assert_allclose(dashed.get_xydata(), [[2, 5], [3, 4]])


def test_bars_of_two_benchmarks_share_one_scale(monkeypatch):
    figures = drawn(monkeypatch)
    plots.mean_by_benchmark("x.png", MEANS, "mCE, %")
    left, right = figures[0].axes
    assert [bar.get_height() for bar in right.patches] == [85.6, 66.1]
    assert left.get_ylim() == right.get_ylim()
    with pytest.raises(InputError, match="different labels: Dynamic Mixup"):
        plots.mean_by_benchmark("x.png", {"A": MEANS["ImageNet-C"], "B": {"Standard": 1.0}}, "mCE")
