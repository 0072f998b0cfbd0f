from __future__ import annotations

import subprocess
import sys

from cxrfeat.metric.least import LEAST_GROUPS, NO_INTERVAL


def test_the_number_is_in_the_reason() -> None:
    assert f" {LEAST_GROUPS} " in NO_INTERVAL


def test_the_number_costs_no_numpy() -> None:
    code = "import sys, cxrfeat.metric.least; assert 'numpy' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
