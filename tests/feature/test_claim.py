"""Data sets in one features folder: told apart by their images, and none replaces another."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import h5py
import numpy as np
import pytest

from cxrfeat.errors import InputError
from cxrfeat.feature.claim import claim_name, look_up
from cxrfeat.feature.extracted import Extracted
from cxrfeat.feature.file import FeatureFile
from cxrfeat.feature.store import dataset_of
from cxrfeat.image.index import index_folder
from cxrfeat.image.manifest_file import manifest_path, read_lines
from cxrfeat.image.note import without_examples
from cxrfeat.image.row import Selection
from tests.feature.images import SALT, extract, make_data, places_of, write_image
from tests.stub import StubFactory, stub_request


def other_data(root: Path, seed: int = 1000, per_class: int = 3) -> Path:
    """Other images under the names that `make_data` gives."""
    for name in ("A", "B"):
        for number in range(per_class):
            write_image(root / name / f"image{number}.png", seed=seed + number + 50 * (name == "B"))
    return root


def only(results: list[Extracted]) -> Extracted:
    (one,) = results
    return one


def name_of(features: Path, data: Path, **chosen: object) -> str:
    """What a data set is called, without extracting it."""
    manifest = index_folder(data, Selection(**chosen))  # type: ignore[arg-type]  # a test may ask for anything
    return claim_name(features, manifest, SALT).manifest.dataset


def check_resolved(features: Path) -> None:
    """Every id of every feature file leads to an image, by the manifest of its data set."""
    for path in features.glob("*.h5"):
        with FeatureFile(path) as file:
            assert set(file.image_ids) <= places_of(manifest_path(features, file.content.dataset)).keys()


@pytest.mark.few(1)
@pytest.mark.parametrize("size", [32, 48])
def test_a_second_folder_of_the_same_name_replaces_nothing(
    tmp_path: Path, size: int, caplog: pytest.LogCaptureFixture
) -> None:
    one, other = make_data(tmp_path / "a" / "images", 3), other_data(tmp_path / "b" / "images")
    features = tmp_path / "f"
    first = only(extract(one, features))
    before = {path.name: path.read_bytes() for path in features.glob("images*")}
    caplog.clear()
    second = only(extract(other, features, stub_request(size=size)))
    assert (first.dataset, second.dataset) == ("images", "images-2")
    (said,) = caplog.messages
    assert without_examples(said) == (
        f"images in {features} is another data set; this one is called images-2, and nothing is replaced."
    )
    assert f"that of {str(one)!r}" in said
    caplog.clear()
    assert {name: (features / name).read_bytes() for name in before} == before
    assert second.path.name.startswith("images-2-stub-")
    check_resolved(features)
    with FeatureFile(first.path) as a, FeatureFile(second.path) as b:
        assert not set(a.image_ids) & set(b.image_ids), "the same places, and other images"
    stub = StubFactory()
    again = [only(extract(data, features, stub_request(size=size), stub=stub)) for data in (one, other)]
    assert [each.dataset for each in again] == ["images", "images-2"]
    assert caplog.messages == [], "said once"
    assert stub.rows == (0 if size == 32 else 12), "the first data set at another size"


def moved(data: Path) -> Path:
    (data.parent / "elsewhere").mkdir()
    return data.rename(data.parent / "elsewhere" / "x-rays")


def moved_and_grown(data: Path) -> Path:
    place = moved(data)
    write_image(place / "A" / "new.png", seed=70)
    return place


def moved_without_a_class(data: Path) -> Path:
    place = moved(data)
    for number in range(3):
        write_image(place / "C" / f"image{number}.png", seed=80 + number)
    shutil.rmtree(place / "B")
    return place


def copied(data: Path) -> Path:
    return Path(shutil.copytree(data, data.parent / "copy"))


def copied_and_grown(data: Path) -> Path:
    place = copied(data)
    write_image(place / "A" / "new.png", seed=70)
    return place


def copied_and_relabelled(data: Path) -> Path:
    place = copied(data)
    (place / "A").rename(place / "C")
    return place


def in_place(data: Path) -> Path:
    write_image(data / "A" / "image0.png", seed=70)
    (data / "A" / "image1.png").unlink()
    (data / "B").rename(data / "C")
    return data


def shrunk_to_one(data: Path) -> Path:
    for path in sorted(data.glob("*/*.png"))[1:-1]:
        write_image(path, seed=int(path.stem[-1]) + 300 + 10 * (path.parent.name == "B"))
    return data


def sorted_anew(data: Path) -> Path:
    for path in data.glob("*/*.png"):
        path.rename(path.with_name(f"x-{path.name}"))
    return data


def all_new(data: Path) -> Path:
    shutil.rmtree(data)
    return other_data(data)


CASES: list[tuple[Callable[[Path], Path], str, int]] = [
    # What becomes of six images, what they are called then, and how many of them must be computed.
    (in_place, "images", 1),
    (shrunk_to_one, "images", 4),
    (sorted_anew, "images", 0),
    (all_new, "images-2", 6),
    (moved, "images", 0),
    (moved_and_grown, "images", 1),
    (moved_without_a_class, "x-rays", 3),  # a third of all images of the two is in both
    (copied, "images", 0),
    (copied_and_grown, "copy", 1),
    (copied_and_relabelled, "copy", 0),
]


@pytest.mark.few(2)
@pytest.mark.parametrize(("change", "name", "computed"), CASES, ids=[case[0].__name__ for case in CASES])
def test_a_data_set_is_known_by_its_images(
    tmp_path: Path, change: Callable[[Path], Path], name: str, computed: int
) -> None:
    features = tmp_path / "f"
    first = only(extract(make_data(tmp_path / "images", 3), features))
    before = first.path.read_bytes()
    result = only(extract(change(tmp_path / "images"), features))
    assert (result.dataset, result.rows_computed) == (name, computed)
    assert result.path == first.path or first.path.read_bytes() == before
    assert first.path.read_bytes() == before or change in (in_place, shrunk_to_one, sorted_anew, moved_and_grown)
    check_resolved(features)


def test_a_moved_data_set_keeps_its_ids_and_says_so_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    features = tmp_path / "f"
    extract(make_data(tmp_path / "images", 3), features)
    place = moved(tmp_path / "images")
    extract(place, features)
    (said,) = caplog.messages
    assert f"the data set images, once in {str(tmp_path / 'images')!r}; they keep that name in" in said
    assert str(tmp_path / "images") not in without_examples(said)
    assert {line.root for line in read_lines(manifest_path(features, "images"))} == {str(place)}
    caplog.clear()
    extract(place, features)
    assert caplog.messages == []


def test_a_copy_does_not_take_the_name_from_the_original(tmp_path: Path) -> None:
    features = tmp_path / "f"
    original = make_data(tmp_path / "images", 3)
    assert name_of(features, original) == "images"
    extract(original, features)
    copy = copied(original)
    extract(copy, features)
    write_image(original / "A" / "new.png", seed=70)
    assert name_of(features, original) == "images"
    assert only(extract(original, features)).images == 7
    assert name_of(features, copy) == "copy", "it was left behind"


def test_another_way_to_the_same_folder_is_the_same_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    features, data = tmp_path / "f", make_data(tmp_path / "images", 3)
    extract(data, features)
    (tmp_path / "mounted").symlink_to(data)
    monkeypatch.setattr(Path, "resolve", lambda path, strict=False: path)  # as of a folder that is mounted twice
    write_image(data / "A" / "new.png", seed=70)
    assert only(extract(tmp_path / "mounted", features)).dataset == "images"


def test_data_sets_that_are_mounted_at_one_place_in_turn_are_two(tmp_path: Path) -> None:
    features, mount = tmp_path / "f", tmp_path / "data"
    sets = [make_data(tmp_path / "one", 3), other_data(tmp_path / "two")]
    write_image(sets[1] / "B" / "same.png", seed=0)  # one image is in both, in different places
    names = []
    for number in (0, 1, 0, 1):
        sets[number].rename(mount)
        stub = StubFactory()
        names.append((only(extract(mount, features, stub=stub)).dataset, stub.rows))
        mount.rename(sets[number])
    assert names == [
        ("data", 12),
        ("data-2", 12),
        ("data", 0),
        ("data-2", 0),
    ]


def test_a_part_goes_by_the_name_of_its_whole(tmp_path: Path) -> None:
    features = tmp_path / "f"
    one, other = make_data(tmp_path / "a" / "images", 3), other_data(tmp_path / "b" / "images")
    part = name_of(features, one, classes=("A",))
    base, mark = part.split(".")
    assert base == "images"
    assert name_of(features, other) == "images-2", "the whole is not free, if a part of it is taken"
    assert name_of(features, other, classes=("A",)) == f"images-2.{mark}"
    assert name_of(features, one) == "images"
    assert name_of(features, one, classes=("B",)).startswith("images."), "no image in common with the other part"
    assert name_of(features, other, limit=1).startswith("images-2.")


def test_features_without_a_manifest_are_not_replaced_either(tmp_path: Path) -> None:
    features = tmp_path / "f"
    one, other = make_data(tmp_path / "a" / "images", 3), other_data(tmp_path / "b" / "images")
    first = only(extract(one, features))
    before = first.path.read_bytes()
    for spoilt in (None, "image_id;path\n"):
        manifest_path(features, "images").unlink()
        if spoilt is not None:
            manifest_path(features, "images").write_text(spoilt)
        assert look_up(features, index_folder(other)).manifest.dataset == "images-2"
        assert only(extract(one, features)).path == first.path
        assert first.path.read_bytes() == before
        check_resolved(features)


def test_the_name_of_a_manifest_that_may_not_be_read_is_taken(tmp_path: Path) -> None:
    features, data = tmp_path / "f", make_data(tmp_path / "images", 3)
    first = only(extract(data, features))
    place = manifest_path(features, "images")
    place.unlink()
    place.mkdir()  # root may read any file
    result = only(extract(data, features))
    assert (result.dataset, result.rows_computed) == ("images-2", 0)
    assert first.path.exists()


@pytest.mark.parametrize("said", ["../../elsewhere", "other", ""])
def test_a_file_that_says_it_is_of_something_else_names_nothing(tmp_path: Path, said: str) -> None:
    features, data = tmp_path / "f", make_data(tmp_path / "images", 3)
    path = only(extract(data, features)).path
    manifest_path(features, "images").unlink()
    with h5py.File(path, "r+") as file:
        file.attrs["dataset"] = np.bytes_(said.encode())
    before = path.read_bytes()
    assert dataset_of(path) is None
    assert name_of(features, data) == "images"
    with pytest.raises(Exception, match=r"damaged or not trustworthy"):
        extract(data, features)
    assert path.read_bytes() == before


def test_a_place_that_two_names_make_is_not_taken_twice(tmp_path: Path) -> None:
    """`a` by `b-c`, and `a-b` by `c`."""
    features = tmp_path / "f"
    first = only(extract(make_data(tmp_path / "a", 3), features, stub_request("b-c")))
    before = first.path.read_bytes()
    with pytest.raises(InputError, match=r"a-b-c-.*holds other features: those of the data set 'a'. Move it away"):
        extract(other_data(tmp_path / "a-b"), features, stub_request("c"))
    assert first.path.read_bytes() == before


def test_names_that_differ_in_case_alone_are_one_for_some_disks(tmp_path: Path) -> None:
    features = tmp_path / "f"
    assert name_of(features, make_data(tmp_path / "a" / "Images", 3)) == "Images"
    assert name_of(features, other_data(tmp_path / "b" / "images")) == "images-2"


def test_claims_at_the_same_time_get_different_names(tmp_path: Path) -> None:
    sets = [other_data(tmp_path / str(number) / "images", 2000 + 200 * number, 1) for number in range(6)]
    with ThreadPoolExecutor(6) as pool:
        names = list(pool.map(lambda data: name_of(tmp_path / "f", data), sets))
    assert sorted(names) == ["images", *(f"images-{number}" for number in range(2, 7))]
    assert [name_of(tmp_path / "f", data) for data in sets] == names, "and keep them"


def test_looking_a_name_up_writes_nothing(tmp_path: Path) -> None:
    data = make_data(tmp_path / "images", 3)
    assert look_up(tmp_path / "f", index_folder(data)).manifest.dataset == "images"
    assert not (tmp_path / "f").exists()
