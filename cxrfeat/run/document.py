"""Everything that `run.json` holds, as typed values; `runs/README.md` specifies it.

Scores are as the modules of `metric/` define them, in whose words they are described there; what does not exist for the
images of a run is `None`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from cxrfeat.run.record import FLAT, OMITTED, beside
from cxrfeat.spec import By, FeatureSpec, FinetuneSpec, HeadKind, HeadSpec, Sampler
from cxrfeat.types import Finding

Interval = tuple[float, float]
"""Lower and upper end, at 95 %."""

PerClass = Mapping[str, float | None]
IntervalPerClass = Mapping[str, Interval | None]
"""By the name of the class."""

_OF_CLASSES = ("auroc_per_class", "auprc_per_class", "sensitivity", "specificity", "precision")


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitRecord:
    """How the images were parted; equal ones part them in the same way."""

    by: Literal["group", "date", "column", "paper", "bound", "folds", "source-out"]
    seed: int
    sha256: str
    """Digest of which contents are in which part."""
    regroup: bool = field(default=False, metadata=OMITTED)
    folds: int = field(default=0, metadata=OMITTED)
    repeats: int = field(default=1, metadata=OMITTED)
    unknown_left_out: int = field(default=0, metadata=OMITTED)
    """Images of unknown source, which are in no part."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchSettings:
    """How a head was searched for."""

    space: int
    """Revision of the search space."""
    strengths: str
    """Digest of the strengths that paths go through."""
    heads: tuple[HeadKind, ...]
    trials: int
    inner_folds: int
    sampler: Sampler
    by: By
    """What was chosen by."""
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Everything that the numbers of a run depend on, and what was asked for: equal ones are the same run.

    What was asked for is one of `head`, `finetune` and `search`.
    """

    features: str
    """Fingerprint."""
    data_sha256: str
    groups: str
    """Digest of which images are of one group."""
    metadata: str
    """Digest of what else is known of the images."""
    head: HeadSpec | None = field(default=None, metadata=OMITTED)
    finetune: FinetuneSpec | None = field(default=None, metadata=OMITTED)
    head_from: str | None = field(default=None, metadata=beside("finetune"))
    """Digest of the identity of the run whose head was warm."""
    search: SearchSettings | None = field(default=None, metadata=OMITTED)
    split: SplitRecord
    tta: bool
    """Whether validation and test are of the mean probability over the views, in place of the plain view."""
    classes: tuple[str, ...] = field(default=(), metadata=OMITTED)
    """Those that were chosen of the features' classes; empty where all were."""
    excluded: str = field(default="", metadata=OMITTED)
    """Digest of which images the user left out; empty where none."""
    balance_by: tuple[str, ...] = field(default=(), metadata=OMITTED)
    """Columns that the class was made independent of in training, by weights."""
    target: str = field(default="label", metadata=OMITTED)
    """What was to be predicted of the images: their class, a finding, or another column, which `classes` are then
    of."""
    uncertain: Literal["ignore", "present", "absent"] = field(default="ignore", metadata=OMITTED)
    """What an uncertain finding was taken for, where the target is one."""

    def __post_init__(self) -> None:
        """Refuse what no run is.

        Raises:
            ValueError: If it asks for nothing, or for more than one thing.
        """
        if [self.head, self.finetune, self.search].count(None) != 2:
            raise ValueError("it is of one of a head, a fine-tuning and a search")


@dataclass(frozen=True, slots=True, kw_only=True)
class Features:
    """What a head takes."""

    spec: FeatureSpec
    file: str | None
    """The feature file's name; `None` for the features of a fine-tuned network, which are in no file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadRecord:
    """What `head.npz` holds, and what its arrays need besides to predict."""

    kind: HeadKind
    classes: tuple[str, ...]
    """In the order of the columns."""
    dim: int
    """Width of the features."""
    temperature: float
    arrays: tuple[str, ...]
    """Their names, sorted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """Of one set of predictions (`metric.score`)."""

    accuracy: float
    balanced_accuracy: float | None
    macro_f1: float | None
    auroc: float | None
    auroc_per_class: PerClass
    auprc: float | None
    auprc_per_class: PerClass
    sensitivity: PerClass
    specificity: PerClass
    precision: PerClass
    confusion: tuple[tuple[int, ...], ...]
    """Counts, rows true and columns predicted."""
    brier: float
    log_loss: float
    ece: float

    def check(self, classes: Sequence[str]) -> None:
        """Refuse scores of other classes.

        Raises:
            ValueError: If a class lacks a score, or one has a score that is not among them.
        """
        for name in _OF_CLASSES:
            for told in (getattr(self, name), getattr(self, f"{name}_ci", None)):
                if told is not None and told.keys() != set(classes):
                    raise ValueError(f"{name} is not of the classes {', '.join(classes)}")
        if [len(row) for row in self.confusion] != [len(classes)] * len(classes):
            raise ValueError("confusion has not as many rows and columns as there are classes")


