"""What fits showed is on disk at once, and comes back only to the search that it is of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cxrfeat.tuning.notebook import Notebook, Tally

TALLY = Tally(counts=((3, 1), (0, 4)), log_loss=2.5, auroc=0.9, seconds=0.1)


def test_every_page_is_kept_and_found_again(tmp_path: Path) -> None:
    path = tmp_path / ".tune.json"
    first = Notebook(path, {"seed": 1}, 2)
    first.keep({"fold 0|0|a": [TALLY]})
    first.keep({"fold 0|1|a": [TALLY, Tally(failed="it diverged")]})
    again = Notebook(path, {"seed": 1}, 2)
    assert again.find("fold 0|0|a", 1) == [TALLY]
    assert again.find("fold 0|1|a", 2) == [TALLY, Tally(failed="it diverged")]
    assert again.find("fold 0|1|a", 1) is None, "another length is another page"
    assert again.find("fold 1|0|a", 1) is None
    assert again.notes == [f"The search continued after 2 fits that {path} kept."]


@pytest.mark.parametrize(("identity", "classes"), [({"seed": 2}, 2), ({"seed": 1}, 3)])
def test_pages_of_another_search_are_not_read(identity: dict[str, Any], classes: int, tmp_path: Path) -> None:
    path = tmp_path / ".tune.json"
    Notebook(path, {"seed": 1}, 2).keep({"a": [TALLY]})
    other = Notebook(path, identity, classes)
    assert other.find("a", 1) is None
    assert other.notes == [f"{path} is damaged or of another version: the search started again."]


@pytest.mark.parametrize(
    "stored",
    [
        {"counts": [[1, 2]], "log_loss": 1.0, "auroc": None, "seconds": 0.0, "failed": None},
        {"counts": [[1, 2], [3, 4]], "log_loss": float("nan"), "auroc": None, "seconds": 0.0, "failed": None},
    ],
)
def test_what_is_no_tally_is_refused(stored: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="no tally"):
        Tally.read(stored, 2)
