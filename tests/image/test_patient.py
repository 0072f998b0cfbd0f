from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from cxrfeat.errors import InputError
from cxrfeat.image.index import index_folder
from cxrfeat.image.patient import find_patients, mixed_notes, mixed_patients

NONE = [None, None]


@pytest.mark.parametrize(
    ("sources", "sexes", "ages", "dates", "reason"),
    [
        (["A", "A"], ["M", "M"], [50, 50], NONE, None),
        (["A", "B"], NONE, NONE, NONE, "in several sources"),
        (["A", None], ["M", None], [50, None], NONE, None),
        (NONE, ["M", "F"], NONE, NONE, "of different sexes"),
        (NONE, ["M", "male"], NONE, NONE, None),
        (NONE, ["Woman", "female"], NONE, NONE, None),
        (NONE, NONE, [50, 69], NONE, None),
        (NONE, NONE, [30, 70], NONE, "of ages too far apart"),
        (NONE, NONE, [30, 70], ["1980-01-01", "2020-05-05"], None),
        (NONE, NONE, [50, 50], ["1980-01-01", "2020-05-05"], "of ages too far apart"),
        (NONE, NONE, [50, 52], ["2020-01-01", None], None),
    ],
)
def test_one_number_of_several_people_is_found(
    sources: list[str | None],
    sexes: list[str | None],
    ages: list[float | None],
    dates: list[str | None],
    reason: str | None,
) -> None:
    found = mixed_patients(["7", "7"], sources, sexes, ages, dates)
    assert found.rows == (((0, 1),) if reason else ())
    assert [name for name, _ in found.reasons] == ([reason] if reason else [])


def test_unknown_patients_are_nobody() -> None:
    assert not mixed_patients([None, None], ["A", "B"], ["M", "F"], [3, 80], NONE).rows


def test_a_patient_may_be_mixed_for_several_reasons_and_is_counted_once() -> None:
    found = mixed_patients(["7", "7", "8"], ["A", "B", "B"], ["M", "F", "F"], [30, 70, 50], [None] * 3)
    assert found.said(2) == (
        "1 of 2 patient numbers does not seem to be one person: 1 in several sources, 1 of different sexes, "
        "1 of ages too far apart."
    )


def test_the_phantoms_are_one_person_each_and_a_note_names_nobody(phantoms: Path, tmp_path: Path) -> None:
    rows = index_folder(phantoms).rows
    assert mixed_notes(rows) == []
    both = [replace(row, patient="secret", source=name) for row, name in zip(rows[:2], ("A", "B"), strict=True)]
    (note,) = mixed_notes(both)
    assert note.startswith("1 of 1 patient numbers does not seem to be one person: 1 in several sources")
    assert "secret" not in note


@pytest.mark.parametrize(
    ("pattern", "patient"),
    [
        (r"(?P<patient>p\d+)_(\d)", "p12"),
        (r"_(\d)\.", "3"),
        (r"p\d+", "p12"),
    ],
)
def test_a_patient_is_the_named_group_or_the_first_or_the_match(pattern: str, patient: str) -> None:
    assert find_patients(["A/p12_3.png", "A/other.png"], pattern) == {"A/p12_3.png": patient}


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("(", "not a regular expression"),
        (r"zzz(\d)", "finds no patient"),
        ("zzz", "is a word, which would find one patient only, and none of the words"),
        ("kermanny", r"Did you mean kermany\?"),
    ],
)
def test_a_useless_patient_regex_is_refused(pattern: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        find_patients(["A/1.png"], pattern)


@pytest.mark.parametrize(
    ("word", "path", "patient"),
    [
        ("chexpert", "CheXpert-v1.0-small/train/patient00002/study2/view1_frontal.jpg", "patient00002"),
        ("figure1", "images/COVID-00003b.jpg", "COVID-00003"),
        ("figure1", "images/COVID-00001.png", "COVID-00001"),
        ("kermany", "chest_xray/train/PNEUMONIA/person1000_virus_1681.jpeg", "person1000"),
        ("kermany", "test/NORMAL/NORMAL2-IM-0029-0001.jpeg", "test/NORMAL/NORMAL2-IM-0029"),
        ("kermany", "train/PNEUMONIA/BACTERIA-1135262-0001.jpeg", "BACTERIA-1135262"),
        ("mimic-cxr", "files/p10/p10000032/s50414267/02aa804e.jpg", "p10000032"),
        ("nih", "images_001/images/00000013_026.png", "00000013"),
        ("nlm-tb", "CXR_png/CHNCXR_0327_1.png", "CHNCXR_0327"),
        ("ricord", "train/MIDRC-RICORD-1C-SITE2-000265-99793-1.png", "SITE2-000265"),
        ("siim-covid19", "train/ff0879eb20ed/d8a644cc4f93/000c3a3f293f.dcm", "ff0879eb20ed"),
    ],
)
def test_words_for_published_sets(word: str, path: str, patient: str) -> None:
    assert find_patients([path], word) == {path: patient}
