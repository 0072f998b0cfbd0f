from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cxrfeat.auditing.elsewhere import among, shared_classes
from cxrfeat.errors import InputError, UsageError
from tests.run.golden import golden

RUN = golden("dropout")
"""Of the classes below."""
CLASSES = RUN.document.classes


def told(*classes: str, renamed: dict[str, str] | None = None) -> tuple[tuple[str, ...], list[str], list[str]]:
    return shared_classes(RUN, "there", classes, np.arange(len(classes)), renamed or {})


def test_classes_are_those_of_both_in_the_order_of_the_run() -> None:
    shared, names, hints = told("AAA", *reversed(CLASSES))
    assert shared == CLASSES
    assert names == ["AAA", *reversed(CLASSES)]
    assert hints == []


def test_several_classes_may_become_one_and_names_of_other_sets_are_left_alone() -> None:
    first, second = CLASSES[:2]
    shared, names, _ = told("x", "y", second, renamed={"x": first, "y": first, "elsewhere": second})
    assert shared == (first, second)
    assert names == [first, first, second]


def test_a_name_that_differs_in_its_spelling_is_hinted_at() -> None:
    first, *others = CLASSES
    if len(others) < 2:
        with pytest.raises(InputError, match=rf"Join names with `renamed`, as in {first.lower()}={first}\."):
            told(first.lower(), *others)
    else:
        assert told(first.lower(), *others)[2] == [
            f"{first.lower()} of there may be {first} of the run: join them with `renamed` ({first.lower()}={first})."
        ]


def test_what_does_not_fit_is_refused_with_both_lists() -> None:
    with pytest.raises(InputError, match=r"there holds A, B: scores take two classes that are in both"):
        told("A", "B")
    wrong = CLASSES[0] + "X"
    with pytest.raises(UsageError, match=rf"makes 'A' '{wrong}', which is not a class of .* Did you mean {CLASSES[0]}"):
        told("A", "B", renamed={"A": wrong})


def test_probabilities_among_some_classes_sum_to_one(tmp_path: Path) -> None:
    p = np.array([[0.5, 0.3, 0.2], [0.0, 1.0, 0.0]])
    some = among(p, ("A", "B", "C"), ("A", "C"))
    np.testing.assert_allclose(some, [[5 / 7, 2 / 7], [0.5, 0.5]])
    assert among(p, ("A", "B", "C"), ("A", "B", "C")) is p
