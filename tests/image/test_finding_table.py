from __future__ import annotations

from pathlib import Path

import pytest

from cxrfeat.errors import InputError
from cxrfeat.image.finding_table import finding_columns
from cxrfeat.image.note import texts
from cxrfeat.image.table import TableClaims
from cxrfeat.image.table_line import Sheet
from tests.image.claims import read, rows

HEAD = "image,No Finding,Edema,Pneumonia,Support Devices"


def labels(claims: TableClaims) -> list[str | None]:
    return [row.label for row in rows(claims)]


def test_a_list_with_bars_gives_findings_and_the_class_of_none_or_some(tmp_path: Path) -> None:
    claims = read(tmp_path, "image,Finding Labels\ni/1.png,Mass|Edema\ni/2.png,No Finding\ni/3.png,\n")
    assert claims.finding_names == ("Edema", "Mass")
    assert [row.findings for row in rows(claims)] == [(1, 1), (0, 0), (-2, -2)]
    assert labels(claims) == ["Finding", "No Finding", None]
    assert any("the class is 'No Finding' or 'Finding'" in text for text in texts(claims.notes))


def test_a_list_without_a_word_for_none_keeps_its_combinations_as_classes(tmp_path: Path) -> None:
    claims = read(tmp_path, "image,label\ni/1.png,A|B\ni/2.png,A\ni/3.png,B\n")
    assert claims.finding_names == ("A", "B")
    assert [row.findings for row in rows(claims)] == [(1, 1), (1, 0), (0, 1)]
    assert labels(claims) == ["A|B", "A", "B"]


def test_labels_without_bars_are_no_lists(tmp_path: Path) -> None:
    claims = read(tmp_path, "image,label\ni/1.png,No Finding\ni/2.png,Mass\ni/3.png,Edema\n")
    assert claims.finding_names == ()
    assert labels(claims) == ["No Finding", "Mass", "Edema"]


def test_columns_named_as_chexperts_are_findings(tmp_path: Path) -> None:
    claims = read(tmp_path, f"{HEAD}\ni/1.png,1.0,,0.0,\ni/2.png,,1.0,-1.0,1.0\ni/3.png,,,0,\n")
    assert claims.finding_names == ("Edema", "Pneumonia", "Support Devices")
    assert [row.findings for row in rows(claims)] == [(-2, 0, -2), (1, -1, 1), (-2, 0, -2)]
    assert [row.follows for row in rows(claims)] == ["No Finding", "Finding", ""]
    assert labels(claims) == [None] * 3, "a class that only follows stands behind that of a folder"
    assert claims.unused == []


def test_columns_of_such_names_that_hold_something_else_are_none(tmp_path: Path) -> None:
    claims = read(tmp_path, "image,label,Edema,Pneumonia,Fracture\ni/1.png,A,mild,1,0\ni/2.png,A,none,0,0\n")
    assert claims.finding_names == ()
    assert claims.unused == ["Edema", "Pneumonia", "Fracture"]


@pytest.mark.parametrize(
    ("cell", "state"),
    [("1", 1), ("yes", 1), ("Positive", 1), ("0.0", 0), ("no", 0), ("absent", 0), ("-1.0", -1), ("uncertain", -1),
     ("", -2), ("n/a", -2), ("2", -2), ("maybe so", -2)],
)  # fmt: skip
def test_a_cell_of_a_named_column_says_what_people_write(tmp_path: Path, cell: str, state: int) -> None:
    claims = read(tmp_path, f"image,label,COPD\ni/1.png,A,{cell}\ni/2.png,A,1\n", findings=["copd"])
    assert claims.finding_names == ("COPD",)
    assert rows(claims)[0].findings == (state,)
    odd = "say neither present (1), absent (0) nor uncertain (-1)"
    assert any(odd in text for text in texts(claims.notes)) is (cell in ("2", "maybe so"))


def test_a_column_that_is_named_is_none_of_ours(tmp_path: Path) -> None:
    claims = read(tmp_path, "image,class,disease\ni/1.png,A,1\ni/2.png,B,0\n", findings=["disease"])
    assert claims.columns["label"] == "class"
    assert claims.finding_names == ("disease",)
    alone = read(tmp_path, "image,disease\ni/1.png,1\ni/2.png,0\n", findings=["disease"])
    assert "label" not in alone.columns


def test_one_finding_can_be_the_class(tmp_path: Path) -> None:
    table = f"{HEAD}\ni/1.png,,1,0,\ni/2.png,,0,1,\ni/3.png,,-1,0,\n"
    claims = read(tmp_path, table, column={"label": "Edema"})
    assert labels(claims) == ["Edema", "no Edema", None]
    assert [row.left_out for row in rows(claims)] == ["", "", "Edema uncertain"]


def test_named_findings_of_a_list_are_the_only_ones(tmp_path: Path) -> None:
    table = "image,Finding Labels\ni/1.png,Mass|Edema\ni/2.png,No Finding\n"
    claims = read(tmp_path, table, findings=["Mass"])
    assert claims.finding_names == ("Mass",)
    assert labels(claims) == ["Finding", "No Finding"]
    with pytest.raises(InputError, match=r"names 'Masss', which metadata.csv lists for no image. Did you mean Mass\?"):
        read(tmp_path, table, findings=["Masss"])


def test_a_finding_that_is_no_column_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"names 'Edemaa', and metadata.csv has no such column. Did you mean Edema\?"):
        read(tmp_path, f"{HEAD}\ni/1.png,,1,0,\n", findings=["Edemaa"])


def test_a_table_whose_columns_are_known_already_has_none_of_its_own() -> None:
    sheet = Sheet(name="t", header=["image", "Edema"], lines=[], index={"image": 0})
    assert finding_columns(sheet, ["Edema"]) == {}
