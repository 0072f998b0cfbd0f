"""How often a test part was opened: a choice among runs by their test scores is no test any more."""

from __future__ import annotations

import contextlib
from pathlib import Path

from cxrfeat.errors import InputError, IntegrityError
from cxrfeat.run.folder import all_runs, read_any_run


def openings(runs: Path, split_sha256: str) -> int:
    """How many runs in a folder were tested on this very split; damaged ones are not counted."""
    count = 0
    for path in all_runs(runs):
        with contextlib.suppress(InputError, IntegrityError):
            count += read_any_run(path).document.split.sha256 == split_sha256
    return count
