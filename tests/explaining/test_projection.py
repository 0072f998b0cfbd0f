from __future__ import annotations

import importlib.util

import numpy as np
import pytest

from cxrfeat.errors import InputError, MissingExtraError, UsageError
from cxrfeat.explaining.projection import projection


def blobs(count: int = 60, dim: int = 20) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(3, dim)) * 6
    return (centres[np.arange(count) % 3] + rng.normal(size=(count, dim))).astype(np.float32)


@pytest.mark.parametrize("shape", [(60, 20), (15, 40)])
def test_pca_is_that_of_scikit_learn(shape: tuple[int, int]) -> None:
    from sklearn.decomposition import PCA

    X = blobs(*shape)
    model = PCA(2, svd_solver="full").fit(X.astype(np.float64))
    found = projection(X)
    np.testing.assert_allclose(np.abs(found.points), np.abs(model.transform(X.astype(np.float64))), atol=1e-6)
    assert found.explained_variance is not None
    np.testing.assert_allclose(found.explained_variance, model.explained_variance_ratio_, atol=1e-8)
    assert found.points.shape == (shape[0], 2)


def test_the_sign_of_an_axis_does_not_depend_on_the_order_of_rows() -> None:
    X = blobs()
    order = np.random.default_rng(1).permutation(len(X))
    np.testing.assert_allclose(projection(X[order]).points, projection(X).points[order], atol=1e-6)


@pytest.mark.parametrize("rows", [1, 2, 3])
def test_few_rows_are_laid_out_too(rows: int) -> None:
    for method in ("pca", "tsne"):
        found = projection(blobs()[:rows], method=method)
        assert found.points.shape == (rows, 2)
        assert np.isfinite(found.points).all()
    assert not projection(np.ones((4, 3), np.float32)).points.any(), "rows that are all alike lie on one point"
    assert projection(np.arange(4, dtype=np.float32)[:, None]).points.shape == (4, 2)


@pytest.mark.slow
def test_tsne_keeps_neighbours_and_is_seeded() -> None:
    X = blobs()
    one, again = (projection(X, method="tsne", seed=3).points for _ in range(2))
    np.testing.assert_array_equal(one, again)
    distance = np.linalg.norm(one[:, None] - one[None], axis=2) + 1e9 * np.eye(len(X))
    assert (distance.argmin(axis=1) % 3 == np.arange(len(X)) % 3).mean() > 0.95
    assert projection(X, method="tsne").explained_variance is None


@pytest.mark.skipif(importlib.util.find_spec("umap") is not None, reason="UMAP is installed here")
def test_a_missing_umap_names_the_extra() -> None:
    with pytest.raises(MissingExtraError, match=r"pip install 'cxrfeat\[umap\]'.*Or take pca or tsne"):
        projection(blobs(), method="umap")


def test_what_cannot_be_projected_is_refused() -> None:
    with pytest.raises(UsageError, match="projected by pca, tsne, umap; got 'mds'"):
        projection(blobs(), method="mds")  # type: ignore[arg-type]  # refused, whoever checks no types
    with pytest.raises(InputError, match="takes rows of features"):
        projection(np.zeros((0, 4), np.float32))
    with pytest.raises(InputError, match="NaN or infinity"):
        projection(np.full((4, 4), np.nan, np.float32))
