from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cxrfeat.errors import IntegrityError
from cxrfeat.phantom.spec import PhantomSpec
from cxrfeat.workflow.demo import demo
from tests.stub import StubFactory

TINY = PhantomSpec(patients_per_class=6, size=64, duplicates=1, broken=1)
STAGES = ["index", "audit", "extract", "fit-head", "compare", "predict", "verify"]


@pytest.fixture(autouse=True)
def _no_heat(monkeypatch: pytest.MonkeyPatch) -> None:
    """Heat takes a real network, and here there is none."""
    monkeypatch.setattr("cxrfeat.workflow.demo.EXPLAINED", 0)


def test_the_demo_shows_every_stage_once_and_a_second_call_makes_nothing_again(
    tmp_path: Path, stub: StubFactory
) -> None:
    told: list[tuple[str, dict[str, Any]]] = []

    def again() -> None:
        made = demo(tmp_path, views=2, size=32, phantoms=TINY, make_engine=stub, tell=lambda *stage: told.append(stage))
        assert made.report.read_text(encoding="utf-8").startswith("<!doctype html>")
        assert made.features.parent == tmp_path / "features"
        assert made.document["report"] == str(made.report)

    again()
    assert [stage for stage, _ in told] == STAGES
    documents = dict(told)
    assert len(documents["index"]["quarantined"]) == 1
    assert [run["head"] for run in documents["fit-head"]["runs"]] == [
        "softmax", "dense", "dropout", "logreg", "svm-linear", "svm-rbf"
    ]  # fmt: skip
    assert not any(run["reused"] for run in documents["fit-head"]["runs"])
    assert documents["extract"]["files"][0]["random"], "no weights are here, and none are downloaded"
    assert documents["predict"]["predictions"]
    checks = {check["check"] for check in documents["audit"]["checks"]}
    assert {"reading", "copies", "controls"} <= checks, "too few patients for controls, which is said"
    assert "Copies" in (tmp_path / "audit.html").read_text(encoding="utf-8")
    report = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "RANDOM WEIGHTS" in report
    assert "Copies found" in report

    pictures = {path: path.stat().st_mtime_ns for path in (tmp_path / "data").rglob("*.*")}
    runs = {path: path.stat().st_mtime_ns for path in (tmp_path / "runs").rglob("*.*")}
    page = (tmp_path / "report.html").stat().st_mtime_ns
    stub.made.clear()
    told.clear()
    again()
    assert (tmp_path / "report.html").stat().st_mtime_ns == page, "the page was made again, heat maps and all"
    assert [stage for stage, _ in told] == STAGES
    documents = dict(told)
    assert documents["extract"]["files"][0]["rows_computed"] == 0
    assert all(run["reused"] for run in documents["fit-head"]["runs"])
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "data").rglob("*.*")} == pictures
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "runs").rglob("*.*")} == runs
    shown = len(documents["predict"]["predictions"])
    assert stub.rows == shown, "the network saw the predicted images and nothing else"

    (tmp_path / "report.html").unlink()
    again()
    assert (tmp_path / "report.html").is_file()


@pytest.mark.slow
def test_a_damaged_feature_file_stops_the_demo(
    tmp_path: Path, stub: StubFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cxrfeat.workflow.demo.MAIN_KINDS", ("logreg", "svm-linear"))
    made = demo(tmp_path, views=1, size=32, phantoms=TINY, make_engine=stub)
    content = bytearray(made.features.read_bytes())
    content[len(content) // 2] ^= 255
    made.features.write_bytes(bytes(content))
    with pytest.raises(IntegrityError, match="damaged"):
        demo(tmp_path, views=1, size=32, phantoms=TINY, make_engine=stub)
