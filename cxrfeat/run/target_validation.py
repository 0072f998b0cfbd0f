"""What a validation of a run of a number, or of all findings, on another data set says; `runs/README.md` specifies it.

What does not exist for the images is `None`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from cxrfeat.run.document import Interval
from cxrfeat.run.record import OMITTED
from cxrfeat.run.target_document import FindingRates, FindingScores, NotScored, NumberScores
from cxrfeat.run.validation import Apart, Seen, Unlike
from cxrfeat.types import Finding


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberGap:
    """Every score of a number elsewhere less the same at home."""

    mae: float | None
    mae_ci: Interval | None
    rmse: float | None
    rmse_ci: Interval | None
    r2: float | None
    r2_ci: Interval | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberLine:
    """How the true numbers follow the predicted ones (`metric.regression.number_line`)."""

    slope: float | None
    slope_ci: Interval | None
    bias: float
    bias_ci: Interval | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RatesGap:
    """Every rate of a finding, or of the mean over several, elsewhere less the same at home."""

    prevalence: float | None
    prevalence_ci: Interval | None
    auroc: float | None
    auroc_ci: Interval | None
    auprc: float | None
    auprc_ci: Interval | None
    sensitivity: float | None
    sensitivity_ci: Interval | None
    specificity: float | None
    specificity_ci: Interval | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingLine:
    """Whether the probabilities of a finding carry over (`metric.recalibration.calibration_lines`)."""

    slope: float | None
    slope_ci: Interval | None
    intercept: float | None
    intercept_ci: Interval | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OutsideFinding:
    """One finding elsewhere."""

    name: str
    unknown: int
    """Images left out of it, of which it is not known."""
    internal: FindingScores
    """Of the run's own test."""
    external: FindingScores
    """From the same threshold on."""
    gap: RatesGap
    calibration: FindingLine


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetValidation:
    """What a validation of a number and one of all findings both say."""

    identity: str
    """First digits of the digest of the run's identity."""
    dataset: str
    data_sha256: str
    features: str
    """Fingerprint of the features."""
    target: str
    """The number, or `findings`."""
    renamed: Mapping[str, str]
    """By the name of a finding, or of the number, elsewhere, the run's."""
    seen: tuple[Seen, ...]
    """Left out."""
    looked_for: tuple[str, ...]
    """In which ways images that were seen were looked for: `bytes`, `pixels`, `patients`."""
    out_of_distribution: Unlike
    apart: Apart | None
    """Of all that are judged; `None` where the features of the run's own images are not there."""
    audit: tuple[Finding, ...]
    notes: tuple[str, ...]
    made: str
    """The day, ISO 8601."""
    random_weights: bool = field(default=False, metadata=OMITTED)

    def __post_init__(self) -> None:
        """Refuse what does not go together.

        Raises:
            ValueError: If a finding of the audit names images.
        """
        if any(one.images for one in self.audit):
            raise ValueError("its audit names images")


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberValidation(TargetValidation):
    """How a run that tells a number does on another data set."""

    kind: Literal["number"] = "number"
    unknown: int
    """Images left out, of which it is not known."""
    internal: NumberScores
    """Of the run's own test."""
    external: NumberScores
    gap: NumberGap
    calibration: NumberLine


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingsValidation(TargetValidation):
    """How a run that tells all findings does on another data set."""

    kind: Literal["findings"] = "findings"
    findings: tuple[OutsideFinding, ...]
    """Those that both state, in the order of the run's: what the means are over."""
    internal: FindingRates
    """Mean over the findings."""
    external: FindingRates
    gap: RatesGap
    lacking: tuple[str, ...]
    """Findings of the run that the other set does not state."""
    not_scored: tuple[NotScored, ...]
    """Those that it states of too few patients."""

    def __post_init__(self) -> None:
        """Refuse what does not go together.

        Raises:
            ValueError: If it is of no finding, or of one twice, or its audit names images.
        """
        TargetValidation.__post_init__(self)
        names = [one.name for one in self.findings]
        if not names or len(set(names)) != len(names):
            raise ValueError("its findings are none, or not all different")
