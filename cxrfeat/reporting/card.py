"""A model card as data: what a model is, what it was made and tested with, and what it is not for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from cxrfeat.feature.file import FeatureFile
from cxrfeat.reporting.table import RESEARCH_USE
from cxrfeat.run.folder import Run
from cxrfeat.run.record import to_json
from cxrfeat.spec import FeatureSpec
from cxrfeat.version import __version__

INTENDED = (
    "Research: to be compared with other models, and tried on the images of other hospitals.",
    "Frontal chest radiographs of the kind and from the places that the data below are of.",
)
UNINTENDED = (
    "Diagnosis, triage, or any decision about a patient: it is not a medical device, and no regulator has reviewed it.",
    "Images of another kind than those it was trained on: children's, lateral ones, photographs of films.",
    "Any hospital on whose own images it was not validated: scores fall elsewhere, often by a lot.",
)


def card_of(
    run: Run,
    model: Mapping[str, Any],
    *,
    file: FeatureFile | None = None,
    subgroups: Sequence[Mapping[str, Any]] = (),
    validations: Sequence[Mapping[str, Any]] = (),
    notes: Sequence[str] = (),
) -> dict[str, Any]:
    """A model card, in JSON's own types; it names no image, no patient and no path.

    Args:
        run: The run that the model is made of.
        model: What the file is: `file`, `format`, `sha256`, `bytes`, `outputs`.
        file: Features of the run's images, which give classes and sources of all of them; `None` where there are none.
        subgroups: Rows of `Subgroups`.
        validations: Documents of `validate`.
        notes: What whoever gets the model should know.
    """
    document = run.document
    told = to_json(document)
    spec = document.features.spec
    return {
        "use": RESEARCH_USE,
        "name": run.name,
        "intended_use": list(INTENDED),
        "unintended_use": list(UNINTENDED),
        "notes": [*notes, *document.notes],
        "model": {
            **model,
            "classes": list(document.classes),
            "head": document.head,
            "head_spec": told["identity"].get("head"),
            "finetune_spec": told["identity"].get("finetune"),
            "search": told["identity"].get("search"),
            "temperature": document.fitted.temperature,
            "network": document.backbone,
            "network_weights": spec.weights,
            "random_weights": document.random_weights,
            "size": spec.view.size,
            "steps": list(steps_of(spec)),
        },
        "data": _data(run, file),
        "split": told["identity"]["split"] | {"tta": document.tta, "itself_tested": document.itself_tested},
        "validation": told["validation"],
        "test": told["test"],
        "folds": told["folds"],
        "subgroups": [dict(one) for one in subgroups],
        "audit": told["audit"],
        "validations": [dict(one) for one in validations],
        "hashes": {
            "features": document.identity.features,
            "data": document.identity.data_sha256,
            "split": document.split.sha256,
            "network": spec.weights,
            "model": model["sha256"],
        },
        "versions": {"cxrfeat": __version__, **document.versions},
    }


def steps_of(spec: FeatureSpec) -> tuple[str, ...]:
    """What is left to do to an image before the model sees it."""
    view = spec.view
    steps = ["Make it grey, upright, 8 bits: luminance as ITU-R 601-2 has it (Pillow: convert('L')), bone bright."]
    if view.border_crop:
        steps.append(f"Cut {view.border_crop:g} of its height and width away at each side, rounded to whole pixels.")
    if view.border_darken:
        steps.append(f"Blacken {view.border_darken:g} of its height and width at each side, rounded to whole pixels.")
    steps.append(
        f"Resize it to {view.size} x {view.size} pixels, whatever its shape: bilinear with antialiasing, rows first, "
        "then columns, rounded to whole numbers after each (Pillow: twice resize, BILINEAR)."
    )
    steps.append("Nothing else: scaling and normalisation are inside.")
    return tuple(steps)


def code_of(spec: FeatureSpec, file: str) -> str:
    """Python that runs the model on an image, without this package."""
    view, size = spec.view, spec.view.size
    margins = "rows, columns = round(grey.height * {0:g}), round(grey.width * {0:g})"
    inside = "(columns, rows, grey.width - columns, grey.height - rows)"
    lines = ["import numpy, onnxruntime", "from PIL import Image", "", 'grey = Image.open("chest.png").convert("L")']
    if view.border_crop:
        lines += [margins.format(view.border_crop), f"grey = grey.crop({inside})"]
    if view.border_darken:
        lines += [
            margins.format(view.border_darken),
            'dark = Image.new("L", grey.size)',
            f"dark.paste(grey.crop({inside}), (columns, rows))",
            "grey = dark",
        ]
    lines += [
        f"grey = grey.resize(({size}, grey.height), Image.Resampling.BILINEAR)",
        f"grey = grey.resize(({size}, {size}), Image.Resampling.BILINEAR)",
        "views = numpy.asarray(grey)[None, :, :, None]",
    ]
    if file.endswith(".keras"):
        lines[0] = "import keras, numpy"
        return "\n".join([*lines, f"model = keras.saving.load_model({file!r})", "print(model.predict(views))"])
    return "\n".join(
        [
            *lines,
            f"session = onnxruntime.InferenceSession({file!r})",
            'probabilities, out_of_distribution = session.run(None, {"view": views})',
            "print(probabilities, out_of_distribution)",
        ]
    )


def _data(run: Run, file: FeatureFile | None) -> dict[str, Any]:
    """How many images of which class, source and part there were, and which were left out."""
    document = run.document
    told: dict[str, Any] = {"dataset": document.dataset, "excluded_by_hand": len(document.excluded)}
    if file is None:
        test = document.test
        counts = [sum(row) for row in test.confusion]
        told |= {"known": "test part only", "images": test.images, "groups": test.groups}
        return told | {"classes": dict(zip(test.classes, counts, strict=True)), "counts": []}
    part = dict(zip(*(getattr(run.split(), name) for name in ("contents", "parts")), strict=True))
    parts = [part.get(content, "none") for content in file.content_sha256]
    labels = [file.classes[label] for label in file.labels.tolist()]
    sources = [source or "unknown" for source in file.sources]
    groups: dict[tuple[str, str, str], set[int]] = {}
    for key, group in zip(zip(parts, labels, sources, strict=True), file.groups.tolist(), strict=True):
        groups.setdefault(key, set()).add(group)
    images = Counter(zip(parts, labels, sources, strict=True))
    reasons = Counter(one["stage"] for one in file.content.quarantine)
    return told | {
        "known": "all images",
        "images": file.images,
        "groups": len(set(file.groups.tolist())),
        "known_patients": int(file.known_patients.sum()),
        "classes": dict(Counter(labels)),
        "sources": dict(Counter(sources)),
        "unusable": dict(reasons),
        "counts": [
            {"part": key[0], "class": key[1], "source": key[2], "images": images[key], "groups": len(groups[key])}
            for key in sorted(images)
        ],
        "columns": {
            name: sum(one is not None for one in file.texts(name)) for name in ("source", "sex", "view_position")
        }
        | {"age": int((file.content.columns["age"] >= 0).sum()), "date": sum(one is not None for one in file.dates)},
    }
