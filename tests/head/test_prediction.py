from __future__ import annotations

from cxrfeat.head.prediction import CANNOT_TELL, Prediction, Rules
from tests.run.golden import golden


def one(classes: tuple[str, ...] | None) -> Prediction:
    return Prediction(
        image="a.png", label="COVID", probabilities={"COVID": 0.6, "FLU": 0.3, "NORMAL": 0.1}, classes=classes,
        out_of_distribution=False,
    )  # fmt: skip


def test_a_set_is_put_into_words_and_all_classes_are_no_answer() -> None:
    assert one(None).answer is None
    assert one(("COVID",)).answer == "COVID"
    assert one(("COVID", "FLU")).answer == "COVID or FLU"
    assert one(("COVID", "FLU", "NORMAL")).answer == CANNOT_TELL
    assert one(()).answer == "none of these"


def test_what_was_not_asked_for_is_not_in_the_document() -> None:
    assert one(None).to_dict().keys() == {"image", "label", "probabilities", "out_of_distribution"}
    told = one(("COVID",)).to_dict()
    assert (told["classes"], told["answer"]) == (["COVID"], "COVID")


def test_a_run_of_before_says_that_false_alarms_were_not_measured() -> None:
    told = Rules(run=golden("dropout"), random=False).to_dict()
    assert told["false_alarms"] == {"training": 0.01, "test": None, "test_ci": None}
    assert "conformal" not in told
