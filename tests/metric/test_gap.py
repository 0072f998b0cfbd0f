from __future__ import annotations

import numpy as np
import pytest

from cxrfeat.metric.gap import BY_CLASS, FIGURES, gap
from cxrfeat.metric.interval import bootstrap
from cxrfeat.metric.score import scores

CLASSES = ("COVID", "NORMAL")


def told(images: int, seed: int, *, worse: float = 0.0) -> dict[str, object]:
    rng = np.random.default_rng(seed)
    y = np.arange(images) % 2
    odds = rng.normal((2 * y - 1) * (1.5 - worse), 1.0)
    p = 1 / (1 + np.exp(-odds))
    probabilities = np.column_stack([1 - p, p])
    return scores(y, probabilities, CLASSES) | bootstrap(y, probabilities, np.arange(images), CLASSES, resamples=300)


def test_every_figure_is_told_with_the_sign_of_elsewhere_less_home() -> None:
    home, away = told(200, 0), told(160, 1, worse=1.2)
    found = gap(home, away)
    for name in FIGURES:
        assert found[name] == pytest.approx(away[name] - home[name])  # type: ignore[operator]  # numbers, as made here
        low, high = found[f"{name}_ci"]
        assert low < found[name] < high, name
    assert found["auroc_ci"][1] < 0 < found["log_loss_ci"][0], "worse there, and shown to be"
    for name in BY_CLASS:
        assert found[name].keys() == found[f"{name}_ci"].keys() == set(CLASSES)


def test_what_one_side_lacks_has_no_gap() -> None:
    home, away = told(200, 0), told(12, 1)
    found = gap(home, away)  # six groups of each class: scores, but no interval of the AUROC
    assert found["auroc"] is not None
    assert found["auroc_ci"] is None
    assert gap(home, away | {"auroc": None})["auroc"] is None


@pytest.mark.slow
def test_the_interval_of_no_difference_holds_zero_as_often_as_it_says() -> None:
    held = [gap(told(120, seed), told(90, 1000 + seed))["accuracy_ci"] for seed in range(60)]
    assert np.mean([low <= 0 <= high for low, high in held]) >= 0.9
