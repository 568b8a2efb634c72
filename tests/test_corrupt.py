"""The command that writes corrupted benchmarks, as a user runs it."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dynmix_tf import corruptions, data
from dynmix_tf.benchmark_files import writing
from dynmix_tf.benchmark_files.settings import Settings
from dynmix_tf.benchmark_files.source import file_names
from dynmix_tf.benchmark_files.writing import write_benchmark
from dynmix_tf.data.image_files import decode
from dynmix_tf.errors import InputError
from dynmix_tf.files import locked

COUNT = 7
NAMES = ("gaussian_noise", "fog")
SMALL_CHUNKS = "from dynmix_tf.benchmark_files import writing; writing.VALUES_IN_CHUNK = 2**15"


def run(words, code="", **options):
    """The command, after `code`, with chunks of two images."""
    start = 'import runpy; runpy.run_module("dynmix_tf.corrupt", run_name="__main__")'
    return subprocess.run(
        [sys.executable, "-c", "\n".join((SMALL_CHUNKS, code, start)), *words],
        capture_output=True, text=True, **options,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip


def contents(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def photos(photo_crops, tmp_path_factory):
    """The path of a data set in memory."""
    path = tmp_path_factory.mktemp("photos") / "photos.npz"
    images, labels = photo_crops(32, 9), np.arange(9) % 3
    np.savez(path, train_images=images[:1], train_labels=labels[:1],
             test_images=images, test_labels=labels)  # fmt: skip
    return str(path)


@pytest.fixture(scope="module")
def words(photos):
    return [f"--dataset={photos}", f"--num_test={COUNT}", f"--corruptions={','.join(NAMES)}"]


@pytest.fixture(scope="module")
def clean(photos):
    return data.load(photos, num_test=COUNT)


@pytest.fixture(scope="module")
def whole(words, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole") / "c"
    done = run([*words, f"--output_dir={folder}", "--workers=2"])
    assert done.returncode == 0 and not done.stderr, done.stderr
    assert done.stdout == f"{folder} is complete: 2 corruptions of 7 images, 0 MiB\n"
    return folder


@pytest.fixture(scope="module")
def birds(photo_crops, tmp_path_factory):
    """Two classes of photographs of 90 px, with two names that differ in their ending only."""
    root = tmp_path_factory.mktemp("birds")
    for index, image in enumerate(photo_crops(90, 8)):
        split, kind = ("train", "val")[index // 4], ("robin", "wren")[index % 2]
        path = root / split / kind / ("a.png" if index % 4 < 2 else "a.jpg")
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)
    return root


def test_arrays_are_laid_out_as_cifar_10_c(whole, clean):
    assert sorted(contents(whole)) == ["fog.npy", "gaussian_noise.npy", "labels.npy",
                                       "manifest.json"]  # fmt: skip
    labels = np.load(whole / "labels.npy")
    assert labels.dtype == np.uint8
    np.testing.assert_array_equal(labels, np.tile(clean.test_labels, 5))
    for name in NAMES:
        array = np.load(whole / f"{name}.npy")
        assert array.shape == (5 * COUNT, 32, 32, 3)
        for severity in range(1, 6):
            expected = corruptions.corrupt(clean.test_images, name, severity)
            np.testing.assert_array_equal(
                array[(severity - 1) * COUNT : severity * COUNT], expected
            )


def test_any_number_of_processes_gives_the_same_bytes(whole, words, tmp_path):
    done = run([*words, f"--output_dir={tmp_path / 'c'}", "--workers=1"])
    assert done.returncode == 0, done.stderr
    assert contents(tmp_path / "c") == contents(whole)


def test_the_manifest_tells_the_truth(whole):
    manifest = json.loads((whole / "manifest.json").read_text())
    assert manifest["complete"] and manifest["source"]["images"] == COUNT
    assert manifest["settings"]["corruptions"] == list(NAMES)
    assert manifest["strengths"]["table"] == "cifar"
    assert manifest["strengths"]["parameters"]["fog"]["5"] == {"amplitude": 1.5, "decay": 1.75}
    assert {"numpy", "scipy", "pillow", "python", "dynmix_tf"} <= set(manifest["versions"])
    for name, record in manifest["files"].items():
        content = (whole / name).read_bytes()
        md5 = hashlib.md5(content).hexdigest()
        assert record == {"bytes": len(content), "md5": md5}


# Kills in the middle of writing a chunk, half of which is then on the disk.
KILLED = """
import os, signal, sys
pwrite, count, moment = os.pwrite, 0, int(sys.argv.pop(1))
def kill(file, content, offset):
    global count
    count += 1
    if count == moment:
        pwrite(file, content[: len(content) // 2], offset)
        os.kill(os.getpid(), signal.SIGKILL)
    return pwrite(file, content, offset)
os.pwrite = kill
"""

# Kills when a chunk's files are there, but it is not noted.
KILLED_BEFORE_A_NOTE = """
import os, signal, sys
from dynmix_tf.benchmark_files import outputs
note, count, moment = outputs.append_line, 0, int(sys.argv.pop(1))
def kill(path, line):
    global count
    count += 1
    if count == moment:
        os.kill(os.getpid(), signal.SIGKILL)
    note(path, line)
outputs.append_line = kill
"""

# Kills before or after a name of one of the files is changed.
KILLED_RENAMING = """
import os, signal, sys
moment, name = sys.argv.pop(1), sys.argv.pop(1)
def changed(function):
    def kill(old, new):
        found = os.path.basename(new) == name
        if found and moment == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        function(old, new)
        if found:
            os.kill(os.getpid(), signal.SIGKILL)
    return kill
os.rename, os.replace = changed(os.rename), changed(os.replace)
"""


def test_killed_and_continued_equals_whole(whole, words, tmp_path):
    flags = [*words, f"--output_dir={tmp_path / 'c'}", "--workers=1"]
    for code, *arguments in (
        (KILLED_RENAMING, "before", "manifest.json"),
        (KILLED, "8"),
        (KILLED_RENAMING, "before", "gaussian_noise.npy"),
        (KILLED_RENAMING, "after", "gaussian_noise.npy"),
        (KILLED, "8"),
    ):
        done = run([*arguments, *flags], code)
        assert done.returncode == -signal.SIGKILL, done.stderr
    chunks = (tmp_path / "c" / ".fog.npy.journal").read_text()
    assert chunks.splitlines() and not (tmp_path / "c" / "fog.npy").exists()
    done = run(flags)
    assert done.returncode == 0, done.stderr
    assert contents(tmp_path / "c") == contents(whole)


def test_a_finished_command_does_nothing(whole, words):
    before = {path: path.stat().st_mtime_ns for path in whole.rglob("*")}
    done = run([*words, f"--output_dir={whole}"])
    assert done.returncode == 0 and "is complete" in done.stdout
    assert {path: path.stat().st_mtime_ns for path in whole.rglob("*")} == before


def test_what_was_deleted_is_made_again_and_what_was_changed_is_told(whole, words, tmp_path):
    folder = shutil.copytree(whole, tmp_path / "c")
    flags = [*words, f"--output_dir={folder}"]
    (folder / "fog.npy").unlink()
    assert run(flags).returncode == 0
    assert contents(folder) == contents(whole)
    with (folder / "fog.npy").open("ab") as file:
        file.write(b"more")
    done = run(flags)
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1
    assert "fog.npy is not as it was written (bytes: 107648 there, 107652 here)" in done.stderr


def test_files_are_laid_out_as_imagenet_c(birds, tmp_path):
    output = tmp_path / "c"
    flags = [f"--dataset={birds}", "--image_size=72", f"--output_dir={output}",
             "--corruptions=contrast", "--severities=2,5", "--strengths=imagenet"]  # fmt: skip
    done = run(["3", *flags], KILLED_BEFORE_A_NOTE)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert len((output / ".contrast.journal").read_text().splitlines()) == 2
    done = run(flags)
    assert done.returncode == 0, done.stderr
    names = [f"{level}/{kind}/a.{ending}.JPEG" for level in (2, 5)
             for kind in ("robin", "wren") for ending in ("jpg", "png")]  # fmt: skip
    written = contents(output / "contrast")
    assert sorted(written) == names
    images = data.load(str(birds), image_size=72).test_images
    for index, path in enumerate(images.paths):
        kind, name = path.split("/")[-2:]
        image = np.asarray(images[index : index + 1])
        expected = corruptions.corrupt(image, "contrast", 5, 0, "imagenet", first_index=index)[0]
        with Image.open(output / "contrast/5" / kind / f"{name}.JPEG") as file:
            assert file.format == "JPEG" and file.size == (72, 72)
            difference = np.abs(np.asarray(file).astype(int) - expected)
        assert difference.mean() < 3
    record = json.loads((output / "manifest.json").read_text())["files"]["contrast"]
    lines = (f"{hashlib.md5(written[name]).hexdigest()}  {name}\n" for name in names)
    assert record == {
        "files": 8,
        "bytes": sum(map(len, written.values())),
        "md5": hashlib.md5("".join(lines).encode()).hexdigest(),
    }


def test_a_damaged_file_is_told_in_one_line(birds, tmp_path):
    root = shutil.copytree(birds, tmp_path / "birds")
    path = root / "val/wren/a.jpg"
    content = bytearray(path.read_bytes())
    content[4:200] = bytes(196)  # the tables; beginning and end are right
    path.write_bytes(content)
    done = run([f"--dataset={root}", "--image_size=72", "--corruptions=contrast",
                f"--output_dir={tmp_path / 'c'}"])  # fmt: skip
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1
    assert "cannot decode" in done.stderr and "wren/a.jpg" in done.stderr


def test_names_stay_and_are_unique():
    paths = ["x/n1.jpg", "x/n1.png", "x/n1.png.gif", "y/n1.jpg", "y/n2.webp"]
    names = file_names(paths, [0, 0, 0, 1, 1], ["x", "y"])
    assert names == ("x/n1.jpg", "x/n1.png_", "x/n1.png", "y/n1", "y/n2")


def test_sequences_of_arrays(photos, clean, tmp_path):
    output = tmp_path / "p"
    done = run(["--benchmark=p", f"--dataset={photos}", f"--num_test={COUNT}", "--seed=3",
                "--corruptions=shot_noise,translate", "--difficulties=1,3",
                f"--output_dir={output}"])  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert sorted(contents(output)) == ["manifest.json", "shot_noise.npy", "shot_noise_3.npy",
                                        "translate.npy"]  # fmt: skip
    assert np.load(output / "translate.npy").shape == (COUNT, 16, 32, 32, 3)
    array = np.load(output / "shot_noise_3.npy")
    for index, image in enumerate(clean.test_images):
        expected = corruptions.sequence(image, "shot_noise", 3, difficulty=3, index=index)
        np.testing.assert_array_equal(array[index], expected)


def test_sequences_of_files_are_videos(birds, tmp_path):
    ffmpeg = pytest.importorskip("imageio_ffmpeg")
    output = tmp_path / "p"
    done = run(["--benchmark=p", f"--dataset={birds}", "--image_size=72", "--num_test=1",
                "--corruptions=translate", f"--output_dir={output}"])  # fmt: skip
    assert done.returncode == 0, done.stderr
    (path,) = (output / "translate").rglob("*.mp4")
    command = [ffmpeg.get_ffmpeg_exe(), "-loglevel", "error", "-i", path,
               "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]  # fmt: skip
    decoded = subprocess.run(command, capture_output=True, check=True).stdout
    frames = np.frombuffer(decoded, np.uint8).reshape(-1, 72, 72, 3).astype(int)
    image = data.load(str(birds), image_size=72).test_images[:1]
    larger = decode(image.paths[0], 82, 82)
    expected = corruptions.sequence(larger, "translate", strengths="cifar", crop=72)
    assert len(frames) == len(expected) == 16
    assert np.abs(frames - expected).mean() < 6


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--dataset="], "--dataset is missing"),
        (["--output_dir="], "--output_dir is missing"),
        (["--severities=0,1"], "--severities must be numbers from 1 to 5. Received: 0,1"),
        (["--severities=one"], "--severities must be whole numbers"),
        (["--benchmark=p", "--difficulties=4"], "--difficulties must be numbers from 1 to 3"),
        (["--corruptions=fogg"], "unknown corruption 'fogg'; did you mean 'fog'?"),
        (["--benchmark=p", "--corruptions=rotat"], "unknown sequence 'rotat'; did you mean 'rot"),
        (["--benchmark=q"], "--benchmark=q"),
        (["--dataset=foto"], "unknown dataset 'foto'; did you mean 'photos'"),
        (["--dataset=tiny.npz"], "has images of 6 x 32 pixels; the corruptions need 8 or more"),
        (["--difficulties=1"], "--difficulties does nothing with --benchmark=c"),
        (["--benchmark=p", "--severities=1"], "--severities does nothing with --benchmark=p"),
        (["--corruptions=fog", "--extra"], "--extra does nothing with --corruptions"),
        (["--quality=20"], "--quality is of JPEG files, and none are written here"),
        (["--quality=0"], "--quality must be in [1, 95]"),
        (["--seed=-1"], "--seed must be 0 or more"),
        (["--workers=-1"], "workers"),
        (["--num_test=5", "--dataset=big.npz"], "`num_test` must be in [1, 4]"),
        (["--output_dir=tiny.npz"], "tiny.npz is no folder"),
        (["--output_dir=tiny.npz/c"], "tiny.npz"),
        (["--output_dir=full"], "full is not empty and holds no manifest.json"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_line_and_leaves_nothing(flags, message, tmp_path):
    labels = np.zeros(4, np.int32)
    for name, height in (("tiny", 6), ("big", 16)):
        images = np.zeros((4, height, 32, 3), np.uint8)
        np.savez(tmp_path / name, train_images=images, train_labels=labels,
                 test_images=images, test_labels=labels)  # fmt: skip
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    before = contents(tmp_path)
    given = ["--dataset=photos", "--output_dir=c", *flags]
    done = subprocess.run(
        [sys.executable, "-m", "dynmix_tf.corrupt", *given],
        capture_output=True, text=True, cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1 and not done.stdout
    assert contents(tmp_path) == before and not (tmp_path / "c").exists()


def test_help_and_flags_load_neither_numpy_nor_tensorflow():
    code = """
import sys, dynmix_tf.corrupt
assert not {"numpy", "tensorflow"} & set(sys.modules)
import dynmix_tf.benchmark_files.writing
assert "tensorflow" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)
    done = subprocess.run(
        [sys.executable, "-m", "dynmix_tf.corrupt", "--help"], capture_output=True, text=True
    )
    assert done.returncode == 0 and "--severities" in done.stdout and not done.stderr


def test_other_settings_images_and_versions_are_refused(whole, words, photos, tmp_path):
    done = run([*words, f"--output_dir={whole}", "--seed=1", "--severities=1,2"])
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1
    assert "other settings (severities: [1, 2, 3, 4, 5] there, [1, 2] here, seed: 0" in done.stderr
    folder = shutil.copytree(whole, tmp_path / "c")
    (folder / "fog.npy").unlink()
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    settings = Settings(photos, num_test=COUNT, corruptions=NAMES)
    for key, name, what in (("source", "md5", "images"), ("versions", "numpy", "versions")):
        changed = json.loads(json.dumps(manifest))
        changed[key][name] = "other"
        path.write_text(json.dumps(changed))
        with pytest.raises(InputError, match=rf"begun with other {what} \({name}: 'other' there"):
            write_benchmark(settings, folder)
    path.write_text("{}")
    with pytest.raises(InputError, match=r"manifest.json is none of this command"):
        write_benchmark(settings, folder)


def test_too_little_space_is_told_before_anything_is_written(photos, monkeypatch, tmp_path):
    usage = type(shutil.disk_usage(tmp_path))
    monkeypatch.setattr(writing.shutil, "disk_usage", lambda path: usage(2**30, 2**30, 2**20))
    with pytest.raises(InputError, match=r"needs about \d+ MiB more, and 1 MiB are free there"):
        write_benchmark(Settings(photos, num_test=COUNT), tmp_path / "c")
    assert not (tmp_path / "c").exists()


LIMITED = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))"


def test_a_full_disk_is_one_line_and_the_same_command_continues(
    whole, words, tmp_path, monkeypatch
):
    """A limit on the size of files stands for it; the labels and the manifest are below it."""
    flags = [*words, f"--output_dir={tmp_path / 'c'}"]
    with monkeypatch.context() as patch:
        # what the coverage of the child would write is above the limit
        patch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)
        done = run(flags, LIMITED)
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1, done.stderr
    assert "File too large" in done.stderr and "the same command continues" in done.stderr
    done = run(flags)
    assert done.returncode == 0, done.stderr
    assert contents(tmp_path / "c") == contents(whole)


def test_one_command_at_a_time(whole, photos, tmp_path):
    folder = shutil.copytree(whole, tmp_path / "c")
    (folder / "fog.npy").unlink()
    settings = Settings(photos, num_test=COUNT, corruptions=NAMES)
    with locked(folder), pytest.raises(InputError, match="another command is writing"):
        write_benchmark(settings, folder)
    assert Path(folder / "gaussian_noise.npy").exists()
