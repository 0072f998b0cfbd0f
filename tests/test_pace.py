"""An estimate of the time left is said once it means something."""

from __future__ import annotations

import pytest

from cxrfeat.pace import Pace


class Clock:
    """Time that passes when told."""

    def __init__(self) -> None:
        self.at = 1000.0

    def __call__(self) -> float:
        return self.at


@pytest.mark.parametrize(
    ("seconds", "counts", "total", "told"),
    [
        (4.0, 10, 100, False),  # too few seconds
        (20.0, 2, 100, False),  # too few counts
        (20.0, 10, 100_000, False),  # too small a share
        (40.0, 10, 100_000, True),  # which half a minute makes up for
        (20.0, 10, 100, True),
    ],
)
def test_an_estimate_waits_until_it_means_something(seconds: float, counts: int, total: int, *, told: bool) -> None:
    clock = Clock()
    pace = Pace("images", clock)
    pace.tell(0, total)
    for done in range(1, counts + 1):
        clock.at += seconds / counts
        pace.tell(done, total)
    assert ("left" in pace.words) is told
