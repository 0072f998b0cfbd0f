"""Validations of a run on other data sets: documents in its folder, and the only place that reads and writes them.

`runs/README.md` specifies them. They are not of the run's own files: one is added, or replaced by a newer one of the
same data, as a whole, and a damaged one costs nothing but itself.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

from cxrfeat.errors import IntegrityError
from cxrfeat.run.folder import AnyRun, Run
from cxrfeat.run.record import DamagedError, digest8, from_json, to_json
from cxrfeat.run.target_validation import FindingsValidation, NumberValidation
from cxrfeat.run.validation import Validation
from cxrfeat.spec import canonical_sha256
from cxrfeat.system.files import make_folder, write_atomic

FORMAT = "cxrfeat-validation"
VERSION = 1
FOLDER = "validations"
_LARGEST = 2**26

AnyValidation = Validation | NumberValidation | FindingsValidation
"""Of a run of classes, of a number, or of all findings."""

_KINDS: Mapping[str, type[AnyValidation]] = {"number": NumberValidation, "findings": FindingsValidation}
"""What a document is, by its `kind`; all others are of classes."""


def write_validation(run: AnyRun, validation: AnyValidation) -> Path:
    """Keep a validation in the run's folder, in place of one of the same data before.

    Raises:
        StorageError: If the disk refuses.
    """
    told = {"format": FORMAT, "version": VERSION, **to_json(validation)}
    whole = json.dumps({**told, "digest": canonical_sha256(told)}, indent=1, allow_nan=False)
    name = re.sub(r"[^A-Za-z0-9._-]+", "_", validation.dataset).strip("._-") or "x"
    told_of = list(validation.classes) if isinstance(validation, Validation) else [validation.target]
    data = digest8([validation.data_sha256, validation.features, told_of, dict(validation.renamed)])
    path = run.path / FOLDER / f"{name}-{data}.json"
    make_folder(path.parent)
    write_atomic(path, whole.encode())
    return path


def read_validation(path: Path) -> AnyValidation:
    """One validation.

    Raises:
        IntegrityError: If it is damaged, of another version, or no validation.
    """
    again = "Validate the run again, or delete this file."
    try:
        if path.stat().st_size > _LARGEST:
            raise DamagedError("it is larger than any validation")
        told = json.loads(path.read_bytes())
        if not isinstance(told, dict) or (told.get("format"), told.get("version")) != (FORMAT, VERSION):
            raise DamagedError(f"it is not a {FORMAT} of version {VERSION}")
        validation = from_json(_KINDS.get(str(told.get("kind")), Validation), told)
        if told.pop("digest", None) != canonical_sha256(told):
            raise DamagedError("it is not what was written")
    except OSError as error:
        raise IntegrityError(f"{path} cannot be read ({error.strerror}). {again}") from error
    except (ValueError, RecursionError) as error:
        raise IntegrityError(f"{path} is damaged ({error}). {again}") from error
    return validation


def validations_of(run: Run) -> list[Validation]:
    """Every validation of a run of classes, by name of the data set; those of another run in this folder are left out.

    Raises:
        IntegrityError: If one is damaged.
    """
    return [one for one in any_validations_of(run) if isinstance(one, Validation)]


def any_validations_of(run: AnyRun) -> list[AnyValidation]:
    """Every validation of a run of any kind; all else as in `validations_of`."""
    own = digest8(run.document.identity)
    places = sorted(path for path in (run.path / FOLDER).glob("*.json") if not path.name.startswith("."))
    return [one for one in map(read_validation, places) if one.identity == own]
