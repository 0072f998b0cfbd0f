"""The label column holds the free text of the report: refused before anything is computed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cases.conftest import RANDOM, Cli, take, write_table


@pytest.fixture
def reports(d: Path) -> Path:
    images = take(d / "i", "COVID", 24)
    text = "no focal consolidation " * 16
    write_table(d, [{"image": f"i/{path.name}", "label": f"report {path.stem}: {text}"} for path in images])
    return d


@pytest.mark.parametrize(
    "command",
    [
        ("extract", "d", *RANDOM),
        ("audit", "d"),
        ("finetune", "d", "--backbone", "scratch", "--cold"),
        ("reproduce", "d", "--weights", "random", "--rows", "ResNet"),
    ],
)
def test_free_texts_as_labels_are_refused_before_anything_is_computed(
    cli: Cli, reports: Path, command: tuple[str, ...]
) -> None:
    said = cli(*command, "--quiet")
    assert said.code == 3, said.err
    assert "There are 24 classes of one image each, such as 'report COVID-1: no focal" in said.err
    assert "is this free text?" in said.err
    assert "--classes" in said.err
    assert not list(Path().rglob("*.h5"))
    assert not list(Path().glob("runs/*"))


def test_index_notes_it(cli: Cli, reports: Path) -> None:
    said = cli("index", "d", "--quiet", "--json")
    assert said.code == 0
    assert any("24 classes of one image each" in note and "--classes" in note for note in said.json["notes"])
    assert "is this free text?" in cli("index", "d", "--quiet").out


def test_two_of_the_texts_can_be_chosen_all_the_same(cli: Cli, d: Path) -> None:
    images = [*take(d / "i", "COVID", 14), *take(d / "i", "NORMAL", 14)]
    rows = [{"image": f"i/{path.name}", "label": path.stem.split("-")[0]} for path in images]
    rows += [{"image": f"i/{path.name}", "label": f"see {path.stem}"} for path in take(d / "i", "COVID", 30, 20)]
    write_table(d, rows)
    assert cli("extract", "d", *RANDOM).code == 3
    assert cli("extract", "d", *RANDOM, "--classes", "COVID,NORMAL").code == 0
