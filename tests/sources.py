"""What the package's source says, each file parsed once for all tests that read it."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path
from typing import NamedTuple

import cxrfeat

PACKAGE = Path(cxrfeat.__file__).parent


class Source(NamedTuple):
    """The texts of one module of the package."""

    path: Path
    """Relative to the folder above the package."""
    plain: list[tuple[int, str]]
    """Every constant text that is no docstring, those between the values of f-strings included, with its line."""
    docstrings: list[tuple[int, str]]
    """Likewise: those of commands are their help."""
    whole: list[str]
    """Of `plain`, those that stand alone; and each f-string as one, with 0 for each value."""


@cache
def sources() -> tuple[Source, ...]:
    """All modules, in order of their paths."""
    return tuple(_read(path) for path in sorted(PACKAGE.rglob("*.py")))


def _read(path: Path) -> Source:
    alone, parts = set(), set()
    constants: list[ast.Constant] = []
    whole: list[str] = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):  # each after the one that holds it
        if isinstance(node, ast.Expr):
            alone.add(id(node.value))
        elif isinstance(node, ast.JoinedStr):
            parts |= {id(part) for part in node.values}
            whole.append("".join(str(one.value) if isinstance(one, ast.Constant) else "0" for one in node.values))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            constants.append(node)
    whole += [str(node.value) for node in constants if id(node) not in parts | alone]
    plain, docstrings = (
        [(node.lineno, str(node.value)) for node in constants if (id(node) in alone) == wanted]
        for wanted in (False, True)
    )
    return Source(path.relative_to(PACKAGE.parent), plain, docstrings, whole)
