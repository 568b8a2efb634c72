"""Images and videos of strangers: what is malicious is refused in one line that names the file."""

import os
import shutil
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dynmix_tf import data
from dynmix_tf.benchmark_files.video import decode_video, encode_video
from dynmix_tf.benchmarks.image_folders import ImageFolderBenchmark
from dynmix_tf.benchmarks.perturbations import ImageNetPBenchmark
from dynmix_tf.data import ImageData, write_packed
from dynmix_tf.data.image_files import rgb_image
from dynmix_tf.errors import InputError

EPS = b"""%!PS-Adobe-3.0 EPSF-3.0
%%BoundingBox: 0 0 32 32
(touch pwned) (w) file
showpage
"""


def png(width, height, body=b""):
    """A PNG whose header promises a size."""

    def chunk(kind, content):
        sum_ = zlib.crc32(kind + content)
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", sum_)

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(body))
        + chunk(b"IEND", b"")
    )  # fmt: skip


@pytest.fixture
def birds(tmp_path, photo_crops):
    """A folder of two classes, ten images each."""
    root = tmp_path / "birds"
    for label, name in enumerate(("robin", "wren")):
        (root / name).mkdir(parents=True)
        for index, image in enumerate(photo_crops(32, 10, seed=label)):
            Image.fromarray(image).save(root / name / f"{index}.png")
    return root


def load(root, image_size=32):
    return data.load(str(root), image_size=image_size)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (png(30_000, 30_000), "exceeds limit"),
        (png(2**31 - 1, 2**31 - 1), "exceeds limit"),
        (png(32, 32, bytes(100)), "truncated|incomplete|not enough"),
        (b"GIF89a\xff\xff\xff\xff\0\0\0" + b",\0\0\0\0\xff\xff\xff\xff\0\x02;", "exceeds limit"),
        (b"\xff\xd8\xff\xe0\0\x10JFIF" + bytes(100) + b"\xff\xd9", "no image|JPEG|syntax|broken"),
        (b"BM" + struct.pack("<IHHIIiiHHIIiiII", 200, 0, 0, 54, 40, 60_000, 60_000, 1, 24, 0, 0, 0,
                             0, 0, 0) + bytes(200), "exceeds limit"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'><script>1</script></svg>", "no image"),
        (EPS, "no image"),
        (b"P6\n100000 100000\n255\n", "no image"),
        (b"", "no image"),
    ],
)  # fmt: skip
def test_images(tmp_path, content, message):
    path = tmp_path / "1.JPEG"
    path.write_bytes(content)
    with pytest.raises(InputError, match=f"cannot decode '{path}': .*({message})"):
        rgb_image(path)


def test_postscript_is_not_run(tmp_path, monkeypatch):
    """Pillow hands it to Ghostscript, whatever the name of the file ends in."""
    import subprocess

    monkeypatch.setattr(subprocess, "Popen", lambda *_, **__: pytest.fail("a process was started"))
    for index, name in enumerate(("fog/1/robin", "fog/1/wren")):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / f"{index}.JPEG").write_bytes(EPS)
    with pytest.raises(InputError, match="no image"):
        ImageFolderBenchmark(tmp_path, "folder_c", "birds", ["fog"], [1], classes=["robin", "wren"])


def test_a_folder_with_a_bomb(birds):
    (birds / "wren" / "bomb.png").write_bytes(png(30_000, 30_000))
    with pytest.raises(InputError, match=r"cannot decode '.*bomb.png'"):
        load(birds)
    loaded = data.load(str(birds), image_size=32, skip_damaged=True)
    assert len(loaded.train_images) + len(loaded.test_images) == 20


@pytest.mark.parametrize("kind", ["pipe", "device", "broken link", "loop", "socket"])
def test_what_is_no_file(birds, kind, monkeypatch):
    place = birds / "wren" / "strange.png"
    if kind == "pipe":
        os.mkfifo(place)  # to open it would wait for ever
    elif kind == "socket":
        import socket

        with socket.socket(socket.AF_UNIX) as server, monkeypatch.context() as context:
            context.chdir(place.parent)  # its name may have 100 characters
            server.bind(place.name)
    else:
        place.symlink_to({"device": "/dev/zero", "broken link": "nowhere"}.get(kind, place.name))
    with pytest.raises(InputError, match=r"no complete image: .*strange.png"):
        load(birds)
    with pytest.raises(InputError, match=r"cannot decode '.*strange.png'"):
        rgb_image(place)


def test_a_link_to_the_folder_around_is_no_endless_tree(birds):
    (birds / "robin" / "deeper").symlink_to(birds)
    loaded = load(birds)
    assert len(loaded.train_images) + len(loaded.test_images) == 20


