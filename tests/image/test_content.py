from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from cxrfeat.errors import BadImageError
from cxrfeat.image.content import MAX_BYTES, read_file


def test_a_regular_file_is_read_and_anything_else_refused(tmp_path: Path) -> None:
    (tmp_path / "file.png").write_bytes(b"content")
    assert read_file(tmp_path / "file.png") == b"content"
    (tmp_path / "folder.png").mkdir()
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "here.png").symlink_to("there.png")
    (tmp_path / "there.png").symlink_to("here.png")
    (tmp_path / "broken.png").symlink_to("nowhere")
    plug = socket.socket(socket.AF_UNIX)
    plug.bind(str(tmp_path / "socket.png"))
    with (tmp_path / "huge.png").open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    cases = {
        "folder.png": "not a regular file but a folder",
        "pipe.png": "not a regular file but a pipe",
        "socket.png": "not a regular file but a socket",
        "/dev/zero": "not a regular file but a device",
        "here.png": "in a circle",
        "broken.png": "not there",
        "nothing.png": "not there",
        "file.png/x.png": "not there",
        "a" * 300: "too long",
        "a\0b": "not a file name",
        "huge.png": "256 MB; this program reads files up to 256 MB",
    }
    for name, reason in cases.items():
        with pytest.raises(BadImageError, match=reason) as caught:
            read_file(tmp_path / name)
        assert caught.value.stage == "open"
        assert str(tmp_path) not in caught.value.reason
    plug.close()


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(b"")
    (tmp_path / "x.png").chmod(0)
    with pytest.raises(BadImageError, match="no permission"):
        read_file(tmp_path / "x.png")


def test_a_name_that_is_not_utf8_is_read(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"caf\xe9.png")
    path.write_bytes(b"content")
    assert read_file(path) == b"content"
