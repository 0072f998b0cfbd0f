from __future__ import annotations

import numpy as np
import pytest

from cxrfeat.image.picture import framed, sheet


@pytest.mark.parametrize("text", ["a\nb", "a\r\n\tb", "a\x00\x1bb", "a\u2028b", "a\ud800b"])
def test_what_cannot_be_drawn_in_one_line_is_left_out(text: str) -> None:
    grey = np.zeros((64, 64), np.uint8)
    np.testing.assert_array_equal(framed(grey, [text]), framed(grey, ["a b"]))
    np.testing.assert_array_equal(
        sheet([grey], [text], columns=1, title=text), sheet([grey], ["a b"], columns=1, title="a b")
    )
