from __future__ import annotations

import os
import stat

import pytest

from dynmix_tf.files import append_line, complete_lines, write_atomic


def test_writes_text_and_bytes_as_they_are(tmp_path):
    path = tmp_path / "new" / "folders" / "file"
    write_atomic(path, "é\r\nline\n")
    assert path.read_bytes() == "é\r\nline\n".encode()
    write_atomic(str(path), b"\x00\xff")
    assert path.read_bytes() == b"\x00\xff"
    assert [entry.name for entry in path.parent.iterdir()] == ["file"]


def test_a_written_file_has_the_usual_permissions(tmp_path):
    (tmp_path / "usual").write_text("")
    write_atomic(tmp_path / "ours", "")
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("usual", "ours")]
    assert modes[0] == modes[1]


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "file"
    write_atomic(path, "old")

    def full_disk(descriptor):
        raise OSError("no space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(OSError, match="no space"):
        write_atomic(path, "new")
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_a_reader_keeps_the_old_content(tmp_path):
    path = tmp_path / "file"
    write_atomic(path, "old")
    with open(path) as reader:
        write_atomic(path, "new")
        assert reader.read() == "old"
    assert path.read_text() == "new"


def test_appends_lines_to_a_new_file(tmp_path):
    path = tmp_path / "folder" / "log"
    append_line(path, "one")
    append_line(path, "")
    append_line(path, "zwölf")
    assert path.read_bytes() == "one\n\nzwölf\n".encode()
    assert complete_lines(path) == ["one", "", "zwölf"]


@pytest.mark.parametrize("torn", [b"tw", "ü".encode()[:1], b"two"])
@pytest.mark.parametrize("before", [b"", b"one\n"])
def test_cuts_a_torn_last_line(tmp_path, before, torn):
    path = tmp_path / "log"
    path.write_bytes(before + torn)
    assert complete_lines(path) == before.decode().splitlines()
    append_line(path, "three")
    assert path.read_bytes() == before + b"three\n"


def test_complete_lines_split_at_newlines_only(tmp_path):
    path = tmp_path / "log"
    path.write_bytes("a\u2028b\x0bc\r\nd\n".encode())
    assert complete_lines(path) == ["a\u2028b\x0bc", "d"]
    path.write_bytes(b"")
    assert complete_lines(path) == []


@pytest.mark.parametrize("line", ["a\nb", "a\n", "\r"])
def test_a_line_holds_no_line_break(tmp_path, line):
    with pytest.raises(ValueError, match="line break"):
        append_line(tmp_path / "log", line)
    assert not (tmp_path / "log").exists()
