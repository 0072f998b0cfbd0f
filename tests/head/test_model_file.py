"""What a written model is held against; whole models are in `tests/workflow/test_export.py`."""

from __future__ import annotations

import numpy as np
import pytest

from cxrfeat.errors import IntegrityError
from cxrfeat.head.model_file import TOLERANCE, _checked, made_up_views


def test_the_views_to_compare_by_are_unlike_each_other() -> None:
    views = made_up_views(20)
    assert views.shape == (4, 20, 20)
    assert views.dtype == np.uint8
    assert len({view.tobytes() for view in views}) == 4


@pytest.mark.parametrize("off", [2 * TOLERANCE, np.nan])
def test_a_model_that_is_off_by_more_than_rounding_or_says_no_number_is_refused(off: float) -> None:
    said = np.full((2, 3), 1 / 3)
    assert _checked("mine", said, said) == 0
    with pytest.raises(IntegrityError, match="output differs from that of mine"):
        _checked("mine", said + off, said)
