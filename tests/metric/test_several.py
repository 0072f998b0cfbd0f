from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from cxrfeat.metric.compare import paired_auroc_difference
from cxrfeat.metric.operating import choose_thresholds
from cxrfeat.metric.several import RATES, Told, score_several, several_differences, threshold_at, too_few


def findings(images: int = 400, seed: int = 0) -> tuple[list[Told], np.ndarray]:
    rng = np.random.default_rng(seed)
    told = []
    for name, share, gain in (("Mass", 0.4, 1.5), ("Rare", 0.1, 1.0)):
        present = rng.random(images) < share
        score = np.asarray(rng.normal(size=images).round(1) + gain * present, np.float64)
        known = rng.random(images) < 0.8
        told.append(Told(name=name, present=present, known=known, score=score, threshold=0.7))
    return told, np.repeat(np.arange(images // 2), 2)


def test_rates_are_those_of_scikit_learn_on_the_images_that_state_the_finding() -> None:
    told, groups = findings()
    scored, mean = score_several(told, groups, resamples=200)
    for one, found in zip(told, scored, strict=True):
        y, score = one.present[one.known], one.score[one.known]
        assert found["auroc"] == pytest.approx(roc_auc_score(y, score))
        assert found["auprc"] == pytest.approx(average_precision_score(y, score))
        assert found["prevalence"] == pytest.approx(y.mean())
        assert found["sensitivity"] == pytest.approx((score[y] >= 0.7).mean())
        assert found["specificity"] == pytest.approx((score[~y] < 0.7).mean())
        assert found["images"] == one.known.sum()
        assert found["groups"] == len(np.unique(groups[one.known]))
        for rate in RATES:
            low, high = found[f"{rate}_ci"]
            assert low < found[rate] < high
    for rate in RATES:
        assert mean[rate] == pytest.approx(np.mean([found[rate] for found in scored]))
        assert mean[f"{rate}_ci"][0] < mean[rate] < mean[f"{rate}_ci"][1]


def test_the_mean_varies_less_than_its_findings_and_the_order_of_images_changes_nothing() -> None:
    told, groups = findings()
    scored, mean = score_several(told, groups, resamples=300)
    width = np.diff(mean["auroc_ci"])[0]
    assert width < max(np.diff(found["auroc_ci"])[0] for found in scored)
    order = np.random.default_rng(1).permutation(len(groups))
    turned: list[Any] = [
        Told(name=one.name, present=one.present[order], known=one.known[order], score=one.score[order], threshold=0.7)
        for one in told
    ]
    assert score_several(turned, groups[order], resamples=300) == (scored, mean)


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    from scipy.stats import norm

    truth, held = float(norm.cdf(1.5 / np.sqrt(2))), 0
    for seed in range(40):
        told, groups = findings(seed=seed)
        one = Told(
            name="Mass",
            present=told[0].present,
            known=np.ones(400, bool),
            score=(np.random.default_rng([seed, 1]).normal(size=400) + 1.5 * told[0].present).astype(np.float64),
            threshold=0.7,
        )
        low, high = score_several([one], groups, resamples=200)[0][0]["auroc_ci"]
        held += low <= truth <= high
    assert held >= 35


def test_a_threshold_is_the_one_of_the_operating_points() -> None:
    rng = np.random.default_rng(2)
    present = rng.random(100) < 0.3
    probability = np.clip(rng.normal(0.4 + 0.2 * present, 0.2), 0, 1).round(2)
    both = np.column_stack([1 - probability, probability])
    expected = choose_thresholds(present.astype(np.int64), both, ["no", "yes"], specificity=0.9)["yes"]
    assert threshold_at(present, probability, 0.9) == expected


def test_few_patients_give_no_interval_and_a_reason() -> None:
    present = np.arange(40) < 5
    one = Told(name="Rare", present=present, known=np.ones(40, bool), score=present.astype(np.float64), threshold=0.5)
    (found,), _ = score_several([one], np.arange(40), resamples=100)
    assert found["auroc"] == 1
    assert found["auroc_ci"] is None
    assert found["prevalence_ci"] is not None
    assert too_few(present, np.arange(40)) == "it is present in 5 patients or groups, and 8 are needed"
    assert too_few(~present, np.arange(40)) == "it is absent in 5 patients or groups, and 8 are needed"
    assert too_few(present, np.arange(40), least=5) == ""


def test_differences_of_models_are_those_of_each_finding_alone_and_their_mean() -> None:
    told, groups = findings()
    rng = np.random.default_rng(3)
    worse = [dataclasses.replace(one, score=one.score + rng.normal(size=len(groups)) * 2) for one in told]
    each, mean = several_differences(told, worse, groups)
    for one, other, found in zip(told, worse, each, strict=True):
        known, present = one.known, one.present[one.known]
        difference = roc_auc_score(present, one.score[known]) - roc_auc_score(present, other.score[known])
        assert found["difference"] == pytest.approx(difference)
        a, b = (1 / (1 + np.exp(-said.score[known])) for said in (one, other))
        shares = [np.column_stack([1 - share, share]) for share in (a, b)]
        alone = paired_auroc_difference(present.astype(np.int64), shares[0], shares[1], groups[known])
        assert found["ci"] == pytest.approx(alone["ci"], abs=0.02)
        assert found["ci"][0] < found["difference"] < found["ci"][1]
    assert mean["difference"] == pytest.approx(np.mean([found["difference"] for found in each]))
    assert not mean["tied"]
    same, tie = several_differences(told, told, groups, resamples=100)
    assert [found["difference"] for found in (*same, tie)] == [0.0] * 3
    assert all(found["tied"] for found in (*same, tie))
    few = [dataclasses.replace(one, known=one.known & (groups < 7)) for one in (*told, *worse)][::2]
    assert several_differences(few[:1], few[1:], groups, resamples=20)[1] == {
        "difference": pytest.approx(several_differences(few[:1], few[1:], groups, resamples=20)[0][0]["difference"]),
        "ci": None, "p": None, "tied": True,
    }  # fmt: skip
