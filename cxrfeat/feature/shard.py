"""Rows of features as they are computed and kept until the file is built: one shard's worth, whole or not at all.

The only place that knows what a shard on disk looks like: what it is, in JSON, then what was learnt from the pixels,
then the features. Each of the three has its SHA-256, and the first tells how long the others are. So whoever looks for
what is there reads a few thousand bytes of each, however long features are.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxrfeat.feature.keys import Column, column, texts
from cxrfeat.system.files import write_atomic

FEATURES = "features"
LOOKS = ("mean_grey", "black_border", "thumbnail", "portrait", "pixel_digest")


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """An image that turned out unusable while its views were made."""

    content_sha256: str
    stage: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ShardNote:
    """What a shard is: little enough to keep that of every shard in memory."""

    keys: Column
    """`(n,)`, the rows' keys."""
    dim: int
    """Features per view; 0 where it has no rows."""
    engine: str
    decoders: Mapping[str, str]
    failures: tuple[Failure, ...]

    @property
    def content_sha256(self) -> tuple[str, ...]:
        """The rows' keys as texts."""
        return texts(self.keys)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """Computed rows, each with what was learnt from the pixels on the way."""

    content_sha256: tuple[str, ...]
    """`(n,)`, the rows' keys."""
    arrays: dict[str, NDArray[Any]]
    """`features (n, views, dim)`, `view_params (n, views, 3)`, `crc32 (n,)`, and `LOOKS`."""
    engine: str
    """What computed them."""
    decoders: dict[str, str] = field(default_factory=dict)
    """Versions of what decoded their images."""
    failures: tuple[Failure, ...] = field(default=())

    def note(self) -> ShardNote:
        """What is kept of it while it lies on disk."""
        return ShardNote(
            keys=column(self.content_sha256),
            dim=self.arrays[FEATURES].shape[-1] if self.content_sha256 else 0,
            engine=self.engine,
            decoders=self.decoders,
            failures=self.failures,
        )


def row_crc32(features: NDArray[Any]) -> NDArray[np.uint32]:
    """CRC-32 of each row's bytes as stored: `(n, views, dim)` to `(n,)`."""
    stored = np.ascontiguousarray(features)
    return np.array([zlib.crc32(row.tobytes()) for row in stored], dtype=np.uint32)


def write_shard(path: Path, shard: Shard) -> None:
    """Commit a shard: after this returns, no kill loses it.

    Raises:
        StorageError: If the disk refuses; then there is no file.
    """
    write_atomic(path, shard_bytes(shard))


def shard_bytes(shard: Shard) -> bytes:
    """A shard as it lies on disk."""
    parts = [
        [(name, np.ascontiguousarray(values)) for name, values in shard.arrays.items() if (name == FEATURES) == last]
        for last in (False, True)
    ]
    bodies = [b"".join(values.tobytes() for _, values in part) for part in parts]
    head = {
        "keys": shard.content_sha256,
        "engine": shard.engine,
        "decoders": shard.decoders,
        "failures": [(one.content_sha256, one.stage, one.reason) for one in shard.failures],
        "parts": [
            {
                "sha256": hashlib.sha256(body).hexdigest(),
                "bytes": len(body),
                "arrays": [(name, values.dtype.str, values.shape) for name, values in part],
            }
            for part, body in zip(parts, bodies, strict=True)
        ],
    }
    text = json.dumps(head, separators=(",", ":")).encode()
    return b"".join([_MAGIC, _LENGTH.pack(len(text)), hashlib.sha256(text).digest(), text, *bodies])


def read_shard(path: Path) -> Shard | None:
    """The shard at `path`, or `None` where there is none, or a damaged one."""
    try:
        return shard_of(path.read_bytes())
    except OSError:
        return None


def shard_of(content: bytes) -> Shard | None:
    """What `shard_bytes` gave, or `None` where it is damaged, or of another version."""
    try:
        head, start = _head(content)
        note = _note(head)
        if len(content) != start + sum(part["bytes"] for part in head["parts"]):
            return None
        arrays = _arrays(head["parts"][0], content, start)
        arrays |= _arrays(head["parts"][1], content, start + head["parts"][0]["bytes"])
    except _OTHERWISE:
        return None
    return Shard(
        content_sha256=note.content_sha256,
        arrays=arrays,
        engine=note.engine,
        decoders=dict(note.decoders),
        failures=note.failures,
    )


