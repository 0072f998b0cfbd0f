from __future__ import annotations

import pytest

from cxrfeat.reporting.table import NO_ENDS, WHY_NO_ENDS, Table, with_interval


@pytest.mark.parametrize("interval", [None, (0.1, 0.9)])
def test_a_table_with_a_missing_interval_says_why_below_its_title_once(interval: tuple[float, float] | None) -> None:
    made = Table(title="Scores", columns=("score",), rows=((with_interval(0.5, interval),), ("-",)))
    assert (WHY_NO_ENDS in made.title) is (interval is None)
    again = Table(title=made.title, columns=made.columns, rows=made.rows)
    assert again.title == made.title
    assert (NO_ENDS in made.title) is (interval is None)
