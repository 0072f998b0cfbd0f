"""Disks that fail, fill up, or end at a limit: nothing committed is lost, and the same command goes on."""

from __future__ import annotations

import errno
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cxrfeat.errors import StorageError
from cxrfeat.feature.claim import record
from cxrfeat.feature.extract import extract_features
from cxrfeat.feature.extracted import Extracted
from cxrfeat.feature.shard import read_shard
from cxrfeat.feature.store import verify_features
from cxrfeat.feature.task import Computing
from cxrfeat.image.index import index_folder
from cxrfeat.image.row import Manifest
from cxrfeat.run.folder import Run, read_run, write_run
from cxrfeat.system.files import TEMPORARY
from tests.feature.faults import faulty
from tests.feature.images import SALT, make_data, places_of
from tests.run.golden import golden
from tests.stub import StubFactory, stub_request

NUMBERS = (errno.EIO, errno.ENOSPC, errno.EACCES, errno.EMFILE)
REMEDY = {
    errno.EIO: "The disk reported an error: check it, then run the same command again",
    errno.ENOSPC: "The disk is full: free some space",
    errno.EACCES: "You may not write there: choose another folder",
    errno.EMFILE: "Too many files are open: close other programs",
}
SHARD_IMAGES = 2
REPOSITORY = Path(__file__).parents[2]


@dataclass(frozen=True)
class Undisturbed:
    """An extraction that nothing went wrong with."""

    data: Path
    manifest: Manifest
    content: bytes
    """Of the feature file."""
    changes: list[str]
    """Of the disk, in order."""

    @property
    def rows(self) -> int:
        return len(self.manifest.rows)


@pytest.fixture(scope="module", autouse=True)
def _small_shards() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cxrfeat.feature.plan.SHARD_VIEWS", 2 * SHARD_IMAGES)
        yield


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, _small_shards: None) -> Undisturbed:
    data = make_data(tmp_path_factory.mktemp("undisturbed") / "data", 3)
    manifest = index_folder(data)
    with faulty() as disk:
        path = run(manifest, data.parent / "features").path
    return Undisturbed(data, manifest, path.read_bytes(), disk.names)


def run(manifest: Manifest, features: Path) -> Extracted:
    (made,) = extract_features(
        manifest,
        [stub_request()],
        features=features,
        identity=SALT,
        computing=Computing("stub", StubFactory(), 4),
    )
    return made


def temporaries(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if TEMPORARY in path.name]


def missing(features: Path, undisturbed: Undisturbed) -> int:
    """How many rows are not safe."""
    safe = check_whole(features) if features.exists() else 0
    return 0 if any(features.glob("*.h5")) else undisturbed.rows - safe


def check_whole(features: Path) -> int:
    """Whatever stands under a final name is complete; gives the number of rows in shards."""
    rows = 0
    for path in (path for path in features.rglob("*") if path.is_file() and TEMPORARY not in path.name):
        if path.suffix == ".shard":
            shard = read_shard(path)
            assert shard is not None, path
            rows += len(shard.content_sha256)
        elif path.suffix == ".h5":
            assert verify_features(path) == []
        elif path.suffix == ".csv":
            places_of(path)
        elif path.suffix in (".json", ".owner"):
            assert path.read_bytes().endswith(b"}")
        else:
            assert path.suffix == ".lock", path
    return rows


def continued(features: Path, undisturbed: Undisturbed) -> int:
    """The same call goes on and ends in the same bytes; gives how many rows it computed."""
    again = run(undisturbed.manifest, features)
    assert again.path.read_bytes() == undisturbed.content
    assert sorted(path.suffix for path in features.iterdir() if path.suffix != ".lock") == [".csv", ".h5"]
    assert temporaries(features) == []
    return again.rows_computed


@contextmanager
def may_fail(number: int) -> Iterator[None]:
    """Whatever fails, fails with a remedy."""
    try:
        yield
    except StorageError as error:
        if REMEDY[number] not in str(error):
            raise


