"""Pictures of robustness results: one function, one PNG, from plain numbers.

Drawn with matplotlib's object interface on the Agg backend: no display, no global state, and the
same bytes for the same numbers. Widths suit a page of about 900 pixels at twice the resolution.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from dynmix_tf.errors import InputError
from dynmix_tf.reports import style
from dynmix_tf.reports.tables import grouped

__all__ = [
    "error_and_calibration_by_severity",
    "error_by_corruption",
    "mean_by_benchmark",
    "reliability",
    "training_curves",
]


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

    figure, (axes,) = style.figure(height=4.3, panels=1)
    width = 0.82 / len(errors)
    for index, (label, color) in enumerate(style.colors(errors).items()):
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
        axes.hlines(
            [clean[label]] * len(centers), left, right, color=style.INK, linewidth=1.2, zorder=4
        )
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
    style.percent_axis(axes, "Error, %")
    style.legend(figure, axes, "Error by corruption, mean of five severities (line: clean error)")
    style.save(figure, path)


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
    figure, panels = style.figure(height=3.5, panels=2)
    captions = {"error": "Error, %", "calibration": "RMS calibration error, %"}
    for axes, (key, caption) in zip(panels, captions.items(), strict=True):
        for (label, color), marker in style.styles(series):
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
        axes.set_xlabel("Severity", fontsize=9.5, color=style.INK)
        style.percent_axis(axes, caption)
    style.legend(figure, panels[0], "Mean over the corruptions, by severity")
    style.save(figure, path)


def mean_by_benchmark(
    path: str | os.PathLike[str], means: Mapping[str, Mapping[str, float]], caption: str
) -> None:
    """Draws a mean of several methods on several benchmarks, a panel for each benchmark.

    Args:
        path: PNG to write.
        means: `{benchmark: {label: per cent}}`, the same labels for every benchmark.
        caption: Of the axes, such as "mCE, %".

    Raises:
        InputError: No benchmark, or benchmarks with different labels.

    Source: Dynamic Mixup, Figure 4.
    """
    labels = _same_keys(means, "labels")
    figure, panels = style.figure(height=3.4, panels=len(means))
    highest = max(max(values.values()) for values in means.values())
    for axes, (benchmark, values) in zip(panels, means.items(), strict=True):
        for index, (label, color) in enumerate(style.colors(labels).items()):
            axes.bar(index, values[label], width=0.72, color=color, label=label, zorder=3)
            axes.text(
                index, values[label], f"{values[label]:.1f}", ha="center", va="bottom",
                fontsize=9, color=style.INK,
            )  # fmt: skip
        axes.set_xticks([])
        axes.set_xlabel(benchmark, fontsize=9.5, color=style.INK)
        style.percent_axis(axes, caption)
        axes.set_ylim(top=1.12 * highest)
    style.legend(figure, panels[0], " against ".join(means))
    style.save(figure, path)


def reliability(
    path: str | os.PathLike[str],
    predictions: Mapping[str, tuple[np.ndarray, np.ndarray]],
    num_bins: int = 15,
) -> None:
    """Draws accuracy against confidence, and how often each confidence occurs, in two panels.

    A calibrated model lies on the diagonal; below it the model is overconfident.

    Args:
        path: PNG to write.
        predictions: `{label: (confidence 0..1, correct)}`, each `(N,)`.
        num_bins: Of equal width.

    Raises:
        InputError: No label.

    Source: Guo et al. 2017, "On Calibration of Modern Neural Networks", Figure 1.
    """
    if not predictions:
        raise InputError("nothing to draw: no label")
    figure, (diagram, counts) = style.figure(height=3.9, panels=2)
    diagram.plot([0, 100], [0, 100], color=style.FAINT, linewidth=1.5, zorder=1)
    centers = (np.arange(num_bins) + 0.5) * 100 / num_bins
    for (label, color), marker in style.styles(predictions):
        confidence, correct = predictions[label]
        place = np.minimum((confidence * num_bins).astype(int), num_bins - 1)
        images = np.bincount(place, minlength=num_bins)
        some = images > 0
        means: list[np.ndarray] = [
            100 * np.bincount(place, weights=values, minlength=num_bins)[some] / images[some]
            for values in (np.asarray(confidence, np.float64), np.asarray(correct, np.float64))
        ]
        diagram.plot(
            *means, color=color, marker=marker, markersize=5, linewidth=1.8, label=label, zorder=3
        )
        counts.plot(
            centers, 100 * images / images.sum(), color=color, marker=marker, markersize=4,
            linewidth=1.8, zorder=3,
        )  # fmt: skip
    for axes, caption in ((diagram, "Accuracy, %"), (counts, "Share of the images, %")):
        axes.set_xlim(0, 100)
        axes.set_xlabel("Confidence, %", fontsize=9.5, color=style.INK)
        style.percent_axis(axes, caption)
    style.legend(figure, diagram, "Reliability: all corruptions and severities together")
    style.save(figure, path)


def training_curves(
    path: str | os.PathLike[str], epochs: Mapping[str, Sequence[Mapping[str, Any]]]
) -> None:
    """Draws the training loss per epoch, and the errors per epoch where they were measured.

    Dashed in the first panel: the loss's cross-entropy part; in the second: the clean error.

    Args:
        path: PNG to write.
        epochs: `{label: a dict per epoch}` with `epoch` and `loss`, perhaps `ce`, and in some
            epochs `clean_error` and `corruption_error` (0..1), as `RobustnessEvaluation` logs.

    Raises:
        InputError: No label, or an epoch without `epoch` or `loss`.

    Source: Dynamic Mixup, Figure 10.
    """
    if not epochs:
        raise InputError("nothing to draw: no label")
    for label, lines in epochs.items():
        for key in ("epoch", "loss"):
            if not all(key in line for line in lines):
                raise InputError(f"an epoch of '{label}' has no `{key}`")
    measured = any("corruption_error" in line for lines in epochs.values() for line in lines)
    figure, panels = style.figure(height=3.4, panels=2 if measured else 1)
    parts = False
    for (label, color), marker in style.styles(epochs):
        lines = epochs[label]
        look = {"color": color, "marker": marker, "label": label}
        of_parts = any(line.get("ce", line["loss"]) != line["loss"] for line in lines)
        parts = parts or of_parts
        _curves(panels[0], lines, ["loss", "ce"] if of_parts else ["loss"], 1, look)
        if measured:
            _curves(panels[1], lines, ["corruption_error", "clean_error"], 100, look)
    captions = ["Loss (dashed: cross-entropy)" if parts else "Loss", "Error, % (dashed: clean)"]
    for axes, caption in zip(panels, captions, strict=False):
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlabel("Epoch", fontsize=9.5, color=style.INK)
        style.percent_axis(axes, caption)
    title = "Training loss and error by epoch" if measured else "Training loss by epoch"
    style.legend(figure, panels[0], title)
    style.save(figure, path)


def _curves(
    axes: Axes,
    lines: Sequence[Mapping[str, Any]],
    names: Sequence[str],
    factor: float,
    look: Mapping[str, Any],
) -> None:
    """A full line of the first value over the epochs that have it, a dashed one of the second."""
    for name, dashed in zip(names, (False, True), strict=False):
        known = [line for line in lines if name in line]
        own: dict[str, Any] = {"linewidth": 2, "markersize": 4.5, "zorder": 3, **look}
        if dashed or len(known) > 25:
            own["marker"] = None
        if dashed:
            own |= {"linewidth": 1.3, "linestyle": (0, (4, 2.5)), "label": None}
        axes.plot([line["epoch"] for line in known], [factor * line[name] for line in known], **own)


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
