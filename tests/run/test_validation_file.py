from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from cxrfeat.errors import IntegrityError
from cxrfeat.run.folder import Run, read_run
from cxrfeat.run.validation_file import FORMAT, VERSION, read_validation, validations_of, write_validation
from tests.run.golden import golden
from tests.run.validations import some


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return read_run(shutil.copytree(golden("dropout").path, tmp_path / "mine"))


def test_a_validation_comes_back_as_it_was_written_and_a_newer_one_takes_its_place(run: Run) -> None:
    path = write_validation(run, some(run))
    assert path.parent == run.path / "validations"
    assert path.name.startswith("else_where-")
    assert read_validation(path) == some(run)
    newer = some(run, made="2027-01-01")
    assert write_validation(run, newer) == path
    other = write_validation(run, some(run, data_sha256="3" * 64))
    assert other != path
    assert {one.made for one in validations_of(run)} == {"2027-01-01", "2026-11-28"}
    assert read_run(run.path) == run, "the run itself is as it was"


def test_that_of_another_run_is_left_aside(run: Run) -> None:
    write_validation(run, some(run, identity="00000000"))
    assert validations_of(run) == []


@pytest.mark.parametrize("how", ["cut", "changed", "no json", "other", "classes", "nan"])
def test_a_damaged_validation_is_one_line_with_what_to_do(run: Run, how: str) -> None:
    path = write_validation(run, some(run))
    text = path.read_text()
    told = json.loads(text)
    path.write_text(
        {
            "cut": text[: len(text) // 2],
            "changed": text.replace("2026-11-28", "2026-11-29"),
            "no json": "rubbish",
            "other": json.dumps({"format": FORMAT, "version": VERSION + 1}),
            "classes": json.dumps(told | {"classes": ["A", "B"]}),
            "nan": json.dumps(told | {"more": float("nan")}),
        }[how]
    )
    with pytest.raises(IntegrityError, match=r"is damaged \(.*\)\. Validate the run again, or delete this file"):
        validations_of(run)
