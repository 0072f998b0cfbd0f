"""`cxrfeat similar` as people call it."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.cli.conftest import Cli


def test_neighbours_of_an_image_of_the_set_and_of_a_new_one(cli: Cli, features: Path, tmp_path: Path) -> None:
    image = sorted((tmp_path / "data" / "COVID" / "images").iterdir())[0]
    said = cli("similar", image, "--n", "4")
    assert said.code == 0, said.err
    assert f"Nearest to COVID/images/{image.name}, COVID" in said.out
    assert len(cli("similar", image.relative_to(tmp_path), features, "--n", "4", "--json").json["neighbours"]) == 4
    new = tmp_path / "secret.png"
    shutil.copy(image, new)
    new.write_bytes(image.read_bytes() + b"\0")
    said = cli("similar", new, "--json")
    assert said.code == 0, said.err
    assert not said.json["in_set"]
    assert said.json["neighbours"][0]["copy"] == "same pixels"
    for words in ((new,), (image,)):
        hidden = cli("similar", *words, "--redact", "--json")
        assert ".png" not in hidden.out


def test_what_is_no_image_is_said_with_its_code(cli: Cli, features: Path) -> None:
    said = cli("similar", "nothing.png")
    assert said.code == 3
    assert "There is no image 'nothing.png'" in said.err
    assert cli("similar", "nothing.png", "--n", "0").code == 2
    assert cli("similar").code == 2
    assert cli("similar", "x", "nothing.h5").code == 3
