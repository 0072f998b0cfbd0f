from __future__ import annotations

from typing import Any

from cxrfeat.metric.several import RATES
from cxrfeat.reporting.findings import findings_tables, not_scored_table


def rates(value: float) -> dict[str, Any]:
    return dict.fromkeys(RATES, value) | {f"{rate}_ci": [value - 0.1, value + 0.1] for rate in RATES}


def test_a_finding_is_a_line_and_the_mean_the_last() -> None:
    runs = [
        {"target": name, "head": head, "test": rates(value) | {"images": 90}}
        for head in ("ridge", "logreg")
        for name, value in (("Mass", 0.8), ("Edema", 0.6))
    ]
    document = {
        "runs": runs,
        "macro": [{"head": head, **rates(0.7)} for head in ("ridge", "logreg")],
        "not_scored": [{"target": "Rare", "why": "it is present in 1 patient or group, and 8 are needed"}],
    }
    first, second = findings_tables(document)
    assert "by ridge" in first.title
    assert "by logreg" in second.title
    assert [row[0] for row in first.rows] == ["Mass", "Edema", "mean of 2"]
    assert first.rows[0][2:] == ("0.800 [0.700, 0.900]",) * 4
    left = not_scored_table(document)
    assert left is not None
    assert left.rows == (("Rare", "it is present in 1 patient or group, and 8 are needed"),)
    assert not_scored_table({"not_scored": []}) is None
