"""Groups before there are features are those that an extraction writes."""

from __future__ import annotations

from pathlib import Path

from cxrfeat.feature.file import FeatureFile
from cxrfeat.feature.look import look_and_group
from cxrfeat.image.index import index_folder
from tests.feature.images import break_image, extract, make_copies


def test_groups_are_those_of_the_extraction(tmp_path: Path) -> None:
    make_copies(tmp_path / "data")
    break_image(tmp_path / "data" / "A" / "image18.png")
    manifest = index_folder(tmp_path / "data")
    told: list[tuple[str, int, int]] = []
    groups, usable = look_and_group(manifest, lambda *one: told.append(one))
    assert [row.path for row, good in zip(manifest.rows, usable, strict=True) if not good] == ["A/image18.png"]
    assert told == [("looking for copies", done, 25) for done in range(1, 26)]
    (made,) = extract(tmp_path / "data", tmp_path / "f")
    with FeatureFile(made.path) as file:
        stored = [group.decode() for group in file.content.columns["group"].tolist()]
    pairs = set(zip(groups[usable].tolist(), stored, strict=True))
    assert len(pairs) == len(set(stored)) == len(set(groups[usable].tolist())), "one to one"
    assert len(set(stored)) == 19


def test_where_nothing_can_be_used_groups_are_those_of_patients_and_bytes(tmp_path: Path) -> None:
    for name in ("A/1.png", "A/2.png", "B/1.png"):
        (tmp_path / "data" / name).parent.mkdir(parents=True, exist_ok=True)
        break_image(tmp_path / "data" / name)
    manifest = index_folder(tmp_path / "data")
    groups, usable = look_and_group(manifest)
    assert not usable.any()
    assert len(set(groups.tolist())) == 1, "the same bytes"
