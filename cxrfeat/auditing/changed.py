"""What a network makes of images without lungs, and what makes it look at them: the only place that changes images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from cxrfeat.auditing.images import AuditedImages
from cxrfeat.backbone.choose import choose_engine, find_engine, usual_batch
from cxrfeat.backbone.engine import EngineFactory
from cxrfeat.backbone.network import find_again
from cxrfeat.feature.file import FeatureFile
from cxrfeat.feature.variant import variant_features
from cxrfeat.image.mask import Masks, masks_digest
from cxrfeat.spec import ViewSpec
from cxrfeat.system.given import PathLike
from cxrfeat.system.process import threads
from cxrfeat.types import Features, Probabilities, Progress, named

BORDER = 0.12
"""Share of height and width at each side that the control "border only" keeps, and that the remedies take away: letters
lie in it, and little of the lungs."""

MASKED = 0.9
"""Share of the images that have a lung mask, at least, for the remedy that leaves nothing but lungs; the template
stands in for the masks of the others."""

CONTROL_VIEWS: dict[str, dict[str, Any]] = {
    "border only": {"border_only": BORDER},
    "lungs out": {"mask": "outside"},
    "shuffled blocks": {"shuffle": 8},
}
"""Views that show no lungs, or none as they are, to the same network and the same kind of head."""

MITIGATIONS: dict[str, dict[str, Any]] = {
    "none": {},
    "crop": {"border_crop": BORDER},
    "darken": {"border_darken": BORDER},
    "letters": {"letters": True},
    "lungs": {"mask": "lungs"},
}
"""Ways to make a network look at the lungs, each an ordinary option of `extract`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mitigation:
    """What one way to make the network look at the lungs costs and cures."""

    name: str
    auroc: float | None
    """Of the model on images so treated."""
    auroc_ci: list[float] | None
    control: float | None
    """AUROC on the same images without their lungs; for `lungs`, which has nothing else, on their borders only."""
    ratio: float | None
    """Shortcut ratio of the two."""
    ratio_ci: list[float] | None


def judge_changed(
    images: AuditedImages,
    masks: Masks,
    file: FeatureFile,
    *,
    mitigate: bool,
    network: PathLike | None = None,
    make_engine: EngineFactory | None = None,
    progress: Progress | None = None,
) -> tuple[dict[str, Probabilities], tuple[Mitigation, ...]]:
    """Judge the model of a feature file on changed images; each image is decoded once for all changes.

    Args:
        images: In folds.
        masks: Of these images.
        file: Whose network and views are changed.
        mitigate: Compare ways to make the network look at the lungs, too.
        network: Where the network is, if it is no longer where it was.
        make_engine: Loads the network; `None` is the usual one.
        progress: Told after some images.

    Returns:
        For each of `CONTROL_VIEWS` what is said of the tested images, and what each way costs and cures.
    """
    ways = _ways(images, masks) if mitigate else {}
    without = {_without_lungs(name): _control_of(change) for name, change in ways.items()}
    seen = _changed(images, masks, file, network, make_engine, {**CONTROL_VIEWS, **ways, **without}, progress)
    told = {name: images.probabilities(features) for name, features in seen.items()}
    return {name: told[name] for name in CONTROL_VIEWS}, tuple(_mitigation(images, name, told) for name in ways)


def _changed(
    images: AuditedImages,
    masks: Masks,
    file: FeatureFile,
    network: PathLike | None,
    make: EngineFactory | None,
    changes: Mapping[str, Mapping[str, Any]],
    progress: Progress | None,
) -> dict[str, Features]:
    """`(images, dim)` of the plain view of every image, changed in each of these ways; each image is decoded once."""
    root, spec = images.manifest.root, file.spec
    digest = masks_digest(masks) if masks else None
    plain = replace(spec.view, count=1)
    views: dict[str, ViewSpec] = {
        name: replace(plain, **change, masks=digest if change.get("mask") else plain.masks)
        for name, change in changes.items()
    }
    where = find_again(spec, file.content.backbone, path=network)
    name = choose_engine("auto", where, spec, len(images.rows) * len(set(views.values())))
    engine = (make or find_engine(name))(where, spec, usual_batch(name), threads())
    told = named(progress, "changed images")
    found = variant_features(images.rows, root, list(views.values()), engine, told, masks=masks)
    return {name: found[view] for name, view in views.items()}


def _ways(images: AuditedImages, masks: Masks) -> dict[str, dict[str, Any]]:
    """The mitigations that these images allow: only lungs can be left where nearly every image has a mask."""
    usable = sum(row.content_sha256 in masks and masks[row.content_sha256].problem is None for row in images.rows)
    masked = usable >= MASKED * len(images.rows)
    return {name: change for name, change in MITIGATIONS.items() if masked or change.get("mask") != "lungs"}


def _control_of(change: Mapping[str, Any]) -> dict[str, Any]:
    """A mitigation without the lungs; where they alone are left, they cannot be taken out, and the border is kept."""
    return {**change, **({"border_only": BORDER} if "mask" in change else {"mask": "outside"})}


def _without_lungs(name: str) -> str:
    return f"{name}, lungs out"


def _mitigation(images: AuditedImages, name: str, told: Mapping[str, Probabilities]) -> Mitigation:
    scores, of_model = images.scores(told[_without_lungs(name)], told[name]), images.scores(told[name])
    return Mitigation(
        name=name,
        auroc=of_model["auroc"],
        auroc_ci=of_model["auroc_ci"],
        control=scores["auroc"],
        ratio=scores["ratio"],
        ratio_ci=scores["ratio_ci"],
    )
