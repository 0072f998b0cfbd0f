"""A number of the images of a feature file, in memory: what heads that tell it are trained and tested on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cxrfeat.errors import InputError
from cxrfeat.feature.excluded import excluded_rows
from cxrfeat.feature.file import FeatureFile
from cxrfeat.feature.parting import part_images
from cxrfeat.feature.split import Fold, Rows
from cxrfeat.feature.target import find_target
from cxrfeat.head.number import FittedNumber
from cxrfeat.head.number_fit import NumberFit
from cxrfeat.head.target_record import Targets
from cxrfeat.metric.regression import score_numbers
from cxrfeat.run.document import Identity, Search
from cxrfeat.run.folder import HEAD, TargetRun
from cxrfeat.run.record import from_json
from cxrfeat.run.target_document import NumberDocument, NumberScores
from cxrfeat.spec import SplitBy
from cxrfeat.system.given import PathLike
from cxrfeat.types import Features, Finding


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NumberData:
    """Features with a number of each image."""

    targets: Targets
    fold: Fold
    """The parts, without the images of which the number is not known."""
    notes: tuple[str, ...]
    """What was left out of the file, and what there is to know of the split, in sentences."""

    @property
    def values(self) -> NDArray[np.float64]:
        """`(images,)`, NaN where it is not known."""
        return self.targets.true[:, 0]

    @property
    def unknown(self) -> int:
        """Images of which it is not known."""
        return int(np.count_nonzero(np.isnan(self.values)))

    def training(self, fold: Fold) -> tuple[NDArray[np.float32], NDArray[np.float64], Features, NDArray[np.float64]]:
        """Features `(images, views, dim)` and numbers to train on, and those of plain views to validate on."""
        X, y = self.targets.X, self.values
        return X[fold.train], y[fold.train], X[fold.validation, 0], y[fold.validation]

    def predicted(self, head: FittedNumber, rows: Rows) -> NDArray[np.float64]:
        """`(rows,)` what a head says of the plain views."""
        return head.predict(self.targets.X[rows, 0])

    def write(
        self,
        place: Path,
        identity: Identity,
        kind: str,
        fit: NumberFit,
        audit: Sequence[Finding],
        seed: int,
        search: Search | None = None,
        openings: int = 1,
    ) -> TargetRun:
        """Test a head on the images that it has not seen, and write its run.

        Args:
            place: The folder, which must not exist.
            identity: Of the run.
            kind: Of the head.
            fit: The head.
            audit: What there is to say against it.
            seed: Of the draws of the intervals.
            search: How it was found, where it was.
            openings: How many runs have been tested on this split, this one included.

        Raises:
            StorageError: If the disk refuses.
        """
        held, test = self.fold.validation, self.fold.test
        rows = np.concatenate([held, test])
        predicted = self.predicted(fit.head, rows)

        def scored(part: Rows, said: NDArray[np.float64]) -> NumberScores:
            groups = self.targets.file.groups[part]
            return from_json(NumberScores, score_numbers(self.values[part], said, groups, seed=seed))

        document = NumberDocument(
            **self.targets.about(identity, kind, fit.seconds, audit, self.notes),
            unknown=self.unknown,
            fitted=fit.head.record(),
            validation=scored(held, predicted[: len(held)]) if len(held) else None,
            test=scored(test, predicted[len(held) :]),
            search=search,
            test_openings=openings,
        )
        arrays = {HEAD: fit.head.to_npz()}
        return self.targets.write(place, document, rows, predicted[:, None], fit.history, arrays)


def load_number(
    whole: FeatureFile,
    target: str,
    *,
    split_by: SplitBy | None = None,
    regroup_given: bool = False,
    exclude: PathLike | None = None,
    seed: int = 0,
) -> NumberData:
    """Read features and a number of a file, for fits.

    Args:
        whole: Open.
        target: `age`, or a column of numbers that the file keeps.
        split_by: As `part_images` takes it. The split is that of all images.
        regroup_given: As in `part_images`.
        exclude: A table of images to leave out, as `feature.excluded` reads it.
        seed: Of the split.

    Raises:
        UsageError: If there is no such target.
        InputError: If it is not a number, or not known for two training images and two test images.
        SplitError: If the images cannot be split as asked.
    """
    rows = [] if exclude is None else excluded_rows(whole, exclude)
    file = whole.without(rows) if rows else whole
    found = find_target(file, target)
    if not found.numeric:
        raise InputError(
            f"{found.name!r} is not a number but one of {', '.join(found.classes)}: fit a head of classes."
        )
    split = part_images(file, by=split_by, regroup_given=regroup_given, seed=seed)
    fold = split.folds[0].only(found.known)
    if len(fold.train) < 2 or len(fold.test) < 2:
        raise InputError(
            f"{found.name!r} is known of {len(fold.train)} training images and {len(fold.test)} test images."
        )
    targets = Targets(
        file=file,
        X=file.read(),
        split=split,
        target=found.name,
        names=(found.name,),
        true=np.asarray(found.values, np.float64)[:, None],
        excluded=tuple(sorted(whole.image_ids[row] for row in rows)),
    )
    unknown = int(np.count_nonzero(~found.known))
    notes = [f"{len(rows)} images are left out as `exclude` says."] if rows else []
    if unknown:
        is_ = "is" if unknown == 1 else "are"
        notes.append(f"{unknown} of {file.images} images, of which {found.name!r} is not known, {is_} left out.")
    return NumberData(targets=targets, fold=fold, notes=(*notes, *split.notes))
