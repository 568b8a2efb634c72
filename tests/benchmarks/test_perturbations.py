"""The readers of ImageNet-P's and CIFAR-10-P's layouts, on what `corrupt` writes of photographs."""

import importlib.util
import inspect
import shutil
import subprocess
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dynmix_tf import corruptions, data
from dynmix_tf.benchmark_files.settings import Settings
from dynmix_tf.benchmark_files.video import decode_video, encode_video
from dynmix_tf.benchmark_files.writing import write_benchmark
from dynmix_tf.benchmarks import (
    Cifar10PBenchmark,
    ImageNetPBenchmark,
    SequenceBenchmark,
    perturbations,
)
from dynmix_tf.benchmarks.conditions import evenly_spread
from dynmix_tf.corruptions.sequences import NOISE_SEQUENCES
from dynmix_tf.data.image_files import decode
from dynmix_tf.errors import InputError

VIDEOS = ("shot_noise", "translate", "rotate")
ARRAYS = (*VIDEOS, "motion_blur", "spatter")
DIFFICULTIES = (1, 2, 3)
SIDE = 72


@pytest.fixture(scope="module")
def photographs():
    return data.load("photos", image_size=96, num_train=9, num_test=6)


@pytest.fixture(scope="module")
def released_videos(photographs, tmp_path_factory):
    """A folder `ImageNet-P`, and of each video the image it was made of and its index."""
    root = tmp_path_factory.mktemp("videos")
    for index, image in enumerate(photographs.test_images):
        for split in ("train", "val"):
            path = root / "clean" / split / f"n{index // 2}" / f"{index}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(path)
    settings = Settings(
        dataset=str(root / "clean"), image_size=SIDE, benchmark="p", corruptions=VIDEOS
    )
    write_benchmark(settings, root / "ImageNet-P", workers=1)
    files = data.load(str(root / "clean"), image_size=SIDE).test_images.paths
    source = {}
    for index, path in enumerate(map(Path, files)):
        image = decode(path, round(SIDE * 256 / 224), round(SIDE * 256 / 224))
        source[f"{path.parent.name}/{path.stem}.mp4"] = image, index
    return root / "ImageNet-P", source


@pytest.fixture
def videos(released_videos, tmp_path):
    return shutil.copytree(released_videos[0], tmp_path / "ImageNet-P")


@pytest.fixture(scope="module")
def released_arrays(tmp_path_factory):
    """A folder `CIFAR-10-P`, and the images it was made of."""
    root = tmp_path_factory.mktemp("arrays")
    whole = data.load("photos", num_train=9, num_test=7)
    data.write_packed(root / "photos.npz", whole)
    settings = Settings(dataset=str(root / "photos.npz"), benchmark="p", corruptions=ARRAYS)
    write_benchmark(settings, root / "CIFAR-10-P", workers=1)
    return root / "CIFAR-10-P", whole.test_images


@pytest.fixture
def arrays(released_arrays, tmp_path):
    return shutil.copytree(released_arrays[0], tmp_path / "CIFAR-10-P")


def distance(a, b):
    return np.abs(a.astype(int) - b).mean()


def test_both_have_what_is_measured(released_videos, released_arrays):
    for benchmark, name, size in (
        (ImageNetPBenchmark(released_videos[0], names=VIDEOS), "imagenet_p", 6),
        (Cifar10PBenchmark(released_arrays[0], names=ARRAYS), "cifar10_p", 7),
    ):
        assert all(
            hasattr(benchmark, field) for field in inspect.get_annotations(SequenceBenchmark)
        )
        assert benchmark.name == name and benchmark.num_classes is None
        assert len(benchmark) == size and benchmark.strengths == "cifar"
        (perturbation, difficulty), *_ = benchmark.conditions
        assert sum(1 for _ in benchmark.sequences(perturbation, difficulty)) == size


