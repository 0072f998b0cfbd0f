from __future__ import annotations

from pathlib import Path

import pytest

from cxrfeat.errors import InputError
from cxrfeat.image.note import Weight, texts
from cxrfeat.image.table import Row, TableClaims, read_table
from cxrfeat.types import Part

IMAGES = ["i/1.png", "i/2.png", "i/3.png"]


def read(root: Path, text: str, images: list[str] = IMAGES, base: str = "") -> TableClaims:
    for name in images:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"")
    (root / base / "metadata.csv").write_text(text)
    return read_table(root, base, images, images, [str(root.resolve())])


def rows(claims: TableClaims) -> list[Row]:
    return list(claims.rows.values())


@pytest.mark.parametrize(
    ("header", "taken"),
    [
        ("filename,finding,patientid,location,view,sex",
         ["image", "label", "patient_id", "source", "view_position", "sex"]),
        ("Image Index,Finding Labels,Patient ID,Patient Age,Patient Gender,View Position",
         ["image", "label", "patient_id", "age", "sex", "view_position"]),
        ("image_id,class,subject_id,dataset,StudyDate", ["image", "label", "patient_id", "source", "date"]),
        ("path,Label,patient-id,hospital,Projection", ["image", "label", "patient_id", "source", "view_position"]),
    ],
)  # fmt: skip
def test_columns_under_the_names_that_others_give_them(tmp_path: Path, header: str, taken: list[str]) -> None:
    row = ",".join(["i/1.png", *(["7"] * header.count(","))])
    claims = read(tmp_path, f"{header}\n{row}\n")
    assert claims.columns == dict(zip(taken, header.split(","), strict=True))


@pytest.mark.parametrize("column", ["split", "set", "fold", "dataset", "Subset", "phase"])
def test_a_column_whose_values_are_parts_is_the_split(tmp_path: Path, column: str) -> None:
    claims = read(tmp_path, f"image,label,{column}\ni/1.png,A,Train\ni/2.png,A,testing\ni/3.png,A,\n")
    assert [row.split for row in rows(claims)] == [Part.TRAIN, Part.TEST, None]


def test_a_column_whose_values_are_none_is_not(tmp_path: Path) -> None:
    claims = read(tmp_path, "image,label,fold,dataset\ni/1.png,A,0,NIH\ni/2.png,A,1,GMH\n")
    assert [(row.split, row.source) for row in rows(claims)] == [(None, "NIH"), (None, "GMH")]
    assert "Not used of metadata.csv: the column fold." in texts(claims.notes)


def test_a_column_that_is_nearly_known_is_named_and_one_of_patients_is_a_loss(tmp_path: Path) -> None:
    claims = read(tmp_path, "image,label,anon_patient_code,sorce,colour\ni/1.png,A,7,x,y\n")
    told = {note.text: note.weight for note in claims.notes}
    assert told == {
        "The column anon_patient_code is not used. Did you mean patient_id? Then name it so.": Weight.LOSS,
        "The column sorce is not used. Did you mean source? Then name it so.": Weight.NOTABLE,
        "Not used of metadata.csv: the column colour.": Weight.MINOR,
    }


def test_the_better_name_wins_and_the_other_is_told(tmp_path: Path) -> None:
    claims = read(tmp_path, "image,label,patient,patient_id,finding\ni/1.png,A,x,p1,B\n")
    assert (rows(claims)[0].patient, rows(claims)[0].label) == ("p1", "A")
    assert "The column patient is not used, since another is read as patient_id." in texts(claims.notes)


@pytest.mark.parametrize(
    "cell",
    ["", "<NA>", "#N/A", "NaT", "-", ".", "missing", "Unknown", "NONE", "n.a.", "-1", "unspecified", "anonymous"],
)
@pytest.mark.parametrize("column", ["patient_id", "source", "sex", "view_position", "date", "age"])
def test_unknown_is_unknown_in_every_column(tmp_path: Path, column: str, cell: str) -> None:
    claims = read(tmp_path, f"image,label,{column}\ni/1.png,A,{cell}\n")
    assert rows(claims) == [Row(path="i/1.png", line=2, label="A")]
    assert texts(claims.notes) == ([f"Taken for unknown in the column {column}: {cell!r} (1)."] if cell else [])


