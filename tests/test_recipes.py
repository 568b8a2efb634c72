"""The recipes and the table that they are made from."""

from __future__ import annotations

import dataclasses
import importlib

import numpy as np
import pytest

from dynmix_tf import models
from dynmix_tf.config import TrainConfig


@pytest.fixture(scope="module")
def recipes(experiments):
    return importlib.import_module("recipes")


def flags_of(text):
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    return dict(line.removeprefix("--").partition("=")[::2] for line in lines)


def config_of(flags):
    kinds = {field.name: field.metadata["kind"] for field in dataclasses.fields(TrainConfig)}
    given = {
        name: True if kinds[name] is bool else kinds[name](value) for name, value in flags.items()
    }
    return TrainConfig(**given)


def test_committed_recipes_are_what_the_table_makes(recipes):
    wanted = recipes.recipes()
    found = {path.name: path.read_text() for path in recipes.FOLDER.iterdir()}
    assert sorted(found) == sorted(wanted)
    for name, text in wanted.items():
        assert found[name] == text, f"run experiments/recipes.py: {name} is not what it writes"
    tables = ("table_1", "table_2", "tables_3_4", "table_5")
    assert [sum(n.startswith(t) for n in wanted) for t in tables] == [28, 28, 6, 12]


def test_every_recipe_has_settings_that_training_accepts(recipes):
    for name, text in recipes.recipes().items():
        flags = flags_of(text)
        assert flags.pop("robustness_every", "10") == "10"
        config = config_of(flags)
        models.check_name(config.model)
        decay = 1e-4 if config.method == "mixup" or config.dataset == "imagenet2012" else 5e-4
        assert config.l2 == decay
        bigger = config.model in ("densenet_bc_100_12", "resnext29_4x32d")
        if config.dataset != "imagenet2012":
            assert (config.epochs, config.schedule) == (200 if bigger else 100, "cosine")
            assert (config.learning_rate, config.momentum, config.warmup_epochs) == (0.1, 0.9, 0)
        else:
            longer = config.method in ("autoaugment", "augmix", "dynmix")
            assert config.epochs == (180 if longer else 45 if config.method == "sin" else 90)
            assert config.linear_scaling and config.warmup_epochs == 5
        assert f"--flagfile=experiments/recipes/{name} " in text
        assert "\n# Published: " in text and "assumed, not measured" in " ".join(text.split())


def test_flagfiles_are_read_by_the_command(recipes):
    """By absl, which knows comments, flags without a value, and the flags of the command."""
    from absl import flags

    from dynmix_tf import commands

    known = flags.FlagValues()
    with pytest.MonkeyPatch.context() as patch:
        for kind in ("bool", "integer", "float", "string"):
            define = getattr(flags, f"DEFINE_{kind}")
            patch.setattr(
                flags, f"DEFINE_{kind}",
                lambda *words, define=define: define(*words, flag_values=known),
            )  # fmt: skip
        commands.define_flags(TrainConfig)
        flags.DEFINE_integer("robustness_every", 0, "")
    path = recipes.FOLDER / "tables_3_4_resnet50_dynmix_imagenet2012.flags"
    known(["train", f"--flagfile={path}", "--data_dir=d"])
    got = (known["linear_scaling"].value, known["operations"].value, known["severity"].value)
    assert got == (True, "imagenet", 1.0) and known["data_dir"].value == "d"


def test_published_means_are_those_of_the_columns(tables):
    """To the rounding of what is printed; where they are not, a note says so."""
    found = []
    for number, mean, values in _means(tables):
        if abs(mean.published - np.mean(values)) > 0.0501:
            found.append((number, mean.published, mean.note or tables.TABLES[number].notes[0]))
    assert [entry[:2] for entry in found] == [
        (2, 35.5), (3, 80.6), (3, 73.3), (3, 68.4), (4, 51.7), (4, 55), (4, 37.4),
    ]  # fmt: skip
    assert "35.35" in found[0][2] and all(
        "0.15" in note or "82.1" in note for *_, note in found[1:]
    )


def _means(tables):
    for number in (1, 2):
        table = tables.TABLES[number]
        for column in table.columns:
            values = [table.values[row, column].published for row in table.rows[:-1]]
            yield number, table.values["Mean", column], values
    for number in (3, 4):
        table = tables.TABLES[number]
        for row in table.rows:
            values = [table.values[row, column].published for column in table.columns[1:-1]]
            yield number, table.values[row, table.columns[-1]], values


def test_runs_of_the_tables(tables):
    runs = {number: list(table.runs()) for number, table in tables.TABLES.items()}
    assert {number: len(found) for number, found in runs.items()} == {
        1: 28, 2: 28, 3: 6, 4: 6, 5: 12,
    }  # fmt: skip
    assert runs[3] == runs[4]
    assert len({run for found in runs.values() for run in found}) == 28 + 28 + 6 + 10
    # the same run has the same published value in Tables 1, 2 and 5
    standard = tables.TABLES[5].values["Standard", "CIFAR-100-C error"]
    assert standard.published == tables.TABLES[2].values["WideResNet", "Standard"].published
    assert all(run.network == "wideresnet" for run in runs[5])


def test_the_figure_of_errors_by_epoch_has_what_it_needs(tables):
    runs = [run for table in tables.TABLES.values() for run in table.runs()]
    curves = {run for run in runs if "robustness_every" in tables.settings(run)}
    assert curves == {
        tables.Run("cifar100", "wideresnet", method) for method in ("standard", "augmix", "dynmix")
    }


def test_costs_are_counted_from_the_networks(tables, recipes):
    import keras

    for name in ("allconvnet", "wideresnet", "resnext", "densenet"):
        network = models.build(tables.NETWORKS[name].model)
        macs = 0
        for layer in network.layers:
            if isinstance(layer, keras.layers.Conv2D):
                macs += np.prod(layer.kernel.shape) * np.prod(layer.output.shape[1:3])
            elif isinstance(layer, keras.layers.Dense):
                macs += np.prod(layer.kernel.shape)
        assert tables.NETWORKS[name].mega_macs == pytest.approx(macs / 1e6, abs=0.06)
    standard, dynmix, single, attacked = (
        recipes.operations(tables.Run("cifar10", "wideresnet", method))
        for method in ("standard", "dynmix", "dynmix_single", "adversarial")
    )
    assert standard == pytest.approx(2 * 327.6e6 * 3 * 50_000 * 100)
    assert [dynmix / standard, single / standard, attacked / standard] == pytest.approx(
        [3, 2, 23 / 3]
    )


@pytest.mark.parametrize(
    ("dataset", "network", "method"),
    [
        ("cifar100", "allconvnet", "mixup"),
        ("cifar10", "wideresnet", "dynmix_single"),
        ("imagenet2012", "resnet50", "sin"),
    ],
)
def test_one_step_at_full_size(tables, dataset, network, method, tmp_path):
    one_step = importlib.import_module("one_step")
    loss = one_step.one_step(tables.Run(dataset, network, method), tmp_path)
    classes = {"cifar10": 10, "cifar100": 100, "imagenet2012": 1000}[dataset]
    assert 0 < loss < 3 * np.log(classes)
