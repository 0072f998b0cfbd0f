"""Rows of features as they are computed and kept until the file is built: one shard's worth, whole or not at all.

The only place that knows what a shard on disk looks like: the SHA-256 of what follows, then an uncompressed NumPy
archive without pickle. The archive's own checksums would not do: a flipped bit in its table of contents hides a part.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxrfeat.system.files import write_atomic

FEATURES = "features"
LOOKS = ("mean_grey", "black_border", "thumbnail", "portrait", "pixel_digest")


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """An image that turned out unusable while its views were made."""

    content_sha256: str
    stage: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardNote:
    """What a shard says beside its features: little enough to keep that of every shard in memory."""

    content_sha256: tuple[str, ...]
    """`(n,)`, the rows' keys."""
    columns: dict[str, NDArray[Any]]
    """As `Shard.arrays`, but without the features."""
    dim: int
    """Features per view; 0 where it has no rows."""
    engine: str
    decoders: dict[str, str]
    failures: tuple[Failure, ...]


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
        """What is kept of it while its features lie on disk."""
        return ShardNote(
            content_sha256=self.content_sha256,
            columns={name: values for name, values in self.arrays.items() if name != FEATURES},
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
    failures = np.array([(f.content_sha256, f.stage, f.reason) for f in shard.failures], dtype=np.str_)
    content = io.BytesIO()
    np.savez(
        content,
        allow_pickle=False,
        content_sha256=np.array(shard.content_sha256, dtype="S64"),
        failures=failures.reshape(-1, 3),
        engine=np.array(shard.engine),
        decoders=np.array(json.dumps(shard.decoders)),
        **shard.arrays,
    )
    archive = content.getvalue()
    return hashlib.sha256(archive).digest() + archive


def read_shard(path: Path) -> Shard | None:
    """The shard at `path`, or `None` where there is none, or a damaged one."""
    try:
        return shard_of(path.read_bytes())
    except OSError:
        return None


def shard_of(content: bytes) -> Shard | None:
    """What `shard_bytes` gave, or `None` where it is damaged, or of another version."""
    try:
        digest, archive = content[:32], content[32:]
        if hashlib.sha256(archive).digest() != digest:
            return None
        with np.load(io.BytesIO(archive), allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        keys = tuple(key.decode() for key in arrays.pop("content_sha256").tolist())
        failures = tuple(
            Failure(content_sha256=sha, stage=stage, reason=reason)
            for sha, stage, reason in arrays.pop("failures").tolist()
        )
        engine = str(arrays.pop("engine"))
        versions = {str(name): str(version) for name, version in json.loads(str(arrays.pop("decoders"))).items()}
        if not arrays.keys() >= set(LOOKS):
            return None
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):  # of another version
        return None
    return Shard(content_sha256=keys, arrays=arrays, engine=engine, decoders=versions, failures=failures)
