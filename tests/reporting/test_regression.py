from __future__ import annotations

import numpy as np

from cxrfeat.metric.regression import score_numbers
from cxrfeat.reporting.regression import number_tables


def test_errors_and_tenths_are_tables() -> None:
    y = np.arange(100.0)
    run = {"target": "age", "head": "ridge", "test": score_numbers(y, y + 1, np.arange(100), resamples=50)}
    errors, tenths = number_tables(run)
    assert errors.title == "age, by ridge: 100 test images of 100 patients or groups"
    assert errors.rows[0] == ("mean absolute error", "1.000 [1.000, 1.000]")
    assert len(tenths.rows) == 10
    assert tenths.rows[0][:2] == ("10", "5.500")
