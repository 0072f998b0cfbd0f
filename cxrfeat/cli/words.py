"""How the command line calls what Python calls a field: below it, messages name `fold_count`; here that is --folds."""

from __future__ import annotations

import csv
import io
import re
import shlex
from collections.abc import Mapping
from pathlib import Path

_OTHERWISE = {
    "count": "n",
    "fold_count": "folds",
    "folder": "runs",
    "form": "format",
    "kind": "head",
    "letters": "remove-letters",
    "projection": "map",
    "regroup_given": "regroup",
    "renamed": "map",
    "sizes": "train-sizes",
    "units": "unit",
    "Selection.projection": "projection",
    "ViewSpec.count": "views",
}
"""Options that are not spelled as their field is, with dashes; where only one description's is, by that too."""

_FIELD = re.compile(r"`((?:[A-Z]\w*\.)?[a-z][a-z0-9_]*)(?:=([^`]*))?`")


def as_typed(message: str) -> str:
    """A message with options in place of fields, which stand in backquotes, alone or with a value.

    Example:
        >>> as_typed("`epochs` is a whole number; try `learning_rate=0.01` and `standardize=True`.")
        '--epochs is a whole number; try --learning-rate 0.01 and --standardize.'
        >>> as_typed("Use `flip=False`, or run `cxrfeat extract`; `ViewSpec.count` is views per image.")
        'Use --no-flip, or run `cxrfeat extract`; --views is views per image.'
    """
    return _FIELD.sub(_typed, message)


def option_of(field: str, spec: type | None = None) -> str:
    """The option of a field.

    Args:
        field: Its name, alone or after that of its description and a dot.
        spec: Its description.

    Example:
        >>> option_of("fold_count"), option_of("learning_rate"), option_of("ViewSpec.count")
        ('--folds', '--learning-rate', '--views')
    """
    *kind, name = field.split(".")
    full = f"{spec.__name__ if spec is not None else ''.join(kind)}.{name}"
    return "--" + _OTHERWISE.get(full, _OTHERWISE.get(name, name.replace("_", "-")))


def words_of(field: str, value: object, spec: type | None = None) -> list[str]:
    """A field and its value as words of a command.

    Args:
        field: As `option_of` takes it.
        value: `None` gives no word; of several values, commas stand between them, as in a line of CSV; paths stand each
            behind an option of its own.
        spec: The field's description.

    Example:
        >>> words_of("fold_count", 5), words_of("tta", True), words_of("standardize", False)
        (['--folds', '5'], ['--tta'], ['--no-standardize'])
        >>> words_of("hidden", (500, 200)), words_of("classes", ["A", "COVID, ARDS"])
        (['--hidden', '500,200'], ['--classes', 'A,"COVID, ARDS"'])
        >>> words_of("masks", (Path("a"), Path("b"))), words_of("column", {"label": "Size, or so"})
        (['--masks', 'a', '--masks', 'b'], ['--column', '"label=Size, or so"'])
    """
    option = option_of(field, spec)
    if value is None:
        return []
    if isinstance(value, bool):
        return [option if value else "--no-" + option.removeprefix("--")]
    if isinstance(value, Mapping):
        value = [f"{name}={one}" for name, one in value.items()]
    if isinstance(value, list | tuple) and any(isinstance(one, Path) for one in value):
        return [word for one in value for word in (option, str(one))]
    if isinstance(value, list | tuple):
        line = io.StringIO()
        csv.writer(line, lineterminator="").writerow(value)
        return [option, line.getvalue()]
    return [option, str(value)]


def _typed(found: re.Match[str]) -> str:
    value = {"True": True, "False": False}.get(found[2], found[2])
    return shlex.join(words_of(found[1], value)) if value is not None else option_of(found[1])
