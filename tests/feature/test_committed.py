"""Committed rows are found wherever they lie, and no shard is read more often than it must be."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cxrfeat.errors import IntegrityError, StorageError
from cxrfeat.feature import shard as shards
from cxrfeat.feature.committed import Committed, ComputedRows, find_files
from cxrfeat.feature.extracted import Extracted
from cxrfeat.feature.file import FeatureFile
from cxrfeat.feature.keys import Keys, column
from cxrfeat.feature.plan import Settings
from cxrfeat.feature.request import feature_path
from cxrfeat.feature.shard import FEATURES, Failure, Shard, row_crc32
from cxrfeat.feature.work import Work
from tests.feature.images import extract, make_data, write_image
from tests.feature.test_extract import Interrupting
from tests.stub import DIM, stub_request


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return make_data(tmp_path / "data")


def only(results: list[Extracted]) -> Extracted:
    (one,) = results
    return one


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each shard is read from the disk; with four images to a shard."""
    counts: Counter[str] = Counter()
    whole = shards.read_shard

    def counted(path: Path) -> Shard | None:
        counts[path.name] += path.exists()
        return whole(path)

    for module in ("committed", "finish"):
        monkeypatch.setattr(f"cxrfeat.feature.{module}.read_shard", counted)
    monkeypatch.setattr("cxrfeat.feature.plan.SHARD_VIEWS", 8)
    return counts


def test_each_shard_of_a_run_is_read_once(tmp_path: Path, data: Path, read: Counter[str]) -> None:
    extract(data, tmp_path / "f", batch=4)
    assert list(read.values()) == [1, 1, 1], "when the file is built"


def test_each_shard_of_an_interrupted_run_is_read_once_too(tmp_path: Path, data: Path, read: Counter[str]) -> None:
    with pytest.raises(KeyboardInterrupt):
        extract(data, tmp_path / "f", stub=Interrupting(12), batch=4)
    committed = {path.name for path in (tmp_path / "f").glob(".*.work/*.shard")}
    assert committed
    assert not read
    extract(data, tmp_path / "f", batch=4)
    assert list(read.values()) == [1, 1, 1], "of those of before the beginning is enough to find them"


def test_nothing_is_read_of_shards_beside_a_file_that_are_not_wanted(
    tmp_path: Path, data: Path, read: Counter[str]
) -> None:
    extract(data, tmp_path / "f", batch=4)
    (data / "B").rename(tmp_path / "away")
    extract(data, tmp_path / "f", batch=4)
    (spare,) = (tmp_path / "f").glob("*.spare/*.shard")
    read.clear()
    extract(data, tmp_path / "f", batch=4)
    assert not read, "its beginning tells what is there"
    (tmp_path / "away").rename(data / "B")
    extract(data, tmp_path / "f", batch=4)
    assert read == {spare.name: 1}, "for its rows"


def test_a_damaged_committed_file_is_not_built_upon(tmp_path: Path, data: Path) -> None:
    path = only(extract(data, tmp_path / "f")).path
    whole = path.read_bytes()
    with FeatureFile(path) as file:
        place = file.features.id.get_offset() + 5
    for damaged in (whole[:-1], whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :]):
        path.write_bytes(damaged)
        write_image(data / "A" / "new.png", seed=50)
        with pytest.raises(IntegrityError, match=rf"{path} is damaged .*Delete it and run `cxrfeat extract` again"):
            extract(data, tmp_path / "f")
        assert path.read_bytes() == damaged
    path.unlink()
    assert only(extract(data, tmp_path / "f")).images == 13


def shard_of(keys: list[str], value: float, *, engine: str = "stub", bad: str = "") -> Shard:
    """Rows whose features are all of one value, but for the number of the row."""
    features = np.zeros((len(keys), 2, DIM), np.float32) + value
    features[:, 0, 0] = np.arange(len(keys))
    arrays = {
        FEATURES: features,
        "crc32": row_crc32(features),
        "view_params": np.full((len(keys), 2, 3), value),
        "mean_grey": np.full(len(keys), value, np.float32),
        "black_border": np.zeros(len(keys), np.float32),
        "thumbnail": np.zeros((len(keys), 8, 8), np.uint8),
        "portrait": np.zeros((len(keys), 40, 40), np.uint8),
        "pixel_digest": np.arange(len(keys), dtype=np.uint64),
    }
    failures = (Failure(content_sha256=bad, stage="decode", reason="broken"),) if bad else ()
    return Shard(content_sha256=tuple(keys), arrays=arrays, engine=engine, failures=failures)