@dataclass(frozen=True, slots=True, kw_only=True)
class PairWithin:
    """How well two classes are told apart among images of one source."""

    classes: tuple[str, str]
    identifiable: bool
    """Whether they share a source."""
    known: bool
    """Whether any source is known of both."""
    images: int
    auroc: float | None
    auroc_ci: Interval | None


@dataclass(frozen=True, slots=True, kw_only=True)
class WithinSource:
    """What remains of a score among images of one source (`metric.source`)."""

    accuracy: float | None
    accuracy_ci: Interval | None
    chance: float | None
    """What always naming a source's commonest class would reach."""
    images: int
    """Of sources with several classes."""
    sources: int
    known: int
    """Images whose source is known."""
    unknown: int
    pairs: tuple[PairWithin, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatingPoint:
    """What calling a class from a threshold on comes to (`metric.operating`)."""

    threshold: float
    sensitivity: float | None
    sensitivity_ci: Interval | None
    specificity: float | None
    specificity_ci: Interval | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassPoints:
    """The operating points of one class; `None` where there is no such threshold."""

    at_threshold: OperatingPoint | None = field(default=None, metadata=OMITTED)
    """At a threshold that was chosen on validation images."""
    at_specificity: OperatingPoint | None = field(default=None, metadata=OMITTED)
    at_sensitivity: OperatingPoint | None = field(default=None, metadata=OMITTED)
    """At thresholds that were chosen on the very images."""

    @property
    def shown(self) -> OperatingPoint | None:
        """That of a threshold of other images, or else the one that keeps to a specificity."""
        return self.at_threshold or self.at_specificity


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatingPoints:
    """Yes or no for one class at a time."""

    chosen_on: Literal["validation", "these images"]
    """Which images the thresholds are from; of these very images, the rates are optimistic."""
    classes: Mapping[str, ClassPoints]


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation(Scores):
    """Scores with intervals by groups (`metric.interval`), and what else is reported of the images that gave them."""

    accuracy_ci: Interval | None
    balanced_accuracy_ci: Interval | None
    macro_f1_ci: Interval | None
    auroc_ci: Interval | None
    auprc_ci: Interval | None
    brier_ci: Interval | None
    log_loss_ci: Interval | None
    ece_ci: Interval | None
    sensitivity_ci: IntervalPerClass
    specificity_ci: IntervalPerClass
    precision_ci: IntervalPerClass
    auroc_per_class_ci: IntervalPerClass
    auprc_per_class_ci: IntervalPerClass
    within_source: WithinSource
    operating_points: OperatingPoints
    classes: tuple[str, ...]
    images: int
    """Each counted once, however often it was tested."""
    groups: int

    def __post_init__(self) -> None:
        """Refuse scores of other classes than it names.

        Raises:
            ValueError: If a class lacks a score, or one has a score that is not named.
        """
        self.check(self.classes)
        if self.operating_points.classes.keys() != set(self.classes):
            raise ValueError("operating_points are of other classes")

    def examined(self, shortcuts: Mapping[str, ControlScores], outputs: Outputs) -> FinalEvaluation:
        """The same with what controls and outputs show."""
        told = {one.name: getattr(self, one.name) for one in dataclasses.fields(self)}
        return FinalEvaluation(**told, shortcuts=shortcuts, outputs=outputs)


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlScores:
    """What a classifier that sees no lungs reaches on the same images (`metric.shortcut`)."""

    accuracy: float
    accuracy_ci: Interval | None
    auroc: float | None
    auroc_ci: Interval | None
    judged: tuple[str, ...]
    """Classes with enough groups; none where there are no two."""
    too_few: Mapping[str, int]
    """Groups of each class that has not enough."""
    ratio: float | None
    """Its AUROC above chance over the model's."""
    ratio_ci: Interval | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoded:
    """How well something else than the class can be read from the features, among images of one class."""

    name: str
    """Of the column."""
    auroc: float | None
    """In the mean over its values; `None` where no class has two of them."""
    auroc_ci: Interval | None
    values: tuple[str, ...]
    """Those judged; none for a number: its upper half is separated from its lower."""
    cut: float | None
    """Of a number its median; within a class the halves are those of the class."""
    images: int
    groups: int
    """Looked at."""
    cramers_v: float
    """Association with the class, 0 to 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outputs:
    """Whether what a head says depends on the image (`auditing.outputs`)."""

    head: str
    part: str | None
    """The fold with most to object to; `None` for the whole test."""
    images: int
    alike: int
    """How many images get one output."""
    same_features: bool
    """Whether these have the same features too."""
    called: str
    """The class that most are called."""
    named: int
    """How many are."""
    others: int
    """How many images are of another class."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FinalEvaluation(Evaluation):
    """Of the images that test."""

    shortcuts: Mapping[str, ControlScores]
    """By the name of the control."""
    outputs: Outputs


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldValidation:
    """The images that a fold kept from training."""

    images: int
    trained: int
    """Images that the fold trained on."""
    accuracy: float
    log_loss: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Fold(Scores):
    """One part of a test in which images take turns."""

    fold: int
    name: str
    images: int
    validation: FoldValidation | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """The head that a search chose."""

    spec: HeadSpec = field(metadata=FLAT)
    differs: Mapping[str, object]
    """The fields in which it differs from its kind's default."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BestDefault:
    """The best of the heads as they are by default."""

    kind: HeadKind
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """One head that a search fitted."""

    head: HeadKind
    differs: Mapping[str, object]
    score: float | None
    folds: int
    """How many inner folds it was fitted on."""
    seconds: float
    failed: str | None = field(default=None, metadata=OMITTED)
    """Why it could not be fitted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchFound:
    """What one search chose, and what it tried."""

    seconds: float
    chosen: Chosen
    score: float
    """On the inner folds."""
    best_default: BestDefault | None
    gain: float | None
    """How much better the choice is than the best default."""
    tried: tuple[Tried, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OuterSearch:
    """The search inside one outer fold."""

    name: str
    found: SearchFound = field(metadata=FLAT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """How the head of a tuned run was found."""

    settings: SearchSettings = field(metadata=FLAT)
    found: SearchFound = field(metadata=FLAT)
    """On the training part; with outer folds, on everything."""
    outer: tuple[OuterSearch, ...] | None
    """With outer folds, the search inside each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Began:
    """The network that a fine-tuning began with."""

    name: str
    weights: str
    """Their identity."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finetuning:
    """How network and head were trained together."""

    spec: FinetuneSpec
    network: Began
    head_from: str | None
    """The name of the run whose head was warm."""
    file: str
    """The feature file that gave labels, groups and split."""
    unusable: tuple[str, ...]
    """Ids of the images that could not be used."""
    kept: int
    """The epoch that was kept; 0 is the start."""
    trained_parameters: int
    parameters: int


@dataclass(frozen=True, slots=True, kw_only=True)
class UnlikeRecord:
    """How often a new image of the kind that was trained on is said to be unlike it (`head.novelty`)."""

    share: float
    """Of the images that tested, each judged by training images that lack its patient."""
    share_ci: Interval | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CommonDocument:
    """What every run says of itself, whatever it predicts."""

    kind: str
    """Of run."""
    head: str
    """What it is, to show."""
    dataset: str
    backbone: str
    random_weights: bool
    """Whether the network has random weights, or a fine-tuning began with such: the scores mean nothing then."""
    seconds: float
    identity: Identity
    features: Features
    audit: tuple[Finding, ...]
    """Failed checks first."""
    notes: tuple[str, ...]
    versions: Mapping[str, str]
    excluded: tuple[str, ...] = field(default=(), metadata=OMITTED)
    """Ids of the images that the user left out."""

    def __post_init__(self) -> None:
        """Refuse what no run holds.

        Raises:
            ValueError: If its audit names images: a run holds no path.
        """
        if any(one.images for one in self.audit):
            raise ValueError("its audit names images")

    @property
    def split(self) -> SplitRecord:
        """How the images were parted."""
        return self.identity.split


@dataclass(frozen=True, slots=True, kw_only=True)
class RunDocument(CommonDocument):
    """What `run.json` holds, but for what names the format and keeps it whole."""

    kind: Literal["head", "finetune"]
    classes: tuple[str, ...]
    fitted: HeadRecord
    validation: Evaluation | None
    """`None` where images take turns in being tested."""
    test: FinalEvaluation
    folds: tuple[Fold, ...] | None
    """Where images take turns in being tested, each part; then the head that is kept was fitted on all images, and is
    not itself tested."""
    encoded: tuple[Encoded, ...] = field(default=(), metadata=OMITTED)
    """What else the features know."""
    unlike: UnlikeRecord | None = field(default=None, metadata=OMITTED)
    """`None` in runs from before it was measured."""
    search: Search | None = field(default=None, metadata=OMITTED)
    test_openings: int = field(default=1, metadata=beside("search"))
    """How many runs had been tested on this very split, this one included."""
    finetune: Finetuning | None = field(default=None, metadata=OMITTED)
    diverged: str | None = field(default=None, metadata=beside("finetune"))
    """Where training diverged, what there is to say of it."""

    def __post_init__(self) -> None:
        """Refuse what does not go together.

        Raises:
            ValueError: If it is a fine-tuning in one place and a head in another, classes differ, or its audit names
                images: a run holds no path.
        """
        CommonDocument.__post_init__(self)
        if (self.kind == "finetune", self.finetune is None) not in ((True, False), (False, True)):
            raise ValueError("its kind is not what it holds")
        validated = self.classes if self.validation is None else self.validation.classes
        if {self.classes, self.fitted.classes, self.test.classes, validated} != {self.classes}:
            raise ValueError("its classes differ from place to place")
        for fold in self.folds or ():
            fold.check(self.classes)

    @property
    def tta(self) -> bool:
        """Whether a prediction is the mean over the views."""
        return self.identity.tta

    @property
    def itself_tested(self) -> bool:
        """Whether the head that is kept is the one that was tested."""
        return self.folds is None
