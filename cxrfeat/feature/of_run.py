"""The feature file that a run was fitted on, as it was then."""

from __future__ import annotations

from pathlib import Path

from cxrfeat.errors import IntegrityError
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
    chosen = run.info["identity"].get("classes")
    if not chosen:
        return file
    return file.of_classes(chosen) if set(chosen) <= set(file.classes) else None


def features_of(run: Run) -> str | None:
    """Fingerprint of the features that a run's head sees; `None` if it was fine-tuned: those are not kept."""
    kept = (run.info.get("features") or {}).get("file") is not None
    return str(run.info["identity"].get("features")) if kept else None


def data_of(run: Run) -> str:
    """Hash of the images and labels that a run was fitted and tested on.

    Raises:
        IntegrityError: If the run does not say.
    """
    try:
        return str(run.info["identity"]["data_sha256"])
    except (KeyError, TypeError) as error:
        raise IntegrityError(
            f"{run.path / 'run.json'} does not say of which data it is. Fit the head again."
        ) from error
