"""`cxrfeat reproduce` as people call it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Cli


@pytest.mark.slow
def test_a_plan_is_printed_and_nothing_is_done(cli: Cli, data: Path) -> None:
    said = cli("reproduce", "data", "--rows", "scratch", "--limit", "4", "--epochs", "2", "--dry-run")
    assert said.code == 0, said.err
    assert "train CNN from scratch, 2 epochs" in said.out
    assert "in all, without the heads" in said.out
    assert not Path("features").exists()


@pytest.mark.slow
def test_the_plan_of_a_frozen_row_has_it_done_both_ways(cli: Cli, data: Path) -> None:
    document = cli("reproduce", "data", "--rows", "DN-V0,scratch", "--limit", "4", "--dry-run", "--json").json
    assert [row["protocol"] for row in document["rows"]] == ["paper", "proper", "paper"]


@pytest.mark.parametrize(
    ("arguments", "code", "why"),
    [
        (("--rows", "VGG"), 2, "Did you mean VGG16?"),
        (("--split", "date"), 2, "--split-by is group or paper; got 'date'"),
        (("--resume",), 3, "no reproduction to resume"),
        (("--resume", "--epochs", "2"), 2, "omit the others"),
        (("--per-class", "1000"), 3, "asks for more images than there are"),
    ],
)
def test_reproduce_refuses_what_it_cannot_do(
    cli: Cli, data: Path, arguments: tuple[str, ...], code: int, why: str
) -> None:
    said = cli("reproduce", "data", *arguments)
    assert said.code == code, said.err
    assert why in said.err


@pytest.mark.slow
def test_reproduce_prints_the_audit_and_the_papers_figures_beside_ours(cli: Cli, data: Path) -> None:
    options = ("--rows", "DN-V0", "--epochs", "1", "--weights", "random", "--views", "1")
    said = cli("reproduce", "data", *options)
    assert said.code == 0, said.err
    assert said.out.index("Before you believe the scores") < said.out.index("The paper's rows done again")
    assert "0.3264" in said.out
    assert "not comparable" in said.out
    document = cli("reproduce", "--resume", "--json").json
    assert [run["row"] for run in document["runs"]] == ["DN-V0", "DN-V0"]
    leaky = cli("reproduce", "data", *options, "--split", "paper", "--strict")
    assert leaky.code == 8, "a leaky split is a failed check"
    assert "The split is the paper's, image by image: it leaks" in leaky.out
