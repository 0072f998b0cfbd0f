from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from cxrfeat.errors import WeightsError
from cxrfeat.explaining.job import Graphs, Question, job_of
from cxrfeat.image.index import index_folder
from cxrfeat.image.row import Quarantined
from cxrfeat.run.folder import Run, read_run
from cxrfeat.workflow.explain import explain
from tests.explaining.chests import image_of, runs_of
from tests.run.reading import change_json


def test_a_network_in_the_run_folder_that_is_another_is_refused(chest_run: Run, chests: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(chest_run.path, tmp_path / "copy"))
    assert explain(read_run(copy), [image_of(chests)]).images[0].heat.shape == (4, 4)
    (copy / "network.keras").write_bytes(b"another")
    with pytest.raises(WeightsError, match="is not the network that made these features"):
        explain(read_run(copy), [image_of(chests)])
    (copy / "network.keras").unlink()
    change_json(read_run(copy), lambda told: told["files"].pop("network.keras"))
    with pytest.raises(WeightsError, match=r"is no longer in .*Give its file with `network`"):
        explain(read_run(copy), [image_of(chests)])


@pytest.mark.slow
def test_a_crossed_run_says_that_its_head_has_seen_the_images(chests: Path, tiny_network: Path, tmp_path: Path) -> None:
    run = runs_of(chests, tiny_network, tmp_path, "ridge", fold_count=2)[0]
    found = explain(run, data=chests, count=2)
    assert any("it has seen those explained here" in note for note in found.notes)
    assert found.judged > 30


def test_a_job_counts_all_images_and_names_what_cannot_be_used(chest_run: Run, tmp_path: Path) -> None:
    bad = Quarantined(path="x.png", stage="open", reason="no image")
    job = job_of(chest_run, Question(files=[tmp_path / "a.png", tmp_path / "b.png"], unopened=[bad]), {})
    assert (job.total, job.bad, len(job.shown)) == (3, [bad], 2)
    assert job.looked_at == job.shown
    assert job.tested == []
    assert job.cheap


def test_more_images_are_judged_than_are_shown_unless_each_takes_a_hundred_passes(chest_run: Run, chests: Path) -> None:
    manifest, graphs = index_folder(chests), Graphs()
    job = job_of(chest_run, Question(manifest=manifest, count=2), graphs)
    assert len(job.shown) == 2
    assert len(job.looked_at) == len(job.tested) > 2
    for dear in (
        Question(manifest=manifest, count=2, method="occlusion"),
        Question(manifest=manifest, count=2, checks=False),
    ):
        assert len(job_of(chest_run, dear, graphs).looked_at) == 2
    assert len(graphs) == 1, "the network is opened once"
