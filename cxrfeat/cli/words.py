"""How the command line calls what Python calls a field: below it, messages name `fold_count`; here that is --folds."""

from __future__ import annotations

import re

_OTHERWISE = {
    "count": "n",
    "fold_count": "folds",
    "projection": "map",
    "regroup_given": "regroup",
    "sizes": "train-sizes",
    "target": "class",
    "units": "unit",
}
"""Options that are not spelled as their field is, with dashes."""

_FIELD = re.compile(r"`([a-z][a-z0-9_]*)(?:=([^`]*))?`")


def as_typed(message: str) -> str:
    """A message with options in place of fields, which stand in backquotes, alone or with a value.

    Example:
        >>> as_typed("`epochs` is a whole number; try `learning_rate=0.01` and `standardize=True`.")
        '--epochs is a whole number; try --learning-rate 0.01 and --standardize.'
        >>> as_typed("Use `flip=False`, or run `cxrfeat extract --views 8`.")
        'Use --no-flip, or run `cxrfeat extract --views 8`.'
    """
    return _FIELD.sub(_typed, message)


def option_of(field: str) -> str:
    """The option of a field.

    Example:
        >>> option_of("fold_count"), option_of("learning_rate")
        ('--folds', '--learning-rate')
    """
    return "--" + _OTHERWISE.get(field, field.replace("_", "-"))


def _typed(found: re.Match[str]) -> str:
    option, value = option_of(found[1]), found[2]
    if value is None or value == "True":
        return option
    return "--no-" + option.removeprefix("--") if value == "False" else f"{option} {value}"
