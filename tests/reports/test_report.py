from __future__ import annotations

import json

import numpy as np
import pytest
from skimage import data

from dynmix_tf import results
from dynmix_tf.errors import InputError
from dynmix_tf.reports.finished_runs import comparable_runs
from dynmix_tf.reports.report import write_report
from dynmix_tf.reports.worst import worst_images

NAMES = ("gaussian_noise", "snow", "fog")


def run(folder, method="standard", error=0.2, names=NAMES, epochs=2, **changes):
    """A finished run folder with two epochs and the given error on every corruption."""
    folder.mkdir(parents=True)
    config = {
        "method": method,
        "model": "wrn_16_2",
        "dataset": "digits",
        "seed": 3,
        "learning_rate": 0.1,
        "workdir": str(folder),
        "data_dir": "/home/someone/data",
        "versions": {"keras": "3.15.0", "tensorflow": "2.21.0"},
    }
    (folder / "config.json").write_text(json.dumps(config))
    lines = [{"epoch": n, "loss": 2.0 / n, "ce": 1.5 / n, "seconds": 2.25} for n in (1, 2)]
    if epochs:
        text = "".join(json.dumps(line) + "\n" for line in lines[:epochs])
        (folder / "metrics.jsonl").write_text(text)
    row = {"model": "wrn_16_2", "method": method, "dataset": "digits", "benchmark": "generated"}
    row |= {"epoch": 2, "num_images": 360, "rms_calibration_error": 0.1, "mean_confidence": 0.9}
    row |= {"strengths": "cifar", "benchmark_seed": 7, "measurement": "5f3a0c11"} | changes
    clean = {"corruption": "clean", "severity": 0, "error": 0.05}
    results.append(folder / "robustness.csv", row | clean)
    for name in names:
        for severity in range(1, 6):
            measured = {"corruption": name, "severity": severity, "error": error}
            results.append(folder / "robustness.csv", row | measured)
    return folder


