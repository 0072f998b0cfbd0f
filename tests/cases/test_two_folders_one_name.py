"""Two data sets in folders of the same name, `A/images` and `B/images`: nothing of one is replaced by the other."""

from __future__ import annotations

import csv
from pathlib import Path

from cxrfeat.feature.file import FeatureFile
from tests.cases.conftest import Cli, extracted, take


def manifest_ids() -> set[str]:
    found = set()
    for path in Path("features").glob("*.manifest.csv"):
        with path.open(newline="", encoding="utf-8") as file:
            found |= {row["image_id"] for row in csv.DictReader(file)}
    return found


def ids_of(path: Path) -> set[str]:
    with FeatureFile(path) as file:
        return set(file.image_ids)


def test_a_second_folder_of_the_same_name_replaces_nothing(cli: Cli, tmp_path: Path) -> None:
    for hospital, count, first in (("A", 6, 0), ("B", 4, 50)):
        for label in ("COVID", "NORMAL"):
            take(Path(hospital) / "images" / label, label, count, first)
    one = extracted(cli, Path("A/images"))
    before, ids = one.read_bytes(), ids_of(one)
    other = extracted(cli, Path("B/images"))
    assert other != one
    assert one.read_bytes() == before
    assert ids | ids_of(other) <= manifest_ids()
    with FeatureFile(other) as file:
        assert file.images == 8
    assert extracted(cli, Path("A/images")) == one, "A is A again, and computes nothing"
    assert one.read_bytes() == before


def test_another_network_for_the_second_folder_leaves_the_first_resolvable(cli: Cli, tmp_path: Path) -> None:
    for hospital, first in (("A", 0), ("B", 50)):
        for label in ("COVID", "NORMAL"):
            take(Path(hospital) / "images" / label, label, 4, first)
    one = extracted(cli, Path("A/images"))
    other = extracted(cli, Path("B/images"), "--views", "3")
    assert ids_of(one) | ids_of(other) <= manifest_ids()
