from __future__ import annotations

import csv
import shutil
import stat
from pathlib import Path

import pytest

from cxrfeat.phantom.spec import PhantomSpec
from cxrfeat.phantom.writing import write_phantoms
from tests.cli.conftest import RANDOM, Cli


@pytest.fixture(scope="module")
def leaky(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Phantoms of which the hospital tells the class."""
    folder = tmp_path_factory.mktemp("leaky") / "data"
    spec = PhantomSpec(
        classes=("COVID", "NORMAL"), patients_per_class=12, size=64, source_by_class=True, letters="none"
    )
    write_phantoms(folder, spec)
    return folder


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clean") / "data"
    write_phantoms(folder, PhantomSpec(classes=("COVID", "NORMAL"), patients_per_class=12, size=64, letters="none"))
    return folder


def test_the_audit_is_one_document(cli: Cli, leaky: Path) -> None:
    said = cli("audit", str(leaky), "--json")
    assert said.code == 0, said.err
    assert said.err == ""
    assert {"checks", "copies", "controls", "sources", "mitigations"} <= set(said.json)
    order = [("fail", "warn", "pass").index(one["status"]) for one in said.json["checks"]]
    assert order == sorted(order)
    assert {one["check"] for one in said.json["checks"] if one["status"] == "fail"} >= {"source", "container"}
    assert all(set(one) == {"check", "status", "value", "why", "do", "images", "strict"} for one in said.json["checks"])


def test_strict_turns_a_failed_check_into_8_and_a_clean_set_into_0(cli: Cli, leaky: Path, clean: Path) -> None:
    said = cli("audit", str(leaky), "--strict")
    assert said.code == 8
    assert "source" in said.err
    assert said.out.index("FAIL") < said.out.index("Controls")
    said = cli("audit", str(clean), "--strict")
    assert said.code == 0, said.err
    assert "FAIL" not in said.out


def test_a_feature_file_adds_the_model_and_images_without_lungs(cli: Cli, clean: Path) -> None:
    made = cli("extract", str(clean), *RANDOM, "--json")
    assert made.code == 0, made.err
    said = cli("audit", str(clean), "--cache", made.json["files"][0]["path"], "--mitigate")
    assert said.code == 0, said.err
    for text in ("lungs out", "border only", "shuffled blocks", "model", "Making it look at the lungs", "darken"):
        assert text in said.out


def test_a_page_shows_the_images_and_redacted_shows_none(cli: Cli, clean: Path, tmp_path: Path) -> None:
    copied = tmp_path / "copied"
    shutil.copytree(clean, copied)
    (copied / "metadata.csv").unlink()
    first = sorted((copied / "COVID" / "images").iterdir())[0]
    shutil.copy(first, first.with_name(f"copy{first.suffix}"))
    said = cli("audit", str(copied), "--page", "audit.html")
    assert said.code == 0, said.err
    assert "audit.html" in said.out
    page = (tmp_path / "audit.html").read_text()
    assert page.count('<img src="data:image/png;base64,') >= 2
    assert f"copy{first.suffix}" in page
    assert cli("audit", str(copied), "--page", "audit.html", "--redact", "--quiet").code == 0
    page = (tmp_path / "audit.html").read_text()
    assert "<img" not in page
    assert f"copy{first.suffix}" not in page


def test_copies_are_written_with_what_to_leave_out(cli: Cli, clean: Path, tmp_path: Path) -> None:
    copied = tmp_path / "two copies"
    shutil.copytree(clean, copied)
    first = sorted((copied / "COVID" / "images").iterdir())[0]
    (copied / "metadata.csv").unlink()
    shutil.copy(first, first.with_name(f"zcopy{first.suffix}"))
    said = cli("audit", str(copied), "--copies", "copies.csv", "--json")
    assert said.code == 0, said.err
    assert stat.S_IMODE((tmp_path / "copies.csv").stat().st_mode) == 0o600
    with (tmp_path / "copies.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["image"], row["copy"]) == tuple(f"COVID/images/{name}" for name in (first.name, f"zcopy{first.suffix}"))
    assert (row["kind"], row["distance"], row["leave_out"]) == ("same bytes", "0.0", row["copy"])
    assert said.json["copies"][0]["leave_out"] == row["leave_out"]
    assert cli("audit", str(copied), "--copies", "copies.csv", "--redact", "--quiet").code == 0
    assert first.name not in (tmp_path / "copies.csv").read_text()


@pytest.mark.slow
def test_strict_counts_what_is_known(cli: Cli, leaky: Path, tmp_path: Path) -> None:
    one = tmp_path / "one"
    shutil.copytree(leaky, one)
    table = (one / "metadata.csv").read_text().replace(",Hospital B,", ",,", 1).replace(",Hospital A,", ",,", 1)
    (one / "metadata.csv").write_text(table)
    said = cli("audit", str(one), "--strict")
    assert said.code == 8, said.err
    assert "source" in said.err
    assert "unknown sources" not in said.err
    assert "unknown sources: The source of 2 of" in said.out
    assert cli("extract", str(one), *RANDOM).code == 0
    said = cli("fit-head", "--head", "ridge", "--folds", "3", "--strict")
    assert said.code == 8, said.err
    assert "unknown sources" in said.out
    (file,) = (tmp_path / "features").glob("*.h5")
    assert "audit DATA" not in said.out
    assert f"        cxrfeat audit one --cache features/{file.name} --mitigate\n" in said.out


def test_redact_names_no_image(cli: Cli, leaky: Path) -> None:
    said = cli("audit", str(leaky), "--json", "--redact")
    assert said.code == 0, said.err
    assert ".png" not in said.out.replace('".png"', "")
    assert "/images/" not in said.out
    assert "cxrfeat audit DATA --cache" in said.out
    assert str(leaky) not in said.out


def test_what_cannot_be_audited_is_a_sentence_and_a_code(cli: Cli, clean: Path, tmp_path: Path) -> None:
    said = cli("audit", str(clean), "--mitigate")
    assert said.code == 3
    assert "--cache" in said.err
    (tmp_path / "no.h5").write_bytes(b"rubbish")
    assert cli("audit", str(clean), "--cache", "no.h5").code in (3, 5)
    assert cli("audit", "nowhere").code == 3
    assert cli("audit", str(clean), "--folds", "1").code == 3
    assert cli("audit", str(clean), "--copies", "nowhere/copies.csv").code == 3
    assert cli("audit", str(clean), "--copies", tmp_path).code == 3
