from __future__ import annotations

from typing import Any

import pytest

from cxrfeat.reporting.summary import honest_figure, standing, verdict, worst_findings
from cxrfeat.run.document import Evaluation
from tests.run.golden import evaluation


def finding(check: str, status: str, **fields: Any) -> dict[str, Any]:
    return {"check": check, "status": status, "value": None, "why": f"{check} {status}.", "do": "", **fields}


@pytest.mark.parametrize(
    ("statuses", "status", "headline"),
    [
        ("", "warn", "No check was made."),
        ("pp", "pass", "Every check passed."),
        ("pw", "warn", "No check failed; one warning: check1."),
        ("ww", "warn", "No check failed; 2 warnings: check0, check1."),
        ("wf", "fail", "A check failed: check1."),
        ("ff", "fail", "2 checks failed: check0, check1."),
    ],
)
def test_the_worst_check_is_the_verdict(statuses: str, status: str, headline: str) -> None:
    names = {"p": "pass", "w": "warn", "f": "fail"}
    found = [finding(f"check{place}", names[one]) for place, one in enumerate(statuses)]
    told = verdict(found, random=False)
    assert (told.status, told.headline) == (status, headline)
    assert all(status in reason for reason in told.reasons)
    assert bool(told.reasons) is (status != "pass" and bool(statuses))


def test_random_weights_outdo_every_check_and_failed_ones_are_named_still() -> None:
    told = verdict([finding("split", "fail")], random=True)
    assert told.status == "fail"
    assert "RANDOM WEIGHTS" in told.headline
    assert "split" in told.why
    assert "Besides" not in verdict([], random=True).why


def test_each_check_is_told_once_as_it_is_worst_and_failed_ones_first() -> None:
    audits = [
        [finding("thumbnail", "warn", value=0.5), finding("source", "pass")],
        [finding("thumbnail", "fail", value=0.9, why="Nine."), finding("source", "pass")],
        [finding("thumbnail", "fail", value=1.2, why="Twelve."), finding("source", "pass")],
    ]
    told = worst_findings(audits, [[finding("hot corner", "warn")]])
    assert [one["check"] for one in told] == ["thumbnail", "hot corner", "source"]
    assert told[0]["why"] == "Twelve."
    assert told[0]["of"] == "(2 of 3 runs; here is the worst)"
    assert told[1]["of"] == told[2]["of"] == ""


@pytest.mark.parametrize(
    ("check", "worst"),
    [("heat in lungs", 0.1), ("agreement of views", 0.1), ("heat in border", 0.6), ("copies", 0.6)],
)
def test_what_is_worse_is_known_of_each_check(check: str, worst: float) -> None:
    audits = [[finding(check, "fail", value=value, why=f"{value}.")] for value in (0.3, 0.1, None, 0.6)]
    (told,) = worst_findings([], audits)
    assert told["value"] == worst


TEST: dict[str, Any] = {
    "accuracy": 0.9, "accuracy_ci": [0.85, 0.95], "balanced_accuracy": 0.8, "balanced_accuracy_ci": [0.7, 0.9],
    "images": 100, "groups": 80,
}  # fmt: skip
PAIR = {
    "classes": ["A", "B"], "identifiable": False, "known": True, "images": 9, "auroc": None, "auroc_ci": None
}  # fmt: skip


def within(**fields: Any) -> Evaluation:
    told = {
        "known": 100, "unknown": 0, "images": 60, "sources": 2,
        "accuracy": 0.6, "accuracy_ci": [0.5, 0.7], "chance": 0.55,
        "pairs": [PAIR, {**PAIR, "classes": ["A", "C"], "identifiable": True}], **fields,
    }  # fmt: skip
    return evaluation(**TEST, within_source=told)


def test_the_honest_number_is_the_one_within_sources() -> None:
    told = honest_figure(within())
    assert (told.label, told.value, told.interval) == ("accuracy within one source", "0.600", "0.500 to 0.700")
    text = " ".join(told.notes)
    assert "60 test images of 2 sources" in text
    assert told.against == "0.550"
    assert "A and B share no source" in text
    unknown = honest_figure(within(pairs=[{**PAIR, "known": False}]))
    assert "share no source" not in " ".join(unknown.notes), "nobody knows"
    some = " ".join(honest_figure(within(known=95, unknown=5)).notes)
    assert "The source of 5.0 % of the test images is unknown" in some
    assert "unknown" not in text
    assert "0.900 [0.850, 0.950]" in text


@pytest.mark.parametrize(
    ("accuracy", "ends", "beaten", "said"),
    [
        (0.740, [0.67, 0.80], True, "Within one source it is no better than always naming the commonest class."),
        (0.780, [0.75, 0.81], True, "Within one source it is not shown to be better than naming the commonest class."),
        (0.840, [0.80, 0.88], False, "Among images of one source it beats naming the commonest class."),
        (0.840, None, False, "There are too few images to say whether it beats naming the commonest class."),
    ],
)
def test_a_number_that_takes_no_network_stands_beside_and_the_headline_says_who_wins(
    accuracy: float, ends: list[float] | None, beaten: bool, said: str
) -> None:
    test = within(accuracy=accuracy, accuracy_ci=ends, chance=0.759)
    told = honest_figure(test)
    assert (told.value, told.against, told.sentence) == (f"{accuracy:.3f}", "0.759", said)
    headline = verdict([finding("source", "fail"), finding("split", "fail")], random=False, test=test).headline
    assert headline == (said if beaten else "2 checks failed: source, split.")
    if beaten:
        why = verdict([finding("source", "fail"), finding("split", "fail")], random=False, test=test).why
        assert "2 checks failed: source, split." in why, "no failed check is hidden by the headline"


def test_without_a_shared_source_there_is_no_honest_number() -> None:
    told = honest_figure(within(images=0, accuracy=None, accuracy_ci=None))
    assert told.value is None
    assert told.label == "no honest number"
    assert "cannot separate the disease from the hospital" in told.notes[0]


def test_without_sources_that_is_said() -> None:
    told = honest_figure(within(known=0))
    assert (told.label, told.value) == ("balanced accuracy", "0.800")
    assert "nobody can say how much of it is the hospital's" in told.notes[-1]


@pytest.mark.parametrize(
    ("others", "said"),
    [
        ([], ""),
        (["tied", "different"], "Best of 3 runs by accuracy, tied with 1 of them."),
        (["different"], "Best of 2 runs by accuracy, tied with none."),
        (["why"], "Best of 2 runs by accuracy, 1 cannot be compared."),
        (["why", "tied"], "Best of 3 runs by accuracy, tied with 1 of them; 1 cannot be compared."),
        (["tied", "few"], "Best of 3 runs by accuracy, tied with 1 of them; 1 cannot be compared."),
    ],
)
def test_being_the_best_is_put_in_its_place(others: list[str], said: str) -> None:
    told = [
        {"b": one, "why": "other images"}
        if one == "why"
        else {"b": one, "ci": None if one == "few" else [-0.1, 0.1], "tied": one != "different"}
        for one in others
    ]
    document = {"runs": [0] * (len(others) + 1), "comparisons": told}
    assert standing(document).startswith(said)
    assert bool(standing(document)) is bool(others)
