"""A call can be said as Python that does the same, and a document in the words of whoever reads it."""

from __future__ import annotations

import pytest

import cxrfeat
from cxrfeat.call import PYTHON, Call, said_in
from cxrfeat.spec import FinetuneSpec, HeadSpec, SplitSpec


@pytest.mark.parametrize(
    "spec",
    [
        HeadSpec(kind="logreg"),
        HeadSpec(kind="dense", hidden=(8, 4), standardize=False, patience=3),
        HeadSpec(kind="dropout", learning_rate=1e-3, seed=7),
        SplitSpec(seed=3),
        FinetuneSpec(head=HeadSpec(kind="softmax", epochs=2)),
    ],
)
def test_python_that_is_shown_makes_the_very_same_description(spec: object) -> None:
    told: list[object] = []

    class Package:
        def __getattr__(self, name: str) -> object:
            return (lambda *given, **named: told.extend(given)) if name == "fit" else getattr(cxrfeat, name)

    eval(str(Call("fit", (spec,))), {"cxrfeat": Package()})  # our own text
    assert told == [spec]


def test_a_call_has_what_is_given_by_place_before_what_is_given_by_name() -> None:
    assert PYTHON.call(Call("report", (["a", "b"],), {"images": False})) == "cxrfeat.report(['a', 'b'], images=False)"
    assert str(Call("demo")) == "cxrfeat.demo()"


def test_only_what_we_say_is_put_in_other_words() -> None:
    document = {
        "runs": [{"run": "`a`", "findings": [{"check": "`b`", "why": "see `c`", "do": "use `d`", "value": 1.5}]}],
        "notes": ["`e`", {"why": "`f`", "path": "`g`"}],
        "images": ("`h`",),
    }
    assert said_in(document, lambda text: text.replace("`", "")) == {
        "runs": [{"run": "`a`", "findings": [{"check": "`b`", "why": "see c", "do": "use d", "value": 1.5}]}],
        "notes": ["e", {"why": "f", "path": "`g`"}],
        "images": ["`h`"],
    }
