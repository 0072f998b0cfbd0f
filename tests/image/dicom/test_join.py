from __future__ import annotations

import pytest

from cxrfeat.image.dicom.header import About
from cxrfeat.image.dicom.join import joined
from cxrfeat.image.table_line import Sheet

ABOUT = {
    "a/1.dcm": About(sop_instance="1.1", series="2.1", study="3.1", accession="0007", patient="P1"),
    "a/2.dcm": About(sop_instance="1.2", series="2.1", study="3.1", accession="0007", patient="P1"),
    "b/3.dcm": About(sop_instance="1.3", series="2.3", study="3.3", accession="8", patient="P2"),
    "b/4.dcm": About(sop_instance="1.4", series="2.4", study="3.4", accession="08", patient="P2"),
}


def sheet(header: str, *lines: str) -> Sheet:
    rows = [(number, line.split(",")) for number, line in enumerate(lines, 2)]
    return Sheet(name="labels.csv", header=header.split(","), lines=rows)


@pytest.mark.parametrize(
    ("header", "line", "paths"),
    [
        ("SOPInstanceUID,label", "1.2,sick", ["a/2.dcm"]),
        ("series_uid,label", "2.1,sick", ["a/1.dcm", "a/2.dcm"]),
        ("label,StudyInstanceUID", "sick,3.3", ["b/3.dcm"]),
        ("Accession Number,label", "7.0,sick", ["a/1.dcm", "a/2.dcm"]),
        ("Accession Number,label", "8,sick", ["b/3.dcm"]),  # two differ by a zero: each is itself only
        ("patient_id,label", "P2,sick", ["b/3.dcm", "b/4.dcm"]),
        ("PatientID,StudyInstanceUID,label", "P2,3.4,sick", ["b/4.dcm"]),  # the narrowest is taken
        ("image_id,label", "3.1_study,sick", ["a/1.dcm", "a/2.dcm"]),
    ],
)
def test_a_line_becomes_one_for_each_image(header: str, line: str, paths: list[str]) -> None:
    made = joined(sheet(header, line), ABOUT, list(ABOUT), {})
    place = next(place for place, title in enumerate(made.header) if title in ("image", "image_id"))
    assert [row[place] for _, row in made.lines] == paths
    assert {number for number, _ in made.lines} == {2}


def test_a_column_of_the_users_is_read_as_that() -> None:
    made = joined(sheet("exam,label", "3.1,sick", "9.9,well"), ABOUT, list(ABOUT), {"image": "exam"})
    assert [row for _, row in made.lines] == [["a/1.dcm", "sick"], ["a/2.dcm", "sick"]]
    assert any("1 row of labels.csv with a StudyInstanceUID of no image" in note.text for note in made.notes)


@pytest.mark.parametrize(
    "table",
    [
        sheet("image,StudyInstanceUID,label", "1.dcm,3.1,sick"),
        sheet("image,StudyInstanceUID,label", "elsewhere\\a\\1,3.1,sick"),
        sheet("label,sex", "sick,F"),
        sheet("patient_id,label", "P9,sick"),
    ],
)
def test_a_table_that_names_files_or_nothing_known_stays_as_it_is(table: Sheet) -> None:
    assert joined(table, ABOUT, list(ABOUT), {}) is table
    assert joined(table, {}, ["a/1.png"], {}) is table
