"""What must hold on real X-rays with a real network; the figures themselves are in the README."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cxrfeat
from cxrfeat.feature.file import FeatureFile
from cxrfeat.image.row import Selection
from cxrfeat.metric.calibrate import log_loss
from cxrfeat.spec import FinetuneSpec, HeadSpec
from cxrfeat.workflow.compare import compare
from cxrfeat.workflow.fit_head import fit
from tests.run.reading import run_json
from tests.workflow.helpers import probabilities

pytestmark = pytest.mark.weights

PER_CLASS = 100


@pytest.fixture(scope="module")
def folder(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Features of the plain views of 300 images: `real.h5` by the real network, `random.h5` by an untrained one."""
    network = shared / "weights" / "mobilenet_imagenet_conv_pw_12.keras"
    if not network.is_file():
        pytest.skip(f"{network} is not here")
    made = tmp_path_factory.mktemp("real")
    networks: dict[str, dict[str, Any]] = {
        "real": {"backbone": str(network), "preprocess": "tf"},
        "random": {"backbone": "resnet50", "weights": "random", "size": 64, "engine": "keras"},
    }
    for name, arguments in networks.items():
        found = cxrfeat.extract(
            shared / "data" / "cxr299", views=1, selection=Selection(limit=PER_CLASS), features=made / name, **arguments
        )
        Path(found.files[0].path).rename(made / f"{name}.h5")
    return made


@pytest.mark.slow
def test_two_seeds_of_one_head_are_tied_and_a_random_network_is_not(folder: Path, tmp_path: Path) -> None:
    runs = [
        fit(folder / "real.h5", [HeadSpec(kind="softmax", seed=seed)], fold_count=5, runs=tmp_path).runs[0]
        for seed in (0, 1)
    ]
    seeds = compare(runs)
    assert seeds.differences[0]["tied"]
    untrained = fit(folder / "random.h5", [HeadSpec(kind="softmax")], fold_count=5, runs=tmp_path).runs[0]
    against = compare([runs[0], untrained])
    assert against.runs[0].name == runs[0].name
    assert not against.differences[0]["tied"]
    assert against.differences[0]["ci"][0] > 0.02


@pytest.mark.slow
def test_temperature_scaling_lowers_the_log_loss_of_the_dense_head(folder: Path, tmp_path: Path) -> None:
    head = HeadSpec(kind="dense", epochs=25)
    plain, scaled = (
        run_json(fit(folder / "real.h5", [one], fold_count=5, runs=tmp_path).runs[0])["test"]
        for one in (head, HeadSpec(kind="dense", epochs=25, calibrate=True))
    )
    assert scaled["log_loss"] < plain["log_loss"]
    assert scaled["confusion"] == plain["confusion"], "no class changes"


@pytest.mark.slow
def test_covid_shares_no_source_and_normal_against_pneumonia_is_the_honest_score(folder: Path, tmp_path: Path) -> None:
    run = fit(folder / "real.h5", [HeadSpec(kind="logreg")], fold_count=5, runs=tmp_path).runs[0]
    within = run_json(run)["test"]["within_source"]
    assert [pair["identifiable"] for pair in within["pairs"]] == [False, False, True]
    assert within["images"] == 2 * PER_CLASS
    assert 0.7 < within["pairs"][2]["auroc"] < 0.97
    assert within["pairs"][2]["auroc_ci"][0] > 0.5
    assert run_json(run)["test"]["auroc"] > within["pairs"][2]["auroc"], "the overall score flatters"


@pytest.mark.slow
def test_the_heads_of_both_svm_libraries_predict_the_same(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from sklearn.svm import SVC

    from cxrfeat.head import sklearn_head
    from cxrfeat.head.fit import fit_head
    from cxrfeat.head.training_set import TrainingSet

    pytest.importorskip("sklearnex", reason="the extra fast is not installed")
    with cxrfeat.open(folder / "real.h5") as file:
        X, y, _ = file.arrays(view=0)
    order = np.random.default_rng(0).permutation(len(y))
    train, test = order[:200], order[200:]
    training = TrainingSet(X[train, None], y[train], X[test], y[test], ["COVID", "NORMAL", "PNEUMONIA"])
    for kind in ("svm-linear", "svm-rbf"):
        fast = fit_head(HeadSpec(kind=kind), training).head
        with monkeypatch.context() as patched:
            patched.setattr(sklearn_head, "_svc", lambda: SVC)
            slow = fit_head(HeadSpec(kind=kind), training).head
        assert (fast.predict(X[test]) == slow.predict(X[test])).mean() >= 0.99
        assert abs(log_loss(fast.decision(X[test]), y[test]) - log_loss(slow.decision(X[test]), y[test])) < 0.01


@pytest.mark.slow
def test_fine_tuning_begins_with_the_probabilities_of_the_frozen_head(
    folder: Path, shared: Path, tmp_path: Path
) -> None:
    head = fit(folder / "real.h5", [HeadSpec(kind="logreg")], runs=tmp_path).runs[0]
    nothing = FinetuneSpec(head=HeadSpec(kind="softmax", epochs=0))
    (folder / "features").mkdir(exist_ok=True)
    with FeatureFile(folder / "real.h5") as file:
        place = folder / "features" / f"cxr299-{file.content.backbone}-{file.fingerprint[:8]}.h5"
    place.write_bytes((folder / "real.h5").read_bytes())
    tuned = cxrfeat.finetune(
        shared / "data" / "cxr299", head_from=head, spec=nothing, features=folder / "features", runs=tmp_path,
        selection=Selection(limit=PER_CLASS), network=shared / "weights" / "mobilenet_imagenet_conv_pw_12.keras",
    ).runs[0]  # fmt: skip
    before, after = probabilities(head), probabilities(tuned)
    assert before.keys() == after.keys()
    for sha, row in before.items():
        np.testing.assert_allclose(after[sha], row, atol=1e-4)
    assert compare([head, tuned]).differences[0]["tied"]
