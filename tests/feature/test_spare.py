"""Images that are away for one call: their rows are kept, and used when they are back."""

from __future__ import annotations

import errno
from pathlib import Path

import numpy as np
import pytest

from cxrfeat.errors import StorageError
from cxrfeat.feature.extracted import Dropped, Extracted
from cxrfeat.feature.file import FeatureFile
from cxrfeat.feature.keys import Keys
from cxrfeat.feature.shard import FEATURES, Shard, read_shard
from cxrfeat.feature.spare import Spare
from cxrfeat.image.manifest_file import manifest_path, read_lines
from cxrfeat.image.row import Selection
from tests.feature.faults import faulty
from tests.feature.images import extract, make_data, places_of, write_image
from tests.feature.test_extract import Interrupting
from tests.stub import StubFactory, stub_request


def only(results: list[Extracted]) -> Extracted:
    (one,) = results
    return one


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return make_data(tmp_path / "data", 3, classes=("A", "B", "C"))


def test_a_class_that_is_away_for_one_call_costs_nothing(
    tmp_path: Path, data: Path, caplog: pytest.LogCaptureFixture
) -> None:
    features = tmp_path / "f"
    requests = stub_request("one"), stub_request("two", size=48, storage="float16")
    whole = {result.path: result.path.read_bytes() for result in extract(data, features, *requests)}
    ids = places_of(manifest_path(features, "data"))
    (data / "B").rename(tmp_path / "away")
    for result in extract(data, features, *requests):
        assert (result.images, result.rows_computed, result.rows_kept) == (6, 0, 3)
        assert result.dropped == Dropped(images=3, gone=3, classes=("B",))
        said = (
            f"{result.path.name} had 3 images that it has no more (class B as a whole): 3 are gone. Their features are "
            f"kept in {result.path.stem}.spare, for when the images come back; delete it if they will not."
        )
        assert said in caplog.messages
        with FeatureFile(result.path) as file:
            assert file.classes == ("A", "C")
    assert places_of(manifest_path(features, "data")) == ids, "files and runs of before use them still"
    present = {line.path for line in read_lines(manifest_path(features, "data")) if line.present == "no"}
    assert present == {f"B/image{number}.png" for number in range(3)}
    caplog.clear()
    again = extract(data, features, *requests)
    assert [(one.dropped, one.rows_kept) for one in again] == [(Dropped(), 3)] * 2
    assert caplog.messages == [], "said once"
    (tmp_path / "away").rename(data / "B")
    stub = StubFactory()
    for result in extract(data, features, *requests, stub=stub):
        assert (result.rows_computed, result.rows_reused, result.rows_kept) == (0, 9, 0)
        assert result.path.read_bytes() == whole[result.path]
    assert stub.made == []
    assert not list(features.glob("*.spare"))


def test_what_became_of_images_is_told_apart(tmp_path: Path, data: Path, caplog: pytest.LogCaptureFixture) -> None:
    features = tmp_path / "f"
    extract(data, features)
    before = (data / "A" / "image0.png").read_bytes()
    write_image(data / "A" / "image0.png", seed=900)
    (data / "B" / "image1.png").unlink()
    result = only(extract(data, features))
    assert (result.rows_computed, result.dropped) == (1, Dropped(images=2, gone=1, changed=1))
    assert "had 2 images that it has no more: 1 is gone, 1 has other bytes now." in caplog.text
    (data / "A" / "image0.png").write_bytes(before)
    back = only(extract(data, features))
    assert (back.rows_computed, back.rows_kept) == (0, 2), "the other bytes, and the image that is gone"
    assert back.dropped == Dropped(images=1, changed=1)


