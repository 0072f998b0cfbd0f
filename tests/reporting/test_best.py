"""The best of several runs, in one line."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from cxrfeat.head.best import best_of
from cxrfeat.reporting.best import best_sentence
from cxrfeat.spec import HeadSpec
from cxrfeat.workflow.fit_head import fit
from tests.run.reading import run_json
from tests.workflow.helpers import make_features


@pytest.mark.few(1)
@pytest.mark.parametrize("fold_count", [None, 3])
def test_the_line_names_the_head_what_it_is_tied_with_and_its_test(fold_count: int | None, tmp_path: Path) -> None:
    path = make_features(tmp_path / "f.h5", groups=40)
    heads = [HeadSpec(kind="logreg"), HeadSpec(kind="ridge"), HeadSpec(kind="knn")]
    runs = fit(path, heads, runs=tmp_path / "runs", fold_count=fold_count).runs
    best = best_of(runs)
    assert best is not None
    alone, others = replace(best, tied=()), [run for run in runs if run.name != best.run.name]
    accuracy = run_json(best.run)["test"]["accuracy"]
    said = best_sentence(alone)
    assert said.startswith(
        f"Best on validation: {best.run.document.head}, accuracy {best.accuracy:.3f} on {best.images}"
    )
    assert f"; its test: {accuracy:.3f} [" in said
    assert "tied" not in said
    assert f", tied with {others[0].document.head}; its" in best_sentence(replace(best, tied=(others[0],)))
    assert ", tied with all the others; its" in best_sentence(replace(best, tied=tuple(others)))
    assert " (too few to say what is tied); its" in best_sentence(replace(best, tied=None))
    assert " on 1 image (too few" in best_sentence(replace(best, tied=None, images=1))
