"""What a validation of a run of classes on another data set says; `runs/README.md` specifies it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from cxrfeat.run.document import Evaluation, Interval, IntervalPerClass, PerClass
from cxrfeat.run.record import OMITTED
from cxrfeat.types import Finding


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Every score elsewhere less the same at home (`metric.gap`)."""

    accuracy: float | None
    accuracy_ci: Interval | None
    balanced_accuracy: float | None
    balanced_accuracy_ci: Interval | None
    macro_f1: float | None
    macro_f1_ci: Interval | None
    auroc: float | None
    auroc_ci: Interval | None
    auprc: float | None
    auprc_ci: Interval | None
    brier: float | None
    brier_ci: Interval | None
    log_loss: float | None
    log_loss_ci: Interval | None
    ece: float | None
    ece_ci: Interval | None
    sensitivity: PerClass
    sensitivity_ci: IntervalPerClass
    specificity: PerClass
    specificity_ci: IntervalPerClass
    precision: PerClass
    precision_ci: IntervalPerClass
    auroc_per_class: PerClass
    auroc_per_class_ci: IntervalPerClass
    auprc_per_class: PerClass
    auprc_per_class_ci: IntervalPerClass


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationLines:
    """Slope and intercept of each class against the rest (`metric.recalibration`), and the errors that go with them."""

    slope: PerClass
    slope_ci: IntervalPerClass
    intercept: PerClass
    intercept_ci: IntervalPerClass
    ece: float
    ece_ci: Interval | None
    log_loss: float
    log_loss_ci: Interval | None
    images: int
    groups: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Recalibrated:
    """What mending the probabilities on a part of the other set does for the rest of it."""

    share: float
    """Of the groups, that it was learned from."""
    images: int
    groups: int
    """Learned from."""
    slope: float
    shifts: Mapping[str, float]
    """By class."""
    before: CalibrationLines
    after: CalibrationLines
    """Both on the rest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unlike:
    """How many images are farther out than nearly all training images (`head.novelty`)."""

    share: float
    share_ci: Interval | None
    at_home: float | None
    """Of the run's own test images: what it is where nothing is unlike; `None` where their features are not there."""
    at_home_ci: Interval | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Apart:
    """How well images of one class can be told to be of this set or of the run's own, by their features alone."""

    auroc: float | None
    auroc_ci: Interval | None
    images: tuple[int, int]
    """Of the run's own, and of the other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceCounts:
    """Where the images of both sets are from; those of unknown source count as from their data set."""

    sources: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]
    """Images of each source by class, in the order of `classes`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OfSource:
    """The scores of the images of one source."""

    source: str
    images: int
    groups: int
    counts: Mapping[str, int]
    """Images by class."""
    accuracy: float
    accuracy_ci: Interval | None
    balanced_accuracy: float | None
    balanced_accuracy_ci: Interval | None
    auroc: float | None
    auroc_ci: Interval | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """An image of the other set that the run has seen, or whose patient it has."""

    image_id: str
    how: str
    part: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Validation:
    """How a run does on another data set."""

    identity: str
    """First digits of the digest of the run's identity."""
    dataset: str
    data_sha256: str
    features: str
    """Fingerprint of the features."""
    classes: tuple[str, ...]
    """Those of the run that are in both, which everything here is about."""
    renamed: Mapping[str, str]
    """By the name of a class elsewhere, the run's."""
    lacking: tuple[str, ...]
    """Classes of the run that the other set has no image of."""
    additional: Mapping[str, int]
    """Images by class, of classes that the run does not know: left out."""
    counts: Mapping[str, int]
    """Images by class, of those judged."""
    seen: tuple[Seen, ...]
    """Left out."""
    looked_for: tuple[str, ...]
    """In which ways images that were seen were looked for: `bytes`, `pixels`, `patients`."""
    internal: Evaluation
    """Of the run's own test, on `classes`."""
    external: Evaluation
    gap: Gap
    calibration: CalibrationLines
    recalibrated: Recalibrated | None
    out_of_distribution: Unlike
    apart: Mapping[str, Apart]
    """By class; empty where the features of the run's own images are not there."""
    sources: SourceCounts | None
    """`None` where the features of the run's own images are not there."""
    by_source: tuple[OfSource, ...]
    subgroups: tuple[Mapping[str, object], ...]
    """Rows of `subgroups` in the document of `compare`."""
    subgroup_gaps: tuple[Mapping[str, object], ...]
    audit: tuple[Finding, ...]
    notes: tuple[str, ...]
    made: str
    """The day, ISO 8601."""
    random_weights: bool = field(default=False, metadata=OMITTED)

    def __post_init__(self) -> None:
        """Refuse what does not go together.

        Raises:
            ValueError: If classes differ, or a finding names images.
        """
        if {self.internal.classes, self.external.classes} != {self.classes} or self.counts.keys() != set(self.classes):
            raise ValueError("its classes differ from place to place")
        if any(one.images for one in self.audit):
            raise ValueError("its audit names images")