@pytest.mark.parametrize("name", ["a\nb", "a\x1b[31m", "a\tb", "a\rb", os.fsdecode(b"w\xf6lfe")])
def test_names_of_classes_and_data_sets(birds, name):
    """They go into rows of CSV files, tables and terminals."""
    (birds / "wren").rename(birds / name)
    with pytest.raises(InputError, match="must be printable text") as error:
        load(birds)
    assert str(error.value).isprintable() and str(error.value).isascii()
    (birds / name).rename(birds / "wren")
    birds.rename(birds.with_name(name))
    with pytest.raises(InputError, match="must be printable text"):
        load(birds.with_name(name))


def test_names_in_an_npz(tmp_path, photo_crops):
    images, labels = photo_crops(32, 2), np.array([0, 1])
    np.savez(
        tmp_path / "images.npz", train_images=images, train_labels=labels, test_images=images,
        test_labels=labels, class_names=np.array(["cat", "\x1b]0;dog\x07"]),
    )  # fmt: skip
    with pytest.raises(InputError, match=r"printable text. Received: '\\x1b\]0;dog\\x07'"):
        data.load(str(tmp_path / "images.npz"))


def test_names_of_files_may_be_anything(birds):
    """A camera or an old system names them; nothing of ours is named after them."""
    from dynmix_tf.config import TrainConfig
    from dynmix_tf.pipeline import training_dataset

    for index, name in enumerate((b"\xf6.png", b"a\nb.png", b"-x.png", b"http:.png", b'#,".png')):
        shutil.copy(birds / "wren" / f"{index}.png", os.fsencode(birds / "wren") + b"/" + name)
    loaded = load(birds)
    assert len(loaded.train_images) + len(loaded.test_images) == 25
    files = load(birds, image_size=72)
    config = TrainConfig(method="standard", batch_size=len(files.train_images))
    images, _ = next(iter(training_dataset(config, files)))
    assert images.shape[1:] == (72, 72, 3)


def test_bombs_in_a_packed_file(tmp_path, photo_crops):
    images, labels = photo_crops(32, 2), np.array([0, 1], np.int32)
    path = tmp_path / "images.npz"
    write_packed(path, ImageData("x", images, labels, images, labels, ("a", "b")))
    with np.load(path) as file:
        arrays = dict(file)
    bomb = np.frombuffer(png(30_000, 30_000), np.uint8)
    arrays |= {"test_jpeg": bomb, "test_offsets": np.array([0, len(bomb)])}
    np.savez(path, **arrays | {"test_labels": labels[:1]})
    with pytest.raises(InputError, match="image 0 of `test_jpeg` in '.*': .*exceeds limit"):
        data.load(str(path))


# --- videos ---


@pytest.fixture
def video(tmp_path, photo_crops):
    path = tmp_path / "secret.mp4"
    encode_video(path, photo_crops(32, 3))
    return path


@pytest.mark.parametrize(
    "playlist",
    [
        "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nfile://{path}\n#EXT-X-ENDLIST\n",
        "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nhttp://127.0.0.1:9/x.ts\n#EXT-X-ENDLIST\n",
        "ffconcat version 1.0\nfile secret.mp4\n",
        "ffconcat version 1.0\nfile 'http://127.0.0.1:9/x.mp4'\n",
    ],
)
def test_a_playlist_is_no_video(video, playlist):
    """ffmpeg would read what it lists: other files of this machine, or addresses."""
    path = video.with_name("playlist.mp4")
    path.write_text(playlist.format(path=video))
    with pytest.raises(InputError, match="playlist.mp4 is damaged or no video"):
        decode_video(path, max_frames=3)


@pytest.mark.parametrize("name", ["-i.mp4", "concat:a|b.mp4", "http:x.mp4", "pipe:0.mp4", "%d.mp4"])
def test_names_of_videos_mean_nothing(video, name, monkeypatch):
    path = video.rename(video.with_name(name))
    assert decode_video(path, max_frames=9).shape == (3, 32, 32, 3)
    monkeypatch.chdir(video.parent)
    assert decode_video(Path(name), max_frames=9).shape == (3, 32, 32, 3)


def test_frames_that_are_too_large(tmp_path):
    path = tmp_path / "large.mp4"
    encode_video(path, np.zeros((1, 2050, 2050, 3), np.uint8))
    with pytest.raises(InputError, match="large.mp4 is damaged or no video"):
        decode_video(path, max_frames=1)


def test_a_pipe_named_like_a_video(tmp_path):
    for perturbation in ("rotate", "tilt"):
        (tmp_path / perturbation / "n01440764").mkdir(parents=True)
        os.mkfifo(tmp_path / perturbation / "n01440764" / "a.mp4")
    with pytest.raises(InputError, match="no such file: .*a.mp4"):
        ImageNetPBenchmark(tmp_path, names=["rotate", "tilt"])
