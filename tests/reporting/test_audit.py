from __future__ import annotations

from cxrfeat.reporting.audit import audit_table


def test_checks_that_passed_are_not_shown() -> None:
    passed = {"check": "a", "status": "pass", "why": "w", "do": ""}
    failed = {"check": "b", "status": "fail", "why": "x", "do": "y"}
    assert audit_table([passed]) is None
    made = audit_table([failed, passed])
    assert made is not None
    assert made.rows == (("fail", "b", "x", "y"),)
