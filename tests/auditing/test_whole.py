from __future__ import annotations

import csv
import shlex
from pathlib import Path

import pytest
from PIL import Image

from cxrfeat.auditing.result import AuditResult
from cxrfeat.auditing.whole import remedy
from cxrfeat.cli.words import as_typed
from cxrfeat.types import Status
from cxrfeat.workflow.audit import audit
from tests.auditing.shortcuts import rewrite, small, statuses


@pytest.mark.slow
def test_a_letter_at_random_passes(free_audit: AuditResult) -> None:
    assert free_audit.failed == []
    found = statuses(free_audit)
    assert found["border only"] is Status.PASS
    assert found["source"] is Status.PASS
    assert found["container"] is Status.PASS
    assert {"children", "sex", "age", "view_position"} <= set(found), "the phantoms' metadata are looked at"


@pytest.mark.slow
def test_one_empty_cell_in_each_column_changes_no_verdict(tmp_path: Path) -> None:
    data = small(tmp_path / "data", classes=("COVID", "NORMAL"), patients_per_class=16, source_by_class=True)
    of = {"COVID": ("F", "9", "AP"), "NORMAL": ("M", "60", "PA")}

    def tell(number: int, row: dict[str, str]) -> dict[str, str]:
        sex, age, position = of[row["label"]]
        part = ("train", "validation", "test")[number % 3]
        return {**row, "sex": sex, "age": age, "view_position": position, "split": part}

    rewrite(data, tell)
    table = (data / "metadata.csv").read_bytes()
    whole = statuses(audit(data))
    assert {whole[name] for name in ("source", "age", "sex", "view_position", "children")} == {Status.FAIL}
    for gone in (0, 31):

        def empty(number: int, row: dict[str, str], gone: int = gone) -> dict[str, str]:
            emptied = dict.fromkeys(("sex", "age", "view_position", "source", "split"), "")
            return row | emptied if number == gone else row

        (data / "metadata.csv").write_bytes(table)
        rewrite(data, empty)
        result = audit(data)
        some = statuses(result)
        assert some["reading"] is Status.FAIL, "an image without a part is lost to the split"
        assert {name: some[name] for name in whole if name != "reading"} == {
            name: status for name, status in whole.items() if name != "reading"
        }
        told = {one.check: one for one in result.findings}
        assert told["unknown sources"].value == 1
        assert told["unknown metadata"].value == 1
        assert result.sources.counts.sum() == 31


def test_a_number_of_two_people_is_found(tmp_path: Path) -> None:
    data = small(tmp_path / "data", classes=("COVID", "NORMAL"))
    rewrite(data, lambda number, row: {**row, "patient_id": str(number % 10), "source": f"S{number // 10}"})
    (found,) = (one for one in audit(data).findings if one.check == "patient numbers")
    assert found.status is Status.WARN
    assert "10 of 10 patient numbers do not seem to be one person: 10 in several sources" in found.why
    assert len(found.images) == 20


def test_copies_of_one_patient_and_across_parts_are_told(tmp_path: Path) -> None:
    data = small(tmp_path / "data", classes=("COVID", "NORMAL"))
    with (data / "metadata.csv").open(newline="") as file:
        first, second = list(csv.DictReader(file))[:2]
    with Image.open(data / first["image"]) as image:
        image.resize((96, 96)).save(data / second["image"])

    def change(number: int, row: dict[str, str]) -> dict[str, str]:
        return {**row, "patient_id": "p" if number < 2 else row["patient_id"], "split": "test" if number else "train"}

    rewrite(data, change)
    result = audit(data)
    (copy,) = result.copies
    told = copy.to_dict()
    assert {told["image"], told["copy"]} == {first["image"], second["image"]}
    assert (told["kind"], told["same_patient"], told["across_parts"]) == ("near", "yes", "yes")
    assert told["leave_out"] == first["image"], "the one that does not test"
    found = {one.check: one for one in result.findings}
    assert found["copies"].status is Status.WARN
    assert "1 of one patient" in found["copies"].why
    assert found["copies across the split"].status is Status.FAIL


def test_hints_can_be_pasted() -> None:
    data, kept = "my data", "it's/a file.h5"
    hint = as_typed(remedy(data, kept, mitigated=False))
    assert shlex.split(hint[hint.index("cxrfeat") :]) == [
        "cxrfeat", "audit", "my data", "--cache", "it's/a file.h5", "--mitigate"
    ]  # fmt: skip
    hint = as_typed(remedy(data, None, mitigated=False))
    assert shlex.split(hint[hint.index("cxrfeat") :])[:3] == ["cxrfeat", "audit", "my data"]
    assert "mitigate" not in remedy(data, kept, mitigated=True), "that was done"
