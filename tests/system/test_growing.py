from __future__ import annotations

import contextlib
import stat
from pathlib import Path

import pytest

from cxrfeat.errors import StorageError
from cxrfeat.system.growing import growing


def test_a_file_stands_under_its_name_once_it_is_whole(tmp_path: Path) -> None:
    place = tmp_path / "out.csv"
    place.write_text("before")
    with growing(place) as write:
        write("a\n")
        write("b\udc80\n")
        assert place.read_text() == "before"
        assert (tmp_path / "out.csv.part").read_bytes().startswith(b"a\n"), "each line is there at once"
    assert place.read_bytes().splitlines()[0] == b"a"
    assert stat.S_IMODE(place.stat().st_mode) == 0o600
    assert [one.name for one in tmp_path.iterdir()] == ["out.csv"]


def test_what_was_written_stays_where_the_rest_fails(tmp_path: Path) -> None:
    place = tmp_path / "out.csv"
    with contextlib.suppress(RuntimeError), growing(place) as write:
        write("a\n")
        raise RuntimeError
    assert not place.exists()
    assert (tmp_path / "out.csv.part").read_text() == "a\n"


def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"out\.csv"), growing(tmp_path / "nowhere" / "out.csv"):
        pass
