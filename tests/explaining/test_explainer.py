from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cxrfeat.errors import UsageError
from cxrfeat.explaining.explainer import Explainer, method_for
from cxrfeat.explaining.graph import Graph
from cxrfeat.spec import AskedExplaining, HeadKind
from tests.explaining.nets import CHANNELS, SIZE, convolutional, flat, graph_of, head_of, pooled, saved, views


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Graph:
    return graph_of(saved(tmp_path_factory.mktemp("net") / "tiny.keras", convolutional))


@pytest.fixture(scope="module")
def further(tmp_path_factory: pytest.TempPathFactory) -> Graph:
    return graph_of(saved(tmp_path_factory.mktemp("net") / "pooled.keras", pooled))


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("softmax", "cam"), ("logreg", "cam"), ("ridge", "cam"), ("svm-linear", "cam"),
        ("dense", "gradcam"), ("dropout", "gradcam"), ("svm-rbf", "gradcam"), ("knn", "occlusion"),
    ],
)  # fmt: skip
def test_the_method_fits_the_head(kind: HeadKind, expected: str, graph: Graph, further: Graph) -> None:
    assert method_for("auto", head_of(kind), graph) == expected
    assert method_for("auto", head_of(kind), further) == ("gradcam" if expected == "cam" else expected)
    assert method_for("occlusion", head_of(kind), graph) == "occlusion"


@pytest.mark.parametrize(
    ("asked", "kind", "message"),
    [
        (
            "cam",
            "svm-rbf",
            r"a linear head on averaged maps, and svm-rbf is not.*gradcam, gradcam\+\+, occlusion",
        ),
        ("gradcam", "knn", "a knn head has no gradient. Possible here: occlusion"),
        ("saliency", "logreg", "`method` is auto, cam, gradcam.*got 'saliency'"),
    ],
)
def test_a_method_that_does_not_fit_is_refused(
    asked: AskedExplaining, kind: HeadKind, message: str, graph: Graph
) -> None:
    with pytest.raises(UsageError, match=message):
        method_for(asked, head_of(kind), graph)


def test_a_network_that_goes_on_after_its_maps_has_no_exact_map(further: Graph) -> None:
    with pytest.raises(UsageError, match="takes averaged maps, and pooled goes on after its maps"):
        method_for("cam", head_of("logreg"), further)


def test_a_network_without_maps_is_occluded(tmp_path: Path) -> None:
    graph = graph_of(saved(tmp_path / "flat.keras", flat))
    assert not graph.has_maps
    head = head_of("logreg")
    assert method_for("auto", head, graph) == "occlusion"
    with pytest.raises(UsageError, match="flat has no maps left"):
        method_for("gradcam", head, graph)
    explainer = Explainer(graph=graph, head=head, mean=np.zeros(CHANNELS), method="occlusion")
    looked = explainer.judged(views(2), *graph.run(views(2)))
    evidence = explainer.evidence(looked, np.array([0, 1]))
    assert evidence.shape == (2, 10, 10)
    assert explainer.fields[0].step == SIZE / 10
    assert np.abs(evidence).max() > 0
