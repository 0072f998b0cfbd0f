"""What people read is plain English: idioms that made readers stumble do not come back."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache

import pytest

from tests.test_docs import ROOT

BANNED = {
    r"\bleav\w* (?:it |them )?away\b": "omit",
    r"\b(?:stands?|stood) already\b": "already exists",
    r"\bmend(?:s|ed|ing)?\b": "correct, repair",
    r"\bgo(?:es)? on (?:with|from|where)\b": "continue",
    r"\bin so many\b|\bso many (?:folds|epochs|images|rows)\b": "this many",
    r"\bdealt\b(?! with)": "assigned",
    r"\b(?:is|are|were|was) parted\b": "divided, split",
    r"\bfor who (?:sees|knows|reads)\b": "for those who",
    r"\baloud\b": "with a note; and says so",
    r"\bare not told\b": "are not given",
    r"\btells? the disease from the hospital\b": "separate the disease from the hospital",
    r"\bnormalization\b|\bcolor\b(?!-| ?[:=(])|\bgray\b": "British spelling: normalisation, colour, grey",
}
"""Patterns, and what to write in their place."""


@cache
def texts() -> list[tuple[str, str]]:
    """All of them, and where each stands."""
    return [*messages(), *documents()]


def messages() -> Iterator[tuple[str, str]]:
    """Every text in the package but for the docstrings: help, errors, notes, reports."""
    for path in sorted((ROOT / "cxrfeat").rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        bodies = (getattr(node, "body", None) for node in ast.walk(tree))
        statements = [one for body in bodies if isinstance(body, list) for one in body]
        docs = {
            id(one.value) for one in statements if isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs:
                yield f"{path.relative_to(ROOT)}:{node.lineno}", node.value


def documents() -> Iterator[tuple[str, str]]:
    """Every page that people read, and the page templates."""
    for top in (
        "README.md",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "SECURITY.md",
        "docs",
        "features/README.md",
        "runs/README.md",
    ):
        found = [ROOT / top] if (ROOT / top).is_file() else sorted((ROOT / top).rglob("*.md"))
        for path in found:
            yield str(path.relative_to(ROOT)), path.read_text(encoding="utf-8")
    for path in sorted((ROOT / "docs" / "schema").glob("*.json")):
        yield path.name, path.read_text(encoding="utf-8")


@pytest.mark.parametrize("pattern", BANNED)
def test_idioms_that_were_lost_stay_lost(pattern: str) -> None:
    found = [(where, found[0]) for where, text in texts() for found in re.finditer(pattern, text, re.IGNORECASE)]
    assert not found, f"write {BANNED[pattern]!r}: {found}"
