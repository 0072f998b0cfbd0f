"""Checklists, filled in as far as a run knows."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from cxrfeat.reporting.card import card_of
from cxrfeat.reporting.checklist import ANSWERS, CLAIM, TRIPOD, YOURS, Checklist, checklist_page, filled
from tests.reporting.cards import MODEL, card_with_everything, fitted


@pytest.mark.parametrize(("checklist", "last", "items"), [(CLAIM, 44, 44), (TRIPOD, 27, 52)], ids=["claim", "tripod"])
def test_every_item_is_there_once_and_in_order(checklist: Checklist, last: int, items: int) -> None:
    numbers = [one for one, _, _ in checklist.items]
    assert len(set(numbers)) == len(numbers) == items
    assert sorted(numbers, key=lambda one: (int(re.sub(r"\D", "", one)), one)) == numbers
    assert {int(re.sub(r"\D", "", one)) for one in numbers} == set(range(1, last + 1))
    assert {name for _, _, name in checklist.items} - {""} <= ANSWERS.keys()


def test_every_answer_is_used() -> None:
    assert {name for one in (CLAIM, TRIPOD) for _, _, name in one.items} - {""} == ANSWERS.keys()


def test_what_a_run_knows_is_filled_in_and_the_rest_is_the_authors(tmp_path: Path) -> None:
    card = card_with_everything(tmp_path)
    rows = {row["item"]: row for row in filled(CLAIM, card)}
    assert rows["44"] == {"item": "44", "about": "Funding", "answer": YOURS, "yours": True}
    assert "outside" in rows["33"]["answer"]
    assert "COVID 40, NORMAL 40" in rows["7"]["answer"]
    assert "kind logreg" in rows["25"]["answer"]
    assert "momentum" not in rows["25"]["answer"]
    assert "None" not in rows["25"]["answer"]
    page = checklist_page(TRIPOD, card)
    assert "10.1136/bmj-2023-078378" in page
    assert page.count(YOURS) == sum(row["yours"] for row in filled(TRIPOD, card))


def test_nothing_is_made_up_where_the_features_are_not_at_hand(tmp_path: Path) -> None:
    run, _ = fitted(tmp_path)
    card = card_of(run, MODEL)
    rows = {row["item"]: row for row in filled(CLAIM, card)}
    for item in ("12", "33", "36"):
        assert rows[item]["yours"]
    assert "could not be used" not in rows["8"]["answer"]