def test_conditions_and_what_is_compared(released_arrays):
    benchmark = Cifar10PBenchmark(
        released_arrays[0], names=["rotate", "shot_noise", "rotate"], difficulties=(1, 3, 1)
    )
    conditions = [("rotate", 1), ("rotate", 3), ("shot_noise", 1), ("shot_noise", 3)]
    assert benchmark.conditions == conditions
    compared = [benchmark.comparison(*condition) for condition in conditions]
    assert compared == [(False, 1), (False, 3), (True, 1), (True, 1)]


@pytest.mark.parametrize("difficulty", DIFFICULTIES)
@pytest.mark.parametrize("perturbation", VIDEOS)
def test_videos_show_the_sequences_frame_for_frame(released_videos, perturbation, difficulty):
    folder, source = released_videos
    benchmark = ImageNetPBenchmark(folder, names=VIDEOS, difficulties=DIFFICULTIES)
    expected = [
        corruptions.sequence(image, perturbation, 0, difficulty, "cifar", index, SIDE)
        for _, (image, index) in sorted(source.items())
    ]
    read = list(benchmark.sequences(perturbation, difficulty))
    assert len(read) == len(expected) == 6
    for video, wanted in zip(read, expected, strict=True):
        assert video.dtype == np.uint8 and video.shape == wanted.shape
        lossy = [distance(frame, clean) for frame, clean in zip(video, wanted, strict=True)]
        if perturbation in NOISE_SEQUENCES:
            assert max(lossy) < 14
            continue
        assert max(lossy) < 6
        # no frame is missing, doubled or elsewhere
        assert distance(video, wanted) < distance(video[1:], wanted[:-1])
        assert distance(video, wanted) < distance(video[:-1], wanted[1:])
        for i, frame in enumerate(video):
            near = min(range(len(wanted)), key=lambda k, frame=frame: distance(frame, wanted[k]))
            assert abs(near - i) <= 1
    again = benchmark.sequences(perturbation, difficulty)
    assert all(np.array_equal(*pair) for pair in zip(read, again, strict=True))


def test_noise_of_a_difficulty_has_videos_of_its_own(released_videos):
    benchmark = ImageNetPBenchmark(released_videos[0], names=VIDEOS, difficulties=DIFFICULTIES)
    noise, rotated = (
        [next(benchmark.sequences(name, difficulty)) for difficulty in DIFFICULTIES]
        for name in ("shot_noise", "rotate")
    )
    strength = [distance(video[1:], video[0]) for video in noise]
    assert strength[0] < strength[1] < strength[2]
    assert all(np.array_equal(rotated[0], video) for video in rotated[1:])


def test_imagenets_numbers_of_frames_go_with_its_size(tmp_path):
    (image,) = data.load("photos", image_size=224, num_train=1, num_test=1).test_images
    path = tmp_path / "translate" / "n01440764" / "a.mp4"
    path.parent.mkdir(parents=True)
    encode_video(path, corruptions.sequence(image, "translate"))
    benchmark = ImageNetPBenchmark(tmp_path, names=["translate"])
    assert benchmark.strengths == "imagenet"
    assert [video.shape for video in benchmark.sequences("translate", 1)] == [(41, 224, 224, 3)]
    other = ImageNetPBenchmark(tmp_path, names=["translate"], strengths="cifar")
    with pytest.raises(InputError, match=r"a\.mp4 must have 16 frames .* Received: 17 or more of"):
        next(other.sequences("translate", 1))


def test_the_archives_may_lie_anywhere(videos, tmp_path):
    expected = [next(ImageNetPBenchmark(videos, names=VIDEOS).sequences(n, 1)) for n in VIDEOS]
    for archive, name in (("noise", "shot_noise"), ("digital", "rotate")):
        (videos / archive).mkdir()
        shutil.move(videos / name, videos / archive / name)
    (tmp_path / "digital").mkdir()
    shutil.move(videos / "translate", tmp_path / "digital" / "translate")
    benchmark = ImageNetPBenchmark(tmp_path, names=VIDEOS)
    for name, video in zip(VIDEOS, expected, strict=True):
        np.testing.assert_array_equal(next(benchmark.sequences(name, 1)), video)
    with pytest.raises(InputError, match="lacks translate: expected"):
        ImageNetPBenchmark(videos, names=VIDEOS)


