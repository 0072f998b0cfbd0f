"""`cxrfeat predict` as people call it."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from tests.cli.conftest import Cli, use_engine


def test_predictions_come_with_what_they_are_not(cli: Cli, features: Path, data: Path) -> None:
    assert cli("fit-head", "--head", "logreg", "--name", "mine").code == 0
    image = sorted(data.glob("COVID/images/*"))[0]
    said = cli("predict", "mine", image)
    assert said.code == 0, said.err
    assert "Research use only, never diagnosis" in said.out
    assert "RANDOM WEIGHTS" in said.out
    assert "Chosen" not in said.err
    said = cli("predict", "mine", image, "--verbose")
    assert "Chosen: What is kept from one command to the next is in" in said.err
    assert cli("predict", "mine", image, "--verbose", "--quiet").code == 2
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
    assert "There is no run 'nowhere' in runs. There are, the nearest first:\n  mine" in said.err


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


def test_the_engine_and_the_folder_of_the_features_are_options(cli: Cli, features: Path, data: Path) -> None:
    assert cli("fit-head", "--head", "logreg", "--name", "mine").code == 0
    said = cli("predict", "mine", "data/COVID/images", "--engine", "keras", "--features", "elsewhere", "--json")
    assert said.code == 0, said.err
    count = len(list(data.glob("COVID/images/*")))
    assert (said.json["rows_computed"], said.json["rows_reused"]) == (count, 0)
    assert cli("predict", "mine", "data/COVID/images", "--engine", "tflite").code == 2


def test_what_was_taken_from_a_file_is_said(
    cli: Cli, data: Path, tiny_network: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_engine(monkeypatch, None)
    assert cli("extract", "--backbone", tiny_network, "--preprocess", "tf", "--views", "1").code == 0
    assert cli("fit-head", "--head", "logreg", "--name", "mine").code == 0
    said = cli("predict", "mine", "data/COVID/images")
    assert said.code == 0, said.err
    count = len(list(data.glob("COVID/images/*")))
    assert (
        f"The features of {count} of these images were in features, and the network computed those of 0."
        in " ".join((said.out + said.err).split())
    )


def test_any_number_of_images_goes_into_a_csv_line_by_line_and_is_counted(cli: Cli, features: Path, data: Path) -> None:
    assert cli("fit-head", "--head", "logreg", "--name", "mine").code == 0
    (data / "bad.png").write_text("no image")
    asked = ("mine", "data/COVID/images", data / "bad.png", "--coverage", "0.9", "--threshold", "sensitivity-0.9")
    said = cli("predict", *asked, "--csv", "out.csv")
    assert said.code == 0, said.err
    with Path("out.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    told = cli("predict", *asked, "--json").json
    assert len(rows) == len(told["predictions"]) + 1
    for row, one in zip(rows, told["predictions"], strict=False):
        assert (row["image"], row["class"], row["answer"]) == (one["image"], one["label"], one["answer"])
        assert float(row["probability COVID"]) == one["probabilities"]["COVID"]
        assert row["set"] == "|".join(one["classes"])
        assert row["called COVID"] == ("yes" if one["called"]["COVID"] else "no")
    assert rows[-1]["unusable"].startswith("header: not an image")
    assert f"Predictions of mine: {len(rows) - 1} images" in " ".join(said.out.split()) or "RANDOM WEIGHTS" in said.out
    assert "Sets of classes hold the true one of 90% of new patients" in said.out
    assert "is called from" in said.out
    assert "is a false alarm for a share of" in said.out
    assert told["conformal"]["on_test"]["coverage"] is not None
    assert told["false_alarms"]["test"] is not None


def test_lines_of_json_come_one_by_one_after_what_they_go_by(cli: Cli, features: Path, data: Path) -> None:
    assert cli("fit-head", "--head", "logreg", "--name", "mine").code == 0
    said = cli("predict", "mine", "data/COVID/images", "--jsonl", "--quiet")
    first, *lines = (json.loads(line) for line in said.out.splitlines())
    assert first["run"] == "mine"
    assert [one["label"] for one in lines] == [
        one["label"] for one in cli("predict", "mine", "data/COVID/images", "--json").json["predictions"]
    ]
    assert cli("predict", "mine", "data/COVID/images", "--jsonl", "--json").code == 2
    for option, value, why in (
        ("--coverage", "90", "--coverage is a share above 0 and below 1, such as 0.9; got 90."),
        ("--threshold", "best", "--threshold is what to keep to, on validation images: sensitivity-0.9"),
    ):
        said = cli("predict", "mine", "data/COVID/images", option, value)
        assert said.code == 2
        assert why in said.err


def test_a_number_is_predicted_as_classes_are(cli: Cli, features: Path, data: Path) -> None:
    images = sorted(data.glob("*/images/*"))[:3]
    assert cli("fit-head", "--target", "age", "--name", "age").code == 0
    said = cli("predict", "age", *images)
    assert said.code == 0, said.err
    assert str(images[0]) in said.out
    assert "On the run's own test the mean absolute error of age was" in said.out
    assert cli("predict", "age", *images, "--coverage", "0.9").code == 2
    document = cli("predict", "age", *images, "--json").json
    assert (document["target"], document["on_test"]["mae"] > 0) == ("age", True)
    assert all(isinstance(one["value"], float) for one in document["predictions"])
    bad = data / "bad.png"
    bad.write_text("no image")
    said = cli("predict", "age", *images, bad, "--csv", "told.csv")
    assert "on average" in said.out
    with Path("told.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert [line["age"] == "" for line in lines] == [bool(line["unusable"]) for line in lines] == [False] * 3 + [True]
