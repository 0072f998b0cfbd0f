"""What people read is plain English: idioms that made readers stumble do not come back."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache

import pytest

import cxrfeat
from tests.sources import sources
from tests.test_docs import ROOT

BANNED = {
    r"\bleav\w*\b[^.;:]{0,160}\baway\b|\bleave (?:`|--)[^.;:]{0,160}\bout\b": "omit",
    r"\b(?:stands?|stood) already\b|\bexisted already\b": "already exists",
    r"\bmend(?:s|ed|ing)?\b": "correct, repair",
    r"\bgo(?:es)? on (?:with|from|where)\b": "continue",
    r"\bin so many\b|\bso many (?:folds|epochs|images|rows|outer)\b": "this many",
    r"\bdealt\b(?! with)": "assigned",
    r"\bparted\b|\bpart (?:all )?(?:the )?(?:images|patients)\b": "divided, split",
    r"\bfor who (?:sees|knows|reads)\b": "for those who",
    r"\baloud\b": "with a note; and says so",
    r"\bare not told\b": "are not given",
    r"\btells? (?:the|a) disease\s+from (?:the|a) hospital\b": "separate the disease from the hospital",
    r"\b(?:to|features|heads?) tells? (?:the|a|their|its) (?:sex|class|source|number|patients?)\b": "predict",
    r"\bnormalization\b|\bcolor\b(?!-| ?[:=(])|\bgray\b": "British spelling: normalisation, colour, grey",
    r"(?<!such )\banew\b": "again",
    r" beside\b|\bbeside (?!it\))": "next to, besides, in addition to",
    r"(?<!there )(?<!said: )\b(?:is|are) no (?!more\b|longer\b|better\b|help\b|proof\b|such\b|pass\b)[a-z]": "is not a",
    r"\bgoes without saying\b": "is obvious",
    r"\bunambiguous beginning\b": "unambiguous prefix",
    r"\bsurely\b": "clearly",
    r"\bgive away\b": "share",
    r"\bturned round\b": "inverted",
    r"\b(?:upright|full) lines?\b": "vertical, solid",
    r"\bflatter(?:s|ed|ing)?\b": "looks better than it is; is optimistic",
    r"\bin the mean\b": "on average",
    r"\bmost likely a fault of\b": "most likely a bug in",
    r"(?m)^ +progress: Told\b": "Called",
    r"\bgiven again\b": "repeated",
    r"\btells? (?:classes|no classes|a number|all findings)\b(?! apart)": "predict",
    r"\bwhoever\b": "anyone who; if you",
    r"\b(?:Judged|Read) are\b(?! refused)": "only ... are judged; reads ...",
    r"(?m)^ +(?:seed|title|width|wanted_width): Of ": "Seed of, title of: no fragments",
}
"""Patterns, and what to write in their place."""


@cache
def texts() -> list[tuple[str, str]]:
    """All of them, and where each stands."""
    return [*messages(), *documents(), *docstrings()]


def messages() -> Iterator[tuple[str, str]]:
    """Every text in the package but for the docstrings: help, errors, notes, reports."""
    for source in sources():
        yield from ((f"{source.path}:{line}", text) for line, text in source.plain)


def docstrings() -> Iterator[tuple[str, str]]:
    """What `--help` shows of commands; and the Python reference, of every public name, its members and fields."""
    for path in sorted((ROOT / "cxrfeat" / "cli").glob("*.py")):
        yield from ((path.name, text) for text in documented(ast.parse(path.read_text(encoding="utf-8"))))
    for name, place in cxrfeat._PLACES.items():
        module, _, attribute = place.partition(":")
        tree = ast.parse((ROOT / (module.replace(".", "/") + ".py")).read_text(encoding="utf-8"))
        for one in tree.body:
            if getattr(one, "name", None) == (attribute or name):
                yield from ((f"cxrfeat.{name}", text) for text in documented(one))


def documented(node: ast.AST) -> Iterator[str]:
    """The docstrings of a class or a function, of its public members, and of its fields."""
    for inner in getattr(node, "body", ()):
        if isinstance(inner, ast.Expr) and isinstance(inner.value, ast.Constant):
            yield str(inner.value.value)
        elif isinstance(inner, ast.FunctionDef) and not inner.name.startswith("_"):
            yield from documented(inner)


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
