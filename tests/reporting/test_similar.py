from __future__ import annotations

from typing import Any

from cxrfeat.reporting.similar import similar_table
from cxrfeat.reporting.table import RANDOM_WEIGHTS


def test_each_neighbour_says_what_it_has_to_do_with_the_image() -> None:
    one: dict[str, Any] = {
        "similarity": 0.9876, "image": "A/1.png", "label": "A", "source": None, "same_group": None, "copy": None
    }  # fmt: skip
    table = similar_table(
        {
            "image": "x.png",
            "label": None,
            "random_weights": True,
            "neighbours": [one, one | {"same_group": True, "source": "B"}, one | {"same_group": True, "copy": "near"}],
        }
    )
    assert [row[-1] for row in table.rows] == ["", "same patient", "copy (near)"]
    assert table.rows[0][:4] == ("0.988", "A/1.png", "A", "-")
    assert table.title.startswith("Nearest to x.png\n")
    assert RANDOM_WEIGHTS in table.title
