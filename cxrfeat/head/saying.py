"""What a run says of features of new images: one way for each kind of run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from cxrfeat.errors import UsageError
from cxrfeat.feature.decoded import decoder_notes
from cxrfeat.head.calling import Calling, SetsOfRun, calling_of_run, sets_of_run
from cxrfeat.head.fitted import FittedHead
from cxrfeat.head.novelty import Novelty
from cxrfeat.head.number import FittedNumber
from cxrfeat.head.of_run import load_head
from cxrfeat.head.prediction import AnyPrediction, FindingsPrediction, NumberPrediction, Prediction
from cxrfeat.image.note import tell
from cxrfeat.run.folder import HEAD, NOVELTY, AnyRun, Run, TargetRun
from cxrfeat.run.target_document import FindingsDocument, NumberDocument

Outputs = NDArray[np.float64]
"""`(n, outputs)` between 0 and 1: equal where a head says the same of images."""


class Saying(Protocol):
    """Whatever says something of images."""

    @property
    def dim(self) -> int:
        """Width of the features."""

    @property
    def outputs(self) -> int:
        """How many outputs there are of an image."""

    @property
    def votes(self) -> bool:
        """Whether votes are counted, so that many images share an output by right."""

    def say(self, names: Sequence[str], X: NDArray[np.float32]) -> tuple[list[AnyPrediction], Outputs]:
        """What is said of images, and the bare outputs.

        Args:
            names: Of the images, as they are shown.
            X: `(n, views, dim)` their features.
        """


def saying_of(
    run: AnyRun, *, coverage: float | None = None, threshold: str | None = None
) -> ClassSaying | TargetSaying:
    """What a run says of images, ready to be asked.

    Args:
        run: Of any kind.
        coverage: How often sets of classes shall hold the true one; `None` makes none.
        threshold: The name of the thresholds from which on classes are called; `None` calls none.

    Raises:
        UsageError: If there is no such coverage or threshold, or the run has no classes for them.
        InputError: If the run has no validation images to learn them from.
        IntegrityError: If the run is damaged.
    """
    if isinstance(run, Run):
        sets = None if coverage is None else sets_of_run(run, coverage)
        calling = None if threshold is None else calling_of_run(run, threshold)
        head, novelty = load_head(run)
        return ClassSaying(head=head, novelty=novelty, sets=sets, calling=calling)
    for field, value in (("coverage", coverage), ("threshold", threshold)):
        if value is not None:
            raise UsageError(
                f"`{field}` is for runs of classes, and {run.name} predicts {run.document.target}. Omit it."
            )
    return target_saying(run)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ClassSaying:
    """A class of each image."""

    head: FittedHead
    novelty: Novelty
    sets: SetsOfRun | None
    calling: Calling | None

    @property
    def dim(self) -> int:
        """As in `Saying`."""
        return self.head.dim

    @property
    def outputs(self) -> int:
        """As in `Saying`."""
        return len(self.head.classes)

    @property
    def votes(self) -> bool:
        """As in `Saying`."""
        return self.head.kind == "knn"

    def say(self, names: Sequence[str], X: NDArray[np.float32]) -> tuple[list[AnyPrediction], Outputs]:
        """As in `Saying`."""
        flat = self.head.predict_proba(X.reshape(-1, X.shape[2]))
        probabilities = flat.reshape(len(X), -1, len(self.head.classes)).mean(axis=1)
        outside = self.novelty.outside(X[:, 0])
        held = None if self.sets is None else self.sets.of(probabilities, outside)
        told: list[AnyPrediction] = []
        for place, (name, row) in enumerate(zip(names, probabilities.tolist(), strict=True)):
            by_class = dict(zip(self.head.classes, row, strict=True))
            told.append(
                Prediction(
                    image=name,
                    label=self.head.classes[int(probabilities[place].argmax())],
                    probabilities=by_class,
                    out_of_distribution=bool(outside[place]),
                    classes=None if held is None else tuple(np.array(self.head.classes)[held[place]].tolist()),
                    called=None if self.calling is None else self.calling.of(by_class),
                )
            )
        return told, probabilities


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TargetSaying:
    """A number of each image, or all findings."""

    target: str
    novelty: Novelty
    number: FittedNumber | None = None
    findings: tuple[tuple[str, FittedHead, float], ...] = ()
    """Names, heads and the probabilities from which on they are called."""
    sets: None = None
    calling: None = None

    @property
    def dim(self) -> int:
        """As in `Saying`."""
        return self.findings[0][1].dim if self.number is None else self.number.dim

    @property
    def outputs(self) -> int:
        """As in `Saying`."""
        return len(self.findings) or 1

    @property
    def votes(self) -> bool:
        """As in `Saying`."""
        return bool(self.findings) and self.findings[0][1].kind == "knn"

    def values(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        """The number, or the probability of each finding, `(n, 1)` or `(n, findings)`.

        Args:
            X: `(n, dim)` features of the plain view.
        """
        if self.number is not None:
            return self.number.predict(X)[:, None]
        return np.stack([head.predict_proba(X)[:, 1] for _, head, _ in self.findings], axis=1)

    def say(self, names: Sequence[str], X: NDArray[np.float32]) -> tuple[list[AnyPrediction], Outputs]:
        """As in `Saying`; of the plain view."""
        outside = self.novelty.outside(X[:, 0]).tolist()
        probabilities = self.values(X[:, 0])
        if self.number is not None:
            values = probabilities[:, 0]
            told: list[AnyPrediction] = [
                NumberPrediction(image=name, value=value, out_of_distribution=far)
                for name, value, far in zip(names, values.tolist(), outside, strict=True)
            ]
            size = max(1.0, float(np.abs(values).max(initial=0)))
            return told, (0.5 + values[:, None] / (4 * size))
        told = []
        for name, row, far in zip(names, probabilities.tolist(), outside, strict=True):
            each = {finding: value for (finding, _, _), value in zip(self.findings, row, strict=True)}
            called = {finding: each[finding] >= least for finding, _, least in self.findings}
            told.append(FindingsPrediction(image=name, probabilities=each, called=called, out_of_distribution=far))
        return told, probabilities


def target_saying(run: TargetRun) -> TargetSaying:
    """What a run of a number, or of all findings, says of images.

    Raises:
        IntegrityError: If the run is damaged.
    """
    document = run.document
    tell(decoder_notes(document.features.spec, run.name))
    if isinstance(document, NumberDocument):
        number = FittedNumber.from_npz(run.bytes_of(HEAD), document.fitted)
        novelty = Novelty.from_npz(run.bytes_of(NOVELTY), number.dim)
        return TargetSaying(target=document.target, novelty=novelty, number=number)
    assert isinstance(document, FindingsDocument)
    findings = tuple(
        (one.name, FittedHead.from_npz(run.bytes_of(one.file), one.fitted), one.test.threshold)
        for one in document.findings
    )
    novelty = Novelty.from_npz(run.bytes_of(NOVELTY), findings[0][1].dim)
    return TargetSaying(target=document.target, novelty=novelty, findings=findings)
