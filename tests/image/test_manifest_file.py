from __future__ import annotations

import csv
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxrfeat.errors import InputError, IntegrityError
from cxrfeat.image.identity import Identity
from cxrfeat.image.manifest_file import COLUMNS, manifest_path, read_manifest, read_patients, write_manifest
from cxrfeat.image.row import ImageRow, Manifest, Quarantined
from tests.image.test_group import HEADER

IDENTITY = Identity(bytes(range(32)))


def manifest(*paths: str, quarantined: tuple[str, ...] = ()) -> Manifest:
    rows = tuple(
        ImageRow(path=path, label="A", content_sha256=f"{index:064x}", header=HEADER, patient=f"p{index // 2}")
        for index, path in enumerate(paths)
    )
    bad = tuple(Quarantined(path=path, stage="decode", reason="cut short") for path in quarantined)
    return Manifest(dataset="set", root=Path("nowhere"), rows=rows, quarantined=bad, classes=("A",))


def test_the_file_maps_ids_to_paths_and_is_private(tmp_path: Path) -> None:
    found = manifest("A/1.png", "A/2.png", quarantined=("A/3.png",))
    path = write_manifest(tmp_path, found, found.groups, IDENTITY)
    assert path == manifest_path(tmp_path, "set") == tmp_path / "set.manifest.csv"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    names = ["A/1.png", "A/2.png", "A/3.png"]
    assert read_manifest(path) == {IDENTITY.image_id(name): name for name in names}
    patients = dict(zip(names, ("p0", "p0", None), strict=True))
    assert read_patients(path) == {IDENTITY.image_id(name): patient for name, patient in patients.items()}
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows[0]["group"] == rows[1]["group"] == IDENTITY.group_id("patient:p0")
    assert [row["quarantined"] for row in rows] == ["", "", "decode: cut short"]
    assert tuple(rows[0]) == COLUMNS


@given(st.lists(st.text(alphabet=st.characters(exclude_characters="\0"), min_size=1), unique=True, max_size=5))
def test_any_name_comes_back(tmp_path_factory: pytest.TempPathFactory, names: list[str]) -> None:
    found = manifest(*names)
    path = write_manifest(tmp_path_factory.mktemp("m"), found, found.groups, IDENTITY)
    assert sorted(read_manifest(path).values()) == sorted(names)


@pytest.mark.parametrize("name", ["a,b", 'a"b', "a\nb", "a\r\nb", "\r", "=1+1", "caf\udce9", " ", "'"])
def test_awkward_names_come_back(tmp_path: Path, name: str) -> None:
    path = write_manifest(tmp_path, manifest(name), manifest(name).groups, IDENTITY)
    assert list(read_manifest(path).values()) == [name]


def test_a_missing_manifest_says_how_to_make_it(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"set\.manifest\.csv cannot be read.*cxrfeat extract"):
        read_manifest(manifest_path(tmp_path, "set"))


@pytest.mark.parametrize("content", [b"", b"image_id,path\n", b"\xff\xfe\x00", b'"' + ",".join(COLUMNS).encode()])
def test_another_file_is_not_taken_for_a_manifest(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "set.manifest.csv"
    path.write_bytes(content)
    with pytest.raises(IntegrityError, match="not a manifest"):
        read_manifest(path)
    path.write_bytes(",".join(COLUMNS).encode() + b"\nonly,two\n")
    with pytest.raises(IntegrityError, match="too few"):
        read_manifest(path)