def disturb(features: Path, undisturbed: Undisturbed, place: int, number: int, *, lasting: bool = False) -> None:
    """One extraction with a fault, what it leaves, and the one that goes on."""
    with faulty(place, number, lasting=lasting) as disk, may_fail(number):
        assert run(undisturbed.manifest, features).path.read_bytes() == undisturbed.content
    assert disk.reached
    if not lasting:
        assert temporaries(features) == [] or disk.names[place] == "unlink"
    lost = missing(features, undisturbed)
    assert continued(features, undisturbed) == lost


def test_every_change_of_the_disk_goes_through_the_seam(undisturbed: Undisturbed) -> None:
    shards = undisturbed.rows // SHARD_IMAGES
    assert undisturbed.changes.count("replace") == shards + 6, "shards, owners, settings, manifest, features"
    assert undisturbed.changes.count("unlink") == shards + 6, "shards, probe, owners, settings, manifest as it was"
    assert undisturbed.changes.count("write") > 50, "HDF5's own"


@pytest.mark.slow
def test_whichever_change_fails_nothing_is_lost_and_the_same_call_goes_on(
    tmp_path: Path, undisturbed: Undisturbed
) -> None:
    building = len(undisturbed.changes) - undisturbed.changes[::-1].index("ftruncate") - 100
    for place in range(len(undisturbed.changes)):
        if place < building or undisturbed.changes[place] != "write" or place % 7 == 0:  # HDF5 writes a hundred times
            disturb(tmp_path / str(place), undisturbed, place, NUMBERS[place % len(NUMBERS)])


@pytest.mark.parametrize("every", [26, pytest.param(4, marks=pytest.mark.slow)])
def test_an_interruption_before_any_change_loses_nothing(tmp_path: Path, undisturbed: Undisturbed, every: int) -> None:
    for place in range(0, len(undisturbed.changes), every):
        features = tmp_path / str(place)
        with faulty(place), pytest.raises(KeyboardInterrupt):
            run(undisturbed.manifest, features)
        lost = missing(features, undisturbed)
        assert continued(features, undisturbed) <= lost, "less where a commit was still under way"


@pytest.mark.slow
@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("lasting", [False, True])
def test_whichever_change_fails_and_how_nothing_is_lost(
    tmp_path: Path, undisturbed: Undisturbed, number: int, lasting: bool
) -> None:
    for place in range(len(undisturbed.changes)):
        disturb(tmp_path / str(place), undisturbed, place, number, lasting=lasting)


def test_rows_that_were_damaged_after_they_were_computed_are_computed_again(
    tmp_path: Path, undisturbed: Undisturbed, monkeypatch: pytest.MonkeyPatch
) -> None:
    def damage(features: Path, *rest: Any) -> None:  # after the last shard, before the file is built
        shard = sorted(features.glob(".*.work/*.shard"))[1]
        shard.write_bytes(shard.read_bytes()[:-1])
        record(features, *rest)

    with monkeypatch.context() as patch:
        patch.setattr("cxrfeat.feature.extract.record", damage)
        run(undisturbed.manifest, tmp_path / "f")
    assert continued(tmp_path / "f", undisturbed) == 0


