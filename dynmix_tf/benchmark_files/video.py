"""H.264 files of frame sequences, as ImageNet-P has them."""

from __future__ import annotations

import errno
import importlib.util
import os
import subprocess
from pathlib import Path

import numpy as np

from dynmix_tf.errors import InputError

__all__ = ["check_ffmpeg", "encode_video", "ffmpeg_version"]

FRAMES_PER_SECOND = 10


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
            "-f", "mp4", os.fspath(path),
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
