"""One bad mask among good ones: it is named and not used, and no command ends by it."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image, ImageDraw

from tests.cases.conftest import RANDOM, Cli, extracted, take

BAD = Path("d/COVID/masks/COVID-3.png")


@pytest.fixture
def masked(d: Path) -> Path:
    for label in ("COVID", "NORMAL"):
        (d / label / "masks").mkdir(parents=True)
        for path in take(d / label / "images", label, 8):
            picture = Image.new("L", (64, 64))
            draw = ImageDraw.Draw(picture)
            draw.ellipse((8, 10, 28, 52), fill=255)
            draw.ellipse((36, 10, 56, 52), fill=255)
            picture.save(d / label / "masks" / path.name)
    return d


def spoil(how: str) -> None:
    good = BAD.read_bytes()
    if how == "black":
        Image.new("L", (64, 64)).save(BAD)
    elif how == "oblong":
        Image.new("L", (64, 20), 255).save(BAD)
    else:
        BAD.write_bytes(good[: len(good) // 2] if how == "damaged" else b"")


@pytest.mark.few(1)
@pytest.mark.parametrize("how", ["black", "damaged"])
def test_a_bad_mask_is_named_and_the_audit_finishes(cli: Cli, masked: Path, how: str) -> None:
    file = extracted(cli, masked)
    spoil(how)
    said = cli("audit", "d", "--cache", file, "--folds", "2", "--json", "--quiet")
    assert said.code == 0, said.err
    assert len(said.json["checks"]) > 5
    (about,) = [one for one in said.json["checks"] if "template stands in" in one["why"]]
    assert [Path(path).name for path in about["images"]] == ["COVID-3.png"]


@pytest.mark.parametrize("how", ["oblong", "empty"])
def test_features_without_the_lungs_are_extracted_all_the_same(cli: Cli, masked: Path, how: str) -> None:
    spoil(how)
    said = cli("extract", "d", *RANDOM, "--mask", "outside", "--json")
    assert said.code == 0, said.err
    (file,) = said.json["files"]
    assert file["images"] + len(file["quarantined"]) == 16
    assert file["images"] >= 15
    assert "COVID-3.png" in said.err + " ".join(said.json["notes"]) + str(file["quarantined"])
