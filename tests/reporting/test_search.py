"""What a search says of its choice."""

from __future__ import annotations

from typing import Any

from cxrfeat.reporting.search import sentences


def test_sentences_say_which_and_by_how_much() -> None:
    told: dict[str, Any] = {
        "by": "balanced-accuracy", "score": 0.9, "gain": 0.02, "outer": None,
        "chosen": {"kind": "dense", "differs": {"hidden": [256]}}, "best_default": {"kind": "softmax", "score": 0.88},
    }  # fmt: skip
    said = sentences(told, 1)
    assert said[0] == (
        "Chosen: dense with hidden 256; balanced accuracy 0.900 on the inner folds, 0.020 better than the best default "
        "(softmax, 0.880)."
    )
    assert said[-1] == "This test part has been opened once, by this run."
    as_default = told | {"chosen": {"kind": "softmax", "differs": {}}, "gain": 0.0, "outer": []}
    assert sentences(as_default, 4)[0].startswith("Chosen on everything: softmax as it is by default; ")
    assert sentences(as_default, 4)[2] == "These outer folds have been opened by 4 runs, this one included."
    assert "no better than the best default (softmax), at a lower log loss" in sentences(told | {"gain": 0.0}, 1)[0]
    assert "no default could be fitted" in sentences(told | {"best_default": None, "gain": None}, 1)[0]
