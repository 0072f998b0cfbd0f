from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from cxrfeat.feature.called import Called, data_folder_of
from cxrfeat.image.manifest_file import COLUMNS, manifest_path
from cxrfeat.image.manifest_line import Line

A, B = "a1b2c3d4" * 4, "a1b2c3d5" * 4


def line(image_id: str, path: str, root: str) -> Line:
    return Line(image_id, path, "COVID", "0" * 64, "g", "", "", "", "yes", root)


@pytest.fixture
def called(tmp_path: Path) -> Called:
    root = str(tmp_path / "data")
    return Called([A, B], {A: line(A, "COVID/1.png", root), B: line(B, "COVID/2.png", root)})


def test_images_are_called_by_their_paths_and_by_ids_where_nothing_tells_them(called: Called) -> None:
    assert called.names == ["COVID/1.png", "COVID/2.png"]
    assert Called([A, B], {}).names == [A, B]


def test_an_image_is_found_by_whatever_it_is_called(
    called: Called, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data" / "COVID").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "data")
    for text in (B, B[:8], "COVID/2.png", "data/COVID/2.png", f"{tmp_path}/data/COVID/2.png", "link/COVID/2.png"):
        assert called.row_of(text) == 1, text
    for text in ("a1b2c3d", "ffffffff", "2.png", "COVID/3.png", "", "\0", A + "0"):
        assert called.row_of(text) is None, text


def test_the_beginning_of_two_ids_means_neither() -> None:
    assert Called(["a" * 31 + "0", "a" * 31 + "1"], {}).row_of("a" * 31) is None


def test_a_path_that_two_images_had_means_neither(tmp_path: Path) -> None:
    """As when an image changed: the manifest keeps the id of what it was."""
    both = {A: line(A, "1.png", os.fspath(tmp_path)), B: line(B, "1.png", os.fspath(tmp_path))}
    called = Called([A, B], both)
    assert called.row_of("1.png") is None
    assert called.row_of(A) == 0


def test_without_a_manifest_ids_are_all_there_is(tmp_path: Path) -> None:
    assert Called.beside(tmp_path, "data", [A]).names == [A]


def test_the_data_folder_is_known_where_its_manifest_says_it_and_it_is_there(tmp_path: Path) -> None:
    def told(*lines: Line) -> Path | None:
        rows: list[Sequence[str]] = [COLUMNS, *lines]
        with manifest_path(tmp_path, "set").open("w", newline="") as opened:
            csv.writer(opened).writerows(rows)
        return data_folder_of(tmp_path, "set")

    assert data_folder_of(tmp_path, "set") is None, "no manifest"
    here = line(A, "COVID/1.png", str(tmp_path))
    assert told(here, line(B, "COVID/2.png", "/elsewhere")._replace(present="no")) == tmp_path
    assert told(here, line(B, "COVID/2.png", "/elsewhere")) is None, "of two folders"
    assert told(line(A, "COVID/1.png", str(tmp_path / "gone"))) is None
    manifest_path(tmp_path, "set").write_text("damaged")
    assert data_folder_of(tmp_path, "set") is None
