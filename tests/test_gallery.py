"""The gallery of corruptions and sequences: every row and column is there, with its name."""

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest
from matplotlib.text import Text

from dynmix_tf import corruptions as dm_corruptions

FIGURES = Path(__file__).parents[1] / "experiments" / "figures"


@pytest.fixture
def drawn(monkeypatch):
    """`drawn(name)`: the page of a figure as it is saved, without the files."""
    monkeypatch.syspath_prepend(FIGURES)
    monkeypatch.delitem(sys.modules, "corruptions", raising=False)  # a benchmark has this name too
    module, page = importlib.import_module("corruptions"), importlib.import_module("page")
    found = []
    monkeypatch.setattr(page, "save", lambda figure, stem, dpi: found.append(figure))

    def draw(function, **options):
        getattr(module, function)(Path("unused"), dpi=40, **options)
        return found[-1]

    yield draw
    monkeypatch.delitem(sys.modules, "corruptions", raising=False)


def texts(figure):
    return {text.get_text().split("\n")[0] for text in figure.findobj(Text)}


def test_every_corruption_at_every_severity(drawn):
    figure = drawn("at_32_px")
    names = dm_corruptions.names(extra=True)
    assert len(names) == 19 and len(figure.axes) == 19 * 6
    assert {name.replace("_", " ") for name in names} <= texts(figure)
    assert {"clean", "severity 1", "severity 5"} <= texts(figure)
    shown = [np.asarray(axes.get_images()[0].get_array()) for axes in figure.axes]
    rows = [shown[6 * row : 6 * row + 6] for row in range(19)]
    for row in rows:
        assert (row[0] == rows[0][0]).all()
        assert all((image != row[0]).any() for image in row[1:])


def test_every_sequence_from_its_first_frame_to_its_last(drawn):
    figure = drawn("sequences", side=32)
    names = dm_corruptions.sequence_names()
    assert len(names) == 10 and len(figure.axes) == 10 * 6
    assert {name.replace("_", " ") for name in names} | {"first frame", "last frame"} <= texts(
        figure
    )
