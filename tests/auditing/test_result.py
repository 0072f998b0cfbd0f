from __future__ import annotations

from html import escape

from cxrfeat.auditing.changed import CONTROL_VIEWS
from cxrfeat.auditing.result import AuditResult
from cxrfeat.auditing.whole import MODEL


def test_the_document_has_every_figure(tied_audit: AuditResult) -> None:
    told = tied_audit.to_dict()
    assert set(told["controls"]) >= {"container", "thumbnail", "histogram", *CONTROL_VIEWS, MODEL}
    for scores in told["controls"].values():
        assert scores["auroc_ci"][0] <= scores["auroc"] <= scores["auroc_ci"][1]
    assert told["controls"][MODEL]["auroc"] > 0.7
    assert told["within_source"]["pairs"][0]["identifiable"]
    assert told["sources"]["cramers_v"] < 0.2


def test_failed_checks_are_those_that_failed(tied_audit: AuditResult) -> None:
    assert [one.check for one in tied_audit.failed] == [
        one["check"] for one in tied_audit.to_dict()["checks"] if one["status"] == "fail"
    ]
    assert "letters" in {one.check for one in tied_audit.failed}


def test_a_notebook_shows_every_check(tied_audit: AuditResult) -> None:
    shown = tied_audit._repr_html_()
    for one in tied_audit.findings:
        assert escape(one.why) in shown
    assert shown.index(">fail<") < shown.index(">pass<")
