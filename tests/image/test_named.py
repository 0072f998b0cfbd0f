"""Images that are named: files as they are, folders searched, in the order given."""

from __future__ import annotations

from pathlib import Path

import pytest

from cxrfeat.errors import InputError
from cxrfeat.image.named import named_images
from tests.image.encode import encode, noise


def put(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode(noise(1), "PNG"))
    return path


def test_files_come_as_they_are_named_and_folders_as_they_are_searched(tmp_path: Path) -> None:
    alone = put(tmp_path / "z.png")
    inside = [put(tmp_path / "folder" / name) for name in ("a.png", "b.png")]
    put(tmp_path / "folder" / ".hidden.png")
    (tmp_path / "folder" / "loop.png").symlink_to("loop.png")
    paths, bad = named_images([alone, tmp_path / "folder", inside[0]])
    assert paths == [alone, *inside, inside[0]]
    assert [(one.path, one.stage) for one in bad] == [(str(tmp_path / "folder" / "loop.png"), "open")]


def test_a_path_with_nothing_at_it_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"There is no image .*nowhere.png. Check the path"):
        named_images([tmp_path / "nowhere.png"])