def test_a_class_may_be_called_none_or_unknown(tmp_path: Path) -> None:
    claims = read(tmp_path, "image,label\ni/1.png,None\ni/2.png,Unknown\ni/3.png,#N/A\n")
    assert [row.label for row in rows(claims)] == ["None", "Unknown", None]


def test_numbers_are_what_they_were_before_a_spreadsheet(tmp_path: Path) -> None:
    claims = read(tmp_path, "image,label,patient_id\ni/1.png,1.0,123.0\ni/2.png,0.0,0123\ni/3.png,,123\n")
    assert [(row.patient, row.label) for row in rows(claims)] == [("123", "1"), ("123", "0"), ("123", None)]
    assert sum("went through a spreadsheet" in text for text in texts(claims.notes)) == 2


def test_where_the_column_does_not_show_it_they_stay_and_it_is_said(tmp_path: Path) -> None:
    claims = read(tmp_path, "image,label,patient_id\ni/1.png,A,123\ni/2.png,A,0123\ni/3.png,A,1.2E+11\n")
    assert [row.patient for row in rows(claims)] == ["123", "0123", "1.2E+11"]
    told = " ".join(texts(claims.notes))
    assert "differ by leading zeros only, such as '0123 and 123'" in told
    assert "1 patient number in the column patient_id, such as '1.2E+11', were cut" in told


def test_odd_ages_and_dates_are_unknown_and_counted(tmp_path: Path) -> None:
    claims = read(tmp_path, "image,label,age,date\ni/1.png,A,411,soon\ni/2.png,A,058Y,1/22/2020\ni/3.png,A,20s,2020\n")
    assert [(row.age, row.date) for row in rows(claims)] == [(None, None), (58.0, "2020-01-22"), (None, "2020")]
    assert texts(claims.notes) == [
        "Taken for unknown in the column age: 2 values that are no age in years from 0 to 120, such as '20s'.",
        "Taken for unknown in the column date: 1 value that is no date, or not surely one (write 2020-03-31), such as "
        "'soon'.",
    ]


def test_all_faults_come_in_one_message(tmp_path: Path) -> None:
    text = (
        "image,label,split,mask\n../x.png,A,,\ni/1.png,A,holdout,\n,A,,\ni/2.png,A,,/etc/m.png\ni/3.png,A,train,,,x\n"
    )
    with pytest.raises(InputError, match=r"metadata\.csv has 5 faults") as raised:
        read(tmp_path, text)
    told = str(raised.value)
    for part in ("line 2, column image: '../x.png' must", "line 3, column split: 'holdout'", "line 4, column image: ",
                 "line 5, column mask: '/etc/m.png'", "line 6: 6 fields under 4"):  # fmt: skip
        assert part in told


def test_of_many_faults_a_dozen_is_shown(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"(?s)has 40 faults.*and 28 more"):
        read(tmp_path, "image,label\n" + "../x.png,A\n" * 40)


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


def test_a_second_row_fills_in_and_may_not_contradict(tmp_path: Path) -> None:
    claims = read(tmp_path, "image,label,sex,age\ni/1.png,A,,50\ni/1.png,A,F,\ni/1.png,,,\n")
    assert rows(claims) == [Row(path="i/1.png", line=2, label="A", sex="F", age=50.0)]
    assert "2 further rows of metadata.csv for images listed before" in " ".join(texts(claims.notes))
    with pytest.raises(
        InputError, match=r"line 3, column sex: 'i/1\.png' was listed before, in line 2, with 'M' and not"
    ):
        read(tmp_path, "image,label,sex\ni/1.png,A,M\ni/1.png,A,F\n")


def test_a_column_of_folders_is_joined(tmp_path: Path) -> None:
    images = ["images/1.png", "volumes/1.png"]
    claims = read(tmp_path, "folder,filename,finding\nvolumes,1.png,A\nimages,1.png,B\n", images)
    assert [(row.path, row.label) for row in rows(claims)] == [("volumes/1.png", "A"), ("images/1.png", "B")]


def test_an_image_of_the_same_name_in_another_folder_is_another_image(tmp_path: Path) -> None:
    claims = read(tmp_path, "image,label\ntrain/1.png,A\nother/test/2.png,B\n", ["test/1.png", "test/2.png"])
    assert list(claims.rows) == ["train/1.png", "test/2.png"]