def test_an_image_that_is_not_drawn_any_more_is_not_called_gone(
    tmp_path: Path, data: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for seed in range(3):  # the part goes by the seed, so the folder must grow to move the draw
        features, chosen = tmp_path / str(seed), Selection(limit=1, seed=seed)
        extract(data, features, selection=chosen)
        for number in range(6):
            write_image(data / "A" / f"more{seed}{number}.png", seed=400 + 10 * seed + number)
        result = only(extract(data, features, selection=chosen))
        if result.dropped.images:
            assert result.dropped == Dropped(images=1)
            assert "no more: 1 is not among the chosen." in caplog.text
            return
    pytest.fail("no draw moved")


def test_rows_of_an_interrupted_run_are_kept_too(tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cxrfeat.feature.plan.SHARD_VIEWS", 4)
    with pytest.raises(KeyboardInterrupt):
        extract(data, tmp_path / "f", stub=Interrupting(8), batch=4)
    (shards,) = (list(folder.glob("*.shard")) for folder in (tmp_path / "f").glob(".*.work"))
    computed = {sha for path in shards if (shard := read_shard(path)) is not None for sha in shard.content_sha256}
    assert computed
    (data / "B").rename(tmp_path / "away")
    result = only(extract(data, tmp_path / "f", batch=4))
    (tmp_path / "away").rename(data / "B")
    back = only(extract(data, tmp_path / "f", batch=4))
    assert back.rows_computed + result.rows_computed + len(computed) == 9, "each image once in all"


def test_a_damaged_spare_is_computed_again(tmp_path: Path, data: Path) -> None:
    features = tmp_path / "f"
    whole = only(extract(data, features)).path.read_bytes()
    (data / "B").rename(tmp_path / "away")
    extract(data, features)
    (spare,) = features.glob("*.spare/*.shard")
    spare.write_bytes(spare.read_bytes()[:-1])
    (tmp_path / "away").rename(data / "B")
    result = only(extract(data, features))
    assert (result.rows_computed, result.path.read_bytes()) == (3, whole)
    assert not list(features.glob("*.spare"))


def test_room_for_what_is_kept_is_asked_for(tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    extract(data, tmp_path / "f")
    (data / "B").rename(tmp_path / "away")
    write_image(data / "A" / "new.png", seed=77)
    asked: list[int] = []
    monkeypatch.setattr("cxrfeat.feature.extract.check_room", lambda *rest: asked.append(len(rest[3])))
    assert only(extract(data, tmp_path / "f")).dropped.images == 3
    assert asked == [7]


def test_a_shard_is_kept_until_all_of_it_stands_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "data-stub-00000000.h5"
    looks = ("mean_grey", "black_border", "thumbnail", "portrait", "pixel_digest")
    arrays = {name: np.zeros(2) for name in (FEATURES, *looks)}
    Spare(path).keep([Shard(content_sha256=("a" * 64, "b" * 64), arrays=arrays, engine="stub")])
    spare = Spare(path)
    assert spare.contents == {"a" * 64, "b" * 64}
    assert list(spare.shards(Keys(["c" * 64]))) == []
    spare.forget(Keys(["a" * 64]))
    assert len(list(Spare(path).shards(Keys(["b" * 64])))) == 1
    spare.forget(Keys(["a" * 64, "b" * 64]))
    assert Spare(path).contents == set()
    assert not spare.folder.exists()


def test_whichever_change_of_the_disk_fails_no_row_is_lost(tmp_path: Path, data: Path) -> None:
    features, away = tmp_path / "f", tmp_path / "away"
    path = only(extract(data, features)).path
    whole = path.read_bytes()

    def leave_and_return(place: int | None) -> list[str]:
        (data / "B").rename(away)
        with faulty(place, errno.EIO) as disk:
            try:
                extract(data, features)
            except StorageError as error:
                assert "What was finished before is kept" in str(error)  # noqa: PT017  # a place need not matter
        away.rename(data / "B")
        stub = StubFactory()
        assert only(extract(data, features, stub=stub)).path.read_bytes() == whole
        assert stub.made == [], disk.names[place or 0]
        return disk.names

    names = leave_and_return(None)
    assert names.count("replace") >= 5, "owners, manifest, spare rows, features"
    committing = [place for place, name in enumerate(names) if name in ("replace", "unlink")]
    for place in committing[::3]:
        leave_and_return(place)


def test_kept_rows_hold_no_path(tmp_path: Path, data: Path) -> None:
    (data / "B").rename(data / "secret")
    extract(data, tmp_path / "f")
    (data / "secret").rename(tmp_path / "away")
    extract(data, tmp_path / "f")
    (spare,) = (tmp_path / "f").glob("*.spare/*.shard")
    assert b"secret" not in spare.read_bytes()
    assert list(spare.parent.iterdir()) == [spare]
