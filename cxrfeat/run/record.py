"""How a frozen dataclass stands in JSON: its fields by name, read back with every type checked, in one place for all.

A field is a boolean, a number, a text, one of some words, a list, an object with texts for keys, a spec, or such a
dataclass itself; `None` where its type allows it. Keys that no field has are ignored.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import types
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from cxrfeat.errors import SpecError
from cxrfeat.spec import FeatureSpec, FinetuneSpec, HeadSpec, canonical_sha256, from_dict, to_dict

Value = TypeVar("Value")

FLAT: dict[str, Any] = {"flat": True}
"""Metadata of a field whose own keys stand next to those of its owner, in the same object."""

OMITTED: dict[str, Any] = {"omitted": True}
"""Metadata of a field that is left out of the object where it has its default."""


def beside(name: str) -> dict[str, Any]:
    """Metadata of a field that is in the object exactly where another field is not `None`."""
    return {"beside": name}


class DamagedError(ValueError):
    """JSON that is not what a dataclass wrote; says where, and what is wrong there."""


_SPECS = (FeatureSpec, HeadSpec, FinetuneSpec)


def to_json(value: object) -> Any:  # noqa: ANN401  # any of JSON's own types
    """A value in JSON's own types, ready for `json.dumps`."""
    if isinstance(value, _SPECS):
        return to_dict(value)
    if dataclasses.is_dataclass(value):
        told: dict[str, Any] = {}
        for field in dataclasses.fields(value):
            if not _left_out(field, value):
                of_field = to_json(getattr(value, field.name))
                told |= of_field if "flat" in field.metadata else {field.name: of_field}
        return told
    if isinstance(value, Mapping):
        return {key: to_json(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [to_json(one) for one in value]
    return str(value) if isinstance(value, StrEnum) else value


def from_json(kind: type[Value], stored: object, where: str = "") -> Value:
    """The value that `to_json` wrote.

    Args:
        kind: What it is: a dataclass, or any type that a field of one may have.
        stored: What `json.loads` gave.
        where: What to call its place in a message.

    Raises:
        DamagedError: If it is not such a value.

    Example:
        >>> from cxrfeat.types import Finding, Status
        >>> finding = Finding(check="split", status=Status.PASS, why="No patient stands on two sides.")
        >>> from_json(Finding, to_json(finding)) == finding
        True
        >>> from_json(Finding, {"check": "split", "status": "good"}, "audit[0]")
        Traceback (most recent call last):
        cxrfeat.run.record.DamagedError: audit[0].status is "good", not one of pass, warn, fail
    """
    value: Value = _read(kind, stored, where)
    return value


def _left_out(field: dataclasses.Field[Any], owner: object) -> bool:
    if "beside" in field.metadata:
        return getattr(owner, field.metadata["beside"]) is None
    return "omitted" in field.metadata and getattr(owner, field.name) == field.default


def _read(kind: Any, stored: Any, where: str) -> Any:  # noqa: ANN401  # a type as annotations have it, and any JSON
    origin = get_origin(kind)
    if kind is object:
        return stored
    if origin in (Union, types.UnionType):
        (inner,) = (one for one in get_args(kind) if one is not types.NoneType)
        return None if stored is None else _read(inner, stored, where)
    if origin is Literal or (isinstance(kind, type) and issubclass(kind, StrEnum)):
        words = get_args(kind) if origin is Literal else tuple(kind)
        if not isinstance(stored, str) or stored not in words:
            raise _wrong(where, stored, f"one of {', '.join(words)}")
        return stored if origin is Literal else kind(stored)
    if origin is tuple:
        return _read_list(get_args(kind), stored, where)
    if origin is Mapping:
        inner = get_args(kind)[1]
        return {key: _read(inner, one, f"{where}.{key}") for key, one in _object(stored, where).items()}
    if kind in _SPECS:
        try:
            return from_dict(kind, _object(stored, where))
        except SpecError as error:
            raise DamagedError(f"{where}: {error}") from error
    if dataclasses.is_dataclass(kind):
        return _read_fields(kind, _object(stored, where), where)
    return _read_plain(kind, stored, where)


def _read_plain(kind: type, stored: object, where: str) -> object:
    fits = isinstance(stored, int | float if kind is float else kind)
    if not fits or isinstance(stored, bool) != (kind is bool) or (kind is float and not _finite(stored)):
        raise _wrong(where, stored, _NAMES[kind])
    return stored


def _finite(stored: Any) -> bool:  # noqa: ANN401  # any number
    try:
        return math.isfinite(stored)
    except OverflowError:  # a whole number too large for a float is not finite either
        return False


_NAMES: dict[type, str] = {bool: "true or false", float: "a number", int: "a whole number", str: "a text"}


def _read_list(kinds: tuple[Any, ...], stored: object, where: str) -> tuple[Any, ...]:
    if not isinstance(stored, list):
        raise _wrong(where, stored, "a list")
    if kinds[-1] is not Ellipsis and len(stored) != len(kinds):
        raise _wrong(where, stored, f"a list of {len(kinds)}")
    each = kinds[:1] * len(stored) if kinds[-1] is Ellipsis else kinds
    return tuple(
        _read(kind, one, f"{where}[{index}]") for index, (kind, one) in enumerate(zip(each, stored, strict=True))
    )


def _read_fields(kind: Any, stored: Mapping[str, Any], where: str) -> Any:  # noqa: ANN401  # a dataclass and one of it
    found: dict[str, Any] = {}
    lacking: list[str] = []
    places = {field.name: f"{where}.{field.name}" if where else field.name for field in dataclasses.fields(kind)}
    hints = _hints(kind)
    for field in dataclasses.fields(kind):
        if "flat" in field.metadata:
            others = {other.name for other in dataclasses.fields(kind)} - {field.name}
            rest = {key: one for key, one in stored.items() if key not in others}
            found[field.name] = _read(hints[field.name], rest, where)
        elif field.name in stored:
            found[field.name] = _read(hints[field.name], stored[field.name], places[field.name])
        elif {"omitted", "beside"} & field.metadata.keys():
            lacking.append(field.name)
        else:
            raise DamagedError(f"it lacks {places[field.name]}")
    try:
        made = kind(**found)
    except ValueError as error:
        raise DamagedError(f"{where or 'it'}: {error}") from error
    for field in dataclasses.fields(kind):
        if field.name in lacking and not _left_out(field, made):
            raise DamagedError(f"it lacks {places[field.name]}")
        if field.name not in lacking and _left_out(field, made):
            raise _wrong(places[field.name], stored[field.name], "left out")
    return made


@functools.cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def _object(stored: object, where: str) -> dict[str, Any]:
    if not isinstance(stored, dict):
        raise _wrong(where, stored, "an object")
    return stored


def _wrong(where: str, stored: object, wanted: str) -> DamagedError:
    shown = f'"{stored}"' if isinstance(stored, str) else str(stored)
    return DamagedError(f"{where or 'it'} is {shown if len(shown) < 40 else f'{shown[:40]}...'}, not {wanted}")


def digest8(value: object) -> str:
    """Eight hexadecimal digits that name a value: of its canonical JSON."""
    return canonical_sha256(to_json(value))[:8]
