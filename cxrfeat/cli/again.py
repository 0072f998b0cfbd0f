"""How a command line makes something again: calls as commands to paste."""

from __future__ import annotations

import dataclasses
import shlex

from cxrfeat.call import Call, Words
from cxrfeat.cli.options import HEAD, PROTOCOL, TRAINING
from cxrfeat.cli.words import as_typed, option_of, words_of
from cxrfeat.spec import FinetuneSpec, HeadSpec

_COMMANDS = {"fit": "fit-head"}
"""Commands that are not called as their function is."""


def command_line(call: Call) -> str:
    """The command that does what a call does.

    Example:
        >>> from cxrfeat.call import Call
        >>> head = HeadSpec(kind="dense", hidden=(8, 4), standardize=False)
        >>> command_line(Call("fit", ("x.h5", head), {"fold_count": 5, "tta": True, "seed": 0}))
        'cxrfeat fit-head x.h5 --head dense --hidden 8,4 --no-standardize --folds 5 --tta --seed 0'
    """
    words = ["cxrfeat", _COMMANDS.get(call.verb, call.verb)]
    for value in call.arguments:
        words += _described(value) if dataclasses.is_dataclass(value) else value if isinstance(value, list) else [value]
    for field, value in call.fields.items():
        if field == "warm":  # the head that a network begins with; without one, it is of the protocol's kind
            words += [] if value else ["--cold", *words_of("kind", call.fields["spec"].head.kind)]
        else:
            words += _described(value) if dataclasses.is_dataclass(value) else words_of(field, value)
    return shlex.join(words)


def _described(spec: object) -> list[str]:
    """A description as options."""
    if isinstance(spec, HeadSpec):
        return [option_of("kind"), spec.kind, *HEAD.words(spec)]
    if isinstance(spec, FinetuneSpec):
        return [*PROTOCOL.words(spec.head), *TRAINING.words(spec), *words_of("precision", spec.precision)]
    raise TypeError(f"No command takes a {type(spec).__name__}.")


WORDS = Words(message=as_typed, call=command_line)
"""What pages that a command writes say."""
