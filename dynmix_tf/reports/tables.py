"""Tables of robustness results, in Markdown and as plain text."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
from scipy.special import stdtrit

from dynmix_tf.corruptions import GROUPS
from dynmix_tf.errors import InputError
from dynmix_tf.metrics import ALEXNET_IMAGENET_C_EXTRA
from dynmix_tf.reports.summary import Summary

__all__ = [
    "METHOD_NAMES",
    "best",
    "comparison",
    "comparison_text",
    "grouped",
    "intervals",
    "latex",
    "markdown",
    "per_corruption",
]

METHOD_NAMES = {
    "standard": "Standard",
    "mixup": "Mixup",
    "cutmix": "CutMix",
    "autoaugment": "AutoAugment*",
    "random_autoaugment": "Random AutoAugment*",
    "adversarial": "Adversarial",
    "sin": "SIN",
    "augmix": "AugMix",
    "dynmix": "Dynamic Mixup",
}
"""How tables and pictures call a method; others are shown by the name they came with."""

_GROUPS = {**GROUPS, "extra": tuple(ALEXNET_IMAGENET_C_EXTRA)}


def grouped(names: Iterable[str]) -> dict[str, list[str]]:
    """Sorts corruptions into noise, blur, weather and digital; what is in none goes to "other".

    The four validation corruptions, which count for no mean over the benchmark, are "extra".

    Args:
        names: Corruption names, in any order.

    Returns:
        `{group: names}` in the order of the benchmark, without empty groups.

    Example:
        >>> grouped(["fog", "sparkles", "shot_noise", "snow"])
        {'noise': ['shot_noise'], 'weather': ['snow', 'fog'], 'other': ['sparkles']}
    """
    left = list(names)
    groups = {
        group: [name for name in members if name in left] for group, members in _GROUPS.items()
    }
    known = {name for members in groups.values() for name in members}
    groups["other"] = [name for name in left if name not in known]
    return {group: members for group, members in groups.items() if members}


def comparison(summaries: Mapping[str, Summary]) -> str:
    """The methods side by side as a Markdown table, the best of each column in bold.

    Columns: clean error, mean corruption error, mean per corruption group, RMS calibration error
    on clean and on corrupted images (mean of the severities), all in per cent, and the training
    time in seconds where known. Values that print alike are all bold; a lone method is not.

    Args:
        summaries: `{label: summary(...)}`, perhaps with `training_seconds` added.

    Returns:
        The table, a newline at its end.

    Raises:
        InputError: No label.
    """
    return markdown(*_comparison_cells(summaries))


def comparison_text(summaries: Mapping[str, Summary]) -> str:
    """The table of `comparison` for the terminal: aligned columns, `*` marks the best.

    Args:
        summaries: As for `comparison`.

    Returns:
        The lines, a newline at their end.

    Raises:
        InputError: No label.
    """
    header, rows, bold = _comparison_cells(summaries)
    # A word per line keeps the table within a terminal; the space is where a `*` may follow.
    words = [title.split() for title in header]
    height = max(len(title) for title in words)
    stacked = [[""] * (height - len(title)) + title for title in words]
    lines = [[first, *(f"{word} " for word in rest)] for first, *rest in zip(*stacked, strict=True)]
    for row, marks in zip(rows, bold, strict=True):
        cells = zip(row[1:], marks[1:], strict=True)
        lines.append([row[0], *(cell + ("*" if mark else " ") for cell, mark in cells)])
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    lines.insert(height, ["-" * width for width in widths])
    return "".join(
        " ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        + "\n"
        for line in lines
    )


def per_corruption(summaries: Mapping[str, Summary]) -> str:
    """The error on each corruption as a Markdown table, a column per method, the best in bold.

    Args:
        summaries: `{label: summary(...)}`, all of the same corruptions.

    Returns:
        The table, a newline at its end: clean images, every corruption (mean of its five
        severities) and their mean, in per cent.

    Raises:
        InputError: No label, or labels with different corruptions.
    """
    _check_labels(summaries)
    names = [name for members in _groups_of(summaries).values() for name in members]
    titles = ["clean", *names, "mean of the corruptions"]
    columns = [
        [
            summary["clean_error"],
            *(summary["corruption_errors"][name] for name in names),
            summary["mean_corruption_error"],
        ]
        for summary in summaries.values()
    ]
    cells, bold = [], []
    for title, values in zip(titles, zip(*columns, strict=True), strict=True):
        printed = [f"{value:.1f}" for value in values]
        cells.append([title.replace("_", " "), *printed])
        bold.append([False, *best(printed)])
    return markdown(["Error, %", *summaries], cells, bold)


def markdown(
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    bold: Sequence[Sequence[bool]] | None = None,
) -> str:
    """A Markdown table: the first column to the left, the others to the right.

    Args:
        header: Titles of the columns.
        rows: As many cells per row; `|` and `*` in them are escaped.
        bold: Which cells are bold, in the shape of `rows`; none by default.

    Returns:
        The table, a newline at its end.

    Example:
        >>> print(markdown(["Method", "Error"], [["Standard", "25.0"]]), end="")
        | Method | Error |
        | --- | ---: |
        | Standard | 25.0 |
    """
    lines = [[_escaped(title) for title in header], ["---", *["---:"] * (len(header) - 1)]]
    for index, row in enumerate(rows):
        cells = [_escaped(cell) for cell in row]
        if bold is not None:
            marks = zip(cells, bold[index], strict=True)
            cells = [f"**{cell}**" if mark else cell for cell, mark in marks]
        lines.append(cells)
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def latex(
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    bold: Sequence[Sequence[bool]] | None = None,
) -> str:
    """The same as a LaTeX `tabular`, with the rules of the package booktabs.

    Args:
        header: As `markdown`.
        rows: As `markdown`.
        bold: As `markdown`.

    Returns:
        The lines, a newline at their end.

    Example:
        >>> print(latex(["Method", "Error"], [["Standard", "25.0"]]).splitlines()[4])
        Standard & 25.0 \\\\
    """
    lines = [
        rf"\begin{{tabular}}{{l{'r' * (len(header) - 1)}}}", r"\toprule",
        " & ".join(map(_latex_text, header)) + r" \\", r"\midrule",
    ]  # fmt: skip
    for index, row in enumerate(rows):
        marks = bold[index] if bold is not None else [False] * len(row)
        cells = [
            rf"\textbf{{{_latex_text(cell)}}}" if mark else _latex_text(cell)
            for cell, mark in zip(row, marks, strict=True)
        ]
        lines.append(" & ".join(cells) + r" \\")
    lines += [r"\bottomrule", r"\end{tabular}"]
    return "".join(f"{line}\n" for line in lines)


def intervals(values: Sequence[float]) -> tuple[float, float]:
    """The mean of repeated runs and the half-width of its 95 % t-interval.

    Args:
        values: One figure per run (seed), at least two.

    Returns:
        `(mean, half-width)`: the interval is mean - half-width to mean + half-width.

    Raises:
        InputError: Fewer than two values, or one that is not finite.

    Example:
        >>> mean, half_width = intervals([10.0, 11.0, 12.0])
        >>> mean, round(half_width, 3)
        (11.0, 2.484)
    """
    runs: np.ndarray = np.asarray(values, dtype=np.float64)
    if runs.ndim != 1 or runs.size < 2 or not np.isfinite(runs).all():
        raise InputError(f"an interval needs at least two finite values. Received: {list(values)}")
    quantile = stdtrit(runs.size - 1, 0.975)
    return float(runs.mean()), float(quantile * runs.std(ddof=1) / np.sqrt(runs.size))


def _comparison_cells(
    summaries: Mapping[str, Summary],
) -> tuple[list[str], list[list[str]], list[list[bool]]]:
    """Header, printed cells, and which of them are the best of their column."""
    _check_labels(summaries)
    columns: list[tuple[str, Callable[[Summary], str]]] = [
        ("Clean error", lambda s: f"{s['clean_error']:.1f}"),
        ("Mean corruption error", lambda s: f"{s['mean_corruption_error']:.1f}"),
    ]
    for group, names in _groups_of(summaries).items():
        columns.append((group.capitalize(), functools.partial(_mean_of, names=names)))
    columns += [
        ("RMS calibration clean", lambda s: f"{s['calibration_by_severity'][0]:.1f}"),
        ("RMS calibration corrupted", lambda s: f"{np.mean(s['calibration_by_severity'][1:]):.1f}"),
    ]
    if any(summary.get("training_seconds") is not None for summary in summaries.values()):
        columns.append(("Training seconds", _seconds))
    printed = [[cell(summary) for summary in summaries.values()] for _, cell in columns]
    smallest = [best(column) for column in printed]
    rows = [[label, *cells] for label, *cells in zip(summaries, *printed, strict=True)]
    marks = [[False, *cells] for cells in zip(*smallest, strict=True)]
    return ["Method", *(title for title, _ in columns)], rows, marks


def _mean_of(summary: Summary, names: list[str]) -> str:
    return f"{np.mean([summary['corruption_errors'][name] for name in names]):.1f}"


def _seconds(summary: Summary) -> str:
    seconds = summary.get("training_seconds")
    return "-" if seconds is None else f"{seconds:.0f}"


def best(printed: Sequence[str]) -> list[bool]:
    """Which cells print the smallest value; none where there is nothing to compare, as with "-"."""
    values = [float(cell) if cell != "-" else np.inf for cell in printed]
    known = [value for value in values if value < np.inf]
    return [len(known) > 1 and value == min(known) for value in values]


def _groups_of(summaries: Mapping[str, Summary]) -> dict[str, list[str]]:
    (first, expected), *others = [
        (label, summary["corruption_errors"]) for label, summary in summaries.items()
    ]
    for label, errors in others:
        if set(errors) != set(expected):
            different = ", ".join(sorted(set(errors) ^ set(expected)))
            raise InputError(f"'{first}' and '{label}' have different corruptions: {different}")
    return grouped(expected)


def _check_labels(summaries: Mapping[str, Summary]) -> None:
    if not summaries:
        raise InputError("nothing to compare: no label")


def _escaped(text: str) -> str:
    return text.replace("|", r"\|").replace("*", r"\*")


def _latex_text(text: str) -> str:
    return re.sub(r"([&%$#_{}])", r"\\\1", text)
