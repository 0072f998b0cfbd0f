"""What tests of validations share: a run, and the features that it was fitted on."""

from __future__ import annotations

import pytest

from tests.workflow.elsewhere import Home, home_in


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return home_in(tmp_path_factory.mktemp("home"))
