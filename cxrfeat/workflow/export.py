"""The recipe of export: one model from grey pixels to calibrated probabilities, to be run without this package."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from cxrfeat.backbone.network import Network
from cxrfeat.backbone.weights import check_file
from cxrfeat.bar import with_bar
from cxrfeat.errors import InputError, IntegrityError, UsageError
from cxrfeat.feature.column import Cut
from cxrfeat.feature.of_run import of_same_images
from cxrfeat.finetuning.tuned import network_of
from cxrfeat.head.fitted import FittedHead
from cxrfeat.head.novelty import Novelty
from cxrfeat.head.of_run import load_head
from cxrfeat.reporting.card import card_of, code_of
from cxrfeat.reporting.card_page import card_page
from cxrfeat.reporting.checklist import CLAIM, TRIPOD, checklist_page, filled
from cxrfeat.reporting.subgroup import in_subgroups
from cxrfeat.reporting.table import RESEARCH_USE
from cxrfeat.run.folder import Run, RunLike, find_run
from cxrfeat.spec import FeatureSpec
from cxrfeat.system.files import write_atomic
from cxrfeat.system.given import PathLike, as_path, as_paths
from cxrfeat.types import Probabilities, Progress, Views

if TYPE_CHECKING:
    import onnx

Form = Literal["onnx", "keras"]

TOLERANCE = 1e-5
"""How far a model's probabilities may be from the run's own head on the same features."""


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
    """Write a run as one model, preprocessing and calibration inside, with a model card and two checklists beside it.

    Beside `model.onnx` are `model.card.md`, `model.card.json`, `model.claim.md` (CLAIM 2024) and `model.tripod.md`
    (TRIPOD+AI), of which the last two are for the author to finish.

    Args:
        run: A run, its name or an unambiguous beginning of it, or its folder.
        out: Where it goes; what is there is replaced.
        form: `onnx` or `keras`; `None` is what the ending of `out` says.
        network: Where the network's file is, if it is no longer where it was.
        validation: What `validate` said of other data sets, as the files of its JSON documents; one or many.
        features: Folder of the feature files, which tell the card of the images that the run was fitted on; it need not
            be there.
        runs: Folder in which the run's name is looked for.
        progress: Told after every step.

    Raises:
        UsageError: If `out` and `form` do not fit each other, the network is none of Keras's for `keras`, or it cannot
            be converted here.
        InputError: If there is no such run, its views take more than a resized image, or a validation is no such
            document.
        MissingExtraError: If the extra onnx is not installed.
        IntegrityError: If the run is damaged, or the model does not say what the run says.
        WeightsError: If the network is no longer there.
        StorageError: If the disk refuses.
    """
    run = find_run(run, runs=runs)
    path = as_path(out, "where the model goes")
    form = _form(path, form)
    spec = run.document.features.spec
    _refuse_views(run, spec)
    documents = as_paths(validation, "the JSON document of a validation")
    validations = [told for one in documents for told in _validations(one)]
    where, (head, novelty) = network_of(run, network), load_head(run)
    if form == "keras" and where.onnx:
        raise UsageError(f"{run.name} is on an ONNX file ({where.name}), which is no Keras model: use `form=onnx`.")
    tell = progress or (lambda name, done, total: None)
    tell("export", 0, 3)
    write = _as_onnx if form == "onnx" else _as_keras
    difference = write(path, run, where, replace(spec, precision="float32"), head, novelty, tell)
    notes = _notes(run, head)
    card = _card(run, path, form, as_path(features), validations, notes)
    return Exported(
        run=run,
        path=path,
        form=form,
        difference=difference,
        notes=notes,
        card=card,
        beside=_write_beside(path, card, spec),
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
        raise UsageError(f"`out` ends in {ending}, and `form={form}` in .{form}: leave one of them away.")
    if path.is_dir():
        raise UsageError(f"`out` is the name of a file, and {path} is a folder. Name a file in it.")
    return endings[ending]


def _refuse_views(run: Run, spec: FeatureSpec) -> None:
    """Refuse what no model takes in: pixels that are prepared by more than cutting and resizing."""
    view = spec.view
    for wrong, why, field in (
        (view.mask != "none", "through lung masks, which an image alone does not have", "mask"),
        (view.letters, "after letters were found and filled in", "letters"),
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
        notes.append("The network has random weights: what the model says means nothing.")
    if document.identity.target != "label":
        notes.append(
            f"The model tells {document.identity.target}, not the class of an image; images are counted by their class."
        )
    if document.tta:
        notes.append(
            f"The run was tested with the mean over {document.features.spec.view.count} views of an image; the model "
            "takes one view, the plain one, so that its scores may be a little lower."
        )
    if document.features.spec.precision != "float32":
        notes.append(f"The run's features were computed in {document.features.spec.precision}, the model's in float32.")
    if not document.itself_tested:
        notes.append("The head was fitted on all images after its test in folds, and is not itself tested.")
    if kept := _kept_images(head):
        notes.append(
            f"The file holds the features of {kept} training images, from which something of these may be told. "
            "Where that matters, give away a logreg or dropout head."
        )
    if failed := ", ".join(one.check for one in run.failed_checks):
        notes.append(f"The run failed checks of its audit ({failed}): its scores may not be about the disease.")
    return tuple(notes)


def _kept_images(head: FittedHead) -> int:
    """How many rows of training features a head holds."""
    arrays = {"svm-rbf": "support_vectors", "knn": "rows"}
    return len(head.arrays[arrays[head.kind]]) if head.kind in arrays else 0


def _validations(path: Path) -> list[dict[str, Any]]:
    """What `validate` said of one other data set, or of several."""
    check_file(path, "validation")
    try:
        document = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is no JSON ({error}). Write it with `cxrfeat validate`, as JSON.") from error
    several = document.get("validations") if isinstance(document, dict) else None
    found = several if isinstance(several, list) and several else [document]
    for told in found:
        if not isinstance(told, dict) or not all(isinstance(told.get(name), dict) for name in ("external", "gap")):
            raise InputError(f"{path} is no document of `cxrfeat validate`: it has no scores of another data set.")
    return [
        {"data": Path(str(told.get("data", "?"))).name, **{name: told[name] for name in _SHOWN if name in told}}
        for told in found
    ]


_SHOWN = ("external", "gap", "calibration", "out_of_distribution")
"""What the card takes of a validation: no path and no image is in it."""


def _card(
    run: Run, path: Path, form: Form, features: Path, validations: list[dict[str, Any]], notes: Sequence[str]
) -> dict[str, Any]:
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


def _write_beside(path: Path, card: dict[str, Any], spec: FeatureSpec) -> tuple[Path, ...]:
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


def _as_onnx(
    path: Path, run: Run, network: Network, spec: FeatureSpec, head: FittedHead, novelty: Novelty, tell: Progress
) -> float:
    from cxrfeat.backbone.onnx_engine import session_of
    from cxrfeat.backbone.standalone import whole_graph
    from cxrfeat.head.onnx_form import PROBABILITIES, with_head

    views = made_up_views(network.size)[..., np.newaxis]
    graph = whole_graph(network, spec)
    tell("export", 1, 3)
    wanted = head.predict_proba(_said(session_of(graph.SerializeToString()), None, views))
    model = with_head(graph, head, novelty)
    _describe(model, run, head, network.size)
    content = model.SerializeToString()
    said = _said(session_of(content), PROBABILITIES, views)
    tell("export", 2, 3)
    difference = _checked(run, said, wanted)
    write_atomic(path, content)
    tell("export", 3, 3)
    return difference


def _said(session: Any, output: str | None, views: Views) -> Any:  # noqa: ANN401  # ONNX Runtime has no types
    """An output of a model for views, one at a time as some networks take them."""
    given, wanted = session.get_inputs()[0].name, None if output is None else [output]
    return np.concatenate([session.run(wanted, {given: view[np.newaxis]})[0] for view in views])


def _describe(model: onnx.ModelProto, run: Run, head: FittedHead, size: int) -> None:
    """What the file says of itself to whoever opens it."""
    from onnx import helper

    model.doc_string = (
        f"{RESEARCH_USE} {size} x {size} grey pixels (uint8, one channel last) to calibrated probabilities of "
        f"{', '.join(head.classes)}, and whether the image is unlike those it was trained on."
    )
    told = {"classes": json.dumps(head.classes), "size": str(size), "run": run.name, "use": RESEARCH_USE}
    helper.set_model_props(model, told)


def _as_keras(
    path: Path, run: Run, network: Network, spec: FeatureSpec, head: FittedHead, novelty: Novelty, tell: Progress
) -> float:
    from cxrfeat.backbone.build import build
    from cxrfeat.backbone.quiet import import_keras
    from cxrfeat.backbone.saved import keras_bytes
    from cxrfeat.head.keras_form import with_head

    keras, views = import_keras(), made_up_views(network.size)[..., np.newaxis]
    body = build(network, spec)
    tell("export", 1, 3)
    features = np.asarray(body.predict_on_batch(views))
    model = with_head(keras, body, head)
    said = np.asarray(model.predict_on_batch(views))
    tell("export", 2, 3)
    difference = _checked(run, said, head.predict_proba(features))
    write_atomic(path, keras_bytes(model))
    tell("export", 3, 3)
    return difference


def _checked(run: Run, said: Probabilities, wanted: Probabilities) -> float:
    """How far a model is from the run's own head.

    Raises:
        IntegrityError: If that is too far.
    """
    difference = float(np.abs(said - wanted).max())
    if not difference <= TOLERANCE:
        raise IntegrityError(
            f"The model does not say what {run.name} says ({difference:.2g} apart), and was not written. Give away a "
            "head of another kind, and report this."
        )
    return difference


def made_up_views(size: int) -> Views:
    """Four views to compare by, `(4, size, size)`: noise, a slope, a disc, and one that is all grey.

    Args:
        size: Height and width, in pixels.
    """
    across = np.linspace(0, 255, size)
    rows, columns = np.meshgrid(np.linspace(-1, 1, size), np.linspace(-1, 1, size), indexing="ij")
    noise = np.random.default_rng(0).integers(0, 256, (size, size))
    slope = np.broadcast_to((across[:, None] + across) / 2, (size, size))
    disc = np.where(rows**2 + columns**2 < 0.5, 180, 40)
    return np.stack([noise, slope, disc, np.full((size, size), 128)]).astype(np.uint8)
