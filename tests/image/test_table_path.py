from __future__ import annotations

from pathlib import Path

import pytest

from cxrfeat.errors import InputError
from tests.image.claims import IMAGES, read, rows


@pytest.mark.parametrize(
    "cell", ["1", "1.png", "i/1", "i\\1.png", "data/i/1.png", "CheXpert-v1.0/i/1.png", "./i/1.png", "1.0"]
)
def test_an_image_is_found_by_its_name_where_the_path_is_another(tmp_path: Path, cell: str) -> None:
    assert list(read(tmp_path / "data", f"image,label\n{cell},A\n").rows) == ["i/1.png"]


def test_a_path_of_this_machine_into_the_folder_is_one_inside(tmp_path: Path) -> None:
    assert list(read(tmp_path, f"image,label\n{tmp_path}/i/1.png,A\n").rows) == ["i/1.png"]


def test_a_name_that_several_images_have_is_a_fault_that_names_them(tmp_path: Path) -> None:
    images = ["a/1.png", "b/1.png", "c/x/1.png"]
    assert list(read(tmp_path, "image,label\nx/1.png,A\nother/a/1.png,A\n", images).rows) == ["c/x/1.png", "a/1.png"]
    with pytest.raises(InputError, match=r"'1\.png' could be any of 'a/1\.png', 'b/1\.png', 'c/x/1\.png'"):
        read(tmp_path, "image,label\n1.png,A\n", images)


def test_a_table_in_a_folder_below_names_images_from_there(tmp_path: Path) -> None:
    claims = read(tmp_path, "image,label\n1.png,A\n", IMAGES, "i/")
    assert list(claims.rows) == ["i/1.png"]


def test_a_column_of_folders_is_joined(tmp_path: Path) -> None:
    images = ["images/1.png", "volumes/1.png"]
    claims = read(tmp_path, "folder,filename,finding\nvolumes,1.png,A\nimages,1.png,B\n", images)
    assert [(row.path, row.label) for row in rows(claims)] == [("volumes/1.png", "A"), ("images/1.png", "B")]


def test_an_image_of_the_same_name_in_another_folder_is_another_image(tmp_path: Path) -> None:
    claims = read(tmp_path, "image,label\ntrain/1.png,A\nother/test/2.png,B\n", ["test/1.png", "test/2.png"])
    assert list(claims.rows) == ["train/1.png", "test/2.png"]
