"""H.264 files of frame sequences, as ImageNet-P has them."""

from __future__ import annotations

import errno
import importlib.util
import os
import subprocess
from pathlib import Path

import numpy as np

from dynmix_tf.errors import InputError

__all__ = ["check_ffmpeg", "decode_video", "encode_video", "ffmpeg_version"]

FRAMES_PER_SECOND = 10
_MOST_PIXELS = 2048 * 2048  # of a frame


def check_ffmpeg() -> None:
    """Finds ffmpeg installed.

    Raises:
        InputError: It is not; the message says how to install it.
    """
    if importlib.util.find_spec("imageio_ffmpeg") is None:
        raise InputError("videos need ffmpeg, which is not installed: pip install imageio-ffmpeg")


def ffmpeg_version() -> str:
    """The version of ffmpeg."""
    import imageio_ffmpeg

    return imageio_ffmpeg.get_ffmpeg_version()


def encode_video(path: Path, frames: np.ndarray, grain: bool = False) -> None:
    """Writes a video and waits until it is on the disk; equal frames give equal bytes.

    Args:
        path: The file, with the ending `.mp4`; it is replaced.
        frames: uint8 `(frames, h, w, 3)`, RGB; `h` and `w` even, as yuv420p halves the colours.
        grain: Keep noise as it is, as ImageNet-P does for its noise, with x264's own quality
            (crf 23); else crf 20.

    Raises:
        OSError: It cannot be written.
    """
    import imageio_ffmpeg

    _, height, width, _ = frames.shape
    quality = ["-tune", "grain"] if grain else ["-crf", "20"]
    done = subprocess.run(
        [
            imageio_ffmpeg.get_ffmpeg_exe(), "-y", "-loglevel", "error",
            "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}",
            "-r", str(FRAMES_PER_SECOND), "-i", "-",
            "-c:v", "libx264", "-preset", "veryslow", *quality, "-pix_fmt", "yuv420p",
            # the number of threads decides some bits, and the processes have all cores already
            "-threads", "1", "-fflags", "+bitexact", "-flags:v", "+bitexact",
            "-f", "mp4", f"file:{os.fspath(path)}",
        ],
        input=frames.tobytes(),
        capture_output=True,
        check=False,
    )  # fmt: skip
    if done.returncode:
        message = " ".join(done.stderr.decode(errors="replace").split())[-200:]
        full = "No space left" in message or "File too large" in message
        raise OSError(errno.ENOSPC if full else errno.EIO, message, os.fspath(path))
    with path.open("rb") as file:
        os.fsync(file.fileno())


def decode_video(path: Path, max_frames: int) -> np.ndarray:
    """Reads the first frames of a video, each as it is stored: none repeated, none left out.

    Args:
        path: The file.
        max_frames: Where to stop.

    Returns:
        uint8 `(frames, h, w, 3)`, RGB.

    Raises:
        InputError: It is no MP4 file, one that is damaged within these frames, or one of more than
            4,194,304 pixels.
    """
    import imageio_ffmpeg

    if not path.is_file():  # a pipe would be waited for
        raise InputError(f"no such file: {path}")
    done = subprocess.run(
        [
            imageio_ffmpeg.get_ffmpeg_exe(), "-loglevel", "error",
            # else what is damaged is filled in from other frames
            "-xerror",
            # else a list of other files, or of addresses, is read as what it lists
            "-protocol_whitelist", "file", "-f", "mp4", "-max_pixels", str(_MOST_PIXELS),
            # several videos at a time make better use of the cores
            "-threads", "1", "-i", f"file:{os.fspath(path)}",
            "-fps_mode", "passthrough", "-frames:v", str(max_frames),
            "-f", "image2pipe", "-c:v", "ppm", "-pix_fmt", "rgb24", "-",
        ],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )  # fmt: skip
    if done.returncode or not done.stdout:
        told = done.stderr.decode(errors="replace").splitlines() or ["it has no frames"]
        raise InputError(f"{path} is damaged or no video: {told[0]}")
    # of every frame three lines, then the pixels: "P6", "width height", "255"
    lines = done.stdout[:64].split(b"\n")[:3]
    width, height = map(int, lines[1].split())
    header = sum(len(line) + 1 for line in lines)
    stored = np.frombuffer(done.stdout, np.uint8).reshape(-1, header + height * width * 3)
    return stored[:, header:].reshape(-1, height, width, 3)
