"""How many patients an interval takes: as many as give that very interval, and twice the width takes a quarter."""

from __future__ import annotations

import numpy as np
import pytest

from cxrfeat.metric.drawn import DrawnScore, drawn_scores
from cxrfeat.metric.patients import patients_for
from cxrfeat.metric.small import score_interval


def test_so_many_patients_give_about_the_wanted_width() -> None:
    def tested(patients: int, seed: int) -> list[DrawnScore]:
        rng = np.random.default_rng(seed)
        y = np.arange(2 * patients) // 2 % 2  # two images of each patient, both of whom are right or wrong
        right = np.repeat(rng.random(patients) < 0.8, 2)
        return drawn_scores(y, np.eye(2)[np.where(right, y, 1 - y)], np.arange(2 * patients) // 2, ["A", "B"])

    found = patients_for(tested(150, 0), 150, 0.06)
    accuracy = found[0]
    assert (accuracy.score, accuracy.patients) == ("accuracy", 150)
    again = tested(accuracy.needed, 1)[0]
    low, high = score_interval(again.drawn, again.observed, again.bearing, 0.95) or (0.0, 1.0)
    assert high - low == pytest.approx(0.06, rel=0.15)
    wider = patients_for(tested(150, 0), 150, 0.12)[0]
    assert wider.needed == pytest.approx(accuracy.needed / 4, rel=0.1)
    assert [(one.score, one.label) for one in found[2:]] == [("sensitivity", "A"), ("sensitivity", "B")]
    assert found[2].needed > 1.5 * accuracy.needed, "half of the patients are of the class"


def test_what_too_few_bear_is_left_out() -> None:
    y = np.arange(12) % 2
    assert [one.score for one in patients_for(drawn_scores(y, np.eye(2)[y], np.arange(12), ["A", "B"]), 12, 0.1)] == [
        "accuracy"
    ]
