"""What every finding must be."""

from __future__ import annotations

from cxrfeat.types import Finding, Status


def verdict(finding: Finding, check: str) -> Status:
    """The status of a finding that is of this check, with a sentence, and a remedy unless all is well."""
    assert finding.check == check
    assert finding.why.endswith(".")
    assert bool(finding.do) == (finding.status is not Status.PASS)
    return finding.status
