"""What is written of a fitted head, under which identity, and how it is found again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from cxrfeat.errors import InputError
from cxrfeat.feature.file import FeatureFile
from cxrfeat.feature.split import Split
from cxrfeat.feature.versions import versions
from cxrfeat.head.data import Data
from cxrfeat.head.evaluation import HeadTest
from cxrfeat.run.document import Encoded, Features, FinalEvaluation, Identity, RunDocument, SearchSettings
from cxrfeat.run.folder import HEAD, NOVELTY, Run, TargetRun, read_any_run, write_run
from cxrfeat.run.record import digest8, to_json
from cxrfeat.run.table import Predictions, SplitRows
from cxrfeat.spec import FinetuneSpec, HeadSpec
from cxrfeat.types import Finding

_R = TypeVar("_R", Run, TargetRun)


def run_summary(run: Run) -> dict[str, Any]:
    """What the JSON document tells of a run."""
    told = to_json(run.document)
    keys = ("head", "seconds", "validation", "test", "folds", "backbone", "dataset", "random_weights", "notes")
    return {
        "run": run.name,
        "path": str(run.path),
        "target": run.document.identity.target,
        **{key: told[key] for key in keys},
        "split": told["identity"]["split"],
        "encoded": told.get("encoded", []),
        "failed_checks": to_json(run.failed_checks),
    }


def identity_of(
    data: Data,
    split: Split,
    *,
    head: HeadSpec | None = None,
    finetune: FinetuneSpec | None = None,
    head_from: Identity | None = None,
    search: SearchSettings | None = None,
) -> Identity:
    """Everything the numbers of a run depend on, and what was asked for; equal identities are the same run.

    Args:
        data: The features, with labels and groups.
        split: How they are parted.
        head: What was asked for, or
        finetune: what was asked for, and
        head_from: of the run whose head is warm; or
        search: what was asked for.
    """
    content = data.file.content
    return Identity(
        features=content.fingerprint,
        data_sha256=content.data_sha256,
        groups=digest8(data.file.groups.tolist()),
        metadata=metadata_digest(data.file),
        head=head,
        finetune=finetune,
        head_from=None if head_from is None else digest8(head_from),
        search=search,
        split=split.record,
        tta=data.tta,
        classes=data.classes,
        excluded=digest8(sorted(data.excluded)) if data.excluded else "",
        balance_by=() if data.balance is None else data.balance.by,
        target=data.target,
        uncertain=data.uncertain if data.target in data.file.finding_names else "ignore",
    )


def metadata_digest(file: FeatureFile) -> str:
    """Names what else is known of the images, which scores within sources and the audit depend on."""
    texts = [file.texts(name) for name in ("source", "sex", "view_position")]
    ages = [str(age) for age in file.content.columns["age"].tolist()]
    return digest8([*texts, ages, file.dates, file.known_patients.tolist()])


def existing_run(place: Path, identity: Identity) -> Run | None:
    """The run of classes that stands in a place; as `existing`."""
    return existing(Run, place, identity)


def existing(kind: type[_R], place: Path, identity: Identity) -> _R | None:
    """The run of a kind that stands in a place; `None` if nothing does.

    Raises:
        InputError: If it is another run.
        IntegrityError: If it is damaged.
    """
    if not place.exists():
        return None
    run = read_any_run(place)
    if isinstance(run, kind) and run.document.identity == identity:
        return run
    raise InputError(f"{place} already exists and is another run. Choose another `name`, or delete it.")


def document_of(
    data: Data,
    spec: HeadSpec,
    identity: Identity,
    audit: Sequence[Finding],
    tested: HeadTest,
    test: FinalEvaluation,
    encoded: Sequence[Encoded] = (),
) -> RunDocument:
    """What a run says of a head.

    Args:
        data: What it was fitted and tested on.
        spec: The head.
        identity: Of `identity_of`.
        audit: What there is to say against it, failed checks first.
        tested: Its test.
        test: What came of that, examined.
        encoded: What else the features know.
    """
    file = data.file
    return RunDocument(
        kind="head",
        head=spec.kind,
        dataset=file.content.dataset,
        backbone=file.content.backbone,
        classes=tuple(file.classes),
        random_weights=file.spec.weights.startswith("random:"),
        seconds=round(tested.seconds, 3),
        identity=identity,
        features=Features(spec=file.spec, file=file.path.name),
        fitted=tested.fit.head.record(),
        validation=tested.validation,
        test=test,
        folds=tested.folds,
        audit=tuple(audit),
        notes=(*data.notes, *tested.notes),
        excluded=data.excluded,
        encoded=tuple(encoded),
        unlike=tested.unlike,
        versions={**versions(), "engine": file.content.engine},
    )


def write_fitted(
    place: Path,
    document: RunDocument,
    data: Data,
    split: Split,
    tested: HeadTest,
    files: Mapping[str, bytes] | None = None,
) -> Run:
    """Write the run of one head.

    Args:
        place: The folder, which must not exist.
        document: Of `document_of`.
        data: What it was fitted and tested on.
        split: How that was parted.
        tested: Its test.
        files: Go beside it.

    Raises:
        StorageError: If the disk refuses.
    """
    fitted = tested.fit
    return write_run(
        place,
        document,
        predictions=_predictions(data, tested),
        split=SplitRows(contents=tuple(data.file.content_sha256), parts=tuple(split.parts.tolist())),
        history=fitted.history,
        arrays={HEAD: fitted.head.to_npz(), NOVELTY: tested.novelty.to_npz(), **(files or {})},
    )


def _predictions(data: Data, tested: HeadTest) -> Predictions:
    file, rows = data.file, tested.rows
    ids, keys, groups = file.image_ids, file.content_sha256, file.content.columns["group"]
    return Predictions(
        classes=tuple(file.classes),
        image_ids=tuple(ids[row] for row in rows.tolist()),
        contents=tuple(keys[row] for row in rows.tolist()),
        groups=tuple(groups[row].decode() for row in rows.tolist()),
        parts=tested.parts,
        labels=file.labels[rows],
        predicted=tested.probabilities.argmax(axis=1),
        probabilities=tested.probabilities,
    )
