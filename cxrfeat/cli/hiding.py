"""The only place that knows what `--redact` hides in a sentence.

Sentences quote what they name, so whatever stands in quotes is hidden; paths from the root on are, quoted or not.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

_QUOTED = r"""(?<!\w)(?P<quoted>'(?:[^'\\\n]|\\.)+'|"(?:[^"\\\n]|\\.)+")(?!\w)"""
_ROOTED = r"""(?<![\w/:.])(?P<rooted>/[^\s'"`,;()]*[^\s'"`,;().:])"""
_NAMED = re.compile(f"{_QUOTED}|{_ROOTED}")

_typed: ContextVar[tuple[frozenset[str], bool]] = ContextVar("typed", default=(frozenset(), False))


@contextmanager
def command_line(words: Sequence[str]) -> Iterator[None]:
    """Remember what was typed, which is not a secret of the data, and whether the rest is to be hidden."""
    token = _typed.set((frozenset(words), "--redact" in words))
    try:
        yield
    finally:
        _typed.reset(token)


def if_asked(text: str) -> str:
    """A sentence as it may be shown: `hidden` where `--redact` was typed."""
    return hidden(text) if _typed.get()[1] else text


def hidden(text: str) -> str:
    """A sentence without its examples, and with salted ids in place of the names that nobody typed.

    Example:
        >>> with command_line(["index", "data", "--redact"]):
        ...     hidden("There is no 'data', and 2 files are bad, such as 'A/1.png'.")
        "There is no 'data', and 2 files are bad."
    """
    from cxrfeat.image.identity import Identity
    from cxrfeat.image.note import without_examples

    known = _typed.get()[0]
    identity: Identity | None = None

    def shown(found: re.Match[str]) -> str:
        nonlocal identity
        name = _unquoted(found["quoted"]) if found["quoted"] else found["rooted"]
        if name in known:
            return found[0]
        identity = identity or Identity.load()
        return repr(identity.image_id(name))

    return _NAMED.sub(shown, without_examples(text))


def _unquoted(text: str) -> str:
    try:
        return str(ast.literal_eval(text))
    except (ValueError, SyntaxError):  # a quotation, and no name as Python writes it
        return text[1:-1]
