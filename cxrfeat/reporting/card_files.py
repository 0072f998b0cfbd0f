"""What is written beside a model: its card, which says all that is known of it, and checklists filled in from it."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cxrfeat.backbone.weights import check_file
from cxrfeat.errors import InputError
from cxrfeat.feature.column import Cut
from cxrfeat.feature.of_run import of_same_images
from cxrfeat.head.model_file import Form
from cxrfeat.reporting.card import card_of, code_of
from cxrfeat.reporting.card_page import card_page
from cxrfeat.reporting.checklist import CLAIM, TRIPOD, checklist_page, filled
from cxrfeat.reporting.subgroup import in_subgroups
from cxrfeat.run.folder import Run
from cxrfeat.run.record import to_json
from cxrfeat.run.validation_file import validations_of
from cxrfeat.spec import FeatureSpec
from cxrfeat.system.files import write_atomic


def read_told(path: Path) -> list[dict[str, Any]]:
    """What the JSON document of `validate` says of one other data set, or of several, as the card has it.

    Raises:
        InputError: If it is no such document.
    """
    check_file(path, "validation")
    try:
        document = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is not JSON ({error}). Write it with `cxrfeat validate`, as JSON.") from error
    several = document.get("validations") if isinstance(document, dict) else None
    found = several if isinstance(several, list) and several else [document]
    for told in found:
        if not isinstance(told, dict) or not all(isinstance(told.get(name), dict) for name in ("external", "gap")):
            raise InputError(f"{path} is not a document of `cxrfeat validate`: it has no scores of another data set.")
    return [_told(Path(str(told.get("data", "?"))).name, told) for told in found]


def kept_told(run: Run) -> list[dict[str, Any]]:
    """What the validations that the run keeps say, as the card has it.

    Raises:
        IntegrityError: If one is damaged.
    """
    return [_told(one.dataset, to_json(one)) for one in validations_of(run)]


def _told(name: str, document: Mapping[str, Any]) -> dict[str, Any]:
    return {"data": name, **{key: document[key] for key in _SHOWN if document.get(key) is not None}}


_SHOWN = ("external", "gap", "calibration", "recalibrated", "out_of_distribution", "made")
"""What the card takes of a validation: no path and no image is in it."""


def card_for(
    run: Run, path: Path, form: Form, features: Path, validations: Sequence[dict[str, Any]], notes: Sequence[str]
) -> dict[str, Any]:
    """The card of a model that was written.

    Args:
        run: What it is made of.
        path: The model.
        form: Of the model.
        features: Folder of the feature files, which describe all images; it need not be there.
        validations: From `kept_told` and `read_told`.
        notes: What whoever gets the model should know.

    Raises:
        IntegrityError: If the run or its feature file is damaged.
    """
    content = path.read_bytes()
    outputs = ["probabilities, (images, classes) float32, calibrated"]
    if form == "onnx":
        outputs.append("out_of_distribution, (images,) bool: farther out than 99 % of the training images")
    model = {
        "file": path.name,
        "format": form,
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "outputs": outputs,
    }
    file = None
    with contextlib.suppress(InputError):  # the card says then that it does not know
        file = of_same_images(run, features)
    if file is None:
        return card_of(run, model, validations=validations, notes=notes)
    with file:
        cuts = [Cut(name) for name in ("sex", "view_position", "source") if len({*file.texts(name)} - {None}) > 1]
        if (file.content.columns["age"] >= 0).any():
            cuts.append(Cut("age", ("40", "65")))
        rows = in_subgroups([run], cuts, features).rows if cuts else ()
        return card_of(run, model, file=file, subgroups=rows, validations=validations, notes=notes)


def write_beside(path: Path, card: dict[str, Any], spec: FeatureSpec) -> tuple[Path, ...]:
    """Write a card as Markdown and as JSON, and the two checklists, beside a model.

    Args:
        path: The model.
        card: From `card_for`.
        spec: Of its features.

    Raises:
        StorageError: If the disk refuses.
    """
    pages = {
        "card.md": card_page(card, code_of(spec, path.name)),
        "card.json": json.dumps(card | {"checklists": _checklists(card)}, indent=1, allow_nan=False),
        "claim.md": checklist_page(CLAIM, card),
        "tripod.md": checklist_page(TRIPOD, card),
    }
    for ending, page in pages.items():
        write_atomic(path.with_name(f"{path.stem}.{ending}"), page.encode())
    return tuple(path.with_name(f"{path.stem}.{ending}") for ending in pages)


def _checklists(card: dict[str, Any]) -> dict[str, Any]:
    return {one.title: filled(one, card) for one in (CLAIM, TRIPOD)}
