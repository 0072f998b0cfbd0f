from __future__ import annotations

import csv
import dataclasses
import errno
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cxrfeat.errors import LockedError, StorageError
from cxrfeat.feature.extracted import Extracted
from cxrfeat.feature.file import FeatureFile
from cxrfeat.feature.request import Request, feature_path
from cxrfeat.feature.store import verify_features
from cxrfeat.feature.task import Computing
from cxrfeat.feature.work import Work
from cxrfeat.image.group import group
from cxrfeat.image.index import index_folder
from cxrfeat.image.manifest_file import manifest_path
from cxrfeat.image.row import Selection
from cxrfeat.system.files import TEMPORARY
from tests.feature.images import SALT, break_image, extract, make_copies, make_data, places_of, write_image
from tests.stub import StubEngine, StubFactory, stub_features, stub_request
from tests.view.prepared import prepared


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return make_data(tmp_path / "data")


@pytest.fixture
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four images each, so that a dozen images make three shards."""
    monkeypatch.setattr("cxrfeat.feature.plan.SHARD_VIEWS", 8)


def only(results: list[Extracted]) -> Extracted:
    assert len(results) == 1
    return results[0]


def kinds(folder: Path) -> list[str]:
    """What lies in a features folder, the hidden included, without the salted parts of names."""
    return sorted(path.suffix for path in folder.iterdir() if path.suffix != ".lock")


def stored_rows(path: Path) -> dict[str, bytes]:
    with FeatureFile(path) as file:
        return dict(zip(file.content_sha256, [row.tobytes() for row in file.features[...]], strict=True))


def test_every_row_is_the_network_of_the_views_of_its_image(tmp_path: Path, phantoms: Path) -> None:
    request = stub_request(views=3)
    result = only(extract(phantoms, tmp_path / "features", request))
    manifest = index_folder(phantoms)
    with FeatureFile(result.path) as file:
        assert file.images == len(manifest.rows)
        assert file.content_sha256 == [row.content_sha256 for row in manifest.rows], "in order of path"
        view = request.spec.view
        for number, row in enumerate(manifest.rows):
            found = prepared(manifest.root / row.path, row.content_sha256, [view])
            assert found.look is not None
            np.testing.assert_array_equal(file.features[number], stub_features(found.views[view]))
            columns = file.content.columns
            assert columns["mean_grey"][number] == np.float32(found.look.mean_grey)
            assert (columns["thumbnail"][number] == found.look.thumbnail).all()
            assert (columns["portrait"][number] == found.look.portrait).all()
            assert columns["pixel_digest"][number] == found.look.pixel_digest
            assert columns["container/file_bytes"][number] == row.header.file_bytes
            assert file.image_ids[number] == SALT.image_id(row.path, row.content_sha256)
        assert file.classes == manifest.classes
        assert file.labels.tolist() == manifest.labels.tolist()
        pairs = set(zip(file.groups.tolist(), group(manifest.rows).tolist(), strict=True))
        assert len(pairs) == len(set(group(manifest.rows).tolist())), "groups are the manifest's, under other numbers"
        assert file.sources == [row.source for row in manifest.rows]
        assert file.texts("container/suffix") == [row.header.suffix for row in manifest.rows]
        assert file.known_patients.tolist() == [row.patient is not None for row in manifest.rows]
        assert file.content.engine == "stub"
    assert verify_features(result.path) == []
    assert (result.images, result.views, result.dim) == (len(manifest.rows), 3, 8)
    assert (result.rows_computed, result.rows_reused, result.quarantined) == (len(manifest.rows), 0, ())
    assert result.path == feature_path(tmp_path / "features", "phantoms", "stub", request.spec)
    assert result.views_per_second > 0


def groups_of(path: Path, places: dict[str, str]) -> dict[str, str]:
    """The stored group of each image, by path."""
    with FeatureFile(path) as file:
        groups = [group.decode() for group in file.content.columns["group"].tolist()]
        return dict(zip([places[image] for image in file.image_ids], groups, strict=True))


def test_copies_of_an_image_are_one_group_in_every_file_and_in_the_manifest(tmp_path: Path) -> None:
    pairs = make_copies(tmp_path / "data")
    results = extract(tmp_path / "data", tmp_path / "f", stub_request("one"), stub_request("two", size=48))
    places = places_of(manifest_path(tmp_path / "f", "data"))
    with manifest_path(tmp_path / "f", "data").open(newline="") as file:
        listed = {row["path"]: row["group"] for row in csv.DictReader(file)}
    assert len(listed) == 25
    for result in results:
        assert groups_of(result.path, places) == listed
    assert all(listed[one] == listed[other] for one, other in pairs)
    assert len(set(listed.values())) == 20, "what is no copy is a group of its own"


@pytest.mark.slow
@pytest.mark.usefixtures("small_shards")
def test_a_copy_that_comes_later_joins_the_group_of_its_original(tmp_path: Path) -> None:
    pairs = make_copies(tmp_path / "data")
    kept = {other: (tmp_path / "data" / other).read_bytes() for _, other in pairs}
    for other in kept:
        (tmp_path / "data" / other).unlink()
    first = only(extract(tmp_path / "data", tmp_path / "f"))
    before = groups_of(first.path, places_of(manifest_path(tmp_path / "f", "data")))
    assert len(set(before.values())) == 20
    for other, content in kept.items():
        (tmp_path / "data" / other).write_bytes(content)
    second = only(extract(tmp_path / "data", tmp_path / "f"))
    assert (second.rows_computed, second.rows_reused) == (5, 20)
    after = groups_of(second.path, places_of(manifest_path(tmp_path / "f", "data")))
    assert all(after[one] == after[other] for one, other in pairs)
    written = second.path.stat().st_mtime_ns
    assert only(extract(tmp_path / "data", tmp_path / "f")).rows_computed == 0
    assert second.path.stat().st_mtime_ns == written, "nothing was left to say"


def test_an_image_that_cannot_be_decoded_is_nobodys_copy(tmp_path: Path) -> None:
    pairs = make_copies(tmp_path / "data")
    broken = tmp_path / "data" / pairs[0][1]
    broken.write_bytes(broken.read_bytes()[:900])
    result = only(extract(tmp_path / "data", tmp_path / "f"))
    assert (result.images, [one.path for one in result.quarantined]) == (24, [pairs[0][1]])
    groups = groups_of(result.path, places_of(manifest_path(tmp_path / "f", "data")))
    assert len(set(groups.values())) == 20
    assert all(groups[one] == groups[other] for one, other in pairs[1:])


@pytest.mark.usefixtures("small_shards")
def test_batches_and_shards_change_no_row(tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = only(extract(data, tmp_path / "a", batch=2)).path.read_bytes()
    monkeypatch.setattr("cxrfeat.feature.plan.SHARD_VIEWS", 1000)
    assert only(extract(data, tmp_path / "b", batch=5)).path.read_bytes() == whole
    monkeypatch.setattr("cxrfeat.system.ahead.threads", lambda: 7)
    assert only(extract(data, tmp_path / "c")).path.read_bytes() == whole


def test_a_network_named_twice_is_computed_once(tmp_path: Path, data: Path, stub: StubFactory) -> None:
    first, second = extract(data, tmp_path / "f", stub_request(), stub_request(), stub=stub)
    assert first == second
    assert len(stub.made) == 1


def test_a_second_run_computes_nothing_and_leaves_the_file_alone(tmp_path: Path, data: Path, stub: StubFactory) -> None:
    first = only(extract(data, tmp_path / "f"))
    before = first.path.stat()
    second = only(extract(data, tmp_path / "f", stub=stub))
    after = first.path.stat()
    assert (second.rows_computed, second.rows_reused, second.views_per_second) == (0, 12, 0.0)
    assert stub.made == [], "no network is loaded"
    assert (after.st_mtime_ns, after.st_ino) == (before.st_mtime_ns, before.st_ino)
    assert kinds(tmp_path / "f") == [".csv", ".h5"]


def test_only_new_and_changed_images_are_computed(tmp_path: Path, data: Path, stub: StubFactory) -> None:
    first = stored_rows(only(extract(data, tmp_path / "f")).path)
    write_image(data / "A" / "new.png", seed=50)
    write_image(data / "B" / "image2.png", seed=51)
    (data / "B" / "image3.png").unlink()
    result = only(extract(data, tmp_path / "f", stub=stub))
    assert (result.images, result.rows_computed, result.rows_reused) == (12, 2, 10)
    assert stub.rows == 4
    again = stored_rows(result.path)
    assert len(again.keys() & first.keys()) == 10
    assert all(again[sha] == first[sha] for sha in again.keys() & first.keys())
    assert verify_features(result.path) == []
    assert result.path.read_bytes() == only(extract(data, tmp_path / "fresh")).path.read_bytes()


def swap_labels(data: Path) -> None:
    (data / "A" / "image0.png").rename(data / "A" / "kept")
    (data / "B" / "image0.png").rename(data / "A" / "image0.png")
    (data / "A" / "kept").rename(data / "B" / "image0.png")


CHANGES: list[tuple[str, Callable[[Path], object], int, int]] = [
    # What changes in twelve images; rows then, and rows computed.
    ("nothing", lambda data: None, 12, 0),
    ("added", lambda data: write_image(data / "A" / "new.png", seed=50), 13, 1),
    ("added to a new class", lambda data: write_image(data / "C" / "new.png", seed=50), 13, 1),
    ("changed", lambda data: write_image(data / "A" / "image1.png", seed=50), 12, 1),
    ("removed", lambda data: (data / "A" / "image1.png").unlink(), 11, 0),
    ("a class removed", lambda data: shutil.rmtree(data / "B"), 6, 0),
    ("relabelled", lambda data: (data / "A" / "image1.png").rename(data / "B" / "image9.png"), 12, 0),
    ("labels swapped", swap_labels, 12, 0),
    ("renamed", lambda data: (data / "A" / "image1.png").rename(data / "A" / "z.png"), 12, 0),
    ("copied", lambda data: shutil.copy(data / "A" / "image1.png", data / "A" / "z.png"), 13, 0),
    ("a class renamed", lambda data: (data / "A").rename(data / "Z"), 12, 0),
    ("replaced by a copy", lambda data: shutil.copy(data / "A" / "image1.png", data / "A" / "image2.png"), 12, 0),
    ("broken", lambda data: break_image(data / "A" / "image1.png"), 11, 0),
    ("touched", lambda data: (data / "A" / "image1.png").touch(), 12, 0),
]


@pytest.mark.few(3)
@pytest.mark.parametrize(("what", "change", "images", "computed"), CHANGES, ids=[case[0] for case in CHANGES])
def test_a_change_costs_only_its_own_rows(
    tmp_path: Path, data: Path, what: str, change: Callable[[Path], object], images: int, computed: int
) -> None:
    requests = stub_request("one"), stub_request("two", size=48, weights="1" * 64)
    extract(data, tmp_path / "f", *requests)
    change(data)
    stub = StubFactory()
    fresh = extract(data, tmp_path / "fresh", *requests)
    for result, expected in zip(extract(data, tmp_path / "f", *requests, stub=stub), fresh, strict=True):
        assert (result.images, result.rows_computed, result.rows_reused) == (images, computed, images - computed)
        assert result.path.read_bytes() == expected.path.read_bytes()
    assert [engine.rows for engine in stub.made] == [2 * computed] * 2 * bool(computed)


def test_a_moved_label_computes_nothing_and_is_stored(tmp_path: Path, data: Path, stub: StubFactory) -> None:
    before = only(extract(data, tmp_path / "f")).path.read_bytes()
    (data / "A" / "image0.png").rename(data / "B" / "moved.png")
    result = only(extract(data, tmp_path / "f", stub=stub))
    assert (result.rows_computed, result.rows_reused, stub.made) == (0, 12, [])
    with FeatureFile(result.path) as file:
        assert np.bincount(file.labels).tolist() == [5, 7]
    assert result.path.read_bytes() != before


def test_what_is_known_of_images_changes_without_computing(tmp_path: Path, data: Path, stub: StubFactory) -> None:
    extract(data, tmp_path / "f", stub=stub)
    places = sorted(path.relative_to(data).as_posix() for path in data.glob("*/*.png"))
    for column, asked in (
        ("Mass", Selection(findings=["Mass"])),
        ("ward", Selection(keep_columns=["ward"])),
        ("modality", Selection()),
    ):
        lines = [f"{place},{place.split('/')[0]},{number % 2}" for number, place in enumerate(places)]
        (data / "metadata.csv").write_text("\n".join((f"image,label,{column}", *lines)) + "\n")
        (made,) = extract(data, tmp_path / "f", stub=stub, selection=asked)
        assert (made.rows_computed, made.rows_reused) == (0, len(places)), column
        with FeatureFile(made.path) as file:
            assert file.finding_names == (("Mass",) if column == "Mass" else ())
            assert file.kept_columns == (("ward",) if column == "ward" else ())
            assert set(file.texts("modality")) == ({"0", "1"} if column == "modality" else {None})
        assert verify_features(made.path) == []


def test_identical_files_are_computed_once_and_stored_twice(tmp_path: Path, data: Path, stub: StubFactory) -> None:
    shutil.copy(data / "A" / "image0.png", data / "A" / "copy.png")
    result = only(extract(data, tmp_path / "f", stub=stub))
    assert stub.rows == 24
    assert result.images == 13
    with FeatureFile(result.path) as file:
        shas = file.content_sha256
        twice = [number for number, sha in enumerate(shas) if shas.count(sha) == 2]
        assert len(twice) == 2
        assert (file.features[twice[0]] == file.features[twice[1]]).all()
        assert file.groups[twice[0]] == file.groups[twice[1]]
        assert file.image_ids[twice[0]] != file.image_ids[twice[1]]


def test_a_bad_image_is_set_aside_and_no_row_shifts(tmp_path: Path, data: Path, stub: StubFactory) -> None:
    whole = stored_rows(only(extract(data, tmp_path / "whole")).path)
    with FeatureFile(next((tmp_path / "whole").glob("*.h5"))) as file:
        labels = dict(zip(file.content_sha256, file.labels.tolist(), strict=True))
    break_image(data / "A" / "image3.png")
    result = only(extract(data, tmp_path / "f", stub=stub))
    assert [(one.path, one.stage) for one in result.quarantined] == [("A/image3.png", "decode")]
    assert (result.images, result.rows_computed) == (11, 11)
    rows = stored_rows(result.path)
    assert rows == {sha: whole[sha] for sha in rows}
    with FeatureFile(result.path) as file:
        found = dict(zip(file.content_sha256, file.labels.tolist(), strict=True))
        assert found == {sha: labels[sha] for sha in rows}
        assert [one["image_id"] for one in file.content.quarantine] == [SALT.image_id("A/image3.png")]
        assert file.content.quarantine[0]["reason"] == result.quarantined[0].reason
    again = only(extract(data, tmp_path / "f", stub=(fresh := StubFactory())))
    assert (again.rows_computed, again.quarantined, fresh.made) == (0, result.quarantined, [])
    shutil.copy(tmp_path / "data" / "A" / "image4.png", data / "A" / "image3.png")
    assert only(extract(data, tmp_path / "f")).quarantined == ()


def test_an_image_that_changes_while_the_run_goes_on_is_set_aside(tmp_path: Path, data: Path) -> None:
    manifest = index_folder(data)
    from cxrfeat.feature.extract import extract_features

    write_image(data / "A" / "image0.png", seed=77)
    (data / "A" / "image1.png").unlink()
    result = only(
        extract_features(
            manifest,
            [stub_request()],
            features=tmp_path / "f",
            identity=SALT,
            computing=Computing("stub", StubFactory()),
        )
    )
    assert [one.path for one in result.quarantined] == ["A/image0.png", "A/image1.png"]
    assert "changed during the run" in result.quarantined[0].reason
    assert result.images == 10


def test_a_selection_does_not_replace_the_whole_but_uses_its_rows(
    tmp_path: Path, data: Path, stub: StubFactory
) -> None:
    whole = only(extract(data, tmp_path / "f"))
    before = whole.path.read_bytes()
    part = only(extract(data, tmp_path / "f", stub=stub, selection=Selection(limit=2)))
    assert part.path != whole.path
    assert whole.path.read_bytes() == before
    assert (part.images, part.rows_computed, part.rows_reused, stub.made) == (4, 0, 4, [])
    other = only(extract(data, tmp_path / "other", selection=Selection(limit=2)))
    assert other.path.read_bytes() == part.path.read_bytes()
    rest = only(extract(data, tmp_path / "other"))
    assert (rest.rows_computed, rest.rows_reused) == (8, 4)
    assert rest.path.read_bytes() == before


# Locks


def test_a_second_writer_is_turned_away_at_once(tmp_path: Path, data: Path) -> None:
    request = stub_request()
    path = feature_path(tmp_path / "f", "data", "stub", request.spec)
    with Work(path):
        start = time.perf_counter()
        with pytest.raises(
            LockedError, match=rf"being written by process {os.getpid()} on .*run the same command"
        ) as e:
            extract(data, tmp_path / "f", request)
        assert time.perf_counter() - start < 2
        assert e.value.exit_code == 6
        assert only(extract(data, tmp_path / "f", stub_request(size=48))).images == 12, "other files are free"
    assert only(extract(data, tmp_path / "f", request)).images == 12


def test_what_a_dead_owner_left_does_not_block(tmp_path: Path, data: Path) -> None:
    request = stub_request()
    path = feature_path(tmp_path / "f", "data", "stub", request.spec)
    path.parent.mkdir()
    owner = path.with_name(f".{path.stem}.owner")
    owner.write_text('{"pid":1,"host":"elsewhere"}')
    os.utime(owner, (0, 0))
    path.with_name(f".{path.stem}.lock").touch()
    assert only(extract(data, tmp_path / "f", request)).images == 12
    assert kinds(tmp_path / "f") == [".csv", ".h5"]


def test_a_lock_that_cannot_name_its_owner_is_let_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise StorageError("The disk is full.")

    with monkeypatch.context() as patch:
        patch.setattr("cxrfeat.system.lock.write_atomic", full)
        work = Work(tmp_path / "a.h5")
        with pytest.raises(StorageError):
            work.__enter__()
    with Work(tmp_path / "a.h5"):
        pass


# Resuming


class Interrupting(StubFactory):
    """Stops after some rows, as Ctrl-C would."""

    def __init__(self, rows: int) -> None:
        super().__init__()
        self.left = rows

    def __call__(self, *arguments: Any) -> StubEngine:
        engine = super().__call__(*arguments)
        run = engine.run

        def interrupted(views: Any) -> Any:
            self.left -= len(views)
            if self.left < 0:
                raise KeyboardInterrupt
            return run(views)

        engine.run = interrupted  # type: ignore[method-assign]  # the stub is there to be changed
        return engine


def interrupt(data: Path, features: Path, rows: int) -> Path:
    """Leave behind what an extraction had committed when it was stopped; gives the work folder."""
    with pytest.raises(KeyboardInterrupt):
        extract(data, features, stub=Interrupting(rows), batch=4)
    return next(features.glob(".*.work"))


@pytest.mark.few(1)
@pytest.mark.usefixtures("small_shards")
@pytest.mark.parametrize("rows", [8, 20, 0, 12])
def test_an_interrupted_run_goes_on_where_it_was(tmp_path: Path, data: Path, rows: int, stub: StubFactory) -> None:
    whole = only(extract(data, tmp_path / "whole", batch=4))
    shards = len(list(interrupt(data, tmp_path / "f", rows).glob("*.shard")))
    assert shards == rows // 8
    result = only(extract(data, tmp_path / "f", stub=stub, batch=4))
    assert result.rows_computed == 12 - 4 * shards
    assert stub.rows == 2 * result.rows_computed
    assert result.path.read_bytes() == whole.path.read_bytes()
    assert kinds(tmp_path / "f") == [".csv", ".h5"]


@pytest.mark.usefixtures("small_shards")
def test_a_resumed_run_keeps_its_batch_and_its_threads(tmp_path: Path, data: Path, stub: StubFactory) -> None:
    interrupt(data, tmp_path / "f", 8)
    result = only(extract(data, tmp_path / "f", stub=stub, batch=16))
    assert result.rows_computed == 8
    assert [engine.batch for engine in stub.made] == [4]


@pytest.mark.usefixtures("small_shards")
def test_a_damaged_shard_is_computed_again(tmp_path: Path, data: Path) -> None:
    whole = only(extract(data, tmp_path / "whole", batch=4))
    shards = sorted(interrupt(data, tmp_path / "f", 20).glob("*.shard"))
    content = bytearray(shards[0].read_bytes())
    content[len(content) // 2] ^= 1
    shards[0].write_bytes(content)
    shards[1].write_bytes(shards[1].read_bytes()[:-5])
    result = only(extract(data, tmp_path / "f", batch=4))
    assert result.rows_computed == 12
    assert result.path.read_bytes() == whole.path.read_bytes()


@pytest.mark.few(2)
@pytest.mark.usefixtures("small_shards")
@pytest.mark.parametrize(
    "content", [b"", b"{}", b"[]", b'{"plan":"x","settings":{"engine":"stub","batch":0,"threads":1}}']
)
def test_settings_in_ruins_do_not_stop_a_resume(tmp_path: Path, data: Path, content: bytes) -> None:
    whole = only(extract(data, tmp_path / "whole", batch=4))
    (interrupt(data, tmp_path / "f", 12) / "settings.json").write_bytes(content)
    result = only(extract(data, tmp_path / "f", batch=4))
    assert result.rows_computed == 8
    assert result.path.read_bytes() == whole.path.read_bytes()


@pytest.mark.usefixtures("small_shards")
def test_images_that_come_and_go_between_runs_cost_only_their_own_rows(tmp_path: Path, data: Path) -> None:
    interrupt(data, tmp_path / "f", 8)
    write_image(data / "A" / "new.png", seed=50)
    (data / "B" / "image5.png").unlink()
    with pytest.raises(KeyboardInterrupt):  # and once more in the new plan
        extract(data, tmp_path / "f", stub=Interrupting(8), batch=4)
    result = only(extract(data, tmp_path / "f", batch=4))
    assert result.images == 12
    assert result.rows_computed <= 5, "the two shards of before are not computed again"
    assert result.path.read_bytes() == only(extract(data, tmp_path / "fresh", batch=4)).path.read_bytes()


@pytest.mark.usefixtures("small_shards")
def test_a_full_disk_loses_nothing_that_was_committed(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fsync, left = os.fsync, [11]  # owner, manifest, owner, settings, and the first shard take two each

    def full(handle: int) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(handle)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(StorageError, match=r"The disk is full: free some space, .* run the same command again"):
            extract(data, tmp_path / "f", batch=1)
    assert not [path for path in (tmp_path / "f").rglob("*") if path.name.startswith(TEMPORARY)]
    result = only(extract(data, tmp_path / "f", batch=1))
    assert 0 < result.rows_reused < 12
    assert result.path.read_bytes() == only(extract(data, tmp_path / "whole", batch=1)).path.read_bytes()


def test_too_little_space_is_said_before_the_work(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch, stub: StubFactory
) -> None:
    request = stub_request()
    big = dataclasses.replace(request, network=dataclasses.replace(request.network, backbone="resnet50"))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10, 10, 1000))
    with pytest.raises(StorageError, match=r"has 0 MB free, and this extraction needs 1 MB.* `views`") as caught:
        extract(data, tmp_path / "f", big, stub=stub)
    assert caught.value.exit_code == 7
    assert stub.made == []


def test_the_space_that_is_asked_for_is_that_of_the_shards_and_the_files(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch, stub: StubFactory
) -> None:
    def big(name: str) -> Request:
        request = stub_request(name)
        return dataclasses.replace(request, network=dataclasses.replace(request.network, backbone="resnet50"))

    def goes_with(free: int, *requests: Request) -> bool:
        monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(free, 0, free))
        try:
            extract(data, tmp_path / "f", *requests, stub=stub)
        except StorageError:
            return False
        return True

    whole = 12 * 2 * 2048 * 4  # images, views, numbers, bytes
    assert not goes_with(2 * whole - 1, big("one"))
    assert not goes_with(3 * whole - 1, big("one"), big("two"))  # the shards of the first are gone by then
    assert stub.made == []
    assert goes_with(3 * whole, big("one"), big("two"))
    assert goes_with(0, big("one")), "nothing is left to do"
    write_image(data / "A" / "new.png", seed=50)
    assert not goes_with(14 * whole // 12 - 1, big("one")), "a row more, and a copy of the others beside them"
    assert goes_with(14 * whole // 12, big("one"))


# Privacy


@pytest.mark.usefixtures("small_shards")
def test_nothing_in_the_files_names_a_patient_or_a_path(tmp_path: Path) -> None:
    data = tmp_path / "secretfolder" / "data"
    for number in range(6):
        for name in ("A", "B"):
            write_image(data / name / f"secretpatient{number}_secretname.png", seed=number + 10 * (name == "B"))
    break_image(data / "A" / "secretpatient0_secretname.png")
    (data / "A" / "secretpatient0_text.png").write_text("no image")
    features = tmp_path / "features"
    manifest = index_folder(data, Selection(patient_regex=r"(secretpatient\d)"))
    assert manifest.rows[0].patient == "secretpatient0"
    from cxrfeat.feature.extract import extract_features

    def run(stub: StubFactory) -> None:
        computing = Computing("stub", stub, 4)
        extract_features(manifest, [stub_request()], features=features, identity=SALT, computing=computing)

    with pytest.raises(KeyboardInterrupt):
        run(Interrupting(12))
    looked = look_for_secrets(features)
    assert any(name.endswith(".shard") for name in looked)
    run(StubFactory())
    assert any(name.endswith(".h5") for name in look_for_secrets(features))
    table = features / "data.manifest.csv"
    assert "secretpatient1_secretname.png" in table.read_text(), "the one file that tells"
    assert table.stat().st_mode & 0o777 == 0o600
    assert set(places_of(table).values()) >= {row.path for row in manifest.rows}


def look_for_secrets(features: Path) -> list[str]:
    names = []
    for path in features.rglob("*"):
        assert "secret" not in str(path.relative_to(features))
        if path.is_file() and not path.name.endswith(".manifest.csv"):
            assert b"secret" not in path.read_bytes(), path.name
            names.append(path.name)
    return names


@pytest.mark.slow
def test_processes_that_prepare_the_images_give_the_same_file(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    damaged = min(path for path in data.rglob("*.*") if path.suffix in (".png", ".jpg"))
    damaged.write_bytes(damaged.read_bytes()[:-60])
    request = stub_request(views=3)
    threads = only(extract(data, tmp_path / "threads", request))
    assert threads.workers.split()[1].startswith("thread")
    monkeypatch.setattr("cxrfeat.view.stream.processes_pay", lambda *_: True)
    processes = only(extract(data, tmp_path / "processes", request))
    assert processes.workers.split()[1].startswith("process")
    assert threads.path.read_bytes() == processes.path.read_bytes()
    assert threads.quarantined == processes.quarantined
    assert len(threads.quarantined) == 1
    assert only(extract(data, tmp_path / "processes", request)).workers == ""
