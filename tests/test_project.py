"""The documents against the code: examples run, tables are those of the raw rows."""

from __future__ import annotations

import doctest
import functools
import importlib
import inspect
import pkgutil
import re
import subprocess
import sys
from pathlib import Path
from typing import Protocol

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import dynmix_tf

ROOT = Path(__file__).parent.parent


def modules():
    for module in pkgutil.walk_packages(dynmix_tf.__path__, "dynmix_tf."):
        if module.name not in ("dynmix_tf.train", "dynmix_tf.evaluate"):  # they define flags
            yield module.name


@pytest.fixture(scope="module")
def birds(photo_crops, tmp_path_factory):
    """A folder of class folders, which the examples call `birds`."""
    root = tmp_path_factory.mktemp("birds")
    for index, image in enumerate(photo_crops(32, 60)):
        path = root / ("wren", "robin")[index % 2] / f"{index // 2}.jpg"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(image).save(path)
    return root


@pytest.fixture(scope="module")
def names(photo_crops):
    """What the examples of the docstrings take for granted."""
    from dynmix_tf import augment, models

    images, labels = photo_crops(32, 64), (np.arange(64) % 10).astype("int32")
    network = models.build("small_cnn", seed=0)
    model = dynmix_tf.ConsistencyModel(network)
    model.compile(dynmix_tf.optimizers.CoupledSGD(0.01))
    views = augment.Views(augment.DynamicMixup(), before=augment.StandardAugmentation())
    return {
        "np": np, "tf": tf, "dynmix_tf": dynmix_tf, "images": images, "labels": labels,
        "network": network, "model": model, "views": views, "Path": Path,
        "ds": tf.data.Dataset.from_tensor_slices((images, labels)).batch(32),
    }  # fmt: skip


@pytest.mark.filterwarnings("ignore:`shuffle=True` was passed")
@pytest.mark.parametrize("name", list(modules()))
def test_examples_of_the_docstrings(name, names, birds, tmp_path, monkeypatch):
    module = importlib.import_module(name)
    monkeypatch.chdir(tmp_path)
    Path("birds").symlink_to(birds)
    runner = doctest.DocTestRunner(
        optionflags=doctest.NORMALIZE_WHITESPACE
        | doctest.ELLIPSIS
        | doctest.IGNORE_EXCEPTION_DETAIL
    )
    for test in doctest.DocTestFinder(recurse=True).find(module, extraglobs=names):
        text = []
        failed, _ = runner.run(test, out=text.append)
        assert not failed, "".join(text)


def public():
    """The classes and functions that `import dynmix_tf` leads to, by their places."""
    for name in dynmix_tf.__all__:
        found = getattr(dynmix_tf, name)
        places = {name: found}
        if inspect.ismodule(found):
            places = {
                f"{name}.{part}": getattr(found, part) for part in getattr(found, "__all__", ())
            }
        for place, it in places.items():
            if inspect.isclass(it) or inspect.isfunction(it):
                yield place, it


def test_public_names_resolve_and_are_documented():
    for place, found in public():
        text = inspect.getdoc(found) or ""
        elsewhere = re.search(r"[Ss]ee `|as `", text)  # of a sibling
        first, *_ = text.splitlines()
        assert first.endswith((".", "level].", "level).")), place
        protocol = inspect.isclass(found) and Protocol in found.__bases__
        assert ">>>" in text or elsewhere or protocol, f"{place} has no example"
        if inspect.isfunction(found) and "raise InputError" in inspect.getsource(found):
            assert "Raises:" in text or elsewhere, f"{place} does not tell what it raises"
    with pytest.raises(AttributeError, match="no attribute 'Dynamix'"):
        dynmix_tf.Dynamix  # noqa: B018
    assert set(dynmix_tf.__all__) <= set(dir(dynmix_tf))


def blocks(document, language):
    text = (ROOT / document).read_text()
    return re.findall(rf"```{language}\n(.*?)```", text, flags=re.DOTALL)


DOCUMENTS = [
    path.relative_to(ROOT)
    for folder in (".", "dynmix_tf", "experiments")
    for path in sorted((ROOT / folder).glob("*.md" if folder == "." else "**/*.md"))
]


