"""Every benchmark of `evaluate`, opened by its name and scored from files of its layout."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from dynmix_tf import corruptions, data, models, results
from dynmix_tf.benchmarks import opening
from dynmix_tf.config import TrainConfig
from dynmix_tf.errors import InputError

SYNSETS = ("n01440764", "n01443537", "n01484850")


@pytest.fixture(scope="module")
def files(tmp_path_factory, photo_crops):
    """Small trees of ImageNet-C and of its clean images, and arrays of CIFAR-10-P."""
    root = tmp_path_factory.mktemp("benchmarks")
    for index, image in enumerate(photo_crops(96, 6)):
        place = f"{SYNSETS[index % 3]}/ILSVRC2012_val_{index:08}.JPEG"
        for folder, content in [
            ("val", image),
            *(
                (
                    f"ImageNet-C/{name}/{severity}",
                    corruptions.corrupt(image[None], name, severity)[0],
                )
                for name in ("fog", "pixelate")
                for severity in range(1, 6)
            ),
        ]:
            (root / folder / place).parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(content).save(root / folder / place, quality=95)
    for name in ("tilt", "gaussian_noise", "gaussian_noise_2"):
        stem, level = name.removesuffix("_2"), 2 if name.endswith("_2") else 1
        frames = [
            corruptions.sequence(image, stem, difficulty=level) for image in photo_crops(32, 4)
        ]
        np.save(root / f"{name}.npy", np.stack(frames))
    return root


def evaluate(*words, folder):
    return subprocess.run(
        [sys.executable, "-m", "dynmix_tf.evaluate", *words],
        capture_output=True, text=True, cwd=folder, check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "COLUMNS": "80"},
    )  # fmt: skip


def test_every_name_has_its_options_and_layout(files):
    for name in opening.BENCHMARKS:
        if name in opening.NEEDS_DATASET:
            with pytest.raises(InputError, match="needs the images of a data set"):
                opening.open_benchmark(name, files)
    for name in ("imagenet_c_bar", "imagenet_3dcc"):
        with pytest.raises(InputError, match=f"folder named like {name}"):
            opening.open_benchmark(name, files)
    with pytest.raises(InputError, match="not prepared"):
        opening.open_benchmark("cifar10_corrupted", files)


def test_imagenet_c_from_files_to_tables(files, tmp_path):
    models.build("small_cnn", (96, 96, 3), 1000, seed=0).save(tmp_path / "net.keras")
    words = [
        "--model=net.keras", "--benchmark=imagenet_c", f"--data_dir={files}", "--output_dir=out",
        "--corruptions=fog,pixelate", f"--clean_dir={files / 'val'}", "--image_size=96",
    ]  # fmt: skip
    done = evaluate(*words, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "CE, %" in done.stdout and "mCE" not in done.stdout  # two corruptions are no mCE
    rows = results.read(tmp_path / "out" / "robustness.csv")
    assert [row["corruption"] for row in rows] == ["clean"] + ["fog"] * 5 + ["pixelate"] * 5
    assert {row["num_images"] for row in rows} == {6} and rows[0]["dataset"] == "imagenet2012"
    record = json.loads((tmp_path / "out" / "imagenet_c_scores.json").read_text())
    errors = [row["error"] for row in rows if row["corruption"] == "fog"]
    assert record["scores"]["uCE/fog"]["value"] == pytest.approx(100 * np.mean(errors))
    before = (tmp_path / "out" / "robustness.csv").read_bytes()
    again = evaluate(*words, folder=tmp_path)  # nothing is measured again
    assert again.stdout == done.stdout
    assert (tmp_path / "out" / "robustness.csv").read_bytes() == before
    (files / "ImageNet-C/fog/4" / SYNSETS[1] / "ILSVRC2012_val_00000001.JPEG").rename(
        tmp_path / "x"
    )
    lacking = evaluate(*words, folder=tmp_path)
    (tmp_path / "x").rename(
        files / "ImageNet-C/fog/4" / SYNSETS[1] / "ILSVRC2012_val_00000001.JPEG"
    )
    assert lacking.returncode == 2 and len(lacking.stderr.splitlines()) == 1
    assert "fog/4 lacks 1 of the images" in lacking.stderr


def test_sequences_from_files_to_tables(files, tmp_path):
    models.build("small_cnn", (32, 32, 3), 10, seed=0).save(tmp_path / "net.keras")
    (tmp_path / "mine.json").write_text(json.dumps({"tilt": 0.1, "gaussian_noise": 0.2}))
    done = evaluate(
        "--model=net.keras", "--benchmark=cifar10_p", f"--data_dir={files}", "--output_dir=out",
        "--corruptions=tilt,gaussian_noise", "--difficulties=1,2", "--baseline=mine.json",
        folder=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "difficulty 2 mFR, %" in done.stdout and "4 sequences" in done.stdout
    rows = results.read(tmp_path / "out" / "robustness.csv")
    conditions = [(row["corruption"], row["difficulty"]) for row in rows]
    assert conditions == [(n, d) for n in ("tilt", "gaussian_noise") for d in (1, 2)]
    assert all(row["error"] is None and row["top5_distance"] >= 0 for row in rows)
    table = (tmp_path / "out" / "cifar10_p_table.md").read_text()
    assert table.startswith("| Network | Gaussian | Tilt | mFR | Gaussian | Tilt | mFR |")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--benchmark=imagenet_d"], "unknown --benchmark 'imagenet_d'; did you mean"),
        (["--benchmark=imagenet_c"], "--data_dir is missing: where imagenet_c lies"),
        (["--benchmark=imagenet_c", "--data_dir=d", "--strengths=cifar"], "--strengths does"),
        (["--benchmark=imagenet_p", "--data_dir=d", "--verify"], "--verify does nothing"),
        (["--difficulties=1"], "no model at net.keras"),
        (["--difficulties=2"], "--difficulties does nothing with --benchmark=generated"),
        (["--benchmark=cifar10_p", "--data_dir=d", "--difficulties=x"], "--difficulties must"),
        (["--value_range=0,one"], "--value_range must be numbers"),
        (["--output=odds"], "flag --output=odds: value should be one of"),
    ],
)  # fmt: skip
def test_mistakes_are_told_in_one_line_before_anything_is_loaded(tmp_path, words, message):
    done = evaluate("--model=net.keras", "--output_dir=out", *words, folder=tmp_path)
    assert done.returncode == 2 and not done.stdout
    assert len(done.stderr.splitlines()) == 1 and message in done.stderr
    assert not (tmp_path / "out").exists()


def test_small_images_of_a_folder_are_read_as_arrays(tmp_path):
    photos = data.load("photos", num_train=9, num_test=9)
    with pytest.raises(InputError, match="of photos are in memory .* read them as cifar10_c"):
        opening.open_benchmark("folder_c", tmp_path, photos)


def test_a_model_of_a_folder_is_scored_wherever_both_lie(tmp_path, photo_crops):
    """Its images have the size that is asked for, and that of the run where the folder moved."""
    for index, image in enumerate(photo_crops(48, 8)):
        kind = tmp_path / "birds" / ("train", "val")[index % 2] / ("robin", "wren")[index // 2 % 2]
        kind.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(kind / f"{index}.png")
    (tmp_path / "run").mkdir()
    network = models.build("small_cnn", (40, 40, 3), 2, seed=0)
    network.save(tmp_path / "run" / "final.keras")
    network.save(tmp_path / "mine.keras")
    settings = TrainConfig(dataset="elsewhere/birds", image_size=40).to_json()
    (tmp_path / "run" / "config.json").write_text(json.dumps(settings))
    rows = []
    for model, more in (("mine.keras", ["--image_size=40"]), ("run/final.keras", [])):
        words = [f"--model={model}", f"--output_dir={model}.out", "--dataset=birds", *more]
        done = evaluate(*words, "--corruptions=fog", folder=tmp_path)
        assert done.returncode == 0, done.stderr
        rows.append(results.read(tmp_path / f"{model}.out" / "robustness.csv"))
    assert [row["error"] for row in rows[0]] == [row["error"] for row in rows[1]]
    assert {row["num_images"] for row in rows[1]} == {4} and len(rows[1]) == 6
