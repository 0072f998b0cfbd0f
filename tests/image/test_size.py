from __future__ import annotations

import pytest

from cxrfeat.errors import BadImageError
from cxrfeat.image.size import check_size


@pytest.mark.parametrize(
    ("width", "height", "why"),
    [(31, 40, "too small"), (40, 31, "too small"), (8001, 8000, "64 megapixels"), (2**32, 2**32, "megapixels")],
)
def test_sizes_out_of_range_are_refused(width: int, height: int, why: str) -> None:
    with pytest.raises(BadImageError, match=f"header: .*{why}"):
        check_size(width, height)


def test_the_limits_themselves_are_in_range() -> None:
    check_size(32, 32)
    check_size(8000, 8000)