def test_computed_rows_that_cannot_be_read_back_are_not_left_out_in_silence(
    tmp_path: Path, undisturbed: Undisturbed, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("cxrfeat.feature.committed.read_shard", lambda _: None)
        with pytest.raises(
            StorageError, match=r"6 of the 6 computed rows cannot be read back .* run the same command again"
        ):
            run(undisturbed.manifest, tmp_path / "f")
    assert not list((tmp_path / "f").glob("*.h5"))
    assert continued(tmp_path / "f", undisturbed) == 6


# Run folders


def put_run(path: Path) -> Run:
    run = golden("dropout")
    return write_run(
        path, run.document, predictions=run.predictions(), split=run.split(), history=run.history(),
        arrays={"head.npz": bytes(5000)},
    )  # fmt: skip


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("turn", [0, *(pytest.param(turn, marks=pytest.mark.slow) for turn in (1, 2, 3))])
def test_whichever_change_fails_a_run_folder_is_whole_or_not_there(tmp_path: Path, turn: int) -> None:
    """Errors take turns from change to change, and begin with another each time."""
    with faulty() as undisturbed:
        whole = files_of(put_run(tmp_path / "runs" / "whole").path)
    for place in range(len(undisturbed.names)):
        path, number = tmp_path / str(place) / "run", NUMBERS[(place + turn) % len(NUMBERS)]
        with faulty(place, number) as disk, may_fail(number):
            put_run(path)
        assert disk.reached
        assert temporaries(path.parent) == []
        if not path.exists():
            put_run(path)
        assert files_of(read_run(path).path) == whole
        assert [one.name for one in path.parent.iterdir()] == ["run"]


# What HDF5 writes does not pass through the seam: the system itself refuses.


def limited(data: Path, features: Path, limit: int = 0) -> int:
    """An extraction in a process of its own; its exit code."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.feature.limited", str(data), str(features), str(limit)],
        cwd=REPOSITORY, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "Traceback" not in done.stderr, done.stderr
    assert done.returncode in (0, 7), done.stderr
    assert done.returncode == 0 or "run the same command again" in done.stdout or "raise the limit" in done.stdout
    return done.returncode


@pytest.fixture(scope="module")
def dozen(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes]:
    """Twelve images in three shards, and the feature file of them, of 19 KB."""
    data = make_data(tmp_path_factory.mktemp("dozen") / "data")
    assert limited(data, data.parent / "features") == 0
    return data, next(data.parent.glob("features/*.h5")).read_bytes()


def check_goes_on(features: Path, dozen: tuple[Path, bytes]) -> None:
    assert not list(features.glob("*.h5"))
    check_whole(features)
    assert limited(dozen[0], features) == 0
    assert next(features.glob("*.h5")).read_bytes() == dozen[1]
    assert temporaries(features) == []


# Owner, settings, shard, and three places in the feature file: nothing is smaller than the first, or larger than all.
@pytest.mark.parametrize(
    "limit", [2000, *(pytest.param(limit, marks=pytest.mark.slow) for limit in (10, 50, 3700, 10_000, -1))]
)
def test_a_limit_to_the_size_of_files_loses_nothing(tmp_path: Path, dozen: tuple[Path, bytes], limit: int) -> None:
    limit = limit if limit > 0 else len(dozen[1]) - 1
    assert limited(dozen[0], tmp_path / "f", limit) == 7
    check_goes_on(tmp_path / "f", dozen)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system in memory, of one page until `resize` says more."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4k", "cxrfeat-test", str(place)]
    try:
        done = subprocess.run(mount, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("this system has no mount command")
    if done.returncode:
        pytest.skip(f"mounting is not allowed here: {done.stderr.strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


def resize(disk: Path, size: str) -> None:
    subprocess.run(["mount", "-o", f"remount,size={size}", str(disk)], check=True)


def fill(disk: Path, sizes: list[int], dozen: tuple[Path, bytes]) -> None:
    for size in sizes:
        resize(disk, f"{size}k")
        assert limited(dozen[0], disk / "f", 0) == 7, size
        assert not list(disk.glob("f/*.h5"))
        check_whole(disk / "f")
    resize(disk, "4m")
    check_goes_on(disk / "f", dozen)


@pytest.mark.slow
def test_a_disk_that_is_full_again_and_again_loses_nothing(small_disk: Path, dozen: tuple[Path, bytes]) -> None:
    fill(small_disk, [4, 20, 36], dozen)


@pytest.mark.slow
@pytest.mark.parametrize("size", range(4, 40, 4))
def test_a_full_disk_of_any_size_loses_nothing(small_disk: Path, dozen: tuple[Path, bytes], size: int) -> None:
    fill(small_disk, [size], dozen)
