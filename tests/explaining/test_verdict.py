from __future__ import annotations

from pathlib import Path

import pytest

from cxrfeat.explaining.explained import Explained
from cxrfeat.run.folder import Run
from cxrfeat.workflow.explain import explain
from tests.run.reading import cells


def test_every_question_has_a_verdict(explained: Explained) -> None:
    assert {one.check for one in explained.findings} == {
        "hot corner", "heat in lungs", "heat in border", "agreement of views", "randomised weights",
    }  # fmt: skip
    for one in explained.findings:
        assert one.why.endswith(".")
        assert one.status == "pass" or one.do
    assert set(explained.means) <= {"COVID", "NORMAL"}
    for name, mean in explained.means.items():
        assert mean.frame.shape == (64, 64)
        assert mean.heat.shape == mean.picture.shape == (32, 32)
        assert mean.images >= sum(one.explained == name for one in explained.images)
    for name, some in explained.typical.items():
        scores = [one.score for one in some]
        assert scores == sorted(scores, reverse=True)
        assert {one.label for one in some} <= {name}


@pytest.mark.slow
def test_what_the_verdicts_rest_on_is_said(chest_run: Run, chests: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tested = cells(chest_run, "predictions.csv")["part"].count("test")
    assert not any("Judged on" in note for note in explain(chest_run, data=chests, count=2).notes)
    found = explain(chest_run, data=chests, count=4, method="occlusion")
    right = sum(bool(one.right) for one in found.images)
    assert (
        f"Judged on 4 of {tested} test images, those shown: {right} predicted right and {4 - right} wrong."
        in found.notes
    )
    assert any(note.startswith("Agreement of views and randomised weights were not checked") for note in found.notes)
    assert len(found.findings) == 3
    monkeypatch.setattr("cxrfeat.explaining.images.CHECKED", 6)
    assert any(
        f"Judged on 6 of {tested} test images, drawn by" in note
        for note in explain(chest_run, data=chests, count=2).notes
    )
