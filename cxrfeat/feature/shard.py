"""Rows of features as they are computed and kept until the file is built: one shard's worth, whole or not at all.

The only place that knows what a shard on disk looks like: first what it is, then what was learnt from the pixels, then
the features. Each of the three has its SHA-256, and the first tells how long the others are. So whoever looks for what
is there reads a few thousand bytes of each, however long features are. These are the digests of the other two, a text
of JSON, and the content hashes of the rows. Nearly all shards of a plan have one text, which is understood once: a
million images have 31,250 shards.
"""

from __future__ import annotations

import functools
import hashlib
import json
import math
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
    keys = column(shard.content_sha256).tobytes()
    head = {
        "engine": shard.engine,
        "decoders": shard.decoders,
        "failures": [(one.content_sha256, one.stage, one.reason) for one in shard.failures],
        "parts": [
            {
                "bytes": len(body),
                "arrays": [(name, values.dtype.str, values.shape) for name, values in part],
            }
            for part, body in zip(parts, bodies, strict=True)
        ],
    }
    text = json.dumps(head, separators=(",", ":")).encode()
    said = b"".join([*(hashlib.sha256(body).digest() for body in bodies), text, keys])
    lengths = _LENGTHS.pack(len(text), len(shard.content_sha256))
    return b"".join([_MAGIC, lengths, hashlib.sha256(said).digest(), said, *bodies])


def read_shard(path: Path) -> Shard | None:
    """The shard at `path`, or `None` where there is none, or a damaged one."""
    try:
        return shard_of(path.read_bytes())
    except OSError:
        return None


def shard_of(content: bytes) -> Shard | None:
    """What `shard_bytes` gave, or `None` where it is damaged, or of another version."""
    try:
        head = _head(content)
        note, (some, features) = head.note, head.kind.parts
        if len(content) != head.after + some.length + features.length:
            return None
        arrays = _arrays(some, head.digests[0], content, head.after)
        arrays |= _arrays(features, head.digests[1], content, head.after + some.length)
    except _OTHERWISE:
        return None
    return Shard(
        content_sha256=note.content_sha256,
        arrays=arrays,
        engine=note.engine,
        decoders=dict(note.decoders),
        failures=note.failures,
    )


def read_note(path: Path | str) -> ShardNote | None:
    """What the shard at `path` is, or `None` where there is none, one cut short, or of another version.

    Its rows are not read: whether they are whole shows when they are.
    """
    try:
        file = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        try:
            start = os.read(file, _READ_AHEAD)
            if lacking := _end(start) - len(start):
                start += os.read(file, lacking)
            head = _head(start)
            whole = os.fstat(file).st_size == head.after + sum(part.length for part in head.kind.parts)
            return head.note if whole else None
        finally:
            os.close(file)
    except _OTHERWISE:
        return None


def read_columns(path: Path) -> dict[str, NDArray[Any]] | None:
    """What the shard at `path` says beside its features, as `Shard.arrays`; `None` where it is damaged."""
    try:
        with path.open("rb", buffering=0) as file:
            start = file.read(_READ_AHEAD)
            if lacking := _end(start) - len(start):
                start += file.read(lacking)
            head = _head(start)
            part = head.kind.parts[0]
            missing = head.after + part.length - len(start)
            return _arrays(part, head.digests[0], start + file.read(missing) if missing > 0 else start, head.after)
    except _OTHERWISE:
        return None


_MAGIC = b"cxrshrd3"
_LENGTHS = struct.Struct("<QQ")
"""Bytes of JSON, and keys, in what a shard tells of itself."""
_KEY = 64
_DIGEST = 32
_BEFORE = len(_MAGIC) + _LENGTHS.size + _DIGEST
_READ_AHEAD = 1 << 12
_MOST = 2**28
_OTHERWISE = (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError, struct.error)
"""What is raised by reading something that is no shard, or one of another version."""


@dataclass(frozen=True, slots=True)
class _Part:
    """Arrays that lie side by side."""

    length: int
    """In bytes."""
    arrays: tuple[tuple[str, str, tuple[int, ...]], ...]
    """Name, type and shape."""


@dataclass(frozen=True, slots=True)
class _Kind:
    """What shards of one text say of themselves."""

    parts: tuple[_Part, _Part]
    dim: int
    engine: str
    decoders: Mapping[str, str]
    failures: tuple[Failure, ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Head:
    """What a shard says of itself."""

    kind: _Kind
    digests: tuple[bytes, bytes]
    """Of its parts."""
    keys: bytes
    after: int
    """Where its parts begin."""

    @property
    def note(self) -> ShardNote:
        kind = self.kind
        return ShardNote(
            keys=np.frombuffer(self.keys, f"S{_KEY}"),
            dim=kind.dim if self.keys else 0,
            engine=kind.engine,
            decoders=kind.decoders,
            failures=kind.failures,
        )


def _end(start: bytes) -> int:
    """Where that which a shard tells of itself ends; never before the end of what was read of it ahead.

    Raises:
        ValueError: If it is no shard.
    """
    length, rows = _LENGTHS.unpack_from(start, len(_MAGIC))
    end = _BEFORE + 2 * _DIGEST + length + _KEY * rows
    if not start.startswith(_MAGIC) or end > _MOST:
        raise ValueError("no shard, or one of another version")
    return max(int(end), len(start))


def _head(content: bytes) -> _Head:
    """What a shard tells of itself.

    Raises:
        ValueError: If it is none, or a damaged one.
    """
    _end(content)
    length, rows = _LENGTHS.unpack_from(content, len(_MAGIC))
    text = _BEFORE + 2 * _DIGEST
    keys, after = text + length, text + length + _KEY * rows
    said = content[_BEFORE:after]
    if len(said) != after - _BEFORE or hashlib.sha256(said).digest() != content[_BEFORE - _DIGEST : _BEFORE]:
        raise ValueError("a damaged shard")
    digests = said[:_DIGEST], said[_DIGEST : 2 * _DIGEST]
    return _Head(_kind(content[text:keys]), digests, content[keys:after], after)


@functools.lru_cache(maxsize=64)
def _kind(text: bytes) -> _Kind:
    head = json.loads(text)
    parts = [
        _Part(part["bytes"], tuple((name, dtype, tuple(shape)) for name, dtype, shape in part["arrays"]))
        for part in head["parts"]
    ]
    if len(parts) != 2 or not {name for part in parts for name, _, _ in part.arrays} >= {*LOOKS, FEATURES}:
        raise ValueError("a shard of another version")
    (_, _, shape), *_ = parts[1].arrays
    return _Kind(
        parts=(parts[0], parts[1]),
        dim=int(shape[-1]),
        engine=str(head["engine"]),
        decoders={name: str(version) for name, version in head["decoders"].items()},
        failures=tuple(Failure(content_sha256=sha, stage=stage, reason=why) for sha, stage, why in head["failures"]),
    )


def _arrays(part: _Part, digest: bytes, content: bytes, start: int) -> dict[str, NDArray[Any]]:
    """The arrays of a part that begins at `start`.

    Raises:
        ValueError: If it is damaged.
    """
    body = memoryview(content)[start : start + part.length]
    if len(body) != part.length or hashlib.sha256(body).digest() != digest:
        raise ValueError("a damaged shard")
    arrays: dict[str, NDArray[Any]] = {}
    at = 0
    for name, dtype, shape in part.arrays:
        arrays[name] = np.frombuffer(body, np.dtype(dtype), math.prod(shape), at).reshape(shape)
        at += arrays[name].nbytes
    return arrays
