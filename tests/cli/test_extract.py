"""`cxrfeat extract` as people call it."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from tests.cli.conftest import RANDOM, Cli, use_engine
from tests.stub import StubFactory


def test_a_second_extraction_computes_nothing_and_a_new_image_only_itself(cli: Cli, data: Path) -> None:
    (data / "metadata.csv").unlink()
    first = cli("extract", *RANDOM, "--json").json["files"][0]
    again = cli("extract", *RANDOM, "--json").json["files"][0]
    assert (again["rows_computed"], again["rows_reused"]) == (0, first["images"])
    shutil.copy(sorted(data.glob("COVID/masks/*"))[0], data / "COVID" / "images" / "new.png")
    third = cli("extract", *RANDOM, "--json").json["files"][0]
    assert (third["rows_computed"], third["rows_reused"]) == (1, first["images"])


def test_table_and_document_say_who_prepared_the_images(
    cli: Cli, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert data.is_dir()
    said = cli("extract", *RANDOM).out
    told = cli("extract", *RANDOM, "--features", tmp_path / "other", "--json").json["files"][0]
    assert re.fullmatch(r"\d+ threads?", told["workers"])
    assert f"prepared by {told['workers']}" in said
    monkeypatch.setattr("cxrfeat.view.stream.crew_pays", lambda *_: True)
    told = cli("extract", *RANDOM, "--features", tmp_path / "third", "--json").json["files"][0]
    assert re.fullmatch(r"\d+ process(es)?", told["workers"])
    assert cli("extract", *RANDOM, "--json").json["files"][0]["workers"] == "", "none was computed"
    assert "prepared" not in cli("extract", *RANDOM).out


@pytest.mark.slow
def test_masks_and_letters_are_asked_for_by_name(cli: Cli, data: Path) -> None:
    paths = set()
    for options in ([], ["--mask", "none"], ["--mask", "lungs"], ["--mask", "outside"], ["--remove-letters"]):
        said = cli("extract", *RANDOM, *options, "--json")
        assert said.code == 0, said.err
        paths.add(said.json["files"][0]["path"])
    assert len(paths) == 4, "none is the default"
    said = cli("extract", *RANDOM, "--mask", "heart")
    assert (said.code, said.out) == (2, "")
    assert "--mask is none, lungs or outside; got 'heart'" in said.err
    shutil.rmtree(data / "COVID" / "masks")
    said = cli("extract", *RANDOM, "--mask", "lungs")
    assert said.code == 3
    assert "images have no lung mask" in said.err
    assert cli("extract", *RANDOM, "--mask", "outside").code == 0


def test_extract_says_which_images_are_in_no_part_of_a_split_it_binds_to(cli: Cli, data: Path) -> None:
    table = data / "metadata.csv"
    lines = table.read_text().splitlines()
    place = lines[0].split(",").index("patient_id")
    numbers: dict[str, int] = {}
    parts = [
        ("train", "test", "validation")[numbers.setdefault(line.split(",")[place], len(numbers)) % 3]
        for line in lines[1:]
    ]
    rows = [f"{line},{part}" for line, part in zip(lines[1:], parts, strict=True)]
    rows[0] = rows[0].rsplit(",", 1)[0] + ","
    table.write_text("\n".join([f"{lines[0]},split", *rows]) + "\n")
    said = cli("extract", *RANDOM, "--normalize", "featurewise", "--quiet")
    assert said.code == 0, said.err
    assert "WARN  dropped parts" in said.out
    assert "the split that the features are bound to" in " ".join(said.out.split())
    assert [one["check"] for one in cli("extract", *RANDOM, "--normalize", "featurewise", "--json").json["audit"]] == [
        "dropped parts"
    ]
    assert cli("extract", *RANDOM, "--json").json["audit"] == []
    said = cli("extract", *RANDOM, "--split-by", "date")
    assert said.code == 2
    assert "cxrfeat fit-head --split-by" in said.err


def test_featurewise_features_keep_their_split(cli: Cli, data: Path) -> None:
    said = cli("extract", *RANDOM, "--normalize", "featurewise", "--json")
    assert said.code == 0, said.err
    assert cli("fit-head", "--head", "logreg").code == 0
    for options in (["--folds", "2"], ["--split-by", "paper"], ["--split", "date"]):
        said = cli("fit-head", "--head", "logreg", *options)
        assert said.code == 3
        assert "no other split of it is honest" in said.err


def test_verbose_says_on_stderr_what_was_chosen_and_why(cli: Cli, data: Path) -> None:
    assert data.is_dir()
    said = cli("extract", *RANDOM, "--verbose", "--json")
    assert (said.code, said.json["files"][0]["rows_computed"] > 0) == (0, True)
    workers = said.json["files"][0]["workers"]
    assert f"Chosen: Images are prepared by {workers}: processes are for " in said.err
    assert re.search(r"Chosen: resnet50 is given \d+ views at a time, and may use \d+ threads? on a CPU\.", said.err)
    assert re.search(r"Chosen: What is kept from one command to the next is in .", said.err)
    assert "Chosen" not in cli("extract", *RANDOM, "--features", "others").err, "unless it is asked for"
    assert "at a time" not in cli("extract", *RANDOM, "-v").err, "nothing is computed again"


def test_verbose_says_why_an_engine_was_chosen(cli: Cli, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert data.is_dir()
    use_engine(monkeypatch, None)
    monkeypatch.setattr("cxrfeat.feature.task.find_engine", lambda name: StubFactory())
    said = cli("extract", *RANDOM, "-v", "--engine", "keras")
    assert said.code == 0, said.err
    assert "Chosen: resnet50 is run by the engine keras: it was asked for." in said.err
