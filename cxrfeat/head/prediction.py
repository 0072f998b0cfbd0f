"""What a run says of new images, and the rules that it goes by: values, whoever makes and shows them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from cxrfeat.errors import UsageError
from cxrfeat.head.calling import Calling, SetsOfRun
from cxrfeat.head.novelty import LEVEL
from cxrfeat.image.row import Quarantined
from cxrfeat.notebook import RANDOM_WEIGHTS, brief, html_table, number
from cxrfeat.run.folder import AnyRun
from cxrfeat.run.record import to_json
from cxrfeat.run.target_document import FindingsDocument, NumberDocument
from cxrfeat.types import Finding

CANNOT_TELL = "cannot tell"


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """What a run says of one image."""

    image: str
    """The path as the user gave it."""
    label: str
    probabilities: dict[str, float]
    out_of_distribution: bool
    """Whether its features lie farther out than those of 99 % of the training images."""
    classes: tuple[str, ...] | None = None
    """The classes that cannot be ruled out, where sets were asked for; all of them of an image of another kind."""
    called: dict[str, bool] | None = None
    """By class, whether its probability reaches the threshold, where one was asked for."""

    @property
    def answer(self) -> str | None:
        """The set in words; `None` where none was asked for.

        Example:
            >>> one = Prediction(image="a", label="A", probabilities={"A": 0.6, "B": 0.4}, out_of_distribution=False,
            ...                  classes=("A", "B"))
            >>> one.answer
            'cannot tell'
        """
        if self.classes is None:
            return None
        if len(self.classes) == len(self.probabilities):
            return CANNOT_TELL
        return " or ".join(self.classes) or "none of these"

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it; what was not asked for is left out."""
        told = {key: value for key, value in asdict(self).items() if value is not None}
        return told if self.answer is None else told | {"classes": list(self.classes or ()), "answer": self.answer}


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberPrediction:
    """What a run of a number says of one image."""

    image: str
    """The path as the user gave it."""
    value: float
    out_of_distribution: bool
    """As in `Prediction`."""

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingsPrediction:
    """What a run of all findings says of one image."""

    image: str
    """The path as the user gave it."""
    probabilities: dict[str, float]
    """By finding."""
    called: dict[str, bool]
    """By finding, whether its probability reaches the threshold that was chosen on validation images."""
    out_of_distribution: bool
    """As in `Prediction`."""

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return asdict(self)


AnyPrediction = Prediction | NumberPrediction | FindingsPrediction
"""What a run of any kind says of one image."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What a call of `predict` goes by, and how that did on the run's own test."""

    run: AnyRun
    random: bool
    """Whether the network has random weights, so that predictions mean nothing."""
    sets: SetsOfRun | None = None
    calling: Calling | None = None

    def to_dict(self) -> dict[str, Any]:
        """What the JSON document of `predict` has of it."""
        unlike = self.run.document.unlike
        told: dict[str, Any] = {
            "run": self.run.name,
            "random_weights": self.random,
            "failed_checks": to_json(self.run.failed_checks),
            "false_alarms": {
                "training": round(1 - LEVEL, 6),
                "test": None if unlike is None else unlike.share,
                "test_ci": None if unlike is None or unlike.share_ci is None else list(unlike.share_ci),
            },
        }
        document = self.run.document
        if isinstance(document, NumberDocument):
            told |= {"target": document.target, "on_test": to_json(document.test)}
        elif isinstance(document, FindingsDocument):
            told |= {"target": document.target, "on_test": {one.name: to_json(one.test) for one in document.findings}}
        if self.sets is not None:
            told["conformal"] = self.sets.to_dict()
        if self.calling is not None:
            told["threshold"] = self.calling.to_dict()
        return told


@dataclass(frozen=True, slots=True, kw_only=True)
class Predictions:
    """All images of one call; those that could not be used are listed separately."""

    run: AnyRun
    predicted: tuple[AnyPrediction, ...]
    """One for each image that could be used, in the order given."""
    quarantined: tuple[Quarantined, ...]
    random: bool
    """Whether the network has random weights, so that predictions mean nothing."""
    rules: Rules
    rows_reused: int = 0
    """How many images had their features in a file already; the network computed those of the others."""
    checks: tuple[Finding, ...] = ()
    """What the checks found wrong with these outputs."""

    __repr__ = brief

    def _repr_html_(self) -> str:
        """What a notebook shows: the checks that the run failed, and the first predictions."""
        failed = [(str(one.status), one.check, one.why, one.do) for one in self.run.failed_checks]
        above = (
            html_table("Before you believe what follows", ("", "check", "why", "what to do"), failed) if failed else ""
        )
        title = f"{len(self.predicted)} images by {self.run.name}; research use only, never diagnosis"
        if self.random:
            title += f"\n{RANDOM_WEIGHTS}"
        rows = [(one.image, *_cells(one), "yes" if one.out_of_distribution else "") for one in self.predicted[:20]]
        document = self.run.document
        if isinstance(document, NumberDocument):
            said: tuple[str, ...] = (document.target,)
        else:
            said = ("called",) if isinstance(document, FindingsDocument) else ("class", "probability")
        return above + html_table(title, ("image", *said, "unlike the training images"), rows)

    @property
    def predictions(self) -> tuple[Prediction, ...]:
        """The class of each image; `predicted` has what runs of a number or of findings say.

        Raises:
            UsageError: If the run predicts a number, or findings.
        """
        of_classes = tuple(one for one in self.predicted if isinstance(one, Prediction))
        if len(of_classes) < len(self.predicted):
            raise UsageError(f"{self.run.name} predicts no classes: what it predicts is in the attribute predicted.")
        return of_classes

    def to_dict(self) -> dict[str, Any]:
        """The JSON document of `predict`."""
        return {
            **self.rules.to_dict(),
            "rows_computed": len(self.predicted) - self.rows_reused,
            "rows_reused": self.rows_reused,
            "checks": [asdict(one) for one in self.checks],
            "predictions": [one.to_dict() for one in self.predicted],
            "quarantined": [asdict(one) for one in self.quarantined],
        }


def _cells(one: AnyPrediction) -> tuple[str, ...]:
    if isinstance(one, NumberPrediction):
        return (number(one.value, 1),)
    if isinstance(one, FindingsPrediction):
        return (", ".join(name for name, called in one.called.items() if called) or "none",)
    return (one.label, number(max(one.probabilities.values())))
