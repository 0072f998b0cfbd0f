"""What is written of a fitted head, under which identity, and how it is found again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from cxrfeat.errors import InputError
from cxrfeat.feature.file import FeatureFile
from cxrfeat.feature.split import Split
from cxrfeat.feature.versions import versions
from cxrfeat.head.data import Data
from cxrfeat.head.evaluation import HeadTest
from cxrfeat.run.folder import HISTORY, Run, Table, digest8, read_run, write_run
from cxrfeat.spec import HeadSpec, to_dict
from cxrfeat.types import Finding


def run_summary(run: Run) -> dict[str, Any]:
    """What the JSON document tells of a run."""
    info = run.info
    keys = ("head", "seconds", "validation", "test", "folds", "backbone", "dataset", "random_weights", "notes", "split")
    return {
        "run": run.name,
        "path": str(run.path),
        **{key: info.get(key) for key in keys},
        "failed_checks": run.failed_checks,
    }


def identity_of(data: Data, split: Split, **asked: Any) -> dict[str, Any]:  # noqa: ANN401  # of JSON's own types
    """Everything the numbers of a run depend on, and what was asked for; equal identities are the same run."""
    content = data.file.content
    return {
        "features": content.fingerprint,
        "data_sha256": content.data_sha256,
        "groups": digest8(data.file.groups.tolist()),
        "metadata": _metadata_digest(data.file),
        **asked,
        "split": split.record,
        "tta": data.tta,
        **({"classes": list(data.classes)} if data.classes else {}),
    }


def _metadata_digest(file: FeatureFile) -> str:
    """Names what else is known of the images, which scores within sources and the audit depend on."""
    texts = [file.texts(name) for name in ("source", "sex", "view_position")]
    ages = [str(age) for age in file.content.columns["age"].tolist()]
    return digest8([*texts, ages, file.dates, file.known_patients.tolist()])


def existing_run(place: Path, identity: Mapping[str, Any]) -> Run | None:
    """The run that stands in a place; `None` if nothing does.

    Raises:
        InputError: If it is another run.
    """
    if not place.exists():
        return None
    run = read_run(place)
    if run.info.get("identity") == identity:
        return run
    raise InputError(f"{place} stands already and is another run. Choose another `name`, or delete it.")


def write_fitted(
    data: Data,
    split: Split,
    spec: HeadSpec,
    place: Path,
    identity: dict[str, Any],
    audit: Sequence[Finding],
    tested: HeadTest,
    extra: Mapping[str, Any] | None = None,
    files: Mapping[str, bytes] | None = None,
) -> Run:
    """Write the run of one head.

    Args:
        data: What it was fitted and tested on.
        split: How that was parted.
        spec: The head.
        place: The folder, which must not exist.
        identity: Of `identity_of`.
        audit: What there is to say against it, failed checks first.
        tested: Its test.
        extra: Goes into `run.json` too.
        files: Go beside it.

    Raises:
        StorageError: If the disk refuses.
    """
    file, fitted = data.file, tested.fit
    info = {
        "kind": "head",
        "head": spec.kind,
        "dataset": file.content.dataset,
        "backbone": file.content.backbone,
        "classes": list(file.classes),
        "random_weights": file.spec.weights.startswith("random:"),
        "seconds": round(tested.seconds, 3),
        "identity": identity,
        "features": {"spec": to_dict(file.spec), "file": file.path.name},
        "fitted": fitted.head.meta(),
        "tta": data.tta,
        "split": split.record,
        "itself_tested": not split.crossed,
        "validation": tested.validation,
        "test": tested.test,
        "folds": tested.folds,
        "audit": [asdict(one) for one in audit],
        "notes": [*data.notes, *tested.notes],
        "versions": {**versions(), "engine": file.content.engine},
        **(extra or {}),
    }
    history: Table = {key: [row.get(key) for row in fitted.history] for key in (*HISTORY, "kept")}
    tables: dict[str, Table] = {
        "history.csv": history,
        "predictions.csv": _predictions(data, tested),
        "split.csv": {"content_sha256": file.content_sha256, "part": split.parts.tolist()},
    }
    arrays = {"head.npz": fitted.head.to_npz(), "novelty.npz": tested.novelty.to_npz(), **(files or {})}
    return write_run(place, info, arrays=arrays, tables=tables)


def _predictions(data: Data, tested: HeadTest) -> dict[str, Sequence[object]]:
    file, rows, probabilities = data.file, tested.rows, tested.probabilities
    ids, keys = file.image_ids, file.content_sha256
    group_ids = [value.decode() for value in file.content.columns["group"].tolist()]
    columns: dict[str, Sequence[object]] = {
        "image_id": [ids[row] for row in rows.tolist()],
        "content_sha256": [keys[row] for row in rows.tolist()],
        "group": [group_ids[row] for row in rows.tolist()],
        "part": tested.parts,
        "label": [file.classes[label] for label in file.labels[rows].tolist()],
        "predicted": [file.classes[label] for label in probabilities.argmax(axis=1).tolist()],
    }
    return columns | {
        f"probability {name}": probabilities[:, index].tolist() for index, name in enumerate(file.classes)
    }
