from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from cxrfeat.reporting.page import render_report
from tests.reporting.contents import content, heat, with_heat
from tests.reporting.reader import read


def test_a_class_that_has_no_curve_is_named(tmp_path: Path) -> None:
    made = content(tmp_path)
    assert "Without a curve" not in render_report(made)
    (data,) = made.data
    first = data.runs[0]
    name = next(iter(first.roc))
    bare = replace(first, roc={**first.roc, name: None})
    page = render_report(replace(made, data=(replace(data, runs=(bare, *data.runs[1:])),)))
    assert page.count(f"Without a curve: {name}.") == 1


def test_a_heat_map_has_a_slider_and_says_right_or_wrong(tmp_path: Path) -> None:
    made = content(tmp_path)
    right = read(render_report(with_heat(made, heat())))
    assert "COVID, taken for COVID (right)" in right.text
    assert "A note." in right.text
    sliders = [attributes for tag, attributes in right.elements if attributes.get("type") == "range"]
    labelled = {attributes["for"] for tag, attributes in right.elements if tag == "label" and "for" in attributes}
    assert len(sliders) == 2
    assert {attributes["id"] for attributes in sliders} <= labelled
    wrong = read(render_report(with_heat(made, heat(predicted="NORMAL"))))
    assert "COVID, taken for NORMAL (wrong)" in wrong.text