def test_the_default_is_the_ten_of_the_benchmark(videos, arrays):
    for make, missing in (
        (ImageNetPBenchmark, "gaussian_noise, motion_blur, zoom_blur, snow, brightness, tilt, s"),
        (Cifar10PBenchmark, "gaussian_noise.npy, zoom_blur.npy, snow.npy, brightness.npy, tilt.n"),
    ):
        folder = {ImageNetPBenchmark: videos, Cifar10PBenchmark: arrays}[make]
        with pytest.raises(InputError, match=f"lacks {missing}"):
            make(folder)


@pytest.mark.parametrize(("most", "count"), [(1, 1), (2, 2), (4, 4), (7, 7), (99, 7), (None, 7)])
def test_part_of_the_sequences_is_spread_evenly(released_arrays, most, count):
    rows = evenly_spread(range(7), "most", most)
    assert len(rows) == count
    folder, images = released_arrays
    benchmark = Cifar10PBenchmark(folder, names=["rotate"], max_sequences=most)
    read = list(benchmark.sequences("rotate", 1))
    assert len(benchmark) == len(read) == len(rows)
    for row, sequence in zip(rows, read, strict=True):
        expected = corruptions.sequence(images[row], "rotate", index=row)
        np.testing.assert_array_equal(sequence, expected)


def test_part_of_the_videos_is_of_all_classes(released_videos):
    folder, _ = released_videos
    part = ImageNetPBenchmark(folder, names=VIDEOS, max_sequences=3)
    whole = list(ImageNetPBenchmark(folder, names=VIDEOS).sequences("rotate", 1))
    read = list(part.sequences("rotate", 1))
    assert len(part) == len(read) == 3
    for video, pair in zip(read, (whole[:2], whole[2:4], whole[4:]), strict=True):  # of a class
        assert len(pair) == 2 and any(np.array_equal(video, one) for one in pair)


@pytest.mark.parametrize("most", [0, -1, 2.5])
def test_no_sequences_are_no_benchmark(released_arrays, most):
    with pytest.raises(InputError, match="`max_sequences` must be a whole number, at least 1"):
        Cifar10PBenchmark(released_arrays[0], names=["rotate"], max_sequences=most)


def test_few_videos_are_decoded_ahead(released_videos, monkeypatch):
    monkeypatch.setattr(perturbations, "_VIDEOS_AHEAD", 2)
    begun = []

    def counted(path, max_frames):
        begun.append(path)
        return decode_video(path, max_frames)

    benchmark = ImageNetPBenchmark(released_videos[0], names=["rotate"])
    monkeypatch.setattr(perturbations, "decode_video", counted)
    before = threading.active_count()
    sequences = benchmark.sequences("rotate", 1)
    for used in range(1, 4):
        next(sequences)
        assert used <= len(begun) <= used + 2
    sequences.close()
    assert len(begun) <= 5 and threading.active_count() == before


def shorten(path):
    video = decode_video(path, 99)
    encode_video(path, video[:-1])


def change_bytes(path):
    content = bytearray(path.read_bytes())
    for place in range(len(content) // 2, len(content) // 2 + 400):
        content[place] ^= 0xFF
    path.write_bytes(content)


def enlarge(path):
    encode_video(path, np.pad(decode_video(path, 99), [(0, 0), (0, 2), (0, 2), (0, 0)]))


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (shorten, r"must have 31 frames of 72 x 72 pixels\. Received: 30 of 72 x 72"),
        (enlarge, r"must have 31 frames of 72 x 72 pixels\. Received: 31 of 74 x 74"),
        (lambda path: path.write_bytes(path.read_bytes()[:-3000]), "is damaged or no video"),
        (lambda path: path.write_bytes(b""), "is damaged or no video"),
        (lambda path: path.write_text("a letter"), "is damaged or no video"),
        (change_bytes, "is damaged or no video"),
    ],
)
def test_a_damaged_video_is_named(videos, damage, told):
    damage(videos / "rotate" / "n1" / "2.mp4")
    sequences = ImageNetPBenchmark(videos, names=VIDEOS).sequences("rotate", 1)
    assert [next(sequences).shape for _ in range(2)] == [(31, SIDE, SIDE, 3)] * 2
    with pytest.raises(InputError, match=r"rotate/n1/2\.mp4 " + told) as error:
        next(sequences)
    assert len(str(error.value).splitlines()) == 1


