"""What a network makes of images without lungs, and what makes it look at them: the only place that changes images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Self

import numpy as np

from cxrfeat.auditing.images import AuditedImages
from cxrfeat.auditing.inspections import Changed
from cxrfeat.auditing.source import LOOSE
from cxrfeat.backbone.choose import choose_engine, find_engine, usual_batch
from cxrfeat.backbone.engine import Engine, EngineFactory
from cxrfeat.backbone.network import find_again
from cxrfeat.errors import InputError
from cxrfeat.feature.file import FeatureFile
from cxrfeat.feature.variant import Variants
from cxrfeat.head.balance import Balance
from cxrfeat.image.classes import doubt
from cxrfeat.image.index import Chosen
from cxrfeat.image.mask import MaskFile, Masks, masked_rows, masks_digest
from cxrfeat.image.row import ImageRow
from cxrfeat.run.document import Encoded
from cxrfeat.spec import ViewSpec
from cxrfeat.system.given import PathLike
from cxrfeat.system.process import threads
from cxrfeat.types import Features, Probabilities

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


class ChangedImages:
    """The network of a feature file over changed images, as they are read; to be used in a `with` block.

    Which images count, and whose mask counts for copies of one file, is known only once all are read: it is chosen from
    what was computed. So is whether enough of them have masks for what leaves nothing but lungs, of which no more is
    computed once it is certain that they have not.
    """

    def __init__(
        self,
        file: FeatureFile,
        chosen: Chosen,
        *,
        fold_count: int,
        mitigate: bool,
        network: PathLike | None = None,
        make_engine: EngineFactory | None = None,
    ) -> None:
        """Find the network; it is loaded when the first image comes.

        Args:
            file: Whose network and views are changed; images that it does not hold are passed over.
            chosen: The images that are going to be read.
            fold_count: Without two classes of this many images no model is judged, and so nothing is computed.
            mitigate: Compare ways to make the network look at the lungs, too.
            network: Where the network is, if it is no longer where it was.
            make_engine: Loads the network; `None` is the usual one.

        Raises:
            WeightsError: If the network is not there.
        """
        self._file, self._make = file, make_engine
        self._where = find_again(file.spec, file.content.backbone, path=network)
        self._known = set(file.content_sha256)
        self._most = len(chosen.entries)
        self._to_come = sum(entry.mask is not None for entry in chosen.entries)
        self.ways = dict(MITIGATIONS) if mitigate else {}
        if not self._to_come:
            self.ways = {name: change for name, change in self.ways.items() if change.get("mask") != "lungs"}
        without = {_without_lungs(name): _control_of(change) for name, change in self.ways.items()}
        self._specs = {
            name: _changed(file.spec.view, change) for name, change in {**CONTROL_VIEWS, **self.ways, **without}.items()
        }
        lungs = [name for name, change in self.ways.items() if change.get("mask") == "lungs"]
        lungs = [*lungs, *map(_without_lungs, lungs)]
        self._of_lungs = {self._specs[name] for name in lungs}  # and of nothing else: the file's own may be of lungs
        self._of_lungs -= {spec for name, spec in self._specs.items() if name not in lungs}
        classes = chosen.classes
        judged = not doubt(classes) and sum(count >= fold_count for count in classes.values()) > 1
        views = tuple(dict.fromkeys(self._specs.values())) if judged else ()
        self._variants = Variants(views, self._most, self._engine)
        self._numbers: dict[str, int] = {}
        self._masks: dict[str, MaskFile] = {}
        self._usable, self._without = set[str](), set[str]()

    def __enter__(self) -> Self:
        """No image yet."""
        self._variants.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave nothing behind."""
        self._variants.__exit__(kind, error, trace)

    @property
    def views(self) -> tuple[ViewSpec, ...]:
        """How each image is to be changed; no two are the same."""
        return self._variants.views

    def take(self, row: ImageRow, changed: Changed) -> None:
        """The next image that can be used, with a view of each of `views`."""
        if changed.mask is not None:
            self._masks[row.path] = changed.mask
            self._to_come -= 1
        if row.content_sha256 not in self._known:
            return
        if changed.mask is not None and changed.mask.problem is None:
            self._usable.add(row.content_sha256)
            self._without.discard(row.content_sha256)
        elif row.content_sha256 not in self._usable:
            self._without.add(row.content_sha256)
        certain = len(self._without) - self._to_come  # stay without: a mask to come may be that of one of them
        if self._most - certain < MASKED * self._most:
            self._variants.drop(self._of_lungs)
        if self.views:
            self._numbers[row.path] = self._variants.add(changed.views)

    def masks(self, rows: Sequence[ImageRow]) -> Masks:
        """As `find_masks`, of images that were taken."""
        return {sha: self._masks[row.path] for sha, row in masked_rows(rows).items()}

    def features(self, name: str, rows: Sequence[ImageRow]) -> Features:
        """`(images, dim)` of the plain view of every image, changed in one of the ways.

        Raises:
            InputError: If the network gives NaN or infinity.
        """
        masked = masked_rows(rows)
        places = [masked.get(row.content_sha256, row).path for row in rows]
        return self._variants.features(self._specs[name], [self._numbers[path] for path in places])

    def _engine(self) -> Engine:
        spec = self._file.spec
        name = choose_engine("auto", self._where, spec, self._most * len(self.views))
        return (self._make or find_engine(name))(self._where, spec, usual_batch(name), threads())


