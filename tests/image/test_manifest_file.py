from __future__ import annotations

import csv
import stat
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxrfeat.errors import InputError, IntegrityError
from cxrfeat.image.group import group
from cxrfeat.image.identity import Identity
from cxrfeat.image.manifest_file import (
    COLUMNS,
    manifest_path,
    read_lines,
    read_patients,
    read_places,
    write_manifest,
)
from cxrfeat.image.row import ImageRow, Manifest, Quarantined
from tests.feature.images import places_of
from tests.image.test_group import HEADER

IDENTITY = Identity(bytes(range(32)))


def manifest(*paths: str, quarantined: tuple[str, ...] = ()) -> Manifest:
    rows = tuple(
        ImageRow(path=path, label="A", content_sha256=f"{index:064x}", header=HEADER, patient=f"p{index // 2}")
        for index, path in enumerate(paths)
    )
    bad = tuple(Quarantined(path=path, stage="decode", reason="cut short") for path in quarantined)
    return Manifest(dataset="set", root=Path("nowhere"), rows=rows, quarantined=bad, classes=("A",))


def written(folder: Path, found: Manifest, failed: Sequence[Quarantined] = ()) -> Path:
    write_manifest(folder, found, group(found.rows), IDENTITY, failed=failed)
    return manifest_path(folder, found.dataset)


def test_the_file_maps_ids_to_paths_and_is_private(tmp_path: Path) -> None:
    found = manifest("A/1.png", "A/2.png", quarantined=("A/3.png",))
    path = written(tmp_path, found)
    assert path == tmp_path / "set.manifest.csv"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    ids = [IDENTITY.image_id(row.path, row.content_sha256) for row in found.rows] + [IDENTITY.image_id("A/3.png")]
    assert places_of(path) == dict(zip(ids, ["A/1.png", "A/2.png", "A/3.png"], strict=True))
    assert read_patients(path) == dict(zip(ids, ("p0", "p0", None), strict=True))
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows[0]["group"] == rows[1]["group"] == IDENTITY.group_id("patient:p0")
    assert [row["quarantined"] for row in rows] == ["", "", "decode: cut short"]
    assert tuple(rows[0]) == COLUMNS
    assert {row["root"] for row in rows} == {str(Path("nowhere").resolve())}


def test_some_ids_are_looked_up_without_the_others(tmp_path: Path) -> None:
    path = written(tmp_path, manifest("A/1.png", "A/2.png"))
    one = IDENTITY.image_id("A/2.png", f"{1:064x}")
    assert read_places(path, [one, "f" * 32]) == {one: "A/2.png"}


def test_what_a_spreadsheet_made_readable_for_all_is_private_again(tmp_path: Path) -> None:
    path = written(tmp_path, manifest("A/1.png"))
    path.chmod(0o644)
    written(tmp_path, manifest("A/1.png"))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.write_text("damaged")
    path.chmod(0o644)
    written(tmp_path, manifest("A/1.png"))
    assert {stat.S_IMODE(one.stat().st_mode) for one in tmp_path.glob("set.manifest*")} == {0o600}


def test_ids_that_were_given_once_stay_and_are_marked(tmp_path: Path) -> None:
    path = written(tmp_path, manifest("A/1.png", "A/2.png", "A/3.png", quarantined=("A/4.png",)))
    before = places_of(path)
    rows = list(manifest("A/1.png", "A/2.png").rows)
    rows[1] = replace(rows[1], content_sha256="f" * 64)
    written(tmp_path, replace(manifest("A/1.png"), rows=tuple(rows)))
    lines = read_lines(path)
    assert before.items() < places_of(path).items(), "every id is known still"
    assert [(line.path, line.present) for line in lines] == [
        ("A/1.png", "yes"), ("A/2.png", "yes"), ("A/2.png", "no"), ("A/3.png", "no"), ("A/4.png", "no")
    ]  # fmt: skip
    assert lines[1].image_id != lines[2].image_id, "other bytes are another image"
    written(tmp_path, manifest("A/1.png", "A/2.png", "A/3.png"))
    present = {line.path for line in read_lines(path) if line.present == "yes"}
    assert (present, len(read_lines(path))) == ({"A/1.png", "A/2.png", "A/3.png"}, 5)


def test_nothing_is_written_where_nothing_changed(tmp_path: Path) -> None:
    path = written(tmp_path, manifest("A/1.png"))
    before = path.stat().st_ino
    written(tmp_path, manifest("A/1.png"))
    assert path.stat().st_ino == before


def test_an_image_that_turned_out_unusable_has_the_id_that_feature_files_use(tmp_path: Path) -> None:
    bad = Quarantined(path="A/2.png", stage="decode", reason="cut short")
    path = written(tmp_path, manifest("A/1.png", "A/2.png"), [bad])
    assert places_of(path)[IDENTITY.image_id("A/2.png")] == "A/2.png"
    assert [line.quarantined for line in read_lines(path)] == ["", "decode: cut short", "decode: cut short"]


def test_ids_of_an_older_manifest_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "set.manifest.csv"
    older = ("0" * 32, "A/1.png", "A", "0" * 64, "", "p0", "", "")
    path.write_text(",".join(COLUMNS[:-2]) + "\n" + ",".join(older) + "\n")
    assert places_of(path) == {"0" * 32: "A/1.png"}
    written(tmp_path, manifest("A/1.png"))
    assert [(line.path, line.present) for line in read_lines(path)] == [("A/1.png", "yes"), ("A/1.png", "no")]
    assert read_lines(path)[1].image_id == "0" * 32


def test_a_manifest_that_a_spreadsheet_spoilt_is_kept_aside(tmp_path: Path) -> None:
    path = written(tmp_path, manifest("A/1.png"))
    spoilt = path.read_bytes().replace(b",", b";")
    path.write_bytes(spoilt)
    written(tmp_path, manifest("A/1.png"))
    assert len(places_of(path)) == 1
    aside = tmp_path / "set.manifest-damaged.csv"
    assert aside.read_bytes() == spoilt


@given(st.lists(st.text(alphabet=st.characters(exclude_characters="\0"), min_size=1), unique=True, max_size=5))
def test_any_name_comes_back(tmp_path_factory: pytest.TempPathFactory, names: list[str]) -> None:
    found = manifest(*names)
    path = written(tmp_path_factory.mktemp("m"), found)
    assert sorted(places_of(path).values()) == sorted(names)


@pytest.mark.parametrize("name", ["a,b", 'a"b', "a\nb", "a\r\nb", "\r", "=1+1", "caf\udce9", " ", "'"])
def test_awkward_names_come_back(tmp_path: Path, name: str) -> None:
    path = written(tmp_path, manifest(name))
    assert list(places_of(path).values()) == [name]


def test_a_missing_manifest_says_how_to_make_it(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"set\.manifest\.csv cannot be read.*cxrfeat extract"):
        places_of(manifest_path(tmp_path, "set"))


@pytest.mark.parametrize("content", [b"", b"image_id,path\n", b"\xff\xfe\x00", b'"' + ",".join(COLUMNS).encode()])
def test_another_file_is_not_taken_for_a_manifest(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "set.manifest.csv"
    path.write_bytes(content)
    with pytest.raises(IntegrityError, match="not a manifest"):
        places_of(path)
    path.write_bytes(",".join(COLUMNS).encode() + b"\nonly,two\n")
    with pytest.raises(IntegrityError, match="too few"):
        places_of(path)
