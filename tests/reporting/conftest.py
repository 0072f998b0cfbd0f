"""What several tests of pages share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.reporting.reports import two_runs


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """`features/f.h5`, and two runs of it in `runs/`."""
    return two_runs(tmp_path)
