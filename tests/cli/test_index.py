"""`cxrfeat index` as people call it."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.cli.conftest import RANDOM, Cli


def test_redact_hides_every_path(cli: Cli, data: Path, phantoms: Path) -> None:
    names = [path.name for path in data.rglob("*") if path.is_file()] + ["lost.png", "text.png", "loose.png"]
    (data / "metadata.csv").unlink()
    (data / "truth.json").unlink()
    (data / "COVID" / "text.png").write_text("not an image")
    shutil.copy(sorted(data.glob("COVID/images/*"))[0], data / "loose.png")
    said = [cli("extract", *RANDOM, "--redact", "--json"), cli("extract", *RANDOM, "--redact")]
    said += [cli("index", "--redact"), cli("index", "--redact", "--json")]
    run = cli("fit-head", "--head", "logreg", "--json").json["runs"][0]["run"]
    said += [cli("predict", run, "data/COVID", "--redact"), cli("predict", run, "data/COVID", "--redact", "--json")]
    for one in said:
        assert one.code == 0, one.err
        for name in names:
            assert name not in one.out + one.err, name
    document = said[-1].json
    ids = [each["image"] for each in document["predictions"]] + [each["path"] for each in document["quarantined"]]
    assert len(set(ids)) == len(ids)
    assert all(len(each) == 32 for each in ids)
    assert "text.png" in cli("index").out, "without --redact they are shown"
