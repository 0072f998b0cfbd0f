from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from cxrfeat.explaining.graph import Graph
from cxrfeat.explaining.heat import cam, gradcam, gradcam_pp, heat_of, occlusion
from cxrfeat.explaining.score import linear_of, score_of, scores
from cxrfeat.spec import HeadKind
from cxrfeat.types import Views
from tests.explaining.nets import CHANNELS, CLASSES, convolutional, graph_of, head_of, pooled, saved, views

LINEAR: tuple[HeadKind, ...] = ("softmax", "logreg", "ridge", "svm-linear")


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Graph:
    return graph_of(saved(tmp_path_factory.mktemp("net") / "tiny.keras", convolutional))


@pytest.fixture(scope="module")
def further(tmp_path_factory: pytest.TempPathFactory) -> Graph:
    return graph_of(saved(tmp_path_factory.mktemp("net") / "pooled.keras", pooled))


@pytest.mark.parametrize("classes", [CLASSES, CLASSES[:2]])
@pytest.mark.parametrize("kind", LINEAR)
def test_the_exact_map_and_grad_cam_agree_up_to_constants(
    kind: HeadKind, classes: tuple[str, ...], graph: Graph
) -> None:
    head = head_of(kind, classes=classes)
    linear = linear_of(head)
    assert linear is not None
    maps, _ = graph.run(views(6))
    chosen = np.arange(6) % len(classes)
    mean = np.random.default_rng(2).normal(size=CHANNELS)
    exact = cam(maps, linear, chosen, mean)
    _, gradient = graph.gradient(maps, score_of(head), chosen)
    by_gradient = gradcam(maps, gradient)
    cells = maps.shape[1] * maps.shape[2]
    constant = (linear.weights @ mean)[chosen][:, None, None]
    np.testing.assert_allclose(exact, by_gradient * cells - constant, atol=1e-4 * float(np.abs(exact).max()))


@pytest.mark.parametrize("kind", LINEAR)
def test_the_exact_map_adds_up_to_the_score(kind: HeadKind, graph: Graph) -> None:
    head = head_of(kind)
    linear = linear_of(head)
    assert linear is not None
    maps, features = graph.run(views(5))
    mean = features.mean(axis=0).astype(np.float64)
    chosen = np.array([0, 1, 2, 1, 0])
    ours = scores(head, features)[np.arange(5), chosen]
    average = scores(head, mean[None].astype(np.float32))[0, chosen]
    np.testing.assert_allclose(cam(maps, linear, chosen, mean).mean(axis=(1, 2)), ours - average, atol=1e-4)


@pytest.mark.few(5)
@pytest.mark.parametrize("kind", ["softmax", "dense", "dropout", "logreg", "ridge", "svm-linear", "svm-rbf"])
@pytest.mark.parametrize("which", ["graph", "further"])
def test_gradients_are_the_slopes_of_the_score(kind: HeadKind, which: str, request: pytest.FixtureRequest) -> None:
    graph: Graph = request.getfixturevalue(which)
    head = head_of(kind)
    maps, features = graph.run(views(3))
    chosen = np.array([0, 1, 2])
    values, gradient = graph.gradient(maps, score_of(head), chosen)
    np.testing.assert_allclose(values, scores(head, features)[np.arange(3), chosen], atol=1e-4)
    direction = np.random.default_rng(4).normal(size=maps.shape).astype(np.float32)
    step = 1e-2
    up, down = (graph.gradient(maps + sign * step * direction, score_of(head), chosen)[0] for sign in (1, -1))
    slope = (gradient * direction).sum(axis=(1, 2, 3))
    np.testing.assert_allclose(slope, (up - down) / (2 * step), atol=0.02 * max(1.0, float(np.abs(slope).max())))


def test_grad_cam_pp_is_the_published_formula() -> None:
    rng = np.random.default_rng(0)
    maps, gradient = rng.uniform(0, 1, (1, 3, 3, 2)), rng.normal(size=(1, 3, 3, 2))
    expected = np.zeros((3, 3))
    for k in range(2):
        a, g = maps[0, :, :, k], gradient[0, :, :, k]
        alpha = g**2 / (2 * g**2 + a.sum() * g**3)
        expected += (alpha * np.maximum(g, 0)).sum() * a
    np.testing.assert_allclose(gradcam_pp(maps.astype(np.float32), gradient.astype(np.float32))[0], expected, rtol=1e-4)


def test_grad_cam_pp_of_a_flat_score_is_nothing() -> None:
    assert not gradcam_pp(np.ones((1, 2, 2, 3), np.float32), np.zeros((1, 2, 2, 3), np.float32)).any()


def test_heat_is_the_positive_part_and_one_at_its_top() -> None:
    heat = heat_of(np.array([[-1.0, 2.0], [0.5, 0.0]], np.float32))
    assert heat.tolist() == [[0.0, 1.0], [0.25, 0.0]]
    assert not heat_of(np.full((2, 2), -1.0, np.float32)).any()


def test_a_cover_goes_on_as_its_edges_do() -> None:
    """So what changes evenly is not changed by it, and an opacity within it is gone."""
    ramp = (np.arange(32)[:, None] * 3 + np.arange(32) * 4).astype(np.uint8)
    seen: list[Views] = []

    def score(covered: Views) -> NDArray[np.float32]:
        seen.append(covered)
        return np.zeros(len(covered), np.float32)

    occlusion(ramp, score, places=8)
    inner = seen[0].reshape(-1, 32, 32)[[9, 18, 30]]
    assert np.abs(inner.astype(int) - ramp).max() <= 1
    spotted = ramp.copy()
    spotted[10:14, 10:14] = 255
    occlusion(spotted, score, places=8)
    assert np.abs(seen[1][18].astype(int) - ramp).max() <= 1


def test_occlusion_finds_the_place_that_counts() -> None:
    view = views(1)[0]
    view[:] = 100
    view[4:8, 20:24] = 250

    def score(covered: Views) -> NDArray[np.float32]:
        return np.asarray(covered[:, 4:8, 20:24].mean(axis=(1, 2)), np.float32)

    fall = occlusion(view, score, places=8)[0]
    assert fall.shape == (8, 8)
    assert np.unravel_index(fall.argmax(), fall.shape) == (1, 5)
    assert (fall > 0).sum() <= 9, "patches are two places wide"
    assert fall[6].max() == 0
