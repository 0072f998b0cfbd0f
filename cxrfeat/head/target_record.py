"""What is written of heads that tell a number or all findings, under which identity, and how it is found again."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxrfeat.feature.file import FeatureFile
from cxrfeat.feature.split import Rows, Split
from cxrfeat.feature.target import FINDINGS, Uncertain
from cxrfeat.feature.versions import versions
from cxrfeat.head.novelty import Novelty, unlike_record
from cxrfeat.head.record import existing, metadata_digest
from cxrfeat.run.document import Features, Identity, SearchSettings
from cxrfeat.run.folder import NOVELTY, TargetRun, run_name, write_target_run
from cxrfeat.run.record import digest8, to_json
from cxrfeat.run.table import History, SplitRows, TargetPredictions
from cxrfeat.run.target_document import FindingsDocument, NumberDocument
from cxrfeat.spec import HeadSpec
from cxrfeat.system.given import PathLike, as_path
from cxrfeat.types import Finding, Part


@dataclass(frozen=True, kw_only=True, eq=False)
class Targets:
    """What is to be told of the images of a file, and how these are parted."""

    file: FeatureFile
    X: NDArray[np.float32]
    """`(images, views, dim)`."""
    split: Split
    """Of one fold."""
    target: str
    names: tuple[str, ...]
    """Of the number, or of the findings."""
    true: NDArray[np.float64]
    """`(images, names)`, NaN where it is not known."""
    uncertain: Uncertain = "ignore"
    excluded: tuple[str, ...] = ()
    """Ids of the images that the user left out, sorted."""

    @cached_property
    def novelty(self) -> Novelty:
        """Where the images lie that are trained on."""
        rows = self.split.folds[0].train
        return Novelty.fit(self.X[rows, 0], self.file.groups[rows])

    def identity(self, *, head: HeadSpec | None = None, search: SearchSettings | None = None) -> Identity:
        """Everything that the numbers of a run depend on, and what was asked for."""
        content = self.file.content
        values = hashlib.sha256(np.ascontiguousarray(self.true).tobytes()).hexdigest()
        return Identity(
            features=content.fingerprint,
            data_sha256=content.data_sha256,
            groups=digest8(self.file.groups.tolist()),
            metadata=digest8([metadata_digest(self.file), list(self.names), values]),
            head=head,
            search=search,
            split=self.split.record,
            tta=False,
            excluded=digest8(sorted(self.excluded)) if self.excluded else "",
            target=self.target,
            uncertain=self.uncertain if self.target == FINDINGS else "ignore",
        )

    def place(self, runs: PathLike, name: str | None, kind: str, identity: Identity) -> Path:
        """Where the run of an identity belongs."""
        content = self.file.content
        usual = run_name(content.dataset, content.backbone, self.target, kind, digest8(identity))
        return as_path(runs, "the folder of the runs") / (name or usual)

    def about(
        self, identity: Identity, kind: str, seconds: float, audit: Sequence[Finding], notes: Sequence[str]
    ) -> dict[str, Any]:
        """The fields of a document that every run has."""
        file, test = self.file, self.split.folds[0].test
        return {
            "head": kind,
            "dataset": file.content.dataset,
            "backbone": file.content.backbone,
            "random_weights": file.spec.weights.startswith("random:"),
            "seconds": round(seconds, 3),
            "identity": identity,
            "features": Features(spec=file.spec, file=file.path.name),
            "audit": tuple(audit),
            "notes": tuple(notes),
            "versions": {**versions(), "engine": file.content.engine},
            "unlike": unlike_record(self.novelty.outside(self.X[test, 0]), file.groups[test]),
            "excluded": self.excluded,
        }

    def write(
        self,
        place: Path,
        document: NumberDocument | FindingsDocument,
        rows: Rows,
        predicted: NDArray[np.float64],
        history: History,
        arrays: dict[str, bytes],
    ) -> TargetRun:
        """Write a run.

        Args:
            place: The folder, which must not exist.
            document: What is said of it.
            rows: Of the images that validated it, and then of those that tested it.
            predicted: `(rows, names of the document)`.
            history: The epochs of a network.
            arrays: Of the heads, by file.

        Raises:
            StorageError: If the disk refuses.
        """
        file, (fold,) = self.file, self.split.folds
        held = set(fold.validation.tolist())
        ids, keys, groups = file.image_ids, file.content_sha256, file.content.columns["group"]
        which = [self.names.index(name) for name in document.names]
        return write_target_run(
            place,
            document,
            predictions=TargetPredictions(
                names=document.names,
                image_ids=tuple(ids[row] for row in rows.tolist()),
                contents=tuple(keys[row] for row in rows.tolist()),
                groups=tuple(groups[row].decode() for row in rows.tolist()),
                parts=tuple(str(Part.VALIDATION if row in held else Part.TEST) for row in rows.tolist()),
                true=self.true[rows][:, which],
                predicted=predicted,
            ),
            split=SplitRows(contents=tuple(keys), parts=tuple(self.split.parts.tolist())),
            history=history,
            arrays={NOVELTY: self.novelty.to_npz(), **arrays},
        )


def existing_target_run(place: Path, identity: Identity) -> TargetRun | None:
    """The run of a number or of all findings that stands in a place; as `existing`."""
    return existing(TargetRun, place, identity)


def target_summaries(run: TargetRun) -> list[dict[str, Any]]:
    """What the JSON documents tell of a run: of one of all findings, an object for each."""
    document = run.document
    about: dict[str, Any] = {"run": run.name, "path": str(run.path), "head": document.head}
    about |= {name: getattr(document, name) for name in ("backbone", "dataset", "random_weights", "seconds")}
    about |= {"notes": list(document.notes), "failed_checks": to_json(run.failed_checks)}
    if isinstance(document, NumberDocument):
        told = {"validation": to_json(document.validation), "test": to_json(document.test)}
        return [{**about, "target": document.target, "unknown": document.unknown, **told}]
    return [
        {**about, "target": one.name, "unknown": one.unknown, "test": to_json(one.test)} for one in document.findings
    ]


def mean_summary(document: FindingsDocument) -> dict[str, Any]:
    """The mean over the findings of a run."""
    return {"head": document.head, "findings": len(document.findings), **to_json(document.mean)}
