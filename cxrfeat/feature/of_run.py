"""The feature file that a run was fitted on, as it was then."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from cxrfeat.errors import InputError, UsageError
from cxrfeat.feature.file import FeatureFile
from cxrfeat.feature.target import LABEL, find_target
from cxrfeat.run.folder import AnyRun, Run, TargetRun
from cxrfeat.spec import FeatureSpec


def fitted_on(run: Run, path: Path) -> FeatureFile | None:
    """A feature file, open, if a run was fitted on it; other data sets have files of the network too.

    Returns:
        The file with the run's classes; `None` if it holds other features, or those of other images.

    Raises:
        InputError: If it is no feature file.
        IntegrityError: If it, or the run, is damaged.
    """
    file = FeatureFile(path)
    fitted = as_fitted(file, run)
    if fitted is not None and (file.fingerprint, fitted.content.data_sha256) == (features_of(run), data_of(run)):
        return fitted
    file.close()
    return None


def of_same_images(run: AnyRun, folder: Path) -> FeatureFile:
    """A feature file, open, of the images and labels of a run, whatever network made it.

    Args:
        run: With its classes; that of a fine-tuned network too.
        folder: Of the feature files; the run's own comes first.

    Raises:
        InputError: If there is none.
        IntegrityError: If a file that is tried, or the run, is damaged.
    """
    own = folder / str(run.document.features.file)
    there = [path for path in sorted(folder.glob("*.h5")) if not path.name.startswith(".")]
    for path in sorted(there, key=lambda path: path != own):
        file = FeatureFile(path)
        fitted = as_fitted(file, run)
        if fitted is not None and fitted.content.data_sha256 == data_of(run):
            return fitted
        file.close()
    raise InputError(
        f"No feature file in {folder} is of the images of {run.name}, and only such a file holds their sex, age "
        "and the like. Say where it is with `features`, or extract the features again."
    )


def own_features(run: AnyRun, folder: Path) -> FeatureFile | None:
    """A feature file, open, of the images of a run by the very network that its head sees them through.

    Args:
        run: With its classes; of a fine-tuned one, features that its network was extracted with.
        folder: Of the feature files; that which the run was fitted on comes first.

    Returns:
        `None` if there is none.

    Raises:
        IntegrityError: If a file that is tried, or the run, is damaged.
    """
    wanted = _plain(run.document.features.spec)
    there = [path for path in sorted(folder.glob("*.h5")) if not path.name.startswith(".")]
    for path in sorted(there, key=lambda path: path.name != run.document.features.file):
        file = FeatureFile(path)
        fitted = as_fitted(file, run) if _plain(file.spec) == wanted else None
        if fitted is not None and fitted.content.data_sha256 == data_of(run):
            return fitted
        file.close()
    return None


def _plain(spec: FeatureSpec) -> FeatureSpec:
    """What the plain view's features depend on."""
    view = replace(spec.view, count=1, seed=0, flip=True, zoom=(1.0, 1.2), brightness=(0.8, 1.25))
    return replace(spec, view=view, split=None, storage="float32")


def as_fitted(file: FeatureFile, run: AnyRun) -> FeatureFile | None:
    """A feature file with the classes and images of a run that was fitted on some; `None` if it lacks a class."""
    identity = run.document.identity
    if isinstance(run, TargetRun):
        return _without(file, run)
    if identity.target != LABEL:
        try:
            file = file.of_target(find_target(file, identity.target, identity.uncertain))
        except (InputError, UsageError):  # it says nothing of that
            return None
    chosen = identity.classes
    if not set(chosen) <= set(file.classes):
        return None
    return _without(file.of_classes(chosen) if chosen else file, run)


def _without(file: FeatureFile, run: AnyRun) -> FeatureFile:
    """Without the images that the user left out of a run."""
    left_out = set(run.document.excluded)
    return file.without([row for row, one in enumerate(file.image_ids) if one in left_out]) if left_out else file


def features_of(run: Run) -> str | None:
    """Fingerprint of the features that a run's head sees; `None` if it was fine-tuned: those are not kept."""
    document = run.document
    return None if document.features.file is None else document.identity.features


def data_of(run: AnyRun) -> str:
    """Hash of the images and labels that a run was fitted and tested on."""
    return run.document.identity.data_sha256