def empty(folder):
    shutil.rmtree(folder)
    folder.mkdir()


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda root: (root / "rotate/n1/2.mp4").unlink(),
         r"rotate and .*shot_noise must have the same videos, but n1/2\.mp4 and 0 others"),
        (lambda root: shutil.rmtree(root / "shot_noise_3/n2"),
         r"shot_noise_3 and .*shot_noise must have the same videos, but n2/4\.mp4 and 1 others"),
        (lambda root: empty(root / "rotate"), r"rotate holds no <class>/<name>\.mp4"),
        (lambda root: empty(root / "shot_noise/n0"), r"shot_noise/n0 holds no \.mp4"),
        (lambda root: shutil.rmtree(root / "shot_noise_2"), "lacks shot_noise_2: expected"),
        (lambda root: (shutil.rmtree(root / "rotate"), (root / "rotate").touch()),
         "rotate is a file"),
        (lambda root: (root / "shot_noise/n0/0.mp4").write_text("a letter"),
         r"shot_noise/n0/0\.mp4 is damaged or no video"),
    ],
)  # fmt: skip
def test_what_is_missing_of_the_videos_is_told_at_once(videos, damage, told):
    damage(videos)
    with pytest.raises(InputError, match=told) as error:
        ImageNetPBenchmark(videos, names=VIDEOS, difficulties=DIFFICULTIES)
    assert len(str(error.value).splitlines()) == 1


def test_hidden_files_are_no_videos(videos):
    (videos / "rotate" / "n0" / "._0.mp4").write_text("of another system")
    (videos / "rotate" / ".thumbnails").mkdir()
    (videos / "rotate" / "readme.txt").touch()
    assert len(ImageNetPBenchmark(videos, names=VIDEOS)) == 6


def test_a_missing_ffmpeg_is_told(released_videos, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="pip install imageio-ffmpeg"):
        ImageNetPBenchmark(released_videos[0], names=VIDEOS)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"names": ["rotat"]}, "unknown perturbation 'rotat'; did you mean 'rotate'"),
        ({"names": ["fog"]}, "unknown perturbation 'fog'"),
        ({"names": []}, "nothing to measure"),
        ({"difficulties": (0, 1)}, r"difficulties are 1 to 3\. Received: \(0, 1\)"),
        ({"difficulties": ()}, "nothing to measure"),
        ({"names": ["rotate"], "strengths": "mnist"}, "unknown table of strengths 'mnist'"),
    ],
)
def test_mistakes_are_told(released_videos, released_arrays, options, told):
    for make, folder in (
        (ImageNetPBenchmark, released_videos[0]),
        (Cifar10PBenchmark, released_arrays[0]),
    ):
        with pytest.raises(InputError, match=told):
            make(folder, **options)


