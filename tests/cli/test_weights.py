"""`cxrfeat weights` as people call it."""

from __future__ import annotations

from pathlib import Path

from tests.cli.conftest import Cli


def test_weights_are_listed_and_a_strange_file_is_not_imported(cli: Cli, tmp_path: Path) -> None:
    rows = cli("weights", "list", "--json").json["weights"]
    assert {"densenet121", "resnet50", "vgg16", "inceptionv3", "xception"} <= {row["backbone"] for row in rows}
    assert {row["state"] for row in rows} == {"missing"}
    assert "densenet121" in cli("weights", "list").out
    (tmp_path / "strange.h5").write_text("not weights")
    said = cli("weights", "import", "strange.h5")
    assert said.code == 3
    assert "is not the ImageNet weights of a backbone" in said.err
    assert cli("weights", "import", "nowhere.h5").code == 3
