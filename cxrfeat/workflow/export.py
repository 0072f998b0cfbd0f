"""The recipe of export: one model from grey pixels to calibrated probabilities, to be run without this package."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cxrfeat.bar import with_bar
from cxrfeat.errors import InputError, UsageError
from cxrfeat.finetuning.tuned import network_of
from cxrfeat.head.fitted import FittedHead
from cxrfeat.head.model_file import Form, Made, write_model
from cxrfeat.head.of_run import load_head
from cxrfeat.notebook import brief
from cxrfeat.reporting.card_files import card_for, kept_told, read_told, write_beside
from cxrfeat.reporting.table import RESEARCH_USE
from cxrfeat.run.folder import Run, RunLike, find_run
from cxrfeat.spec import FeatureSpec
from cxrfeat.system.given import PathLike, as_path, as_paths
from cxrfeat.types import Progress


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """A model that was written, and what it is."""

    run: Run
    path: Path
    form: Form
    difference: float
    """The largest difference of its probabilities from those of the run's own head, on made-up views."""
    notes: tuple[str, ...]
    card: dict[str, Any]
    """What the model card says."""
    beside: tuple[Path, ...]
    """The card as Markdown and as JSON, and the two checklists."""

    __repr__ = brief

    def to_dict(self) -> dict[str, Any]:
        """The JSON document of `export`."""
        return {
            "run": self.run.name,
            "path": str(self.path),
            "format": self.form,
            "difference": self.difference,
            "notes": list(self.notes),
            "beside": [str(path) for path in self.beside],
        }


@with_bar("steps")
def export(
    run: RunLike,
    out: PathLike,
    *,
    form: Form | None = None,
    network: PathLike | None = None,
    validation: PathLike | Iterable[PathLike] = (),
    features: PathLike = "features",
    runs: PathLike = "runs",
    progress: Progress | None = None,
) -> Exported:
    """Write a run as one model, preprocessing and calibration included, with a model card and two checklists.

    Next to `model.onnx` are `model.card.md`, `model.card.json`, `model.claim.md` (CLAIM 2024) and `model.tripod.md`
    (TRIPOD+AI), the last two are for the author to finish.

    Args:
        run: A run, its name or an unambiguous prefix of it, or its folder.
        out: Where to write it; an existing file is replaced.
        form: `onnx` or `keras`; `None` takes it from the extension of `out`.
        network: Where the network's file is now, if it has moved.
        validation: What `validate` said of other data sets, as the files of its JSON documents; one or many, besides
            those that the run keeps.
        features: Folder of the feature files, from which the card describes the images that the run was fitted on; it
            need not be there.
        runs: Folder in which the run's name is looked for.
        progress: Called after every step.

    Raises:
        UsageError: If `out` and `form` do not fit each other, the network is not a Keras one but `form` is `keras`, or
            it cannot be converted here.
        InputError: If there is no such run, its views take more than a resized image, or a validation is no such
            document.
        MissingExtraError: If the extra onnx is not installed.
        IntegrityError: If the run is damaged, or the model's output differs from the run's.
        WeightsError: If the network is no longer there.
        StorageError: If the disk refuses.
    """
    run = find_run(run, runs=runs)
    path = as_path(out, "where the model goes")
    form = _form(path, form)
    spec = run.document.features.spec
    _refuse_views(run, spec)
    given = [told for one in as_paths(validation, "the JSON document of a validation") for told in read_told(one)]
    again = {one["data"] for one in given}
    validations = [*(one for one in kept_told(run) if one["data"] not in again), *given]
    where, (head, novelty) = network_of(run, network), load_head(run)
    if form == "keras" and where.onnx:
        raise UsageError(
            f"{run.name} uses an ONNX file as its network ({where.name}), which is not a Keras model: use `form=onnx`."
        )
    made = Made(
        run=run.name, network=where, spec=replace(spec, precision="float32"), head=head, novelty=novelty,
        use=RESEARCH_USE,
    )  # fmt: skip
    difference = write_model(path, form, made, progress or (lambda name, done, total: None))
    notes = _notes(run, head)
    card = card_for(run, path, form, as_path(features), validations, notes)
    return Exported(
        run=run,
        path=path,
        form=form,
        difference=difference,
        notes=notes,
        card=card,
        beside=write_beside(path, card, spec),
    )


def _form(path: Path, form: Form | None) -> Form:
    """Which of the two is meant."""
    endings: dict[str, Form] = {".onnx": "onnx", ".keras": "keras"}
    ending = path.suffix.lower()
    if form not in (None, "onnx", "keras"):
        raise UsageError(f"`form` is onnx or keras; got {form!r}.")
    if ending not in endings:
        raise UsageError(f"`out` is the name of a file that ends in .onnx or .keras; got {str(path)!r}.")
    if form not in (None, endings[ending]):
        raise UsageError(f"`out` ends in {ending}, and `form={form}` in .{form}: omit one of them.")
    if path.is_dir():
        raise UsageError(f"`out` is the name of a file, and {path} is a folder. Name a file in it.")
    return endings[ending]


def _refuse_views(run: Run, spec: FeatureSpec) -> None:
    """Refuse what no model takes in: pixels that are prepared by more than cutting and resizing."""
    view = spec.view
    for wrong, why, field in (
        (view.mask != "none", "through lung masks, which an image by itself does not have", "mask"),
        (view.letters, "after letters have been found and filled in", "letters"),
        (view.border_only or view.shuffle, "changed into a control", "border_only"),
    ):
        if wrong:
            raise InputError(
                f"{run.name} sees images {why}, and a model takes pixels as they are. Extract features without "
                f"`{field}` and fit a head on them."
            )


def _notes(run: Run, head: FittedHead) -> tuple[str, ...]:
    """What whoever gives the model away should know."""
    document, notes = run.document, []
    if document.random_weights:
        notes.append("The network has random weights: its output means nothing.")
    if document.identity.target != "label":
        notes.append(
            f"The model predicts {document.identity.target}, not the class of an image; images are counted by their "
            "class."
        )
    if document.tta:
        notes.append(
            f"The run was tested with predictions averaged over {document.features.spec.view.count} views of an "
            "image; the model takes only the plain view, so its scores may be a little lower."
        )
    if document.features.spec.precision != "float32":
        notes.append(f"The run's features were computed in {document.features.spec.precision}, the model's in float32.")
    if not document.itself_tested:
        notes.append(
            "After the test in folds, the head was fitted on all images; that final head has not been tested itself."
        )
    if kept := _kept_images(head):
        notes.append(
            f"The file holds the features of {kept} training images, from which something about them may be learned. "
            "Where that matters, share a logreg or dropout head instead."
        )
    if failed := ", ".join(one.check for one in run.failed_checks):
        notes.append(f"The run failed checks of its audit ({failed}): its scores may not be about the disease.")
    return tuple(notes)


def _kept_images(head: FittedHead) -> int:
    """How many rows of training features a head holds."""
    arrays = {"svm-rbf": "support_vectors", "knn": "rows"}
    return len(head.arrays[arrays[head.kind]]) if head.kind in arrays else 0
