"""What an audit gives: findings, and the figures behind them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from cxrfeat.auditing.changed import Mitigation
from cxrfeat.auditing.copies import Copy
from cxrfeat.auditing.source import SourceTable
from cxrfeat.image.row import Quarantined
from cxrfeat.notebook import brief, html_table
from cxrfeat.run.document import Encoded, WithinSource
from cxrfeat.run.record import to_json
from cxrfeat.types import Finding, Status


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditResult:
    """Everything the audit found."""

    images: int
    classes: tuple[str, ...]
    findings: tuple[Finding, ...]
    """Failed ones first."""
    sources: SourceTable
    within_source: WithinSource | None
    """Scores of the model among images of one source, where there is a model."""
    controls: dict[str, dict[str, Any]]
    """Scores of each control, and of the model under `model`."""
    encoded: tuple[Encoded, ...]
    """What the features predict besides the class, where there are features."""
    copies: tuple[Copy, ...]
    """Pairs of images that are copies of one picture."""
    mitigations: tuple[Mitigation, ...]
    quarantined: tuple[Quarantined, ...]
    contents: dict[str, str]
    """Content hash of each image, by its path."""

    __repr__ = brief

    @property
    def failed(self) -> list[Finding]:
        """The checks that failed."""
        return [finding for finding in self.findings if finding.status is Status.FAIL]

    def _repr_html_(self) -> str:
        """What a notebook shows: every check, failed ones first."""
        rows = [(str(one.status), one.check, one.why, one.do) for one in self.findings]
        return html_table("Before you believe any score", ("", "check", "why", "what to do"), rows)

    def to_dict(self) -> dict[str, Any]:
        """The JSON document of `audit`."""
        return {
            "images": self.images,
            "classes": list(self.classes),
            "checks": [asdict(finding) for finding in self.findings],
            "sources": self.sources.to_dict(),
            "within_source": to_json(self.within_source),
            "controls": self.controls,
            "encoded": to_json(self.encoded),
            "copies": [one.to_dict() for one in self.copies],
            "mitigations": [asdict(one) for one in self.mitigations],
            "quarantined": [asdict(one) for one in self.quarantined],
        }