def test_frames_are_the_stored_ones_whatever_their_times(photographs, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ffmpeg = pytest.importorskip("imageio_ffmpeg").get_ffmpeg_exe()
    frames = corruptions.sequence(photographs.test_images[0], "rotate")
    path = Path("x:1 of 100 %d.mp4")  # with a colon, as protocols are
    encode_video(path, frames)
    raw = [
        ffmpeg,
        "-loglevel",
        "error",
        "-i",
        f"file:{path}",
        "-f",
        "rawvideo",
        "-pix_fmt",
        "rgb24",
    ]
    decoded = subprocess.run([*raw, "-"], capture_output=True, check=True).stdout
    expected = np.frombuffer(decoded, np.uint8).reshape(frames.shape)
    np.testing.assert_array_equal(decode_video(path, 99), expected)
    np.testing.assert_array_equal(decode_video(path, 4), expected[:4])
    uneven = Path("uneven.mp4")
    subprocess.run(
        [ffmpeg, "-loglevel", "error", "-i", f"file:{path}", "-vf", "setpts=N*N*0.01/TB",
         "-fps_mode", "passthrough", "-c:v", "libx264", "-qp", "0", uneven],
        check=True,
    )  # fmt: skip
    stretched = decode_video(uneven, 999)
    assert stretched.shape == frames.shape
    assert all(distance(*pair) < 2 for pair in zip(stretched, expected, strict=True))


@pytest.mark.parametrize("difficulty", DIFFICULTIES)
@pytest.mark.parametrize("perturbation", ARRAYS)
def test_arrays_are_the_sequences_bit_for_bit(released_arrays, perturbation, difficulty):
    folder, images = released_arrays
    benchmark = Cifar10PBenchmark(folder, names=ARRAYS, difficulties=DIFFICULTIES)
    sequences = benchmark.sequences(perturbation, difficulty)
    for index, (image, read) in enumerate(zip(images, sequences, strict=True)):
        expected = corruptions.sequence(image, perturbation, 0, difficulty, index=index)
        assert read.dtype == np.uint8
        np.testing.assert_array_equal(read, expected)


def test_arrays_lie_in_the_folder_or_in_the_one_of_the_archive(released_arrays):
    folder, _ = released_arrays
    one, two = (Cifar10PBenchmark(root, names=ARRAYS) for root in (folder, folder.parent))
    for condition in one.conditions:
        np.testing.assert_array_equal(
            *(np.stack(list(each.sequences(*condition))) for each in (one, two))
        )


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="no list of mapped files")
def test_no_file_stays_mapped(released_arrays):
    benchmark = Cifar10PBenchmark(released_arrays[0], names=ARRAYS)
    for condition in benchmark.conditions:
        for sequence in benchmark.sequences(*condition):
            assert sequence.base is None or not isinstance(sequence.base, np.memmap)
            assert "CIFAR-10-P" not in Path("/proc/self/maps").read_text()


def truncate(path):
    with path.open("r+b") as file:
        file.truncate(200_000)


def rewrite(change):
    return lambda path: np.save(path, change(np.load(path)))


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (truncate, r"rotate\.npy is missing"),
        (lambda path: path.write_bytes(b""), r"rotate\.npy is missing"),
        (lambda path: path.write_text("a letter"), r"rotate\.npy is missing"),
        (
            lambda path: np.save(path, np.array([{}]), allow_pickle=True),
            r"rotate\.npy is missing",
        ),
        (lambda path: path.unlink(), r"lacks rotate\.npy"),
        (rewrite(lambda a: a / np.float32(255)), r"must be uint8 .*Received: float32"),
        (rewrite(lambda a: a[:-1]), r"must be uint8 \(7, 31, 32, 32, 3\), .*Received: uint8 \(6,"),
        (rewrite(lambda a: a[:, :16]), r"Received: uint8 \(7, 16, 32, 32, 3\)"),
        (rewrite(lambda a: a[..., :1]), r"Received: uint8 \(7, 31, 32, 32, 1\)"),
        (rewrite(lambda a: a[:, :, 1:]), r"Received: uint8 \(7, 31, 31, 32, 3\)"),
        (rewrite(np.asfortranarray), "the last axis innermost"),
    ],
)
def test_a_file_that_does_not_fit_is_named(arrays, damage, told):
    damage(arrays / "rotate.npy")
    with pytest.raises(InputError, match=told) as error:
        Cifar10PBenchmark(arrays, names=["shot_noise", "rotate"])
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize("change", [lambda a: a[0], lambda a: a[:0]])
def test_the_first_file_is_looked_at_as_well(arrays, change):
    rewrite(change)(arrays / "rotate.npy")
    with pytest.raises(InputError, match=r"rotate\.npy must be uint8 \(N, frames, H, W, 3\)"):
        Cifar10PBenchmark(arrays, names=["rotate"])