def read_note(path: Path) -> ShardNote | None:
    """What the shard at `path` is, or `None` where there is none, one cut short, or of another version.

    Its rows are not read: whether they are whole shows when they are.
    """
    try:
        file = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        try:
            start = os.read(file, _READ_AHEAD)
            if len(start) == _READ_AHEAD:
                (length,) = _LENGTH.unpack_from(start, len(_MAGIC))
                start += os.read(file, max(0, min(length, _MOST) - len(start) + _BEFORE))
            head, after = _head(start)
            whole = os.fstat(file).st_size == after + sum(part["bytes"] for part in head["parts"])
            return _note(head) if whole else None
        finally:
            os.close(file)
    except _OTHERWISE:
        return None


def read_columns(path: Path) -> dict[str, NDArray[Any]] | None:
    """What the shard at `path` says beside its features, as `Shard.arrays`; `None` where it is damaged."""
    try:
        with path.open("rb", buffering=0) as file:
            start = file.read(_READ_AHEAD)
            (length,) = _LENGTH.unpack_from(start, len(_MAGIC))
            start += file.read(max(0, min(length, _MOST) - len(start) + _BEFORE))
            head, after = _head(start)
            part = head["parts"][0]
            missing = after + part["bytes"] - len(start)
            return _arrays(part, start + file.read(missing) if missing > 0 else start, after)
    except _OTHERWISE:
        return None


_MAGIC = b"cxrshrd2"
_LENGTH = struct.Struct("<Q")
_BEFORE = len(_MAGIC) + _LENGTH.size + 32
_READ_AHEAD = 1 << 13
_MOST = 2**28
_OTHERWISE = (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError, struct.error)
"""What is raised by reading something that is no shard, or one of another version."""


def _head(content: bytes) -> tuple[dict[str, Any], int]:
    """What a shard tells of itself, and where its rows begin.

    Raises:
        ValueError: If it does not.
    """
    (length,) = _LENGTH.unpack_from(content, len(_MAGIC))
    text = content[_BEFORE : _BEFORE + length]
    digest = content[_BEFORE - 32 : _BEFORE]
    if not content.startswith(_MAGIC) or length > _MOST or hashlib.sha256(text).digest() != digest:
        raise ValueError("no shard, or a damaged one")
    head: dict[str, Any] = json.loads(text)
    there = {name for part in head["parts"] for name, _, _ in part["arrays"]}
    if len(head["parts"]) != 2 or not there >= {*LOOKS, FEATURES}:
        raise ValueError("a shard of another version")
    return head, _BEFORE + length


def _note(head: dict[str, Any]) -> ShardNote:
    (_, _, shape), *_ = head["parts"][1]["arrays"]
    return ShardNote(
        keys=column(head["keys"]),
        dim=int(shape[-1]) if head["keys"] else 0,
        engine=str(head["engine"]),
        decoders=_versions(tuple(head["decoders"].items())),
        failures=tuple(Failure(content_sha256=sha, stage=stage, reason=why) for sha, stage, why in head["failures"]),
    )


@functools.lru_cache(maxsize=256)
def _versions(told: tuple[tuple[str, object], ...]) -> Mapping[str, str]:
    """The same object for the same versions: thousands of shards have them."""
    return {name: str(version) for name, version in told}


def _arrays(part: Mapping[str, Any], content: bytes, start: int) -> dict[str, NDArray[Any]]:
    """The arrays of a part that begins at `start`.

    Raises:
        ValueError: If it is damaged.
    """
    body = memoryview(content)[start : start + part["bytes"]]
    if len(body) != part["bytes"] or hashlib.sha256(body).hexdigest() != part["sha256"]:
        raise ValueError("a damaged shard")
    arrays: dict[str, NDArray[Any]] = {}
    at = 0
    for name, dtype, shape in part["arrays"]:
        count = int(np.prod(shape, dtype=np.int64))
        arrays[name] = np.frombuffer(body, np.dtype(dtype), count, at).reshape(shape)
        at += arrays[name].nbytes
    return arrays
