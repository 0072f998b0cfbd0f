from __future__ import annotations

from pathlib import Path

import pytest

from cxrfeat.errors import InputError
from cxrfeat.image.mask_kept import read_kept, unpacked
from cxrfeat.image.mask_table import holds_masks, mask_columns, mask_rows
from tests.image.published_masks import BOTH, NAMES, stems, table


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz"])
def test_rows_are_found_again_behind_cells_of_several_lines(tmp_path: Path, name: str) -> None:
    path = table(tmp_path / name, stems(NAMES))
    columns = mask_columns(path)
    assert columns is not None
    found = dict(mask_rows(path, columns, {"a_2", "b_2"}.__contains__))
    assert [*found] == ["a_2", "b_2"]
    for place in found.values():
        assert (unpacked("row", read_kept(place)[0]) == BOTH).all()


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_tables_of_other_signs_and_a_byte_order_mark_are_read(tmp_path: Path, delimiter: str, end: str) -> None:
    path = tmp_path / "t.csv"
    rows = [["Path", "Right Lung", "Left_Lung", "WIDTH", "height"], ["x/ü.png", "1 2", "5 1", "3", "2"]]
    path.write_bytes(end.join(delimiter.join(row) for row in rows).encode("utf-8-sig"))
    columns = mask_columns(path)
    assert columns is not None
    ((image, place),) = mask_rows(path, columns, bool)
    assert image == "x/ü.png"
    assert unpacked("row", read_kept(place)[0]).tolist() == [[True, True, False], [False, True, False]]


def test_runs_longer_than_a_cell_may_be_by_default_are_read(tmp_path: Path) -> None:
    path = table(
        tmp_path / "t.csv", ["a"], size=400, cells={"Left Lung": " ".join(f"{n} 1" for n in range(1, 60_000, 2))}
    )
    columns = mask_columns(path)
    assert columns is not None
    ((_, place),) = mask_rows(path, columns, bool)
    assert unpacked("row", read_kept(place)[0]).ravel()[:6].tolist() == [True, False] * 3


@pytest.mark.parametrize("image", ["a", '"a"', "x" * 5000])
def test_the_image_of_a_row_may_stand_behind_quotes_and_far_behind(tmp_path: Path, image: str) -> None:
    path = tmp_path / "t.csv"
    path.write_text(f'note,image,Left Lung,Right Lung,Height,Width\n"b, ""c""\nd",{image},1 1,2 1,1,2\n')
    columns = mask_columns(path)
    assert columns is not None
    ((found, place),) = mask_rows(path, columns, bool)
    assert found == image.strip('"')
    assert unpacked("row", read_kept(place)[0]).tolist() == [[True, True]]


def test_other_tables_hold_no_masks(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("image,label\n1.png,A\n")
    assert not holds_masks(tmp_path / "t.csv")
    assert not holds_masks(tmp_path / "nowhere.csv")
    with pytest.raises(InputError, match="is not a regular file"):
        mask_columns(tmp_path)
