"""Features are taken from a file only where the same bits would be computed; all else is made anew, in its place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import h5py
import numpy as np
import pytest

from cxrfeat.errors import BadImageError
from cxrfeat.feature import held as holding
from cxrfeat.feature.file import FeatureFile
from cxrfeat.feature.held import Held, HeldRows
from cxrfeat.feature.store import write_features
from cxrfeat.spec import FeatureSpec, fingerprint
from cxrfeat.view.prepare import ImageFile, Prepared, Wanted
from cxrfeat.view.stream import stream
from tests.feature.images import extract, make_data, write_image
from tests.stub import DIM, stub_request

REQUEST = stub_request(views=3)


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """A feature file of twelve images in `data`."""
    return extract(make_data(tmp_path / "data"), tmp_path / "f", REQUEST)[0].path


def digest(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()


def rows_in(folder: Path, spec: FeatureSpec = REQUEST.spec, *, engine: str = "stub", dim: int = DIM) -> HeldRows:
    return HeldRows(folder, spec, engine, dim=dim, images=12)


def found(path: Path, held: HeldRows) -> int:
    """How many of the images are held, each as the file has it."""
    with FeatureFile(path) as file, held:
        for sha, features in zip(file.content_sha256, file.read(), strict=True):
            one = held.row(sha)
            assert one is None or one.tobytes() == features.tobytes()
        return sum(held.row(sha) is not None for sha in file.content_sha256)


def write_again(path: Path, change: Callable[[FeatureFile], dict[str, object]]) -> None:
    """The same rows in a file that says something else of them."""
    with FeatureFile(path) as file:
        content, features = replace(file.content, **change(file)), file.read()  # type: ignore[arg-type]  # any field
    write_features(path, content, DIM, [(np.arange(len(features)), features)])


def test_what_was_computed_so_is_held_and_nothing_else(made: Path, tmp_path: Path) -> None:
    assert found(made, rows_in(made.parent)) == 12
    with rows_in(made.parent) as held:
        assert held.row("0" * 64) is None
        assert held.notes == []
    assert found(made, rows_in(tmp_path / "nowhere")) == 0
    assert found(made, rows_in(made.parent, engine="keras")) == 0
    assert found(made, rows_in(made.parent, dim=DIM + 1)) == 0
    assert found(made, rows_in(made.parent, replace(REQUEST.spec, normalize="none"))) == 0


@pytest.mark.few(1)
@pytest.mark.parametrize("name", ["numpy", "pillow"])
def test_rows_of_other_versions_are_not_held(name: str, made: Path) -> None:
    write_again(made, lambda file: {"versions": file.content.versions | {"cxrfeat": "0.0.1", "h5py": "0.0.1"}})
    assert found(made, rows_in(made.parent)) == 12, "these decide no feature"
    write_again(made, lambda file: {"versions": file.content.versions | {name: "0.0.1"}})
    assert found(made, rows_in(made.parent)) == 0


def test_rows_that_were_rounded_or_of_another_decoder_are_not_held(tmp_path: Path) -> None:
    rounded = stub_request(storage="float16")
    (half,) = extract(make_data(tmp_path / "data"), tmp_path / "f", rounded)
    assert found(half.path, rows_in(half.path.parent, rounded.spec)) == 0
    (whole,) = extract(tmp_path / "data", tmp_path / "f", stub_request())
    before = replace(stub_request().spec, decoder=1)
    write_again(whole.path, lambda _: {"spec": before})
    older = whole.path.rename(whole.path.with_name(f"x-{fingerprint(before)[:8]}.h5"))
    assert found(older, rows_in(older.parent, before)) == 0


def test_of_a_few_images_a_large_file_is_not_opened(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(holding, "BYTES_EACH", made.stat().st_size // 12 + 1)
    assert found(made, rows_in(made.parent)) == 12
    monkeypatch.setattr(holding, "BYTES_EACH", made.stat().st_size // 12 - 1)
    assert found(made, rows_in(made.parent)) == 0


def test_a_damaged_row_is_not_held_and_the_user_is_told(made: Path) -> None:
    with h5py.File(made, "r+") as file:
        file["features"][4, 0, 0] += 1
    with rows_in(made.parent) as held, FeatureFile(made) as features:
        shas = features.content_sha256
        assert [held.row(sha) is None for sha in shas] == [number == 4 for number in range(12)]
        (note,) = held.notes
    assert str(made) in note.text
    assert "checksum of row 4 does not match" in note.text
    assert note.text.endswith("Its images were computed.")


def test_a_damaged_file_is_passed_over_and_the_user_is_told(made: Path) -> None:
    made.write_bytes(b"\x89HDF\r\n\x1a\n and nothing else")
    (made.parent / f"other-{made.stem[-8:]}.h5").mkdir()
    with rows_in(made.parent) as held:
        assert held.row("0" * 64) is None
        assert sorted(str(made) in note.text for note in held.notes) == [False, True]


def test_only_the_others_are_prepared_each_in_its_place(made: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    write_image(data / "A" / "new.png", seed=999)
    (data / "B" / "bad.png").write_bytes(b"no image")
    paths = [*sorted(data.rglob("*.png")), data / "gone.png"]
    files, wanted = [ImageFile(path=path) for path in paths], Wanted(views=(REQUEST.spec.view,))
    with stream(files, wanted) as images:
        whole = list(images)
    with rows_in(made.parent) as held, held.stream(files, wanted) as images:
        seen = list(images)
    assert len(seen) == len(paths) == 15
    for path, one, plain in zip(paths, seen, whole, strict=True):
        if path.name in ("bad.png", "gone.png"):
            assert isinstance(one, BadImageError)
            assert isinstance(plain, BadImageError)
            assert (one.stage, one.reason) == (plain.stage, plain.reason)
        elif path.name == "new.png":
            assert isinstance(one, Prepared)
            assert isinstance(plain, Prepared)
            assert one.of(REQUEST.spec.view).tobytes() == plain.of(REQUEST.spec.view).tobytes()
            assert one.content_sha256 == digest(path)
        else:
            assert isinstance(one, Held), path
            assert (one.content_sha256, one.features.shape) == (digest(path), (3, DIM))


def test_where_nothing_is_held_all_are_prepared(made: Path, tmp_path: Path) -> None:
    files = [ImageFile(path=path) for path in sorted((tmp_path / "data").rglob("*.png"))]
    with rows_in(tmp_path) as held, held.stream(files, Wanted(views=(REQUEST.spec.view,))) as images:
        assert [type(one) for one in images] == [Prepared] * 12