def files(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_writes_the_page_and_its_pictures(tmp_path):
    runs = [run(tmp_path / "a"), run(tmp_path / "b", "dynmix", error=0.1)]
    cat = data.chelsea()[:224, :224]
    path = write_report(tmp_path / "out", runs, title="Digits", views=[[cat, cat * 0.5, cat]])
    assert path == tmp_path / "out" / "report.md"
    written = files(tmp_path / "out")
    pictures = {"error_by_corruption.png", "by_severity.png", "training_curves.png", "views.png"}
    assert set(written) == {"report.md", "report.html"} | pictures
    page = written["report.html"].decode()
    assert page.count("data:image/png;base64,") == len(pictures) and 'src="data' in page
    assert ".png" not in page and "<td" in page and "http" not in page
    text = path.read_text()
    assert text.startswith("# Digits\n\n| Method | Clean error | Mean corruption error |")
    for picture in pictures:
        assert f"({picture})" in text
        assert written[picture].startswith(b"\x89PNG")
    for expected in (
        "| Standard | **5.0** | 20.0 | 20.0 | 20.0 | **10.0** | **10.0** | **4** |",
        "| Dynamic Mixup | **5.0** | **10.0** |",
        "| gaussian noise | 20.0 | **10.0** |",
        "- Data set: digits\n",
        "- Benchmark: generated\n",
        "- Test images: 360 for each corruption and severity, 360 clean\n",
        "- Corruptions: 3: `gaussian_noise`, `snow`, `fog`\n",
        "- Severities: 1 to 5 for each corruption\n",
        "- Strengths: cifar\n",
        "- Benchmark seed: 7\n",
        "- Training time, Dynamic Mixup: 4.5 s (2 epochs)\n",
        "| learning_rate | 0.1 | 0.1 |",
        "| method | standard | dynmix |",
        "| keras | 3.15.0 | 3.15.0 |",
    ):
        assert expected in text
    # Where files lie is nobody's business on the page.
    assert str(tmp_path) not in text and "/home/someone" not in text


def test_the_same_results_give_the_same_bytes(tmp_path):
    runs = [run(tmp_path / "a"), run(tmp_path / "b", "dynmix", error=0.1)]
    images = np.zeros((1, 3, 8, 8, 3))
    write_report(tmp_path / "one", runs, views=images)
    write_report(tmp_path / "two", runs, views=images)
    assert files(tmp_path / "one") == files(tmp_path / "two")


def test_a_single_run_without_training_record(tmp_path):
    path = write_report(tmp_path / "out", [run(tmp_path / "a", "their_method", epochs=0)])
    text = path.read_text()
    assert "| their_method | 5.0 | 20.0 |" in text
    assert "- Training time, their_method: not recorded\n" in text
    pages = {"report.md", "report.html"}
    assert set(files(path.parent)) == pages | {"error_by_corruption.png", "by_severity.png"}


def test_runs_of_one_method_are_told_apart_by_their_folders(tmp_path):
    runs = [run(tmp_path / name, "dynmix") for name in ("seed0", "seed1")]
    runs += [run(tmp_path / "other" / "seed1", "dynmix"), run(tmp_path / "std")]
    text = write_report(tmp_path / "out", runs).read_text()
    header = next(line for line in text.splitlines() if line.startswith("| Error, %"))
    assert header == (
        f"| Error, % | Dynamic Mixup (seed0) | Dynamic Mixup ({tmp_path / 'seed1'}) "
        f"| Dynamic Mixup ({tmp_path / 'other' / 'seed1'}) | Standard |"
    )


def test_a_repeated_epoch_counts_once(tmp_path):
    folder = run(tmp_path / "a")
    with open(folder / "metrics.jsonl", "a") as file:
        file.write('{"epoch": 2, "loss": 0.5, "seconds": 10}\n{"epoch": 3, "lo')
    text = write_report(tmp_path / "out", [folder]).read_text()
    assert "12.2 s (2 epochs)" in text


def test_extras_are_said_to_count_for_no_mean(tmp_path):
    folder = run(tmp_path / "a", names=("fog", "spatter"))
    text = write_report(tmp_path / "out", [folder]).read_text()
    assert "- In no mean: `spatter`\n" in text
    assert "| Weather | Extra |" in text


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda f: (f / "robustness.csv").unlink(), "{f} has no results in robustness.csv; run `"),
        (
            lambda f: (f / "robustness.csv").write_text(",".join(results.FIELDS) + "\n"),
            "{f} has no results in robustness.csv; run `python -m dynmix_tf.evaluate "
            "--model={f}/export --benchmark=generated --output_dir={f}`",
        ),
        (
            lambda f: (f / "robustness.csv").write_text(
                "".join((f / "robustness.csv").read_text().splitlines(keepends=True)[:-2])
            ),
            "{f}/robustness.csv: the rows are not complete: fog lacks severity 4, 5; "
            "to measure what is missing run `python -m dynmix_tf.evaluate",
        ),
        (lambda f: (f / "config.json").unlink(), "{f} has no config.json: it is no run folder"),
        (lambda f: (f / "config.json").write_text("{"), "{f}/config.json is not JSON"),
        (lambda f: (f / "config.json").write_text("[]"), "must hold a JSON object. Received: list"),
        (lambda f: (f / "config.json").write_text("{}"), "{f}/config.json names no `method`"),
        (
            lambda f: (f / "config.json").write_text('{"method": "dynmix"}'),
            "config.json has the method 'dynmix', robustness.csv has 'standard'",
        ),
        (
            lambda f: (f / "metrics.jsonl").write_text("{}\n"),
            "{f}/metrics.jsonl, line 1: no number",
        ),
        (lambda f: (f / "metrics.jsonl").write_text("loss\n"), "metrics.jsonl, line 1 is not JSON"),
    ],
)
def test_what_a_run_lacks_is_named(tmp_path, damage, message):
    good, bad = run(tmp_path / "good"), run(tmp_path / "bad")
    damage(bad)
    with pytest.raises(InputError) as caught:
        write_report(tmp_path / "out", [good, bad])
    assert message.replace("{f}", str(bad)) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_no_runs(tmp_path):
    with pytest.raises(InputError, match="at least one run folder"):
        write_report(tmp_path, [])
    with pytest.raises(InputError, match="no such run folder: .*/nowhere"):
        write_report(tmp_path, [tmp_path / "nowhere"])
    folder = run(tmp_path / "a")
    with pytest.raises(InputError, match="given twice"):
        write_report(tmp_path, [folder, folder])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dataset": "svhn"}, "data set: digits against svhn"),
        ({"benchmark": "cifar10_c"}, "benchmark: generated against cifar10_c"),
        ({"num_images": 100}, "test images: 360 .* against 100"),
        ({"strengths": "imagenet"}, "strengths: cifar against imagenet"),
        ({"benchmark_seed": 1}, "benchmark seed: 7 against 1"),
        ({"names": ("fog",)}, "corruptions: 3: .* against 1: `fog`"),
    ],
)
def test_runs_measured_differently_are_not_compared(tmp_path, changes, message):
    runs = [run(tmp_path / "a"), run(tmp_path / "b", "dynmix", **changes)]
    with pytest.raises(InputError, match=f"a and .*b were not measured alike, {message}"):
        write_report(tmp_path / "out", runs)


def test_what_each_image_got_is_drawn(tmp_path):
    """Reliability, and of each corruption the image with the least likely class."""
    folder = run(tmp_path / "a", names=("fog", "snow"))
    images = folder / "robustness_images" / "5f3a0c11"
    generator = np.random.default_rng(0)
    for name in ("fog", "snow"):
        for severity in range(1, 6):
            values = {
                "confidence": generator.uniform(size=20),
                "correct": generator.uniform(size=20) > 0.5,
                "negative_log_likelihood": np.full(20, severity * (2 if name == "fog" else 1)),
                "label": np.arange(20) % 3,
                "predicted": np.ones(20, int),
            }
            image = np.full((8, 8, 3), 40 * severity, np.uint8)
            results.save_images(images, name, severity, values, image)
    path = write_report(tmp_path / "out", [folder])
    assert {"reliability.png", "worst_0.png"} <= set(files(tmp_path / "out"))
    assert "## Classified worst: Standard" in path.read_text()
    (finished,) = comparable_runs([folder]).values()
    shown, captions = worst_images(images, finished.predictions(), ["cat", "dog", "emu"])
    assert [caption.split("\n")[0] for caption in captions] == ["fog 5", "snow 5"]
    assert "\ncat\ntaken for dog (" in captions[0] and (shown[0] == 200).all()
    (images / "fog_2.npz").unlink()
    write_report(tmp_path / "without", [folder])
    assert not {"reliability.png", "worst_0.png"} & set(files(tmp_path / "without"))