def test_who_looks_while_a_shard_is_committed_does_not_read_it(
    tmp_path: Path, read: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def looking(path: Path, shard: Shard) -> None:
        assert not work.shards(), "nothing lies there yet"
        shards.write_shard(path, shard)
        assert [note.content_sha256 for note in work.shards().values()] == [("a", "b")]

    monkeypatch.setattr("cxrfeat.feature.work.write_shard", looking)
    with Work(tmp_path / "f.h5") as work:
        plan = work.plan("ab", views=2, settings=Settings(engine="stub", batch=1, threads=1))
        work.commit(plan, 0, shard_of(["a", "b"], 1))
    assert not read


@pytest.fixture
def committed(tmp_path: Path, data: Path) -> Committed:
    """Twelve rows in a file, and of the contents `a` to `f` some in two shards and some beside the file."""
    path = only(extract(data, tmp_path / "f")).path
    work = Work(path)
    work.folder.mkdir()
    plan = work.plan("abcd", views=2, settings=Settings(engine="stub", batch=1, threads=1))
    work.commit(plan, 0, shard_of(["a", "b"], 1, bad="x"))
    work.commit(plan, 1, shard_of(["b", "c"], 2, engine="other"))
    found = Committed(work, [FeatureFile(path)])
    found.spare.keep([shard_of(["c", "d"], 3), shard_of(["e"], 4, engine="third")])
    return found


def values(rows: ComputedRows, wanted: list[str]) -> list[tuple[float, float]]:
    """Of each wanted row, the shard's value and the number of the row there."""
    found: list[tuple[float, float]] = [(-1, -1)] * len(wanted)
    for places, features in rows.features(column(wanted)):
        for place, row in zip(places.tolist(), features, strict=True):
            assert found[place] == (-1, -1), "each place once"
            found[place] = (float(row[1, 1]), float(row[0, 0]))
    return found


def test_the_first_that_has_a_row_gives_it(committed: Committed) -> None:
    rows = ComputedRows(committed, Keys(set("abcdef")))
    assert rows.found == set("abcde"), "there is none of f"
    wanted = list("dcbabe")
    assert values(rows, wanted) == [(3, 1), (2, 1), (1, 1), (1, 0), (1, 1), (4, 0)]
    columns = rows.columns(column(wanted))
    assert columns["mean_grey"].tolist() == [3, 2, 1, 1, 1, 4]
    assert columns["pixel_digest"].tolist() == [1, 1, 1, 0, 1, 0]
    assert rows.dim == DIM
    assert rows.engine == "other and stub and third"
    assert committed.failures.keys() == {"x"}


def test_an_engine_is_told_where_a_row_of_it_is_taken(committed: Committed) -> None:
    assert ComputedRows(committed, Keys({"a"})).engine == "stub"
    assert ComputedRows(committed, Keys({"c"})).engine == "other"
    assert ComputedRows(committed, Keys({"e", "c"})).engine == "other and third"


def test_rows_of_the_file_come_as_they_are_in_it(committed: Committed) -> None:
    own = committed.own
    assert own is not None
    wanted = [*own.content_sha256[::-1], "a", own.content_sha256[3]]
    rows = ComputedRows(committed, Keys(set(wanted)))
    found = np.zeros((len(wanted), *own.features.shape[1:]), np.float32)
    for places, features in rows.features(column(wanted)):
        found[places] = features
    np.testing.assert_array_equal(found[:12], own.features[...][::-1])
    np.testing.assert_array_equal(found[13], own.features[3])
    assert found[12, 1, 1] == 1


def test_a_shard_that_is_damaged_after_it_was_found_is_an_error_with_the_number_of_its_rows(
    committed: Committed,
) -> None:
    rows = ComputedRows(committed, Keys(set("abcde")))
    (first, _) = committed.work.shards()
    first.write_bytes(first.read_bytes()[:-1])
    with pytest.raises(StorageError, match=r"3 of the 6 computed rows cannot be read back .* same command again"):
        values(rows, list("abcdea"))
    assert not first.exists(), "so that its rows are computed again"


def test_only_files_of_the_description_are_opened(tmp_path: Path, data: Path) -> None:
    request = stub_request()
    one = only(extract(data, tmp_path / "f", request)).path
    extract(data, tmp_path / "f", stub_request(size=48))
    found = find_files(one, request.spec, "data")
    assert [file.path for file in found] == [one]
    other = feature_path(tmp_path / "f", "elsewhere", "stub", request.spec)
    again = find_files(other, request.spec, "elsewhere")
    assert [file.path for file in again] == [one], "rows are taken from wherever they are"
    assert find_files(other, replace(request.spec, storage="float16"), "elsewhere") == []
    for file in (*found, *again):
        file.close()
