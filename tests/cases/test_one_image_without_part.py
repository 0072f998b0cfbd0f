"""The data's own split with one image that has no part: the split is kept, and the image is left out, with a note."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cases.conftest import Cli, extracted, take, write_table

PARTS = ("train", "train", "train", "val", "test", "test")


def filled(d: Path, without: int) -> None:
    images = [*take(d / "i", "COVID", 18), *take(d / "i", "NORMAL", 18)]
    rows = [
        {
            "image": f"i/{path.name}",
            "label": path.stem.split("-")[0],
            "patient_id": f"p{path.stem}",
            "split": "" if number < without else PARTS[number % 6],
        }
        for number, path in enumerate(images)
    ]
    write_table(d, rows)


@pytest.mark.few(1)
@pytest.mark.parametrize("without", [0, 1])
def test_the_given_split_stays(cli: Cli, d: Path, without: int) -> None:
    filled(d, without)
    file = extracted(cli, d)
    for command in (
        ("fit-head", file, "--head", "ridge"),
        ("tune", file, "--head", "ridge", "--trials", "1", "--inner-folds", "2"),
    ):
        said = cli(*command, "--json", "--quiet")
        assert said.code == 0, said.err
        (run,) = said.json["runs"]
        assert run["split"]["by"] == "column"
        assert run["test"]["images"] == 12
        told = " ".join(run["notes"]) + said.err
        assert ("1 of 36 images" in told or "1 image" in told) == bool(without), told
    said = cli("index", "d", "--json", "--quiet")
    assert said.json["splits"] == {
        "test": 12,
        "train": 18 - without,
        "validation": 6,
        **({"none": 1} if without else {}),
    }
