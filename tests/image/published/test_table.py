from __future__ import annotations

import re
from pathlib import Path

import pytest

import cxrfeat
from cxrfeat.image.layout import find_layout
from cxrfeat.image.patient import PATIENT_PATTERNS
from cxrfeat.image.published.recognise import NONE
from cxrfeat.image.published.table import SETS
from tests.image.published.trees import TREES


def test_names_are_words_of_their_own() -> None:
    names = [one.name for one in SETS]
    assert len(set(names)) == len(names)
    assert NONE not in names
    assert all(re.fullmatch(r"[a-z][a-z0-9-]*", name) for name in names)


def test_each_set_has_a_tree_and_each_tree_is_a_set() -> None:
    assert {re.sub(r"-[345]$", "", name) for name in TREES} == {one.name for one in SETS}


@pytest.mark.parametrize("name", TREES)
def test_each_tree_is_recognised_as_itself_wherever_it_lies(tmp_path: Path, name: str) -> None:
    TREES[name](tmp_path / "unpacked" / "too deep")
    layout = find_layout(tmp_path)
    assert layout.published is not None
    assert layout.published[0] == re.sub(r"-[345]$", "", name)
    assert layout.entries


def test_the_page_of_sets_has_a_row_for_each_and_for_each_word_of_patients() -> None:
    page = (Path(cxrfeat.__file__).parents[1] / "docs" / "sets.md").read_text(encoding="utf-8")
    sets, patients = page.split("## Patients in file names")
    assert set(re.findall(r"^\| `([a-z0-9-]+)` \|", sets, re.MULTILINE)) == {one.name for one in SETS}
    assert set(re.findall(r"^\| `([a-z0-9-]+)` \|", patients, re.MULTILINE)) == set(PATIENT_PATTERNS)
