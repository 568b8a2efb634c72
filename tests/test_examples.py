"""The examples: each runs in small and writes what it says; mistakes are one line."""

from __future__ import annotations

import csv
import importlib
import json
import os
import re
import subprocess
import sys
from functools import partial
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

import dynmix_tf as dm
from dynmix_tf import results

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "experiments" / "examples"
NOTEBOOK = EXAMPLES / "dynamic_mixup_tour.ipynb"


@pytest.fixture
def example(monkeypatch):
    """`example(name)`: the module of that name."""
    monkeypatch.syspath_prepend(EXAMPLES)
    return importlib.import_module


@pytest.fixture
def small(example, monkeypatch):
    """`example`, with two conditions to score and a layer that is quickly compiled."""
    for name, options in (
        ("GeneratedBenchmark", {"names": ("fog", "contrast"), "severities": (5,)}),
        ("DynamicMixup", {"operations": ("solarize", "posterize")}),
    ):
        monkeypatch.setattr(dm, name, partial(getattr(dm, name), **options), raising=False)
    return example


@pytest.fixture(scope="module")
def source(photo_crops, tmp_path_factory):
    """A data set of four classes in an .npz file."""
    path = tmp_path_factory.mktemp("source") / "source.npz"
    images, labels = photo_crops(32, 96), np.arange(96, dtype="int32") % 4
    np.savez(
        path, train_images=images[:64], train_labels=labels[:64],
        test_images=images[64:], test_labels=labels[64:],
    )  # fmt: skip
    return str(path)


