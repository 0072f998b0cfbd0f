"""Which feature file is meant where none is named."""

from __future__ import annotations

import shlex
from pathlib import Path

from cxrfeat.errors import InputError
from cxrfeat.system.given import PathLike, as_path


def find_features(features: PathLike | None, folder: PathLike, command: str = "fit-head") -> Path:
    """The feature file that is meant: the one given, else the only one in the folder.

    Raises:
        InputError: If there is none, or more than one; then the choices are listed.
    """
    if features is not None:
        return as_path(features, "a feature file")
    folder = as_path(folder)
    there = sorted(path for path in folder.glob("*.h5") if not path.name.startswith("."))
    if len(there) == 1:
        return there[0]
    if not there:
        raise InputError(f"There is no feature file in {folder}. Make one with `cxrfeat extract`.")
    listed = "".join(f"\n  cxrfeat {command} {shlex.quote(str(path))}" for path in there)
    raise InputError(f"There are {len(there)} feature files in {folder}; say which:{listed}")
