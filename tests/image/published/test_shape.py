from __future__ import annotations

import re

import pytest

from cxrfeat.image.published.recognise import compiled
from cxrfeat.image.published.shape import Cell, Published
from cxrfeat.image.published.table import SETS
from cxrfeat.image.table_column import check_names


def patterns(one: Published) -> list[str]:
    cells = [each for place in one.cells.values() for each in (place if isinstance(place, tuple) else (place,))]
    cells += [one.image, *(left.cell for left in one.left)]
    found = [cell.part for cell in cells if cell.part]
    found += [*one.paths, *one.aside, *(left.where for left in one.left)]
    found += [pattern for table in one.tables for pattern in (table.files, table.line) if pattern]
    return found + ([one.findings.between] if one.findings else [])


@pytest.mark.parametrize("one", SETS, ids=lambda one: one.name)
def test_descriptions_hold_patterns_and_say_where_they_are_from(one: Published) -> None:
    for pattern in patterns(one):
        assert compiled(pattern).flags & re.IGNORECASE
    check_names(dict.fromkeys(one.cells, "x"))
    assert re.search(r"https://|doi 10\.", one.facts)
    assert one.tables or one.paths, "something must show that it is this set"
    listing = [table for table in one.tables if table.key is None]
    assert len(listing) <= 1
    assert not listing or listing[0] is one.tables[0], "the table that lists the images is the first"


def test_what_is_read_from_one_place_has_one_group() -> None:
    for one in SETS:
        for place in one.cells.values():
            for cell in place if isinstance(place, tuple) else (place,):
                assert not cell.part or compiled(cell.part).groups == 1, (one.name, cell)
    assert Cell(column="a") == Cell(column="a", words={})
