"""What a fine-tuned run is good for: predictions, a backbone, a report, heat maps, the same command again."""

from __future__ import annotations

import shlex
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import cxrfeat
from cxrfeat.cli.again import command_line
from cxrfeat.cli.main import run as main
from cxrfeat.errors import IntegrityError, SplitError
from cxrfeat.feature.file import FeatureFile
from cxrfeat.phantom.spec import PhantomSpec
from cxrfeat.phantom.writing import write_phantoms
from cxrfeat.reporting.again import run_call
from cxrfeat.run.folder import Run, read_run
from cxrfeat.spec import HeadSpec
from cxrfeat.workflow.explain import explain
from cxrfeat.workflow.extract import extract
from cxrfeat.workflow.fit_head import fit
from cxrfeat.workflow.predict import predict
from cxrfeat.workflow.report import report
from tests.run.reading import cells, change_file, run_json
from tests.workflow.helpers import probabilities
from tests.workflow.place import LAST, SPEC, Place


@pytest.mark.slow
def test_a_tuned_network_predicts_and_is_a_backbone_that_carries_its_split(
    place: Place, tuned: Run, tmp_path: Path
) -> None:
    table = cells(tuned, "predictions.csv")
    made = place.extract(backbone=tuned.name)
    paths = {row.content_sha256: place.data / row.path for row in made.manifest.rows}
    tested = [sha for sha, part in zip(table["content_sha256"], table["part"], strict=True) if part == "test"]
    found = predict(tuned, [paths[sha] for sha in tested])
    for one, sha in zip(found.predictions, tested, strict=True):
        np.testing.assert_allclose(list(one.probabilities.values()), probabilities(tuned)[sha], atol=1e-5)
    with FeatureFile(made.files[0].path) as file:
        assert file.spec.split == run_json(tuned)["identity"]["split"]["sha256"]
        parts = dict(zip(cells(tuned, "split.csv")["content_sha256"], cells(tuned, "split.csv")["part"], strict=True))
        assert file.split().parts.tolist() == [parts[sha] for sha in file.content_sha256]
        X = file.read()[:, 0]
    with pytest.raises(SplitError, match=r"tuned on the training part of one split.*Omit `fold_count`"):
        fit(made.files[0].path, [HeadSpec(kind="logreg")], fold_count=3, runs=place.runs)
    head = fit(made.files[0].path, [HeadSpec(kind="logreg")], runs=place.runs).runs[0]
    assert run_json(head)["identity"]["split"]["by"] == "bound"
    frozen = FeatureFile(place.extract().files[0].path).read()[:, 0]
    assert not np.allclose(X, frozen), "the features are those of the frozen network"
    # And its head can be warmed for more training, on the same split.
    more = place.finetune(head_from=head, spec=LAST).runs[0]
    assert cells(more, "split.csv")["part"] == cells(tuned, "split.csv")["part"]


@pytest.mark.slow
def test_new_images_alone_are_bound_to_nothing_and_some_new_ones_are_in_no_part(
    place: Place, tuned: Run, tmp_path: Path
) -> None:
    new = tmp_path / "new"
    write_phantoms(new, PhantomSpec(classes=("COVID", "NORMAL"), patients_per_class=6, size=64, seed=9))
    made = extract(new, backbone=tuned.name, views=1, features=place.features, runs=place.runs)
    with FeatureFile(made.files[0].path) as file:
        assert file.bound_split is None
    both = tmp_path / "both"
    for source in (place.data, new):
        for path in source.rglob("*.png"):
            to = both / path.relative_to(source).parts[0] / f"{source.name}-{path.name}"
            if "masks" not in path.parts:
                to.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, to)
    made = extract(both, backbone=tuned.name, views=1, features=place.features, runs=place.runs)
    table = cells(tuned, "split.csv")
    part = dict(zip(table["content_sha256"], table["part"], strict=True))
    with FeatureFile(made.files[0].path) as file:
        assert file.split().parts.tolist() == [part.get(sha, "none") for sha in file.content_sha256]
        assert file.spec.split == run_json(tuned)["identity"]["split"]["sha256"], (
            "it is the split that the network has seen"
        )
    (found,) = made.audit
    assert (found.check, found.value) == (
        "dropped parts",
        sum(row.content_sha256 not in part for row in made.manifest.rows),
    )
    head = fit(made.files[0].path, [HeadSpec(kind="logreg")], runs=place.runs).runs[0]
    told = cells(head, "predictions.csv")
    assert told["content_sha256"]
    assert all(part[sha] == one for sha, one in zip(told["content_sha256"], told["part"], strict=True))


