"""The phantom set is what it says: the same bytes every time, truth where it is said to be, no hidden shortcut."""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cxrfeat.errors import InputError
from cxrfeat.phantom.spec import PhantomSpec
from cxrfeat.phantom.writing import COLUMNS, PhantomTruth, write_phantoms

SMALL = PhantomSpec(patients_per_class=5, size=64, duplicates=3, broken=2, seed=7)


def contents(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def table(folder: Path) -> list[dict[str, str]]:
    with (folder / "metadata.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, PhantomTruth]:
    folder = tmp_path_factory.mktemp("phantom") / "set"
    return folder, write_phantoms(folder, SMALL)


def test_the_container_follows_the_source_and_not_the_class(written: tuple[Path, PhantomTruth]) -> None:
    folder, truth = written
    by_source: dict[str, set[Any]] = {}
    for row in table(folder):
        if row["image"] in truth.images:
            with Image.open(folder / row["image"]) as image:
                by_source.setdefault(row["source"], set()).add((image.format, image.size, image.mode))
    assert by_source == {"Hospital A": {("PNG", (64, 64), "L")}, "Hospital B": {("JPEG", (68, 64), "L")}}


def test_metadata_names_every_image_and_every_path_exists(written: tuple[Path, PhantomTruth]) -> None:
    folder, truth = written
    rows = table(folder)
    assert tuple(rows[0]) == COLUMNS
    assert [row["image"] for row in rows] == sorted((*truth.images, *truth.broken))
    on_disk = {path for path in contents(folder) if "/images/" in path}
    assert on_disk == {row["image"] for row in rows}
    for row in rows:
        assert row["image"].startswith(f"{row['label']}/images/")
        assert row["source"] in SMALL.sources
        assert row["sex"] in ("F", "M")
        assert row["view_position"] in ("AP", "PA")
        assert 18 < int(row["age"]) < 93
        assert row["date"][:2] == "20"
        if row["image"] in truth.broken:
            assert row["mask"] == ""
            continue
        with Image.open(folder / row["image"]) as image, Image.open(folder / row["mask"]) as mask:
            assert image.size == mask.size
            assert set(np.unique(np.asarray(mask))) == {0, 255}


def test_patient_identifiers_tell_patients_apart_and_no_class(written: tuple[Path, PhantomTruth]) -> None:
    folder, _ = written
    known = {(row["label"], row["patient_id"]) for row in table(folder) if row["patient_id"]}
    assert len({patient for _, patient in known}) == len(known)  # nobody has two classes
    assert not any(label in patient for label, patient in known)


def test_duplicates_are_byte_identical_listed_and_nothing_else_is(written: tuple[Path, PhantomTruth]) -> None:
    folder, truth = written
    assert len(truth.duplicates) == SMALL.duplicates
    digests = {path: digest for path, digest in contents(folder).items() if "/images/" in path}
    pairs = {tuple(sorted(p for p in digests if digests[p] == d)) for d in digests.values()}
    assert {pair for pair in pairs if len(pair) > 1} == {tuple(sorted(pair)) for pair in truth.duplicates}
    by_image = {row["image"]: row for row in table(folder)}
    for original, copy in truth.duplicates:
        assert by_image[original]["label"] == by_image[copy]["label"]
        assert by_image[copy]["patient_id"] == ""


def test_broken_files_cannot_be_decoded_and_the_others_can(written: tuple[Path, PhantomTruth]) -> None:
    folder, truth = written
    assert len(truth.broken) == SMALL.broken
    for path in truth.broken:
        with pytest.raises(OSError, match="truncated"), Image.open(folder / path) as image:
            image.load()
    for path in truth.images:
        with Image.open(folder / path) as image:
            image.load()


def test_truth_json_says_what_was_planted(written: tuple[Path, PhantomTruth]) -> None:
    folder, truth = written
    stored = json.loads((folder / "truth.json").read_text())
    assert stored.pop("spec")["kind"] == "PhantomSpec"
    assert stored == json.loads(json.dumps(dataclasses.asdict(truth)))
    assert set(truth.lesions) == {path for path in truth.images if not path.startswith("NORMAL/")}
    assert set(truth.letters) < set(truth.images)


def test_no_file_holds_an_absolute_path(written: tuple[Path, PhantomTruth]) -> None:
    folder, _ = written
    for path in folder.rglob("*"):
        if path.is_file():
            assert str(folder).encode() not in path.read_bytes()
    text = (folder / "truth.json").read_text() + (folder / "metadata.csv").read_text()
    assert '"/' not in text
    assert ",/" not in text


def test_writing_again_gives_the_same_bytes(written: tuple[Path, PhantomTruth], tmp_path: Path) -> None:
    folder, truth = written
    before = contents(folder)
    assert write_phantoms(folder, SMALL) == truth
    assert contents(folder) == before
    assert write_phantoms(tmp_path / "elsewhere", SMALL) == truth
    assert contents(tmp_path / "elsewhere") == before


def test_an_interrupted_set_is_continued_and_progress_is_told(tmp_path: Path) -> None:
    spec = PhantomSpec(patients_per_class=2, size=64, images_per_patient=1, duplicates=1, broken=1)
    told: list[tuple[int, int]] = []

    def stop(done: int, total: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_phantoms(tmp_path / "set", spec, stop)
    assert not (tmp_path / "set" / "metadata.csv").exists()
    write_phantoms(tmp_path / "set", spec, lambda done, total: told.append((done, total)))
    write_phantoms(tmp_path / "whole", spec)
    assert contents(tmp_path / "set") == contents(tmp_path / "whole")
    assert told == [(done, 8) for done in range(1, 9)]


def test_two_sets_never_mix(tmp_path: Path) -> None:
    spec = PhantomSpec(patients_per_class=1, size=64, images_per_patient=1)
    write_phantoms(tmp_path / "set", spec)
    before = contents(tmp_path / "set")
    with pytest.raises(InputError, match=r"holds another phantom set\. Choose another folder"):
        write_phantoms(tmp_path / "set", dataclasses.replace(spec, seed=1))
    assert contents(tmp_path / "set") == before


def test_a_folder_of_the_users_own_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(InputError, match="is not empty and holds no phantom set"):
        write_phantoms(tmp_path, PhantomSpec(patients_per_class=1, size=64))
    assert set(contents(tmp_path)) == {"thesis.txt"}
