from __future__ import annotations

import numpy as np

from cxrfeat.metric.share import share_over_groups


def test_patients_that_are_alike_make_the_interval_wider() -> None:
    hit = np.arange(200) < 40
    share, alone = share_over_groups(hit, np.arange(200))
    same, together = share_over_groups(hit, np.arange(200) // 10)
    assert share == same == 0.2
    assert alone is not None
    assert together is not None
    assert together[0] < alone[0] < 0.2 < alone[1] < together[1]


def test_none_at_all_has_an_interval_too_and_few_groups_have_none() -> None:
    share, interval = share_over_groups(np.zeros(40, bool), np.arange(40))
    assert share == 0
    assert interval is not None
    assert interval[0] == 0 < interval[1] < 0.1
    assert share_over_groups(np.ones(7, bool), np.arange(7)) == (1.0, None)
    assert share_over_groups(np.zeros(0, bool), np.arange(0)) == (None, None)
