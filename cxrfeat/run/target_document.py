"""What `run.json` holds of a run that predicts a number, or all findings, of images; `runs/README.md` specifies it.

Scores are as `metric.regression` and `metric.several` define them; what does not exist for the images of a run is
`None`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from cxrfeat.run.document import CommonDocument, HeadRecord, Interval, Search, UnlikeRecord
from cxrfeat.run.record import OMITTED, beside
from cxrfeat.spec import HeadKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenth:
    """A tenth of the images, from the least predicted number to the largest."""

    images: int
    predicted: float
    """Mean."""
    true: float
    """Mean."""
    true_ci: Interval | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberScores:
    """How near the predictions of a number are."""

    mae: float
    mae_ci: Interval | None
    rmse: float
    rmse_ci: Interval | None
    r2: float | None
    r2_ci: Interval | None
    tenths: tuple[Tenth, ...]
    images: int
    groups: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberRecord:
    """What `head.npz` holds of a head that predicts a number, and what its arrays need besides to predict."""

    kind: HeadKind
    dim: int
    """Width of the features."""
    level: float
    """Added to what the arrays give times `spread`."""
    spread: float
    arrays: tuple[str, ...]
    """Their names, sorted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingRates:
    """How well a finding, or the mean over several, is predicted of images that state it."""

    prevalence: float
    prevalence_ci: Interval | None
    auroc: float
    auroc_ci: Interval | None
    auprc: float
    auprc_ci: Interval | None
    sensitivity: float
    """Of calling it from its threshold on."""
    sensitivity_ci: Interval | None
    specificity: float
    specificity_ci: Interval | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingScores(FindingRates):
    """Of one finding."""

    threshold: float
    """The probability from which on it is called, chosen on validation images."""
    images: int
    groups: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingRecord:
    """One finding that a run predicts."""

    name: str
    unknown: int
    """Images of which it is not known, left out."""
    fitted: HeadRecord
    file: str
    """The name of the file of its arrays."""
    test: FindingScores


@dataclass(frozen=True, slots=True, kw_only=True)
class NotScored:
    """A finding that cannot be judged."""

    target: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetDocument(CommonDocument):
    """What a run of a number and one of all findings both say of themselves."""

    head: HeadKind
    unlike: UnlikeRecord

    @property
    def target(self) -> str:
        """What it predicts."""
        return self.identity.target

    @property
    def tta(self) -> bool:
        """Whether a prediction is the mean over the views; it is not."""
        return False


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberDocument(TargetDocument):
    """Of a run that predicts a number."""

    kind: Literal["number"] = "number"
    unknown: int
    """Images of which it is not known, left out."""
    fitted: NumberRecord
    validation: NumberScores | None
    """`None` where it is known of no validation image."""
    test: NumberScores
    search: Search | None = field(default=None, metadata=OMITTED)
    test_openings: int = field(default=1, metadata=beside("search"))
    """How many runs had been tested on this very split, this one included."""

    @property
    def names(self) -> tuple[str, ...]:
        """Of what it predicts."""
        return (self.identity.target,)


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingsDocument(TargetDocument):
    """Of a run that predicts all findings."""

    kind: Literal["findings"] = "findings"
    findings: tuple[FindingRecord, ...]
    mean: FindingRates
    """Over the findings."""
    not_scored: tuple[NotScored, ...]

    def __post_init__(self) -> None:
        """Refuse what no run holds.

        Raises:
            ValueError: If it tells nothing, or a finding twice, or its audit names images.
        """
        CommonDocument.__post_init__(self)
        if not self.findings or len(set(self.names)) != len(self.names):
            raise ValueError("its findings are none, or not all different")
        for one in self.findings:
            if len(one.fitted.classes) != 2:
                raise ValueError(f"the head of {one.name} tells {len(one.fitted.classes)} classes")

    @property
    def names(self) -> tuple[str, ...]:
        """Of what it predicts."""
        return tuple(one.name for one in self.findings)