def judge_changed(
    images: AuditedImages, masks: Masks, changed: ChangedImages
) -> tuple[dict[str, Probabilities], tuple[Mitigation, ...]]:
    """Judge the model of a feature file on changed images.

    Args:
        images: In folds.
        masks: Of these images.
        changed: These images.

    Returns:
        For each of `CONTROL_VIEWS` what is said of the tested images, and what each way costs and cures.
    """
    ways = _ways(images, masks, changed.ways)
    names = [*CONTROL_VIEWS, *ways, *map(_without_lungs, ways)]
    told = {name: images.probabilities(changed.features(name, images.rows)) for name in names}
    return {name: told[name] for name in CONTROL_VIEWS}, tuple(_mitigation(images, name, told) for name in ways)


def judge_balanced(images: AuditedImages, changed: ChangedImages, encoded: Sequence[Encoded]) -> tuple[Mitigation, ...]:
    """Judge the model fitted anew with weights that part the class from a column, for each that goes with the class.

    Args:
        images: In folds.
        changed: These images.
        encoded: Columns that vary.
    """
    assert images.features is not None, "a model was fitted on them"
    found = []
    for one in encoded:
        if one.cramers_v < LOOSE:
            continue
        values = images.known[one.name]
        if one.cut is not None:
            numbers = values.astype(np.float64)
            values = np.where(np.isnan(numbers), "", np.where(numbers > one.cut, "above", "below"))
        names, cell = np.unique(values, return_inverse=True)
        balance = Balance(by=(one.name,), cell=cell.astype(np.int64), names=tuple(names.tolist()))
        try:
            balanced = images.probabilities(images.features, balance)
            control = images.probabilities(changed.features("lungs out", images.rows), balance)
        except InputError:  # each class has values of its own, which the check of that column says
            continue
        partly = ", in part" if balance.lacking(np.arange(len(images.labels)), images.labels) else ""
        told = {_without_lungs(name := f"balanced by {one.name}{partly}"): control, name: balanced}
        found.append(_mitigation(images, name, told))
    return tuple(found)


def _changed(view: ViewSpec, change: Mapping[str, Any]) -> ViewSpec:
    """The description of one changed view; which masks there are is not known yet, and is part of no name."""
    masks = (view.masks or masks_digest({})) if change.get("mask") else view.masks
    return replace(view, count=1, **change, masks=masks)


def _ways(images: AuditedImages, masks: Masks, ways: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The mitigations that these images allow: only lungs can be left where nearly every image has a mask."""
    usable = sum(row.content_sha256 in masks and masks[row.content_sha256].problem is None for row in images.rows)
    masked = usable >= MASKED * len(images.rows)
    return [name for name, change in ways.items() if masked or change.get("mask") != "lungs"]


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
