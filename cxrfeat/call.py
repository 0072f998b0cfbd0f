"""Calls of this package as values, so that a page or a message can say how to make something again."""

from __future__ import annotations

import csv
import dataclasses
import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any


@dataclasses.dataclass(frozen=True, slots=True)
class Call:
    """A call of one of the package's functions. As text it is Python; the command line says it as a command.

    Example:
        >>> from cxrfeat.spec import HeadSpec
        >>> print(Call("fit", ("x.h5", HeadSpec(kind="logreg", strength=0.1)), {"fold_count": 5, "seed": 0}))
        cxrfeat.fit('x.h5', cxrfeat.HeadSpec(kind='logreg', strength=0.1), fold_count=5, seed=0)
    """

    verb: str
    """The function's name."""
    arguments: tuple[Any, ...] = ()
    """What it is given by place: texts, lists of them, and descriptions."""
    fields: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """What it is given by name."""

    def __str__(self) -> str:
        """As one writes it in Python."""
        named = (f"{name}={_python(value)}" for name, value in self.fields.items())
        return f"cxrfeat.{self.verb}({', '.join([*map(_python, self.arguments), *named])})"


def _python(value: object) -> str:
    """A value as Python; a description with what is not as by default."""
    if not dataclasses.is_dataclass(value) or isinstance(value, type):
        return repr(value)
    fields = ((field, getattr(value, field.name)) for field in dataclasses.fields(value))
    given = ", ".join(f"{field.name}={_python(is_)}" for field, is_ in fields if is_ != field.default)
    return f"cxrfeat.{type(value).__name__}({given})"


def quoted_fields(fields: Mapping[str, Any], *, places: bool = True) -> str:
    """Fields with their values as a message names them, in backquotes; empty where there are none.

    Args:
        fields: By name; several values of one are written with commas between them, as in a line of CSV, paths one by
            one.
        places: Whether paths may be named.

    Example:
        >>> quoted_fields({"classes": ("A", "B, C"), "limit": 5, "masks": (Path("m"),), "column": {"image": "file"}})
        '`classes=A,"B, C"` `limit=5` `masks=m` `column=image=file`'
        >>> quoted_fields({"metadata": Path("home/table.csv")}, places=False)
        '`metadata=PATH`'
    """
    told = []
    for name, value in fields.items():
        if isinstance(value, Mapping):
            value = [f"{one}={title}" for one, title in value.items()]
        several = list(value) if isinstance(value, list | tuple) else [value]
        if any(isinstance(one, Path) for one in several):
            told += [f"`{name}={one if places else 'PATH'}`" for one in several]
        else:
            line = io.StringIO()
            csv.writer(line, lineterminator="").writerow(several)
            told.append(f"`{name}={line.getvalue() if len(several) > 1 else several[0]}`")
    return " ".join(told)


def _as_it_is(message: str) -> str:
    return message


@dataclasses.dataclass(frozen=True, slots=True)
class Words:
    """How fields and calls are said to whoever reads."""

    message: Callable[[str], str] = _as_it_is
    """Says the fields in a message, which stand in backquotes, alone or with a value."""
    call: Callable[[Call], str] = str


PYTHON = Words()
"""For whoever calls the package from Python; the command line has words of its own."""

_SAYING = ("why", "do", "notes")
"""Keys under which sentences of ours stand; others hold what the user named, which stays as it is."""


def said_in(document: object, message: Callable[[str], str]) -> Any:  # noqa: ANN401  # of the document's own type
    """A JSON document with what it says in other words.

    Args:
        document: Values of JSON's own types.
        message: Says a message, as in `Words`.

    Example:
        >>> said_in({"check": "copies", "notes": ["See `copies`."]}, str.upper)
        {'check': 'copies', 'notes': ['SEE `COPIES`.']}
    """
    if isinstance(document, Mapping):
        return {
            key: _said(value, message) if key in _SAYING else said_in(value, message) for key, value in document.items()
        }
    return [said_in(one, message) for one in document] if isinstance(document, list | tuple) else document


def _said(value: object, message: Callable[[str], str]) -> object:
    if isinstance(value, str):
        return message(value)
    return [_said(one, message) for one in value] if isinstance(value, list | tuple) else said_in(value, message)
