from __future__ import annotations

from pathlib import Path

import pytest

from cxrfeat.errors import InputError, SpecError
from cxrfeat.image.note import Weight, texts
from cxrfeat.image.table_column import check_names, plain, used_columns
from cxrfeat.image.table_line import Faults, Sheet, read_text
from cxrfeat.types import Part
from tests.image.claims import read, rows


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


def sheet(*header: str, rows: tuple[tuple[str, ...], ...] = ()) -> Sheet:
    return Sheet(name="t.csv", header=list(header), lines=[(at, list(row)) for at, row in enumerate(rows, start=2)])


def test_a_header_without_images_or_with_a_column_twice_is_refused() -> None:
    assert used_columns(sheet("File_Name", "label")).index == {"image": 0, "label": 1}
    with pytest.raises(InputError, match=r"t\.csv: the column label is there twice; keep one of each\."):
        used_columns(sheet("image", "label", "Label "))
    with pytest.raises(
        InputError, match=r"no column image \(or file_name, .*The columns are a, b\..*`column=image=TITLE`"
    ):
        used_columns(sheet("a", "b", ""))


def test_columns_are_found_by_place_and_signs_and_case_do_not_matter() -> None:
    assert plain(" Patient-ID ") == "patientid"
    found = used_columns(sheet("Finding Labels", "colour", "Image Index"))
    assert found.index == {"image": 2, "label": 0}
    assert found.unused == ["colour"]
    assert [note.weight for note in found.notes] == [Weight.MINOR, Weight.MINOR]


def test_the_user_says_which_column_is_which() -> None:
    table = sheet("pid", "Which File", "y", "label", "site")
    found = used_columns(table, {"image": "which file", "label": "y", "source": ""})
    assert found.index == {"image": 1, "label": 2, "patient_id": 0}
    assert found.unused == ["label", "site"]
    assert "Read from t.csv: Which File as image, y as label, pid as patient_id." in texts(found.notes)


def test_titles_that_differ_by_signs_only_are_told_apart_as_they_are_written() -> None:
    table = sheet("image", "Label_1", "label 1")
    assert used_columns(table, {"label": "label 1"}).index["label"] == 2
    with pytest.raises(InputError, match="no such column"):
        used_columns(table, {"label": "LABEL-1"})


def test_a_column_that_is_not_there_is_refused_with_the_nearest() -> None:
    with pytest.raises(InputError, match=r"`column` takes label from 'fnding', and t\.csv .* Did you mean finding\?"):
        used_columns(sheet("image", "finding"), {"label": "fnding"})
    with pytest.raises(SpecError, match=r"'patient', which nothing reads\. Did you mean patient_id\?"):
        check_names({"patient": "x"})
    check_names({"patient_id": "x", "image": "y"})


def test_what_is_read_is_told_with_how_the_table_is_written() -> None:
    text = read_text("t.tsv", "Image Index\tlabel\n1.png\tÜ\n".encode("latin-1"), Faults("t.tsv"))
    assert "Read from t.tsv (tab-separated, Latin-1): Image Index as image." in texts(used_columns(text).notes)
