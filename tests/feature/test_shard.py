from __future__ import annotations

import hashlib
import json
import struct
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from cxrfeat.feature.shard import (
    FEATURES,
    LOOKS,
    Failure,
    Shard,
    read_columns,
    read_note,
    read_shard,
    row_crc32,
    shard_bytes,
    write_shard,
)


def make(images: int = 3, views: int = 2, dim: int = 4, *, seed: int = 0, dtype: str = "float32") -> Shard:
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(images, views, dim)).astype(dtype)
    arrays: dict[str, NDArray[Any]] = {
        FEATURES: features,
        "crc32": row_crc32(features),
        "view_params": rng.random((images, views, 3)),
        "mean_grey": rng.random(images).astype(np.float32),
        "black_border": rng.random(images).astype(np.float32),
        "thumbnail": rng.integers(0, 256, (images, 8, 8), dtype=np.uint8),
        "portrait": rng.integers(0, 256, (images, 40, 40), dtype=np.uint8),
        "pixel_digest": rng.integers(0, 2**64, images, dtype=np.uint64),
    }
    assert set(LOOKS) <= set(arrays)
    keys = tuple(f"{seed:032x}{number:032x}" for number in range(images))
    failures = (Failure(content_sha256="f" * 64, stage="decode", reason="cut short: « 3 »"),)
    return Shard(content_sha256=keys, arrays=arrays, engine="stub", decoders={"pillow": "0"}, failures=failures)


def equal(a: Shard, b: Shard) -> bool:
    return (
        a.content_sha256 == b.content_sha256
        and a.failures == b.failures
        and (a.engine, a.decoders) == (b.engine, b.decoders)
        and a.arrays.keys() == b.arrays.keys()
        and all(
            a.arrays[name].dtype == b.arrays[name].dtype
            and a.arrays[name].shape == b.arrays[name].shape
            and a.arrays[name].tobytes() == b.arrays[name].tobytes()
            for name in a.arrays
        )
    )


def told(path: Path, shard: Shard, change: Callable[[dict[str, Any]], object]) -> Path:
    """A shard that tells something else of itself, with a digest that is right."""
    whole = shard_bytes(shard)
    length, rows = struct.unpack_from("<QQ", whole, 8)
    text, keys, after = 120, 120 + length, 120 + length + 64 * rows
    head = json.loads(whole[text:keys])
    change(head)
    said = json.dumps(head).encode()
    digest = hashlib.sha256(whole[56:text] + said + whole[keys:after]).digest()
    parts = [whole[:8], struct.pack("<QQ", len(said), rows), digest, whole[56:text], said, whole[keys:]]
    path.write_bytes(b"".join(parts))
    return path


@given(st.integers(0, 3), st.integers(1, 3), st.integers(1, 3), st.sampled_from(["float32", "float16"]))
def test_a_shard_comes_back_bit_for_bit(
    tmp_path_factory: pytest.TempPathFactory, images: int, views: int, dim: int, dtype: str
) -> None:
    path = tmp_path_factory.mktemp("shard") / "shard.npz"
    shard = make(images, views, dim, dtype=dtype)
    write_shard(path, shard)
    again = read_shard(path)
    assert again is not None
    assert equal(again, shard)


def test_a_shard_of_failures_only_comes_back(tmp_path: Path) -> None:
    write_shard(tmp_path / "b", make(images=0))
    again = read_shard(tmp_path / "b")
    assert again is not None
    assert again.content_sha256 == ()
    assert again.failures == make().failures


def test_equal_shards_are_equal_files(tmp_path: Path) -> None:
    write_shard(tmp_path / "a", make())
    write_shard(tmp_path / "b", make())
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_what_is_not_there_is_no_shard(tmp_path: Path) -> None:
    assert read_shard(tmp_path / "nothing") is None
    assert read_shard(tmp_path) is None
    for content in (b"", b"PK", b"\x93NUMPY", b"text" * 100, bytes(1000)):
        (tmp_path / "odd").write_bytes(content)
        assert read_shard(tmp_path / "odd") is None


