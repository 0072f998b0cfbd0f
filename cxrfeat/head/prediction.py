"""What a run says of new images, and the rules that it goes by: values, whoever makes and shows them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from cxrfeat.head.calling import Calling, SetsOfRun
from cxrfeat.head.novelty import LEVEL
from cxrfeat.image.row import Quarantined
from cxrfeat.notebook import RANDOM_WEIGHTS, brief, html_table, number
from cxrfeat.run.folder import Run
from cxrfeat.run.record import to_json
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
class Rules:
    """What a call of `predict` goes by, and how that did on the run's own test."""

    run: Run
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
        if self.sets is not None:
            told["conformal"] = self.sets.to_dict()
        if self.calling is not None:
            told["threshold"] = self.calling.to_dict()
        return told


@dataclass(frozen=True, slots=True, kw_only=True)
class Predictions:
    """All images of one call, those that could not be used apart."""

    run: Run
    predictions: tuple[Prediction, ...]
    quarantined: tuple[Quarantined, ...]
    random: bool
    """Whether the network has random weights, so that predictions mean nothing."""
    rules: Rules
    rows_reused: int = 0
    """How many images had their features in a file already; the network computed those of the others."""
    checks: tuple[Finding, ...] = ()
    """What there is to object to in these outputs."""

    __repr__ = brief

    def _repr_html_(self) -> str:
        """What a notebook shows: the checks that the run failed, and the first predictions."""
        failed = [(str(one.status), one.check, one.why, one.do) for one in self.run.failed_checks]
        above = (
            html_table("Before you believe what follows", ("", "check", "why", "what to do"), failed) if failed else ""
        )
        rows = [
            (one.image, one.label, number(max(one.probabilities.values())), "yes" if one.out_of_distribution else "")
            for one in self.predictions[:20]
        ]
        title = f"{len(self.predictions)} images by {self.run.name}; research use only, never diagnosis"
        if self.random:
            title += f"\n{RANDOM_WEIGHTS}"
        return above + html_table(title, ("image", "class", "probability", "unlike the training images"), rows, {2})

    def to_dict(self) -> dict[str, Any]:
        """The JSON document of `predict`."""
        return {
            **self.rules.to_dict(),
            "rows_computed": len(self.predictions) - self.rows_reused,
            "rows_reused": self.rows_reused,
            "checks": [asdict(one) for one in self.checks],
            "predictions": [one.to_dict() for one in self.predictions],
            "quarantined": [asdict(one) for one in self.quarantined],
        }
