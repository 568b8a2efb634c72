"""Writing files so that a kill at any moment leaves the old content or the new one."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from dynmix_tf.errors import InputError

__all__ = ["append_line", "complete_lines", "locked", "write_atomic"]


@contextlib.contextmanager
def locked(folder: str | os.PathLike[str]) -> Iterator[None]:
    """Holds a folder for this process alone, where the file system can; a kill lets go of it too.

    Args:
        folder: The folder; it is there already.

    Raises:
        InputError: Another process holds it.

    Example:
        >>> with locked("."):
        ...     Path("a.txt").write_text("mine")
        4
    """
    try:
        import fcntl
    except ImportError:  # not on Windows
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(f"another command is writing into {folder}") from None
        except OSError:  # some network file systems do not lock folders
            pass
        yield
    finally:
        os.close(handle)


def write_atomic(path: str | os.PathLike[str], data: str | bytes) -> None:
    """Replaces a file as a whole: readers see the old content or all of the new.

    The data goes to a temporary name in the same folder, to the disk (fsync), then takes the
    file's name. Missing parent folders are created.

    Args:
        path: The file to write.
        data: Bytes, or text to write in UTF-8 with its line ends as they are.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "runs" / "config.json"
        >>> write_atomic(path, "{}")
        >>> path.read_text()
        '{}'
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # A name of its own for every call: two writers of one file must not share a temporary.
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with open(temporary, "xb") as file:
            file.write(data.encode("utf-8") if isinstance(data, str) else data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()
        raise


def append_line(path: str | os.PathLike[str], line: str) -> None:
    """Adds one line to a text file and waits until it is on the disk.

    What a kill left of an unfinished last line (no newline at the end) is cut off first, so
    lines are whole or absent. Missing parent folders and a missing file are created.

    Args:
        path: The file, UTF-8 with `\\n` line ends.
        line: The line without its newline.

    Raises:
        ValueError: `line` holds a newline.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "metrics.jsonl"
        >>> append_line(path, '{"epoch": 1}')
        >>> complete_lines(path)
        ['{"epoch": 1}']
    """
    if "\n" in line or "\r" in line:
        raise ValueError(f"a line cannot hold a line break. Received: {line!r}")
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a+b") as file:
        file.seek(0)
        content = file.read()
        file.truncate(content.rfind(b"\n") + 1)
        file.write(line.encode("utf-8") + b"\n")
        file.flush()
        os.fsync(file.fileno())


def complete_lines(path: str | os.PathLike[str]) -> list[str]:
    """The lines of a text file without their newlines, less an unfinished last one.

    Args:
        path: The file, UTF-8.

    Raises:
        FileNotFoundError: No such file.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "log"
        >>> _ = path.write_text("one\\ntwo\\nthr")
        >>> complete_lines(path)
        ['one', 'two']
    """
    content = Path(path).read_bytes()
    text = content[: content.rfind(b"\n") + 1].decode("utf-8")
    return [line.removesuffix("\r") for line in text.split("\n")[:-1]]
