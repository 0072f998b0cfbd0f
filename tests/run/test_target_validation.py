from __future__ import annotations

from dataclasses import fields

from cxrfeat.metric.regression import ERRORS
from cxrfeat.metric.several import RATES
from cxrfeat.run.target_validation import (
    FindingLine,
    FindingsValidation,
    NumberGap,
    NumberLine,
    NumberValidation,
    OutsideFinding,
    RatesGap,
    TargetValidation,
)
from tests.run.page import page_tables


def test_page_and_code_have_the_same_keys() -> None:
    told = page_tables("#### ")
    both = {one.name for one in fields(TargetValidation)}
    assert set(told["Validation of a run of another target"]) == {"target", "apart"}
    assert {"target", "apart"} < both <= {*told["Validation"], "target"}
    kinds = {"Validation of a number": NumberValidation, "Validation of all findings": FindingsValidation}
    for name, kind in kinds.items():
        assert set(told[name]) == {one.name for one in fields(kind)} - both, name
    sections = {"Finding elsewhere": OutsideFinding, "Line of a number": NumberLine, "Line of a finding": FindingLine}
    for name, section in sections.items():
        assert set(told[name]) == {one.name for one in fields(section)}, name
    for gap, names in ((NumberGap, ERRORS), (RatesGap, RATES)):
        assert {one.name for one in fields(gap)} == {*names, *(f"{name}_ci" for name in names)}
