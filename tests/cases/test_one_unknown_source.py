"""One empty cell in the column source hides nothing: the known sources are judged, the unknown is told beside them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.cases.conftest import Cli, extracted, take, write_table


def filled(d: Path, unknown: int) -> None:
    images = [*take(d / "i", "COVID", 15), *take(d / "i", "NORMAL", 15)]
    rows = [
        {
            "image": f"i/{path.name}",
            "label": path.stem.split("-")[0],
            "patient_id": f"p{path.stem}",
            "source": "" if number < unknown else "A" if path.stem.startswith("COVID") else "B",
        }
        for number, path in enumerate(images)
    ]
    write_table(d, rows)


def of_sources(checks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [one for one in checks if "source" in one["check"]]


@pytest.mark.few(1)
@pytest.mark.parametrize("unknown", [0, 1])
def test_a_source_that_tells_the_class_fails_with_some_unknown_too(cli: Cli, d: Path, unknown: int) -> None:
    filled(d, unknown)
    file = extracted(cli, d)
    for command in (("fit-head", file, "--head", "ridge"), ("audit", "d", "--folds", "2")):
        said = cli(*command, "--strict", "--json", "--quiet")
        assert said.code == 8, (command, said.err)
        checks = of_sources(said.json["audit" if command[0] == "fit-head" else "checks"])
        failed = [one for one in checks if one["status"] == "fail"]
        assert any("share no source" in one["why"] for one in failed), checks
        assert any("unknown" in one["why"] for one in checks) == bool(unknown), checks