@pytest.mark.filterwarnings("ignore:`shuffle=True` was passed")
@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_python_of_the_documents_runs(document, names, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    scope = {name: names[name] for name in ("images", "labels", "network")}
    for block in blocks(document, "python"):
        exec(compile(block, str(document), "exec"), scope)
    if document == Path("README.md"):
        assert (tmp_path / "export" / "saved_model.pb").is_file()


def anchors(document):
    """What GitHub makes of the headings of a document."""
    text = re.sub(r"```.*?```", "", document.read_text(), flags=re.DOTALL)
    for heading in re.findall(r"^#+ (.*)$", text, flags=re.MULTILINE):
        yield re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_links_of_the_documents_lead_somewhere(document):
    text = (ROOT / document).read_text()
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        place, _, anchor = link.partition("#")
        if place.startswith("https://"):
            continue
        target = (ROOT / document).parent / place if place else ROOT / document
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_commands_of_the_documents_have_their_flags(document):
    text = re.sub(r"\\\n\s*", "", (ROOT / document).read_text())
    for line in re.findall(r"python (?:-m )?[\w./]+[^`\n#]*", text):
        program = line.split()[2 if line.startswith("python -m") else 1]
        if program.startswith("dynmix_tf."):
            known = flags_of(program)
        elif program.startswith("experiments/"):
            text_of_it = source(ROOT / program)
            known = set(re.findall(r'"--(\w+)"', text_of_it))
            if "parse_known_args" in text_of_it:  # the rest goes to the command that it measures
                known |= flags_of("dynmix_tf.corrupt")
        else:
            continue
        unknown = set(re.findall(r"--(\w+)", line)) - known
        assert not unknown, f"{line}: {program} has no {unknown}"


@functools.cache
def flags_of(command):
    done = subprocess.run(
        [sys.executable, "-m", command, "--help"], capture_output=True, text=True, check=True
    )
    return set(re.findall(r"^  --(?:\[no\])?(\w+)", done.stdout, flags=re.MULTILINE))


def source(script):
    """A script's text; an example's arguments are partly those of `shared.py`."""
    beside = script.with_name("shared.py")
    return script.read_text() + (beside.read_text() if beside.exists() else "")


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_long_lines_are_tables_or_code(document):
    text = re.sub(r"```.*?```", "", (ROOT / document).read_text(), flags=re.DOTALL)
    for line in text.splitlines():
        assert len(line) <= 120 or line.startswith("|"), line


def test_table_of_the_seeds_is_that_of_the_raw_rows(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "experiments")
    seeds = importlib.import_module("quickstart_seeds")
    table = seeds.table()
    assert table in (ROOT / "experiments" / "MEASURED.md").read_text()
    assert seeds.quickstart_table() in (ROOT / "README.md").read_text()
    standard, dynmix = re.findall(r"\| (?:Standard|Dynamic Mixup) \|.*", table)

    def corruption_error(line):
        return float(line.split("|")[3].split("±")[0])

    assert corruption_error(dynmix) < corruption_error(standard)


def test_tables_of_the_study_are_those_of_the_raw_rows(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "experiments")
    study = importlib.import_module("study_table")
    found = study.figures()
    document = (ROOT / "experiments" / "README.md").read_text()
    for table in (study.errors_table, study.differences_table, study.pairs_table):
        assert table(found) in document
    assert {len(seeds) for seeds in found.values()} == {3}
    # what the README says of it
    readme = " ".join((ROOT / "README.md").read_text().split())
    differences = {
        name: re.search(rf"\| `{name}` \|(.*)", study.differences_table(found))[1].split("|")
        for name in ("dynmix", "without_flips")
    }
    for cell, text in (
        (differences["dynmix"][0], "{} points less error under corruption than standard"),
        (differences["dynmix"][1], "{} points *more* than AugMix"),
        (differences["without_flips"][1], "{} points less error than AugMix"),
    ):
        assert text.format(cell.strip(" +-")) in readme


def test_table_of_costs_is_that_of_the_recipes(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "experiments")
    assert importlib.import_module("recipes").costs() in (ROOT / "BUILD.md").read_text()


def test_table_of_the_augmentation_benchmark_is_that_of_the_raw_rows(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "experiments" / "benchmarks")
    augmentation = importlib.import_module("augmentation")
    rows = augmentation.read(augmentation.RESULTS / f"{augmentation.NAME}.csv")
    assert augmentation.table(rows).strip() in (ROOT / "experiments/MEASURED.md").read_text()
    readme = (ROOT / "README.md").read_text()
    for entry in augmentation.summary(rows).values():
        speed = {
            name: found["images_per_cpu_second"]["median"]
            for name, found in entry["implementations"].items()
        }
        ours = speed["dynmix_tf Dynamic Mixup"]
        ratios = (ours / speed[f"Pillow {method}"] for method in ("Dynamic Mixup", "AugMix"))
        for figure in (f" {ours:,.0f}", *(f" {ratio:.1f} times" for ratio in ratios)):
            assert figure in readme.replace("(", " ")


def test_keras_internals_are_not_used():
    for path in (ROOT / "dynmix_tf").rglob("*.py"):
        assert not re.search(r"keras\.src", path.read_text()), path


def test_the_version_has_one_place():
    sys.modules.pop("dynmix_tf.version", None)
    assert re.fullmatch(r"\d+\.\d+\.\d+", dynmix_tf.__version__)
