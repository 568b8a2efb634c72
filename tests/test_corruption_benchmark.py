"""The benchmark of the corruptions: its rows, and its table from rows that are known."""

import sys
from pathlib import Path

import pytest

from dynmix_tf import corruptions as dm_corruptions
from dynmix_tf.errors import InputError

BENCHMARKS = Path(__file__).parents[1] / "experiments" / "benchmarks"


@pytest.fixture(scope="module")
def benchmark():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(BENCHMARKS)
        sys.modules.pop("corruptions", None)  # the figures have a script of this name too
        import corruptions

        yield corruptions
        sys.modules.pop("corruptions", None)


def test_one_round_of_a_few_images(benchmark, monkeypatch, tmp_path):
    monkeypatch.setattr(benchmark, "IMAGES", {32: 5})
    monkeypatch.setattr(dm_corruptions, "names", lambda extra=False: ("fog", "pixelate"))
    path = tmp_path / "rows.csv"
    benchmark.measure(path, sys.executable, rounds=2)  # this Python has no peer
    rows = benchmark.read(path)
    assert len(rows) == 2 * 2 * 2
    ours = [row for row in rows if row["generator"] == "dynmix_tf"]
    assert all(float(row["cpu_milliseconds"]) > 0 and "scipy" in row["versions"] for row in ours)
    peer = [row for row in rows if row["generator"] == "imagecorruptions"]
    assert all("imagecorruptions" in row["note"] and not row["cpu_milliseconds"] for row in peer)
    assert "| fog |" in benchmark.table(rows) and "| – |" in benchmark.table(rows)


def test_table_has_medians_ratios_and_the_last_run(benchmark):
    def row(run, generator, corruption, turn, value):
        values = (run, "m", "v", 32, generator, corruption, turn, value, "")
        return dict(zip(benchmark.FIELDS, map(str, values), strict=True))

    names = dm_corruptions.names()
    rows = [row("1", "dynmix_tf", names[0], 0, 99.0)]
    for name in names:
        rows += [row("2", "dynmix_tf", name, turn, value) for turn, value in enumerate((1, 2, 9))]
        rows.append(row("2", "imagecorruptions", name, 0, 5))
    lines = benchmark.table(rows).splitlines()
    assert lines[2].split("|")[1:5] == [f" {names[0]} ", " 2.00 ", " 5.00 ", " 2.5 "]
    assert lines[-1].split("|")[1:5] == [f" mean of the {len(names)} ", " 2.00 ", " 5.00 ", " 2.5 "]


def test_no_rows(benchmark, tmp_path):
    with pytest.raises(InputError, match="no such file"):
        benchmark.read(tmp_path / "none.csv")
