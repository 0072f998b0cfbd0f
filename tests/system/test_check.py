from __future__ import annotations

import pytest

from cxrfeat.system.check import size_text


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 kB"), (999_000, "999 kB"), (10**6, "1 MB"), (999 * 10**6, "999 MB"), (10**9, "1.0 GB")]
)
def test_sizes_are_said_in_the_unit_that_fits(count: int, text: str) -> None:
    assert size_text(count) == text
