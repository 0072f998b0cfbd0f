from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cxrfeat.errors import InputError, StorageError, UsageError
from cxrfeat.explaining.explained import Explained
from cxrfeat.run.folder import Run
from cxrfeat.spec import HeadKind
from cxrfeat.workflow.explain import explain
from tests.explaining.chests import image_of, runs_of
from tests.run.reading import cells


def test_shown_are_test_images_right_and_wrong_of_each_class(explained: Explained, chest_run: Run) -> None:
    table = cells(chest_run, "predictions.csv")
    rows = list(zip(table["part"], table["label"], table["predicted"], strict=True))
    kinds = {(label, label == predicted) for part, label, predicted in rows if part == "test"}
    shown = {(one.true, one.right) for one in explained.images}
    assert shown == kinds if len(kinds) <= 5 else len(shown) == 5
    assert explained.judged == sum(part == "test" for part, _, _ in rows)


@pytest.mark.few(1)
@pytest.mark.parametrize(
    "kind",
    [
        "dense",
        "ridge",
        "svm-rbf",
        "knn",
        *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("softmax", "dropout", "svm-linear")),
    ],
)
def test_every_head_can_be_explained(kind: HeadKind, chests: Path, tiny_network: Path, tmp_path: Path) -> None:
    run = runs_of(chests, tiny_network, tmp_path, kind)[0]
    found = explain(run, [image_of(chests)])
    (one,) = found.images
    assert one.heat.shape == ((10, 10) if kind == "knn" else (4, 4))
    assert np.isfinite(one.evidence).all()
    assert found.findings == ()
    assert found.out is None
    if kind == "svm-rbf":
        occluded = explain(run, [image_of(chests)], method="occlusion").images[0]
        assert occluded.heat.shape == (10, 10)
        assert explain(run, [image_of(chests)], method="gradcam++").method == "gradcam++"


@pytest.mark.slow
def test_the_same_call_gives_the_same_numbers(chest_run: Run, chests: Path) -> None:
    one, again = (explain(chest_run, data=chests, count=4, seed=5).to_dict() for _ in range(2))
    assert one == again


def test_what_cannot_be_explained_is_said(chest_run: Run, chests: Path, tmp_path: Path) -> None:
    image = image_of(chests)
    with pytest.raises(InputError, match=r"knows no class 'COVD'\. Did you mean COVID\? Its classes are COVID,"):
        explain(chest_run, [image], target="COVD")
    with pytest.raises(InputError, match=r"There is no image .*nowhere.png"):
        explain(chest_run, [tmp_path / "nowhere.png"])
    with pytest.raises(UsageError, match="either images, or"):
        explain(chest_run)
    with pytest.raises(UsageError, match="either images, or"):
        explain(chest_run, [image], data=chests)
    with pytest.raises(UsageError, match="`count` is the number of test images to show, at least 1; got 0"):
        explain(chest_run, data=chests, count=0)
    (tmp_path / "cut.png").write_bytes(image.read_bytes()[:200])
    found = explain(chest_run, [tmp_path / "cut.png", image])
    assert [Path(one.path).name for one in found.quarantined] == ["cut.png"]
    assert len(found.images) == 1
    with pytest.raises(InputError, match=r"None of the 1 images can be used \(.*cut.png"):
        explain(chest_run, [tmp_path / "cut.png"])
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="A part of that path is a file"):
        explain(chest_run, [image], out=tmp_path / "file" / "out")
