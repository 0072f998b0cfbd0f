"""Shares of an extraction, taken by processes that know nothing of each other."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cxrfeat.errors import LockedError
from cxrfeat.feature.merge import merge_shares
from cxrfeat.feature.plan import Share
from cxrfeat.feature.share import Shared, compute_share
from cxrfeat.feature.task import Computing
from cxrfeat.feature.work import SharedWork, Work
from cxrfeat.image.index import index_folder
from tests.feature.images import SALT, extract, make_data
from tests.stub import StubFactory, stub_request

DYING = """
import os, sys
from pathlib import Path
from cxrfeat.feature.work import SharedWork
with SharedWork(Path(sys.argv[1])):
    print("here", flush=True)
    sys.stdin.read()
    os._exit(1)
"""


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Twelve images, in shards of four."""
    monkeypatch.setattr("cxrfeat.feature.plan.SHARD_VIEWS", 8)
    return make_data(tmp_path / "data")


def take(data: Path, features: Path, index: int, count: int, stub: StubFactory | None = None) -> Shared:
    (made,) = compute_share(
        index_folder(data),
        [stub_request()],
        Share(index, count),
        features=features,
        identity=SALT,
        computing=Computing("stub", stub or StubFactory(), 4),
    )
    return made


@pytest.mark.parametrize(
    ("count", "order", "together"),
    [
        (1, [0], True),
        (3, [2, 0, 1, 0], False),
        pytest.param(3, [2, 0, 1, 0], True, marks=pytest.mark.slow),
        pytest.param(7, [6, 0, 0, 1, 5, 2, 3, 4], True, marks=pytest.mark.slow),
        pytest.param(7, [6, 0, 0, 1, 5, 2, 3, 4], False, marks=pytest.mark.slow),
    ],
)
def test_shares_in_any_order_some_twice_become_the_file_of_the_plain_run(
    tmp_path: Path, data: Path, count: int, order: list[int], together: bool
) -> None:
    (plain,) = extract(data, tmp_path / "plain", batch=4)
    folders = [tmp_path / "parts" if together else tmp_path / f"part{place}" for place in range(len(order))]
    made = [take(data, folder, index, count) for folder, index in zip(folders, order, strict=True)]
    once = {one.shard: one.images for one in made}
    assert sum(once.values()) == 12, "nobody's image is in two shares"
    if together:
        assert sum(one.rows_computed for one in made) == 12, "what is there is not computed again"
    (merged,), _ = merge_shares(list(dict.fromkeys(folders)), tmp_path / "merged", SALT)
    assert merged.path.read_bytes() == plain.path.read_bytes()
    assert (merged.rows_computed, merged.rows_reused, merged.images) == (0, 12, 12)


def test_another_count_halfway_takes_up_what_is_there(tmp_path: Path, data: Path) -> None:
    (plain,) = extract(data, tmp_path / "plain", batch=4)
    take(data, tmp_path / "f", 0, 3)
    stub = StubFactory()
    for index in (0, 1):
        take(data, tmp_path / "f", index, 2, stub)
    assert stub.rows == 16, "four images of two views were there"
    (merged,), _ = merge_shares([tmp_path / "f"], tmp_path / "f", SALT)
    assert merged.path.read_bytes() == plain.path.read_bytes()
    assert not list((tmp_path / "f").glob(".*.work")), "the shards are gone"


def test_the_plain_command_finishes_what_shares_began(tmp_path: Path, data: Path) -> None:
    (plain,) = extract(data, tmp_path / "plain", batch=4)
    take(data, tmp_path / "f", 1, 3)
    (made,) = extract(data, tmp_path / "f", batch=4)
    assert (made.rows_computed, made.path.read_bytes()) == (8, plain.path.read_bytes())


def test_while_a_share_is_being_computed_nobody_builds_the_file_and_a_dead_one_is_in_nobodys_way(
    tmp_path: Path, data: Path
) -> None:
    path = take(data, tmp_path / "f", 0, 1).path
    command = [sys.executable, "-c", DYING, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "here\n"
        with pytest.raises(LockedError, match=rf"share of .* by process {other.pid} on"):
            merge_shares([tmp_path / "f"], tmp_path / "f", SALT)
        assert take(data, tmp_path / "f", 0, 1).rows_computed == 0, "another share may be"
        other.communicate("die")
    assert list(path.parent.glob(".*.work/.share-*.owner")), "it left its mark"
    merge_shares([tmp_path / "f"], tmp_path / "f", SALT)
    assert path.is_file()


def test_while_the_file_is_being_built_no_share_is_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cxrfeat.feature.work._WAIT", 0.0)
    path = tmp_path / "f.h5"
    with Work(path), pytest.raises(LockedError, match="is being written"), SharedWork(path):
        pass
    with SharedWork(path), SharedWork(path):
        assert len(list(path.parent.glob(".f.work/.share-*.owner"))) == 2
    assert not list(path.parent.glob(".f.work/.*")), "who ends leaves no mark"
