"""What every command that reads a folder says of it: the ledger, on stderr and in the JSON, and under `--strict`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import RANDOM, Cli

HEAD = ("--head", "ridge")


@pytest.fixture
def spoilt(data: Path) -> Path:
    """The phantoms, and beside them what no command uses: an image outside the classes, a GIF, masks, rubbish."""
    first = min(data.rglob("*.png"))
    label = first.relative_to(data).parts[0]
    (data / "loose.png").write_bytes(first.read_bytes())
    (data / label / "picture.gif").write_bytes(b"GIF89a" + bytes(30))
    (data / label / "Lung Masks").mkdir()
    (data / label / "Lung Masks" / "no such image.png").write_bytes(first.read_bytes())
    (data / label / f"._{first.name}").write_bytes(b"\0\5\x16\7")
    (data / label / ".ipynb_checkpoints").mkdir()
    (data / label / ".ipynb_checkpoints" / first.name).write_bytes(first.read_bytes())
    (data / "metadata.csv").unlink(missing_ok=True)
    return data


LOST = ("1 image lies outside the class folders, such as 'loose.png'", "1 file of formats that are not read")
NOTED = "1 mask whose name no image has"


@pytest.mark.slow
def test_every_command_that_reads_a_folder_says_what_it_did_not_use(cli: Cli, spoilt: Path) -> None:
    made = cli("extract", *RANDOM, "--json")
    assert made.code == 0, made.err
    file = made.json["files"][0]["path"]
    run = cli("fit-head", file, *HEAD, "--json").json["runs"][0]["run"]
    commands = (
        ("index", "data"),
        ("extract", "data", *RANDOM),
        ("audit", "data", "--folds", "2"),
        ("reproduce", "data", "--dry-run", "--rows", "ResNet", "--weights", "random", "--limit", "4"),
        ("predict", run, "data"),
        ("verify", file, "--recompute", "1", "--data", "data"),
    )
    for command in commands:
        said = cli(*command, "--json", "--quiet")
        told = " ".join(said.json["notes"])
        assert said.err == "", said
        expected = LOST if command[0] != "predict" else LOST[1:]  # which needs no class
        for text in expected:
            assert text in told, (command, said)
        plain = cli(*command, "--quiet")
        for text in expected:
            assert text in (plain.out if command[0] == "index" else plain.err), (command, plain)
        hidden = cli(*command, "--quiet", *(() if command[0] == "verify" else ("--redact",)))
        assert ("loose.png" in hidden.out + hidden.err) == (command[0] == "verify")

    page = ("report", run, "--data", "data", "--no-images")
    assert all(text in cli(*page).err for text in LOST)  # before it comes to the heat, which takes a real network
    assert cli(*page, "--strict").code == 8


def test_strict_refuses_what_is_lost_before_anything_is_computed(cli: Cli, spoilt: Path) -> None:
    for command in (("extract", "data", *RANDOM), ("index", "data"), ("audit", "data", "--folds", "2")):
        said = cli(*command, "--strict")
        assert said.code == 8, (command, said)
    assert not list(Path("features").glob("*.h5"))
    (spoilt / "loose.png").unlink()
    next(spoilt.rglob("*.gif")).unlink()
    assert cli("extract", "data", *RANDOM, "--strict").code == 0  # a mask without an image is no loss


def test_the_audit_has_a_finding_of_what_was_lost(cli: Cli, spoilt: Path) -> None:
    checks = [one for one in cli("audit", "data", "--folds", "2", "--json").json["checks"] if one["check"] == "reading"]
    assert [one["status"] for one in checks] == ["fail", "warn"]
    assert all(text in checks[0]["why"] for text in LOST)
    assert NOTED in checks[1]["why"]


def test_a_folder_to_predict_is_walked_as_index_walks_it(cli: Cli, spoilt: Path) -> None:
    file = cli("extract", *RANDOM, "--json").json["files"][0]["path"]
    run = cli("fit-head", file, *HEAD, "--json").json["runs"][0]["run"]
    images = cli("index", "data", "--json").json["images"]
    predicted = cli("predict", run, "data", "--json").json
    assert len(predicted["predictions"]) == images + 1  # the one outside the classes is an image too
    assert predicted["quarantined"] == []


def test_links_are_followed_where_they_are_allowed(cli: Cli, data: Path, tmp_path: Path) -> None:
    (data / "metadata.csv").unlink()
    first = min(data.rglob("*.png"))
    moved = first.rename(tmp_path / "store.png")
    first.symlink_to(moved)
    refused = cli("index", "data", "--json").json
    assert [one["reason"] for one in refused["quarantined"]] == ["a link that leads out of the data folder"]
    assert f"--follow-links {tmp_path}" in " ".join(refused["notes"])
    allowed = cli("index", "data", "--json", "--follow-links", tmp_path).json
    assert (allowed["images"], allowed["quarantined"]) == (refused["images"] + 1, [])
    assert cli("extract", "data", *RANDOM, "--follow-links", tmp_path, "--strict").code == 0
