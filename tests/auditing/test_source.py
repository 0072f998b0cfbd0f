from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from cxrfeat.auditing.source import WITHIN, SourceTable, check_sources, check_within, cramers_v
from cxrfeat.run.document import WithinSource
from cxrfeat.types import Status
from tests.auditing.verdict import verdict

AB = ("COVID", "NORMAL")


@pytest.mark.parametrize(
    ("labels", "sources", "status", "value"),
    [
        ([0, 0, 1, 1], ["A", "B", "A", "B"], Status.PASS, 0.5),
        ([0, 0, 1, 1], ["A", "A", "A", "A"], Status.PASS, 0.5),
        ([0, 0, 0, 0, 1, 1, 1, 1], ["A", "A", "A", "B", "A", "B", "B", "B"], Status.WARN, 0.75),
        ([0, 0, 1, 1], [None] * 4, Status.WARN, None),
        ([0, 0, 1, 1], ["A", "A", None, None], Status.WARN, None),
        ([0, 0, 1, 1], ["A", "A", "B", "B"], Status.FAIL, 1.0),
        ([0, 0, 0, 1], ["A", "B", "B", "C"], Status.FAIL, 1.0),
    ],
    ids=["balanced", "one source", "lopsided", "all unknown", "a class unknown", "disjoint", "disjoint, many"],
)
def test_a_source_that_tells_the_class_is_found(
    labels: list[int], sources: list[str | None], status: Status, value: float | None
) -> None:
    found = check_sources(SourceTable.of(np.array(labels), sources, AB))[0]
    assert verdict(found, "source") is status
    assert found.value == (pytest.approx(value) if value is not None else None)


LABELS = np.repeat([0, 1], 30)
SETS: dict[str, Sequence[str | None]] = {
    "disjoint": ["A"] * 30 + ["B"] * 30,
    "lopsided": ["A"] * 20 + ["B"] * 20 + ["A"] * 10 + ["B"] * 10,
    "balanced": ["A", "B"] * 30,
    "each its own": [f"source {index}" for index in range(30)] * 2,
}


@pytest.mark.parametrize("cells", [[59], [0], [0, 59], list(range(52, 60)), list(range(0, 60, 7))])
@pytest.mark.parametrize("name", SETS)
def test_an_empty_cell_changes_no_verdict_and_is_a_finding_of_its_own(name: str, cells: list[int]) -> None:
    (whole,) = check_sources(SourceTable.of(LABELS, SETS[name], AB))
    some, unknown = check_sources(
        SourceTable.of(LABELS, [None if row in cells else one for row, one in enumerate(SETS[name])], AB)
    )
    assert some.status is whole.status
    assert verdict(unknown, "unknown sources") is Status.WARN
    assert unknown.value == len(cells)
    assert f"{len(cells)} of 60 images" in unknown.why


def test_one_image_in_the_others_hospital_changes_no_verdict_either() -> None:
    for crossed in ([59], [0], [0, 59]):
        sources = ["A" if (row >= 30) == (row in crossed) else "B" for row in range(60)]
        (found,) = check_sources(SourceTable.of(LABELS, sources, AB))
        assert verdict(found, "source") is Status.FAIL
        assert "COVID and NORMAL share next to no source" in found.why


def test_a_class_without_a_known_source_is_not_said_to_share_none() -> None:
    labels = np.repeat([0, 1, 2], 20)
    classes = ("COVID", "NORMAL", "PNEUMONIA")
    sources: list[str | None] = ["A"] * 20 + ["B"] * 20 + ["C"] + [None] * 19
    found = check_sources(SourceTable.of(labels, sources, classes))[0]
    assert found.status is Status.FAIL
    assert "COVID and NORMAL share no source" in found.why
    assert "Too few sources are known to judge PNEUMONIA (1 of 20 known)" in found.why
    assert "and PNEUMONIA share" not in found.why
    assert found.value == 1.0, "of the two that were judged"
    balanced = check_sources(SourceTable.of(labels, [*["A", "B"] * 20, *[None] * 20], classes))[0]
    assert verdict(balanced, "source") is Status.WARN, "nobody knows where a third of it came from"


def test_a_pair_of_classes_without_a_common_source_is_named() -> None:
    table = SourceTable.of(np.array([0, 1, 1, 2]), ["A", "A", "B", "B"], ("COVID", "NORMAL", "PNEUMONIA"))
    (found,) = check_sources(table)
    assert found.status is Status.FAIL
    assert "COVID and PNEUMONIA share no source" in found.why
    assert "NORMAL share" not in found.why


def test_the_table_counts_classes_by_source_and_says_which_pairs_share_one() -> None:
    sources = ["A", "A", "B", "B", None]
    told = SourceTable.of(np.array([0, 1, 1, 2, 2]), sources, ("COVID", "NORMAL", "PNEUMONIA")).to_dict()
    assert told["sources"] == ["A", "B"]
    assert told["counts"] == [[1, 0], [1, 1], [0, 1]]
    assert (told["unknown"], told["unknown_by_class"]["PNEUMONIA"]) == (1, 1)
    assert [(pair["classes"], pair["identifiable"]) for pair in told["pairs"]] == [
        (["COVID", "NORMAL"], True), (["COVID", "PNEUMONIA"], False), (["NORMAL", "PNEUMONIA"], True)
    ]  # fmt: skip


def test_cramers_v_is_that_of_a_published_example_and_unbiased_where_there_is_nothing() -> None:
    # Uncorrected, the hair and eye colours of 592 students (Snee 1974) give 0.279.
    hair_and_eyes = np.array([[68, 20, 15, 5], [119, 84, 54, 29], [26, 17, 14, 14], [7, 94, 10, 16]])
    assert cramers_v(hair_and_eyes) == pytest.approx(0.279, abs=0.01)
    rng = np.random.default_rng(0)
    found = [cramers_v(rng.multinomial(60, np.full(12, 1 / 12)).reshape(3, 4)) for _ in range(200)]
    assert np.mean(found) < 0.1, "uncorrected it is 0.22"
    assert cramers_v(np.array([[5, 5]])) == cramers_v(np.zeros((2, 2), np.int64)) == 0.0


def within(**scores: Any) -> WithinSource:
    return WithinSource(**{"sources": 1, "known": 160, "unknown": 0, "pairs": (), **scores})


@pytest.mark.parametrize(
    ("accuracy", "interval", "status", "said"),
    [
        (0.740, (0.67, 0.80), Status.FAIL, "no better than always naming the commonest class"),
        (0.759, (0.70, 0.81), Status.FAIL, "no better than always naming the commonest class"),
        (0.790, (0.759, 0.82), Status.FAIL, "not shown to be better than"),
        (0.790, (0.760, 0.82), Status.PASS, "beats naming the commonest class"),
        (0.900, None, Status.WARN, "too few images"),
    ],
)
def test_a_model_must_beat_naming_the_commonest_class_within_its_source(
    accuracy: float, interval: tuple[float, float] | None, status: Status, said: str
) -> None:
    (found,) = check_within(within(accuracy=accuracy, accuracy_ci=interval, chance=0.759, images=160))
    assert verdict(found, WITHIN) is status
    assert said in found.why
    assert "takes no network, reaches 0.759" in found.why
    assert found.value == pytest.approx(accuracy - 0.759)


def test_without_a_source_of_two_classes_there_is_nothing_to_beat() -> None:
    assert check_within(within(images=0, accuracy=None, accuracy_ci=None, chance=None)) == []
