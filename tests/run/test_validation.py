from __future__ import annotations

from dataclasses import fields

import pytest

from cxrfeat.metric.gap import BY_CLASS, FIGURES
from cxrfeat.run.validation import (
    Apart,
    CalibrationLines,
    Gap,
    OfSource,
    Recalibrated,
    Seen,
    SourceCounts,
    Unlike,
    Validation,
)
from cxrfeat.types import Finding, Status
from tests.run.golden import golden
from tests.run.page import page_tables
from tests.run.validations import some


def test_a_finding_that_names_images_is_not_kept() -> None:
    bad = Finding(check="x", status=Status.WARN, why="y", images=("a.png",))
    with pytest.raises(ValueError, match="its audit names images"):
        some(golden("dropout"), audit=(bad,))


SECTIONS: dict[str, type] = {
    "Validation": Validation, "Seen": Seen, "Calibration lines": CalibrationLines, "Recalibrated": Recalibrated,
    "Share unlike": Unlike, "Apart": Apart, "Source counts": SourceCounts, "Of source": OfSource,
}  # fmt: skip


def test_page_and_code_have_the_same_keys() -> None:
    told = page_tables("#### ")
    for name, kind in SECTIONS.items():
        more = {"format", "version", "digest"} if kind is Validation else set()
        assert set(told[name]) == {one.name for one in fields(kind)} | more, name
    names = {*FIGURES, *BY_CLASS}
    assert {one.name for one in fields(Gap)} == names | {f"{name}_ci" for name in names}
