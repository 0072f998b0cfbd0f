from __future__ import annotations

from cxrfeat.reporting.doctor import doctor_table


def test_the_title_says_whether_it_would_work() -> None:
    check = {"check": "gpu", "status": "pass", "value": "none", "do": ""}
    table = doctor_table({"ok": True, "checks": [check]})
    assert table.title == "This machine: all that it takes is here"
    assert table.rows == (("pass", "gpu", "none.", ""),)
    failed = check | {"check": "weights", "status": "fail"}
    assert "see weights" in doctor_table({"ok": False, "checks": [check, failed]}).title
