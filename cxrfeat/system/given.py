"""What callers give, in the forms they have it: a path as text or `Path`, one thing or many, a name mistyped."""

from __future__ import annotations

import contextlib
import difflib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import TypeVar

from cxrfeat.errors import InputError

PathLike = str | os.PathLike[str]
"""A place in the file system: text, `Path`, or whatever stands at one, as runs and feature files do."""

Given = TypeVar("Given")


def as_path(given: PathLike, what: str = "a path") -> Path:
    """A path, in whatever form it was given; `~` is the home folder, as in a shell.

    Args:
        given: Text, `Path`, or an object that has a path, as an opened feature file does.
        what: What it should be, for the messages.

    Raises:
        InputError: If it is an empty text, which would mean the current folder.
        TypeError: If it is anything else.

    Example:
        >>> as_path("data/COVID").parts
        ('data', 'COVID')
    """
    if not isinstance(given, str | os.PathLike):
        raise TypeError(f"Give {what} as text or Path; got {type(given).__name__}: {given!r:.80}.")
    text = os.fspath(given)
    if not isinstance(text, str):
        raise TypeError(f"Give {what} as text or Path; got bytes: {text!r:.80}.")
    if not text.strip():
        raise InputError(f"An empty text was given as {what}. Name one, or '.' for the current folder.")
    path = Path(text)
    if text.startswith("~") and not path.exists():
        with contextlib.suppress(RuntimeError):  # there is no such user, and then it is a name like any other
            return path.expanduser()
    return path


def one_or_many(given: Given | Iterable[Given]) -> list[Given]:
    """One thing as a list of one, and many as a list of them; a text, a path or a run is one thing.

    Example:
        >>> one_or_many("COVID-1.png"), one_or_many(name for name in ("a", "b"))
        (['COVID-1.png'], ['a', 'b'])
    """
    if isinstance(given, str | bytes | os.PathLike) or not isinstance(given, Iterable):
        return [given]
    return list(given)


def as_paths(given: PathLike | Iterable[PathLike], what: str = "a path") -> list[Path]:
    """One path or many, in whatever form they were given.

    Raises:
        InputError: If one is an empty text.
        TypeError: If one is no path.
    """
    each: list[PathLike] = one_or_many(given)
    return [as_path(one, what) for one in each]


def nearest(name: str, known: Iterable[str]) -> str:
    """The known name closest to a mistyped one, as a question to append, or nothing.

    Example:
        >>> nearest("covid-19", ["COVID", "NORMAL"]), nearest("x", ["COVID", "NORMAL"])
        (' Did you mean COVID?', '')
    """
    close = {each.casefold(): each for each in known}
    match = difflib.get_close_matches(name.casefold(), close, n=1)
    return f" Did you mean {close[match[0]]}?" if match else ""


def by_likeness(name: str, known: Iterable[str]) -> list[str]:
    """Known names, those most like a mistyped one first; of those equally like it, in the order given.

    Example:
        >>> by_likeness("logrge", ["data-svm-rbf", "data-logreg"])
        ['data-logreg', 'data-svm-rbf']
    """
    matcher = difflib.SequenceMatcher(b=name.casefold(), autojunk=False)

    def likeness(one: str) -> float:
        matcher.set_seq1(one.casefold())
        return matcher.ratio()

    return sorted(known, key=likeness, reverse=True)
