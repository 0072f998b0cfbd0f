from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cxrfeat.explaining.explained import Explained, caption
from cxrfeat.explaining.images import Candidate
from cxrfeat.explaining.looking import of_all, union
from cxrfeat.run.folder import Run
from cxrfeat.workflow.explain import explain
from cxrfeat.workflow.predict import predict


def test_the_head_says_what_it_says_in_a_prediction(explained: Explained, chest_run: Run) -> None:
    again = predict(chest_run, [one.path for one in explained.images], network=chest_run.path / "network.keras")
    for one, other in zip(explained.images, again.predictions, strict=True):
        assert one.label == other.label
        assert list(one.probabilities.values()) == pytest.approx(list(other.probabilities.values()), abs=1e-4)


def test_a_class_of_ones_own_choice_is_explained(chest_run: Run, chests: Path) -> None:
    images = sorted(chests.glob("*/images/*"))[:4]
    covid, normal = (explain(chest_run, images, target=name).images for name in ("COVID", "NORMAL"))
    for one, other in zip(covid, normal, strict=True):
        assert (one.explained, other.explained) == ("COVID", "NORMAL")
        np.testing.assert_allclose(one.evidence, -other.evidence, atol=1e-5)
        assert one.score == pytest.approx(-other.score, abs=1e-5)
        assert one.true is None
    mixed = next(one for one in (*covid, *normal) if one.explained != one.label)
    assert f"{mixed.explained} {mixed.probabilities[mixed.explained]:.2f}" in caption(mixed)


def test_images_of_several_runs_are_each_there_once() -> None:
    one, two, three = (Candidate(name=name, path=Path(name)) for name in "abc")
    again = Candidate(name="other", path=Path("b"))
    assert {image.path for image in union([[one, two], [again, three]])} == {one.path, two.path, three.path}
    assert len(union([[one, two], [again, three]])) == 3


def test_all_rows_are_a_slice_which_copies_nothing() -> None:
    maps = np.arange(6).reshape(3, 2)
    assert np.shares_memory(maps[of_all([0, 1, 2], "abc")], maps)
    np.testing.assert_array_equal(maps[of_all([0, 2], "abc")], maps[[0, 2]])
