"""How a command line makes something again: calls as commands to paste."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

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


def with_places(findings: Sequence[Mapping[str, Any]], file: Path, data: Path | None) -> list[dict[str, Any]]:
    """What an audit says, with the places of this machine in its commands, for a terminal: no run holds them.

    Args:
        findings: As in the JSON documents.
        file: The feature file.
        data: The data folder, if it is known.

    Example:
        >>> do = "See what helps: cxrfeat audit DATA `cache=FILE`."
        >>> with_places([{"do": do}], Path("features/x.h5"), Path("my data").absolute())
        [{'do': "See what helps: cxrfeat audit 'my data' `cache=features/x.h5`."}]
    """
    places = {"`cache=FILE`": f"`cache={file}`"}
    if data is not None:
        near = data.relative_to(Path.cwd()) if data.is_relative_to(Path.cwd()) else data
        places["cxrfeat audit DATA"] = f"cxrfeat audit {shlex.quote(str(near))}"
    said = [dict(one) for one in findings]
    for word, place in places.items():
        if place.count("`") == word.count("`"):  # else it is no field
            said = [one | {"do": one["do"].replace(word, place)} for one in said]
    return said


WORDS = Words(message=as_typed, call=command_line)
"""What pages that a command writes say."""
