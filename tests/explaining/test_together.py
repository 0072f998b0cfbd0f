from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cxrfeat.backbone.network import Network
from cxrfeat.errors import CxrFeatError, UsageError
from cxrfeat.explaining import job
from cxrfeat.explaining.averaged import AnyGraph, open_graph
from cxrfeat.explaining.explained import Explained
from cxrfeat.explaining.job import Question
from cxrfeat.explaining.together import explain_together
from cxrfeat.image.index import index_folder
from cxrfeat.spec import FeatureSpec
from tests.explaining.chests import runs_of


def told(found: Explained | CxrFeatError) -> dict[str, Any]:
    assert isinstance(found, Explained)
    return dict(json.loads(json.dumps(found.to_dict())))


@pytest.mark.slow
def test_runs_together_give_what_each_gives_alone_on_one_network(
    chests: Path, tiny_network: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = runs_of(chests, tiny_network, tmp_path, "logreg", "svm-rbf")
    question = Question(manifest=index_folder(chests), count=3, network=tiny_network, seed=2)
    alone = [told(explain_together([run], question)[0]) for run in runs]
    opened: list[Network] = []

    def counted(network: Network, spec: FeatureSpec) -> AnyGraph:
        opened.append(network)
        return open_graph(network, spec)

    monkeypatch.setattr(job, "open_graph", counted)
    assert [told(found) for found in explain_together(runs, question)] == alone
    assert len(opened) == 1
    assert [found["method"] for found in alone] == ["cam", "gradcam"]
    assert [found["head"] for found in alone] != [alone[0]["head"]] * 2


@pytest.mark.slow
def test_what_goes_with_one_head_alone_is_said_of_the_other(chests: Path, tiny_network: Path, tmp_path: Path) -> None:
    runs = runs_of(chests, tiny_network, tmp_path, "logreg", "knn")
    question = Question(manifest=index_folder(chests), count=2, network=tiny_network, method="cam", checks=False)
    one, other = explain_together(runs, question)
    assert len(told(one)["images"]) == 2
    assert isinstance(other, UsageError)
    assert "`method=cam`" in str(other)
