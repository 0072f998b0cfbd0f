"""What a search says of its choice."""

from __future__ import annotations

from dataclasses import replace

from cxrfeat.reporting.search import SHOWN, sentences, tried_table
from cxrfeat.run.document import BestDefault, Chosen, Search
from cxrfeat.run.record import to_json
from cxrfeat.spec import HeadSpec
from tests.run.golden import golden


def test_sentences_say_which_and_by_how_much() -> None:
    known = golden("tuned-folds").document.search
    assert known is not None
    found = replace(
        known.found,
        score=0.9,
        gain=0.02,
        chosen=Chosen(spec=HeadSpec(kind="dense", hidden=(256,)), differs={"hidden": [256]}),
        best_default=BestDefault(kind="softmax", score=0.88),
    )
    told = Search(settings=replace(known.settings, by="balanced-accuracy"), found=found, outer=None)
    said = sentences(told, 1)
    assert said[0] == (
        "Chosen: dense with hidden 256; balanced accuracy 0.900 on the inner folds, 0.020 better than the best default "
        "(softmax, 0.880)."
    )
    assert said[-1] == "This test part has been opened once, by this run."
    plain = replace(found, chosen=Chosen(spec=HeadSpec(kind="softmax"), differs={}), gain=0.0)
    as_default = replace(told, found=plain, outer=())
    assert sentences(as_default, 4)[0].startswith("Chosen on everything: softmax as it is by default; ")
    assert sentences(as_default, 4)[2] == "These outer folds have been opened by 4 runs, this one included."
    even = replace(told, found=replace(found, gain=0.0))
    assert "no better than the best default (softmax), at a lower log loss" in sentences(even, 1)[0]
    alone = replace(told, found=replace(found, best_default=None, gain=None))
    assert "no default could be fitted" in sentences(alone, 1)[0]


def test_the_best_of_what_was_tried_stand_in_a_table_with_their_settings() -> None:
    known = to_json(golden("tuned-folds").document.search)
    tried = [
        {"head": "dense", "differs": {"hidden": [256]}, "score": 0.9, "folds": 5, "seconds": 1.25},
        {"head": "knn", "differs": {}, "score": None, "folds": 0, "seconds": 0.0, "failed": "Too few."},
    ]
    made = tried_table(known | {"by": "log-loss", "tried": tried})
    assert made.columns == ("head", "settings", "log loss", "folds", "seconds")
    assert made.rows == (("dense", "hidden 256", "0.900", "5", "1.2"), ("knn", "(default)", "-", "0", "0.0"))
    assert len(tried_table(known | {"tried": tried * SHOWN}).rows) == SHOWN
    assert f"the best {SHOWN} of {2 * SHOWN}" in tried_table(known | {"tried": tried * SHOWN}).title