@pytest.mark.slow
def test_a_network_with_featurewise_pixels_keeps_its_statistics(place: Place, tmp_path: Path) -> None:
    made = place.extract(normalize="featurewise", views=2, backbone=place.network, preprocess="tf")
    run = place.finetune(cache=made.files[0].path, warm=None, spec=LAST).runs[0]
    assert run_json(run)["finetune"]["head_from"] is None
    with FeatureFile(made.files[0].path) as file:
        bound = place.extract(backbone=run.name)
        with FeatureFile(bound.files[0].path) as tuned:
            assert (tuned.spec.mean, tuned.spec.std) == (file.spec.mean, file.spec.std)
            assert tuned.split().parts.tolist() == file.split().parts.tolist()
    new = tmp_path / "new"
    write_phantoms(new, PhantomSpec(classes=("COVID", "NORMAL"), patients_per_class=6, size=64, seed=9))
    made = extract(new, backbone=run.name, views=1, features=place.features, runs=place.runs)
    with FeatureFile(made.files[0].path) as file:
        assert (file.spec.normalize, file.spec.split) == ("featurewise", None)


@pytest.mark.slow
@pytest.mark.parametrize("warm", [True, False])
def test_the_command_in_a_report_finds_the_very_same_run(
    place: Place, monkeypatch: pytest.MonkeyPatch, *, warm: bool
) -> None:
    options = {"head_from": place.head()} if warm else {"warm": None, "cache": place.extract().files[0].path}
    spec = replace(SPEC, clip=None, head=replace(SPEC.head, epochs=1, label_smoothing=0.1, calibrate=True))
    run = place.finetune(spec=spec, **options).runs[0]
    again = run_call(run)
    assert again is not None
    words = [str(place.data) if word == "DATA" else word for word in shlex.split(command_line(again))]
    monkeypatch.chdir(place.folder)
    before = sorted(path.name for path in place.runs.iterdir())
    assert main([*words[1:], "--quiet"]) == 0
    assert sorted(path.name for path in place.runs.iterdir()) == before
    (same,) = eval(str(again).replace("'DATA'", repr(str(place.data))), {"cxrfeat": cxrfeat}).runs  # our own text
    assert same.path.resolve() == run.path.resolve(), "and so does the call in Python"


@pytest.mark.slow
def test_a_report_and_heat_maps_take_a_fine_tuned_run(place: Place, tuned: Run, tmp_path: Path) -> None:
    explained = explain(tuned, data=place.data, count=2, out=tmp_path / "heat")
    assert all(image.written is not None and Path(image.written).is_file() for image in explained.images)
    assert {finding.check for finding in explained.findings} >= {"heat in lungs", "randomised weights"}
    head = read_run(place.runs / run_json(tuned)["finetune"]["head_from"])
    made = report([tuned, head], data=place.data, out=tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    assert "softmax, fine-tuned" in page
    assert "cxrfeat.finetune(" in page
    assert "head_from=" in page
    assert made is not None


@pytest.mark.slow
def test_an_edited_split_is_believed_by_nobody(place: Place) -> None:
    head = place.head()
    run = place.finetune(head_from=head, spec=LAST).runs[0]
    for one in (run, head):
        text = (one.path / "split.csv").read_text()
        other = text.replace("train", "?").replace("test", "train").replace("?", "test")
        change_file(one, "split.csv", other.encode())
    with pytest.raises(IntegrityError, match=r"another split than the one it was made with"):
        place.extract(backbone=run.name)
    with pytest.raises(IntegrityError, match=r"another split than the one it was made with"):
        place.finetune(head_from=read_run(head.path), spec=SPEC)


@pytest.mark.slow
def test_images_that_cannot_be_used_are_told_and_shift_no_split(place: Place, tmp_path: Path) -> None:
    data = Path(shutil.copytree(place.data, tmp_path / "spoilt"))
    spoilt = sorted(path for path in data.rglob("*.png") if "masks" not in path.parts)[3]
    spoilt.write_bytes(spoilt.read_bytes()[: spoilt.stat().st_size // 2])
    result = place.finetune(data=data, spec=LAST)
    assert [one.path for one in result.quarantined] == [spoilt.relative_to(data).as_posix()]
    made = extract(data, backbone=result.runs[0].name, views=1, features=place.features, runs=place.runs)
    assert made.files[0].images == len(cells(result.runs[0], "split.csv")["part"])
    bound = extract(
        data, backbone=place.network, preprocess="tf", normalize="featurewise", views=1, features=place.features
    )
    with FeatureFile(bound.files[0].path) as file:
        part = dict(zip(file.content_sha256, file.split().parts.tolist(), strict=True))
    table = cells(result.runs[0], "split.csv")
    assert part == dict(zip(table["content_sha256"], table["part"], strict=True)), "the two rows have other test images"
