"""The images of an audit: copies paired, patients grouped, and assigned in folds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxrfeat.auditing.control import check_controls, control_probabilities, untested
from cxrfeat.auditing.encoded import read_encoded
from cxrfeat.auditing.inspections import Inspected
from cxrfeat.auditing.people import Column, metadata_columns
from cxrfeat.auditing.short import check_strangers
from cxrfeat.auditing.source import SourceTable
from cxrfeat.errors import BadImageError, InputError, SplitError
from cxrfeat.feature.file import FeatureFile
from cxrfeat.feature.split import Fold
from cxrfeat.head.balance import Balance
from cxrfeat.image.duplicate import Pair, find_duplicates
from cxrfeat.image.group import group
from cxrfeat.image.inspect import Inspection
from cxrfeat.image.row import ImageRow, Manifest, Quarantined
from cxrfeat.image.split import folds
from cxrfeat.metric.least import LEAST_GROUPS
from cxrfeat.metric.shortcut import control_scores, tested_groups
from cxrfeat.metric.source import within_source
from cxrfeat.run.document import Encoded, WithinSource
from cxrfeat.run.record import from_json
from cxrfeat.types import Features, Finding, Groups, Labels, Probabilities


@dataclass(frozen=True, kw_only=True, eq=False)
class AuditedImages:
    """The images that could be read, and how they are judged."""

    manifest: Manifest
    """Of these images alone."""
    inspections: tuple[Inspection, ...]
    features: Features | None
    """`(images, dim)` of the plain views, where there is a feature file."""
    pairs: tuple[Pair, ...]
    groups: Groups
    folds: tuple[Fold, ...]
    """Of the classes that are large enough; none where there are no two."""
    unfolded: Finding | None
    """What there is to say of classes that are not."""
    strangers: Finding | None
    """What there is to say of images that the feature file does not hold."""
    seed: int

    @property
    def rows(self) -> Sequence[ImageRow]:
        """The images."""
        return self.manifest.rows

    @cached_property
    def labels(self) -> Labels:
        """`(images,)` class indices."""
        return self.manifest.labels

    @cached_property
    def tested(self) -> NDArray[np.intp]:
        """Rows of the images that are tested, fold after fold."""
        return np.concatenate([fold.test for fold in self.folds])

    def probabilities(self, seen: Features, balance: Balance | None = None) -> Probabilities:
        """Of a logistic regression on what is seen, out of fold, in the order of `tested`."""
        return control_probabilities(seen, self.labels, self.folds, self.manifest.classes, balance)

    def scores(self, told: Probabilities, model: Probabilities | None = None) -> dict[str, Any]:
        """Of what is known of the images in the order of `tested`, and the share of a model's score that it reaches."""
        rows = self.tested
        return control_scores(self.labels[rows], told, self.groups[rows], self.manifest.classes, model, seed=self.seed)

    @cached_property
    def sources(self) -> SourceTable:
        """How many images of each class come from each source."""
        return SourceTable.of(self.labels, [row.source for row in self.rows], self.manifest.classes)

    @cached_property
    def ages(self) -> NDArray[np.float64]:
        """`(images,)` in years, `nan` where they are unknown."""
        return np.array([np.nan if row.age is None else row.age for row in self.rows], dtype=np.float64)

    @cached_property
    def metadata(self) -> dict[str, NDArray[np.generic]]:
        """What the table says of the people, column by column."""
        texts = {name: np.array([getattr(row, name) or "" for row in self.rows]) for name in ("sex", "view_position")}
        return {"age": self.ages, **texts}

    @cached_property
    def columns(self) -> dict[str, Column]:
        """The same as a control is given it, of each column that says anything."""
        return metadata_columns(self.metadata)

    def encoded(self) -> tuple[Encoded, ...]:
        """What the features predict besides the class, where there are features."""
        if self.features is None:
            return ()
        classes = self.manifest.classes
        return read_encoded(self.features, self.labels, self.groups, self.known, classes, seed=self.seed)

    @property
    def known(self) -> dict[str, NDArray[np.generic]]:
        """What is known of each image besides its class: `metadata`, and the source."""
        return {**self.metadata, "source": np.array([row.source or "" for row in self.rows])}

    def within_source(self, model: Probabilities) -> WithinSource:
        """Scores of a model among images of one source."""
        rows = self.tested
        names = sorted({row.source for row in self.rows if row.source is not None})
        codes = np.array([-1 if row.source is None else names.index(row.source) for row in self.rows])
        classes = self.manifest.classes
        told = within_source(self.labels[rows], model, self.groups[rows], codes[rows], classes, seed=self.seed)
        return from_json(WithinSource, told)


