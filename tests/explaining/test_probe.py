from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from cxrfeat.explaining import probe
from cxrfeat.explaining.images import Candidate
from cxrfeat.explaining.job import Graphs, Job, Question, job_of
from cxrfeat.explaining.looking import look
from cxrfeat.explaining.place import FRAME, Placing, even
from cxrfeat.explaining.ready import readied
from cxrfeat.image.index import index_folder
from cxrfeat.run.folder import Run
from cxrfeat.spec import ViewSpec
from cxrfeat.types import Counted
from cxrfeat.view.draw import ViewParams


@pytest.fixture
def looked(chest_run: Run, chests: Path) -> Callable[[], Job]:
    def make() -> Job:
        graphs: Graphs = {}
        job = job_of(chest_run, Question(manifest=index_folder(chests), count=4), graphs)
        look([job], None, None)
        return job

    return make


def test_two_verdicts_are_added_and_the_network_is_as_it_was(looked: Callable[[], Job]) -> None:
    job = looked()
    views = np.random.default_rng(0).integers(0, 255, (2, 32, 32), dtype=np.uint8)
    before = job.explainer.graph.run(views)
    probe.probe([job], 0, None)
    assert [one.check for one in job.probed] == ["agreement of views", "randomised weights"]
    for one, other in zip(before, job.explainer.graph.run(views), strict=True):
        np.testing.assert_array_equal(one, other)


def test_no_more_images_are_looked_at_again_than_it_takes(
    looked: Callable[[], Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probe, "PROBED", 5)
    seen: list[int] = []

    def counted(images: Sequence[Candidate], view: ViewSpec, told: Counted | None) -> object:
        seen.append(len(images))
        return readied(images, view, told)

    monkeypatch.setattr(probe, "readied", counted)
    job = looked()
    probe.probe([job], 0, None)
    assert seen == [5]
    assert "mean of 5 images" in job.probed[0].why or "in images of" in job.probed[0].why


def test_evidence_that_moves_with_the_view_agrees_and_evidence_that_stays_behind_does_not() -> None:
    view = ViewSpec(size=64, count=1)
    fields = even(4, 64)
    places = [Placing(fields=fields, view=view), Placing(fields=fields, view=view, params=ViewParams(flip=True))]
    map_ = np.random.default_rng(0).normal(size=(4, 4)).astype(np.float32)
    assert places[0].seen(FRAME).all()
    assert probe._agreement(np.stack([map_, map_[:, ::-1]]), places) == pytest.approx(1, abs=1e-5)
    assert probe._agreement(np.stack([map_, map_]), places) < 0.9
