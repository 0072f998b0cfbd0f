"""Heads are named as users write them."""

from __future__ import annotations

import pytest

from cxrfeat.errors import UsageError
from cxrfeat.head.choose import head_kinds
from cxrfeat.spec import HEAD_KINDS, MAIN_KINDS


def test_heads_are_named_or_all() -> None:
    assert head_kinds(["all"]) == list(MAIN_KINDS)
    assert head_kinds(["all+controls"]) == list(HEAD_KINDS)
    assert head_kinds(["logreg", "all", "logreg"]) == ["logreg", *(k for k in MAIN_KINDS if k != "logreg")]
    with pytest.raises(UsageError, match=r"There is no head 'logref'. Did you mean logreg"):
        head_kinds(["logref"])