def images_of(
    manifest: Manifest, inspected: Inspected, file: FeatureFile | None, fold_count: int, seed: int
) -> tuple[AuditedImages, list[Quarantined]]:
    """Take the images that can be used, pair the copies, group the patients, and deal folds.

    Args:
        manifest: Manifest of the folder.
        inspected: Its images.
        file: Features of these images, if there are any; images that it does not hold are left out.
        fold_count: How many folds.
        seed: Seed of the folds.

    Returns:
        The images, and those that cannot be used.

    Raises:
        InputError: If no image can be used, or the feature file holds too few of them.
    """
    bad = list(manifest.quarantined)
    ours, strangers = manifest, None
    if file is not None:
        known = set(file.content_sha256)
        ours = replace(manifest, rows=tuple(row for row in manifest.rows if row.content_sha256 in known))
        if 2 * len(ours.rows) < len(manifest.rows):
            raise InputError(
                f"{file.path} was made from other data: of the {len(manifest.rows)} images in {manifest.root} it "
                f"holds {len(ours.rows)}. Check the folder, and with `cache` name the feature file of these images."
            )
        strange = [row.path for row in manifest.rows if row.content_sha256 not in known]
        strangers = check_strangers(strange, len(manifest.rows))
    rows, inspections = [], []
    for row in ours.rows:
        one = inspected[row.path]
        if isinstance(one, BadImageError):
            bad.append(Quarantined(path=row.path, stage=one.stage, reason=one.reason))
        else:
            rows.append(row)
            inspections.append(one)
    if not rows:
        raise InputError(
            f"Not one of the {len(ours.rows)} images in {manifest.root} can be used, such as {bad[0].path!r} "
            f"({bad[0].reason}). Check the folder."
        )
    whole = replace(manifest, rows=tuple(rows))
    keys = [row.content_sha256 for row in rows]
    features = None if file is None else _stored_features(file, keys)
    pairs = find_duplicates(
        keys,
        np.stack([one.look.portrait for one in inspections]),
        np.array([one.look.pixel_digest for one in inspections], np.uint64),
        features,
    )
    groups = group(rows, also=[(pair.one, pair.other) for pair in pairs])
    dealt, unfolded = _dealt(whole, groups, fold_count, seed)
    images = AuditedImages(
        manifest=whole,
        inspections=tuple(inspections),
        features=features,
        pairs=pairs,
        groups=groups,
        folds=dealt,
        unfolded=unfolded,
        strangers=strangers,
        seed=seed,
    )
    return images, bad


def _stored_features(file: FeatureFile, contents: Sequence[str]) -> Features:
    """`(images, dim)` of the plain views, in the order of these contents."""
    place = {sha: index for index, sha in enumerate(file.content_sha256)}
    return file.arrays()[0][[place[sha] for sha in contents]]


def _dealt(manifest: Manifest, groups: Groups, count: int, seed: int) -> tuple[tuple[Fold, ...], Finding | None]:
    """Folds of the classes that have groups enough for them, and what to say of the others."""
    labels, classes = manifest.labels, manifest.classes
    there = tested_groups(labels, groups, classes)
    said = check_controls(there, least=max(LEAST_GROUPS, count), do=_more(list(there.values()), count))
    large = [index for index, name in enumerate(classes) if there[name] >= count]
    if len(large) < 2:
        return (), said
    rows = np.flatnonzero(np.isin(labels, large))
    names = [classes[index] for index in large]
    keys = [manifest.rows[row].content_sha256 for row in rows.tolist()]
    try:
        dealt = folds(np.searchsorted(large, labels[rows]), groups[rows], names, count, seed, keys=keys)
    except SplitError as error:
        return (), untested(str(error))
    made = tuple(
        Fold(name=f"fold {number}", train=rows[train], validation=np.arange(0), test=rows[test])
        for number, (train, test) in enumerate(dealt)
    )
    return made, said


def _more(groups: Sequence[int], count: int) -> str:
    """What to do where classes are too small for this many folds."""
    second = sorted(groups)[-2]
    if count > second >= LEAST_GROUPS:
        return f"Ask for {second} folds or fewer: `fold_count={second}`."
    return "Add images of the small classes, or leave them out: `classes`."