def check_rows(path, script, settings):
    """The file's rows are the script's, with errors in per cent; the rows."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["setting"] for row in rows] == list(settings)
    for row in rows:
        assert (row["script"], row["seed"]) == (script, "3")
        assert all(0 <= float(row[f"{kind}_error"]) <= 100 for kind in ("clean", "corruption"))
    return rows


def refused(example, name, argv, capsys):
    """What a mistake prints: one line, with exit status 2."""
    with pytest.raises(SystemExit) as left:
        example("shared").run(example(name).main, argv)
    assert left.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ") and said.count("\n") == 1
    return said


def test_own_model_own_folder(small, tmp_path, capsys):
    script = small("own_model_own_folder")
    script.NUM_TRAIN, script.NUM_TEST = 36, 18
    rows, out = tmp_path / "rows.csv", tmp_path / "out"
    script.main(["--epochs=2", "--seed=3", f"--csv={rows}", f"--output_dir={out}"])
    assert "36 training images, 18 for testing" in capsys.readouterr().out
    found = check_rows(rows, "own_model_own_folder", ("Standard", "Dynamic Mixup"))
    for method, row in zip(("standard", "dynamic_mixup"), found, strict=True):
        watched = results.read(out / method / "robustness.csv")
        assert {each["epoch"] for each in watched} == {1, 2}
        clean, *corrupted = [100 * each["error"] for each in watched if each["epoch"] == 2]
        assert float(row["clean_error"]) == pytest.approx(clean, abs=1e-3)
        assert float(row["corruption_error"]) == pytest.approx(np.mean(corrupted), abs=1e-3)
        served = tf.saved_model.load(out / method / "export")
        assert served.serve(np.zeros((1, 32, 32, 3), "uint8")).shape == (1, 9)


def test_own_model_without_a_folder_is_refused(example, capsys):
    said = refused(example, "own_model_own_folder", ["--folder=nowhere"], capsys)
    assert "no folder 'nowhere'" in said


def tiny_backbone(input_shape, include_top, weights):
    assert (include_top, weights) == (False, None)
    image = keras.Input(input_shape)
    x = keras.layers.Conv2D(4, 3, strides=4, name="conv")(image)
    return keras.Model(image, keras.layers.BatchNormalization()(x))


def test_finetune_backbone(small, source, tmp_path, monkeypatch):
    monkeypatch.setattr(keras.applications, "MobileNet", tiny_backbone)
    rows, out = tmp_path / "rows.csv", tmp_path / "out"
    kernel = np.full((3, 3, 3, 4), 0.01, "float32")
    backbone = tiny_backbone((32, 32, 3), False, None)
    backbone.get_layer("conv").set_weights([kernel, np.zeros(4, "float32")])
    weights = tmp_path / "backbone.weights.h5"
    backbone.save_weights(weights)
    small("finetune_backbone").main([
        f"--weights={weights}", f"--dataset={source}", "--num_train=64", "--num_test=16",
        "--epochs=1", "--seed=3", f"--csv={rows}", f"--output_dir={out}",
    ])  # fmt: skip
    check_rows(rows, "finetune_backbone", ("Standard", "Dynamic Mixup"))
    for method in ("standard", "dynamic_mixup"):
        network = dm.load_model(out / f"{method}.keras")
        assert network.output_shape == (None, 4)
        (tuned,) = (layer for layer in network.layers if isinstance(layer, keras.Model))
        moved = np.abs(tuned.get_layer("conv").get_weights()[0] - kernel).max()
        assert 0 < moved < 0.1  # trained, from the file's weights on


def test_finetune_pretrains_without_weights(small, tmp_path, monkeypatch, source):
    script, shared = small("finetune_backbone"), small("shared")
    load, trained = dm.data.load, []
    monkeypatch.setattr(keras.applications, "MobileNet", tiny_backbone)
    monkeypatch.setattr(dm.data, "load", lambda name, **limits: load(source, **limits))
    monkeypatch.setattr(shared, "errors", lambda network, data: (50.0, 60.0))

    def fit(network, data, method, epochs, seed, learning_rate=0.1):
        (conv,) = (layer for layer in network.layers if isinstance(layer, keras.Model))
        trained.append((method, epochs, conv.get_weights()[0].copy()))
        conv.set_weights([value + 1 for value in conv.get_weights()])
        return 1.0

    monkeypatch.setattr(shared, "fit", fit)
    script.main([
        "--num_pretrain=8", "--num_train=8", "--num_test=4", "--epochs=2",
        f"--output_dir={tmp_path}",
    ])  # fmt: skip
    assert [each[:2] for each in trained] == [
        ("Standard", 4), ("Standard", 1), ("Standard", 2), ("Dynamic Mixup", 1),
        ("Dynamic Mixup", 2),
    ]  # fmt: skip
    pretrained = trained[0][2] + 1
    for begins in (trained[1][2], trained[3][2]):  # both methods begin with what was pretrained
        np.testing.assert_array_equal(begins, pretrained)


def test_weights_of_another_backbone_are_refused(example, tmp_path, capsys):
    other = dm.models.build("small_cnn", seed=0)
    other.save_weights(tmp_path / "other.weights.h5")
    argv = [f"--weights={tmp_path / 'other.weights.h5'}", f"--output_dir={tmp_path}"]
    argv += ["--num_train=9", "--num_test=9"]
    said = refused(example, "finetune_backbone", argv, capsys)
    assert "cannot make MobileNet with weights" in said and "other.weights.h5: " in said


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--weights=nowhere.weights.h5"], "cannot make MobileNet with weights nowhere"),
        (["--weights=imagenet", "--num_pretrain=9"], "not allowed with argument --weights"),
    ],
)
def test_finetune_refuses(example, argv, message, tmp_path, capsys):
    argv = [*argv, "--num_train=9", "--num_test=9", f"--output_dir={tmp_path}"]
    assert message in refused(example, "finetune_backbone", argv, capsys)


def test_serve_saved_model(small, source, tmp_path, capfd):
    rows, out = tmp_path / "rows.csv", tmp_path / "out"
    whole = dm.GeneratedBenchmark.func  # as the command scores, with all severities
    small("serve_saved_model").dm.GeneratedBenchmark = whole
    small("serve_saved_model").main([
        f"--dataset={source}", "--num_train=64", "--num_test=16", "--corruptions=contrast",
        "--seed=3", f"--csv={rows}", f"--output_dir={out}",
    ])  # fmt: skip
    server, command = check_rows(rows, "serve_saved_model", ("server", "evaluate"))
    assert {**server, "setting": ""} == {**command, "setting": ""}
    said = capfd.readouterr().out
    assert "dynmix_tf imported: False" in said
    assert "as many errors under all 6 conditions" in said
    assert (out / "export" / "saved_model.pb").is_file()


def test_serve_tells_of_other_errors(small, source, tmp_path, monkeypatch):
    script = small("serve_saved_model")
    network = dm.models.build("small_cnn", num_classes=4, seed=0)
    network.save(tmp_path / "final.keras")
    counts = {("clean", 0): 4, ("fog", 5): 5}
    monkeypatch.setattr(script, "errors_of_server", lambda *_: counts)
    monkeypatch.setattr(script, "errors_of_command", lambda *_: counts | {("fog", 5): 6})
    with pytest.raises(SystemExit, match="other errors"):
        script.main([
            f"--model={tmp_path / 'final.keras'}", f"--dataset={source}", "--num_test=16",
            f"--output_dir={tmp_path}",
        ])  # fmt: skip


def test_serve_without_a_model_is_refused(example, source, tmp_path, capsys):
    argv = ["--model=nowhere.keras", f"--dataset={source}", "--num_test=16"]
    said = refused(example, "serve_saved_model", [*argv, f"--output_dir={tmp_path}"], capsys)
    assert "no model file nowhere.keras" in said


def test_unlabelled_consistency(small, source, tmp_path):
    rows, script = tmp_path / "rows.csv", small("unlabelled_consistency")
    script.main([
        f"--dataset={source}", "--num_labelled=40", "--num_unlabelled=24", "--num_test=16",
        "--steps=2", "--seed=3", f"--csv={rows}",
    ])  # fmt: skip
    check_rows(rows, "unlabelled_consistency", script.SETTINGS)


def test_unlabelled_images_have_no_cross_entropy_but_consistency(example, photo_crops):
    """The loss is the cross-entropy of the labelled plus lambda times the divergence of all."""
    images = tuple(photo_crops(32, 8, seed=seed).astype("float32") for seed in range(3))
    labels = np.array([0, 1, 2, 3, -1, -1, -1, -1])
    network = dm.models.build("small_cnn", num_classes=4, seed=0)
    model = example("unlabelled_consistency").SemiSupervised(network)
    model.compile("sgd")
    logits = np.stack([network(view, training=False) for view in images])
    loss = float(model.compute_loss(images[0], labels, logits.reshape(-1, 4)))
    log_p = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    cross_entropy = -log_p[0, range(4), labels[:4]].mean()
    p = np.exp(log_p)
    divergence = (p * (log_p - np.log(p.mean(0)))).sum(-1).mean()
    assert loss == pytest.approx(cross_entropy + 12 * divergence, rel=1e-4)
    logs = model.compute_metrics(images[0], labels, logits.reshape(-1, 4))
    accuracy = (logits[0, :4].argmax(-1) == labels[:4]).mean()
    assert float(logs["accuracy"]) == pytest.approx(accuracy)


def test_unlabelled_refuses_more_images_than_there_are(example, source, capsys):
    argv = [f"--dataset={source}", "--num_labelled=40", "--num_unlabelled=25"]
    assert "`num_train` must be in [1, 64]" in refused(
        example, "unlabelled_consistency", argv, capsys
    )


def test_transfer_learning(small, source, tmp_path, monkeypatch):
    monkeypatch.setattr(small("shared"), "METHODS", ("Dynamic Mixup",))  # half of the trainings
    rows = tmp_path / "rows.csv"
    small("transfer_learning").main([
        f"--source={source}", "--num_train=64", "--num_finetune=8", "--num_test=16",
        "--epochs=1", "--finetune_epochs=1", "--seed=3", f"--csv={rows}",
    ])  # fmt: skip
    settings = [f"{start}, then Dynamic Mixup" for start in ("Dynamic Mixup", "nothing")]
    check_rows(rows, "transfer_learning", settings)


def test_transfer_takes_classes_and_weights_along(example, source):
    script = example("transfer_learning")
    data = dm.data.load(source)
    half = script.of_classes(data, np.array([1, 3]))
    chosen = data.train_labels % 2 == 1
    np.testing.assert_array_equal(half.train_images, data.train_images[chosen])
    np.testing.assert_array_equal(half.train_labels, data.train_labels[chosen] // 2)
    assert half.class_names == (data.class_names[1], data.class_names[3])
    pretrained = dm.models.build("small_cnn", num_classes=4, seed=1)
    network = script.with_new_logits(pretrained, 2, seed=0)
    *kept, kernel, bias = network.get_weights()
    for ours, theirs in zip(kept, pretrained.get_weights()[:-2], strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert kernel.shape[1] == len(bias) == 2


def test_transfer_refuses_an_unknown_target(example, source, capsys):
    argv = [f"--source={source}", "--target=stamps", "--num_train=64", "--num_test=16"]
    assert "stamps" in refused(example, "transfer_learning", argv, capsys)


@pytest.mark.parametrize("value", ["0", "-1", "many", "1.5"])
def test_counts_are_one_or_more(example, value, capsys):
    said = refused(example, "transfer_learning", [f"--epochs={value}"], capsys)
    assert f"must be 1 or more. Received: {value}" in said


def test_rows_take_the_place_of_the_same_run(example, tmp_path, capsys):
    report, path = example("shared").report, tmp_path / "rows.csv"
    report("b.py", 0, [("one", 1.0, 2.0, 3.0)], path)
    report("a.py", 0, [("one", 4.0, 5.0, 6.0)], path)
    report("b.py", 1, [("one", 7.0, 8.0, 9.0)], path)
    report("b.py", 0, [("two", 10.0, 11.04, 12.0), ("three", 0.0, 0.0, 0.0)], path)
    assert path.read_text().splitlines()[1:] == [
        "a,0,one,4.000,5.000,6.000",
        "b,0,two,10.000,11.040,12.000",
        "b,0,three,0.000,0.000,0.000",
        "b,1,one,7.000,8.000,9.000",
    ]
    assert "| two | 10.0 | 11.0 | 12 |" in capsys.readouterr().out


def test_tables_are_those_of_the_raw_rows(example):
    tables = example("example_tables").tables()
    readme = (EXAMPLES / "README.md").read_text()
    scripts = {path.stem for path in EXAMPLES.glob("*.py")} - {"shared", "example_tables"}
    assert set(tables) == scripts
    for text in tables.values():
        assert text in readme


def test_table_of_rows(example):
    def row(seed, setting, *values):
        names = ("clean_error", "corruption_error", "processor_seconds")
        return {"seed": seed, "setting": setting, **dict(zip(names, values, strict=True))}

    rows = [row("0", "a", "10", "20", "3"), row("0", "b", "9", "18", "5"),
            row("1", "a", "12", "20", "3"), row("1", "b", "11", "17", "6")]  # fmt: skip
    lines = example("example_tables").table(rows).splitlines()
    assert lines[2] == "| a | 11.0 | - | 20.0 | - | 3 |"
    assert lines[3] == "| b | 10.0 | -1.0 ± 0.0 | 17.5 | -2.5 ± 6.4 | 6 |"  # 12.71 * 0.5


SMALLER = """
NUM_TRAIN, NUM_TEST, EPOCHS = 18, 9, 1
CORRUPTIONS = ("fog", "contrast")
dm.DynamicMixup = functools.partial(dm.DynamicMixup, operations=("solarize", "posterize"))
"""


def test_notebook_runs():
    """Every cell, in a process of its own; with sizes in the place of those of the first."""
    first, *others = code_cells()
    cells = [first + "\nimport functools" + SMALLER, *others]
    done = subprocess.run(
        [sys.executable, "-W", "error::SyntaxWarning", "-"],
        input="\n\n".join(cells),
        env={**os.environ, "MPLBACKEND": "Agg"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    for name in ("Standard", "Dynamic Mixup"):
        assert re.search(rf"^{name} +clean +[\d.]+ +corrupted +[\d.]+$", done.stdout, re.M)
    assert done.stdout.count("taken for") == 4


def code_cells():
    cells = json.loads(NOTEBOOK.read_text())["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]


def test_notebook_is_committed_as_it_ran():
    text = NOTEBOOK.read_text()
    assert len(text) < 400_000
    notebook = json.loads(text)
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    outputs = [output for cell in code for output in cell["outputs"]]
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 3
    for output in outputs:
        assert output["output_type"] != "error"
        assert output.get("name") != "stderr"
        assert not re.search(r"(^|[\s'\"])/\w+/", "".join(output.get("text", "")))  # of a machine
    assert set(notebook["metadata"]) == {"kernelspec", "language_info"}
    assert all(cell["metadata"] == {} for cell in notebook["cells"])
