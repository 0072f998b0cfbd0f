"""The feature file that a run was fitted on, as it was then."""

from __future__ import annotations

from pathlib import Path

from cxrfeat.feature.file import FeatureFile
from cxrfeat.run.folder import Run


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


def as_fitted(file: FeatureFile, run: Run) -> FeatureFile | None:
    """A feature file with the classes of a run that was fitted on some of them; `None` if it lacks one."""
    chosen = run.document.identity.classes
    if not chosen:
        return file
    return file.of_classes(chosen) if set(chosen) <= set(file.classes) else None


def features_of(run: Run) -> str | None:
    """Fingerprint of the features that a run's head sees; `None` if it was fine-tuned: those are not kept."""
    document = run.document
    return None if document.features.file is None else document.identity.features


def data_of(run: Run) -> str:
    """Hash of the images and labels that a run was fitted and tested on."""
    return run.document.identity.data_sha256
