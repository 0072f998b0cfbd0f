from __future__ import annotations

import os
from pathlib import Path

import pytest

from cxrfeat.feature.called import Called
from cxrfeat.image.manifest_file import Line

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