@pytest.mark.parametrize("column", LOOKS)
def test_a_shard_of_a_version_that_knew_less_is_no_shard(tmp_path: Path, column: str) -> None:
    shard = make()
    assert read_shard(told(tmp_path / "b", shard, lambda head: None)) is not None
    less = replace(shard, arrays={name: values for name, values in shard.arrays.items() if name != column})
    write_shard(tmp_path / "b", less)
    assert (read_shard(tmp_path / "b"), read_note(tmp_path / "b"), read_columns(tmp_path / "b")) == (None, None, None)


@pytest.mark.parametrize("field", ["engine", "decoders", "failures", "parts"])
def test_a_shard_that_does_not_tell_all_is_no_shard(tmp_path: Path, field: str) -> None:
    path = told(tmp_path / "b", make(), lambda head: head.pop(field))
    assert (read_shard(path), read_note(path)) == (None, None)


def test_a_shard_with_objects_in_it_is_not_unpickled(tmp_path: Path) -> None:
    def objects(head: dict[str, Any]) -> None:
        for part in head["parts"]:
            for array in part["arrays"]:
                array[1] = "|O"

    assert read_shard(told(tmp_path / "b", make(), objects)) is None


def test_what_a_shard_is_and_says_is_read_without_its_features(tmp_path: Path) -> None:
    """Keys by the thousand, too, which do not fit in what is read at first."""
    for images in (0, 3, 1000):
        shard = make(images)
        write_shard(tmp_path / "b", shard)
        note, columns = read_note(tmp_path / "b"), read_columns(tmp_path / "b")
        assert note is not None
        assert columns is not None
        assert (note.content_sha256, note.failures, note.engine) == (shard.content_sha256, shard.failures, "stub")
        assert (note.decoders, note.dim) == ({"pillow": "0"}, 4 if images else 0)
        assert columns.keys() == shard.arrays.keys() - {FEATURES}
        assert all(columns[name].tobytes() == shard.arrays[name].tobytes() for name in columns)


def test_of_a_shard_whose_features_are_damaged_the_rest_is_known(tmp_path: Path) -> None:
    path = tmp_path / "b"
    write_shard(path, make())
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    assert read_shard(path) is None
    assert read_note(path) is not None
    assert read_columns(path) is not None
    path.write_bytes(whole[:-1])
    assert read_note(path) is None, "cut short"


def test_every_truncation_is_no_shard(tmp_path: Path) -> None:
    path = tmp_path / "b"
    write_shard(path, make())
    whole = path.read_bytes()
    for length in [*range(0, len(whole), 37), len(whole) - 1]:
        path.write_bytes(whole[:length])
        assert read_shard(path) is None, length


def damage(tmp_path: Path, count: int) -> None:
    """Flip single bits at `count` places: each must be found."""
    path = tmp_path / "b"
    write_shard(path, make())
    whole = path.read_bytes()
    places = np.random.default_rng(5).permutation(len(whole) * 8)[:count]
    for place in places.tolist():
        flipped = bytearray(whole)
        flipped[place // 8] ^= 1 << place % 8
        path.write_bytes(flipped)
        assert read_shard(path) is None, f"bit {place % 8} of byte {place // 8}"


def test_a_flipped_bit_never_gives_wrong_rows(tmp_path: Path) -> None:
    damage(tmp_path, 1500)


@pytest.mark.slow
def test_no_flipped_bit_at_all_gives_wrong_rows(tmp_path: Path) -> None:
    damage(tmp_path, 10**9)


def test_the_checksum_is_of_the_bytes_as_stored() -> None:
    features = make().arrays[FEATURES]
    assert row_crc32(features).tolist() == [zlib.crc32(row.tobytes()) for row in features]
    assert row_crc32(features[:, ::-1]).tolist() == [zlib.crc32(row[::-1].tobytes()) for row in features]
    assert row_crc32(features[:0]).shape == (0,)
