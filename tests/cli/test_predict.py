"""`cxrfeat predict` as people call it."""

from __future__ import annotations

from pathlib import Path

from tests.cli.conftest import Cli


def test_predictions_come_with_what_they_are_not(cli: Cli, features: Path, data: Path) -> None:
    assert cli("fit-head", "--head", "logreg", "--name", "mine").code == 0
    image = sorted(data.glob("COVID/images/*"))[0]
    said = cli("predict", "mine", image)
    assert said.code == 0, said.err
    assert "Research use only, never diagnosis" in said.out
    assert "RANDOM WEIGHTS" in said.out
    assert str(image) in said.out
    bad = []
    for number in range(4):
        bad.append(data / f"bad-{number}.png")
        bad[-1].write_text("no image")
    said = cli("predict", "mine", image, *bad)
    assert said.code == 4
    assert "4 of 5 images could not be used" in said.err
    assert str(image) in said.out
    assert cli("predict", "mine", image, *bad, "--max-bad", "4").code == 0
    said = cli("predict", "nowhere", image)
    assert said.code == 3
    assert "There is no run 'nowhere' in runs. There are:\n  mine" in said.err


def test_a_damaged_run_is_an_integrity_error(cli: Cli, features: Path, data: Path) -> None:
    assert cli("fit-head", "--head", "logreg", "--name", "mine").code == 0
    for name in ("head.npz", "novelty.npz", "run.json"):
        kept = Path("runs/mine", name).read_bytes()
        Path("runs/mine", name).write_bytes(b"{")
        said = cli("predict", "mine", "data/COVID/images")
        assert said.code == 5, name
        assert "damaged" in said.err
        Path("runs/mine", name).write_bytes(kept)
    assert cli("predict", "mine", "data/COVID/images").code == 0
