from __future__ import annotations

import numpy as np

from cxrfeat.head.apart import MOST, told_apart


def drawn(images: int, seed: int, shift: float = 0.0) -> np.ndarray:
    return (np.random.default_rng(seed).normal(size=(images, 12)) + shift).astype(np.float32)


def test_sets_of_one_kind_cannot_be_told_apart_and_others_can() -> None:
    same = [told_apart(drawn(160, seed), np.arange(160), drawn(90, 50 + seed), np.arange(90)) for seed in range(8)]
    assert abs(np.mean([one["auroc"] for one in same]) - 0.5) < 0.05
    assert np.mean([one["auroc_ci"][0] <= 0.5 <= one["auroc_ci"][1] for one in same]) >= 0.75
    other = told_apart(drawn(160, 0), np.arange(160), drawn(90, 1, shift=1.0), np.arange(90))
    assert other["auroc_ci"][0] > 0.95
    assert other["images"] == [160, 90]


def test_few_patients_tell_nothing_however_many_images_they_have() -> None:
    found = told_apart(drawn(60, 0), np.arange(60) // 10, drawn(60, 1, 3.0), np.arange(60))
    assert (found["auroc"], found["auroc_ci"]) == (None, None)


def test_of_many_images_whole_patients_are_drawn() -> None:
    found = told_apart(drawn(3000, 0), np.arange(3000) // 2, drawn(40, 1, 2.0), np.arange(40))
    assert found["images"] == [MOST, 40]


def test_a_network_that_says_the_same_of_every_image_tells_nothing_apart() -> None:
    found = told_apart(np.ones((60, 4), np.float32), np.arange(60), np.ones((60, 4), np.float32), np.arange(60))
    assert found["auroc"] == 0.5
