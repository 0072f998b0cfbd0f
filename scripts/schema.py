"""What is in a command's `--json`? The schemas of `docs/schema/`, each whole: the only place that reads them.

The files are JSON Schema 2020-12. They allow keys that they do not list, since later versions may add some; `closed`
does not, so that the tests notice what is not described.
"""

from __future__ import annotations

import copy
import functools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "schema"
COMMON = "common.json"
"""Holds what several schemas refer to; describes no command."""

Schema = dict[str, Any]


def file_of(command: str) -> Path:
    """Where a command's schema is.

    Args:
        command: As it is typed, such as `weights list`.
    """
    return FOLDER / f"{command.replace(' ', '-')}.json"


def read(path: Path) -> Schema:
    """A schema with everything that it refers to in its place.

    Raises:
        KeyError: If it refers to what is not there.
    """
    schema: Schema = _without_references(_loaded(path.name), path.name)
    return schema


def closed(schema: Any) -> Any:  # a schema, or a part of one
    """The same schema for documents that hold no key which it does not describe."""
    if isinstance(schema, list):
        return [closed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    inner = {key: closed(value) for key, value in schema.items()}
    if isinstance(schema.get("properties"), dict) and "type" in schema:
        inner.setdefault("additionalProperties", False)
    return inner


def keys(schema: Schema, place: str = "") -> Iterator[tuple[str, Schema, bool]]:
    """Every key that a schema describes: where it is, its own schema, and whether it is always there.

    Example:
        >>> inner = {"type": "array", "items": {"properties": {"why": {"type": "string"}}, "required": ["why"]}}
        >>> [(place, always) for place, _, always in keys({"properties": {"checks": inner}})]
        [('checks', False), ('checks[].why', True)]
    """
    for other in schema.get("anyOf", ()):
        yield from keys(other, place)
    for name, one in schema.get("properties", {}).items():
        here = f"{place}.{name}" if place else name
        yield here, one, name in schema.get("required", ())
        yield from keys(one, here)
    if isinstance(items := schema.get("items"), dict):
        yield from keys(items, f"{place}[]")
    if isinstance(values := schema.get("additionalProperties"), dict):
        yield from keys(values, f"{place}.*")


@functools.cache
def _loaded(name: str) -> Schema:
    schema: Schema = json.loads((FOLDER / name).read_text(encoding="utf-8"))
    return schema


def _without_references(part: Any, name: str) -> Any:  # a schema, or a part of one
    if isinstance(part, list):
        return [_without_references(one, name) for one in part]
    if not isinstance(part, dict):
        return part
    if "$ref" in part:
        file, _, place = part["$ref"].partition("#/$defs/")
        target = _without_references(_loaded(file or name)["$defs"][place], file or name)
        return {**target, **{key: value for key, value in part.items() if key != "$ref"}}
    found = {key: _without_references(value, name) for key, value in part.items() if key not in ("$defs", "allOf")}
    for other in part.get("allOf", ()):
        base = copy.deepcopy(_without_references(other, name))
        found["properties"] = {**base["properties"], **found.get("properties", {})}
        found["required"] = [*base.get("required", ()), *found.get("required", ())]
    return found
