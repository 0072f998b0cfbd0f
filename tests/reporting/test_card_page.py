"""Model cards for people to read."""

from __future__ import annotations

from pathlib import Path

from cxrfeat.reporting.card_page import card_page, cell, inline, table
from tests.reporting.cards import card_with_everything


def test_everything_has_its_place_on_the_card(tmp_path: Path) -> None:
    card = card_with_everything(tmp_path)
    page = card_page(card, "print(1)")
    for said in (
        "Research use only, never diagnosis.", "model.onnx", "## What it is not for", "| train | COVID | A |",
        "0.600 [0.500, 0.700] (gap 0.200 [0.100, 0.300])", "| source | A ", "print(1)", "A word.", "ab" * 32,
    ):  # fmt: skip
        assert said in page, said
    assert "None" not in page
    bare = card_page({**card, "subgroups": [], "validations": [], "audit": []}, "")
    assert "It was not validated on another data set" in bare
    assert "tested on images of its own data set only" in bare
    failed = [{"status": "fail", "check": "source", "why": "It tells."}]
    assert "Its audit failed (source)" in card_page({**card, "audit": failed}, "")


def test_names_cannot_break_a_page() -> None:
    assert cell("a|b\n<script>`") == "a\\|b &lt;script>'"
    assert inline("a`b\nc") == "`a'b c`"
    assert table(("a",), []) == ""
