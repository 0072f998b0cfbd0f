"""What several tests of pages share."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.reporting.reports import two_runs


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`features/f.h5`, and two runs of it in `runs/`: for `folder` to copy."""
    return two_runs(tmp_path_factory.mktemp("made"))


@pytest.fixture
def folder(made_once: Path, tmp_path: Path) -> Path:
    """`features/f.h5`, and two runs of it in `runs/`, which a test may change."""
    return Path(shutil.copytree(made_once, tmp_path, dirs_exist_ok=True))
