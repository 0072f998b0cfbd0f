from __future__ import annotations

import io
import pickle
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cxrfeat.backbone.network import Network
from cxrfeat.errors import CxrFeatError, InputError, IntegrityError, StaleFeaturesError, WeightsError
from cxrfeat.head.fitted import FittedHead
from cxrfeat.phantom.spec import PhantomSpec
from cxrfeat.phantom.writing import write_phantoms
from cxrfeat.run.folder import Run, read_run
from cxrfeat.spec import FeatureSpec, HeadSpec, Masking, ViewSpec
from cxrfeat.types import Features, Views
from cxrfeat.workflow.extract import extract
from cxrfeat.workflow.fit_head import fit
from cxrfeat.workflow.predict import predict
from tests.cli.conftest import RoomyStub
from tests.run.reading import cells, change_file, change_json
from tests.stub import StubEngine, StubFactory, stub_features
from tests.workflow.helpers import probabilities


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty images, enough that the kind of image can be learnt."""
    folder = tmp_path_factory.mktemp("data") / "chests"
    write_phantoms(folder, PhantomSpec(classes=("COVID", "NORMAL"), patients_per_class=10, size=64))
    return folder


def run_of(data: Path, folder: Path, *, tta: bool = False, view: ViewSpec | None = None) -> Run:
    made = extract(
        data, backbone="resnet50", weights="random", views=2, size=32, view=view, features=folder,
        make_engine=StubEngine,
    )  # fmt: skip
    return fit(made.files[0].path, [HeadSpec(kind="logreg")], tta=tta, runs=folder / "runs").runs[0]


@pytest.fixture(scope="module")
def made(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a feature file, and a run in `runs/`."""
    folder = tmp_path_factory.mktemp("made")
    run_of(data, folder)
    return folder


@pytest.fixture
def run(made: Path, tmp_path: Path) -> Run:
    """A run of a test's own, with its features, in `tmp_path`."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    (path,) = (tmp_path / "runs").glob("[!.]*")
    return read_run(path)


def by_content(data: Path) -> dict[str, Path]:
    return {sha256(path.read_bytes()).hexdigest(): path for path in sorted(data.glob("*/images/*"))}


@pytest.mark.few(1)
@pytest.mark.parametrize("tta", [False, True])
def test_a_test_image_gets_the_probabilities_it_had_in_the_test(tta: bool, data: Path, tmp_path: Path) -> None:
    run = run_of(data, tmp_path, tta=tta)
    stored, paths = probabilities(run), by_content(data)
    chosen = [paths[sha] for sha in stored]
    told: list[tuple[str, int, int]] = []
    found = predict(run, chosen, make_engine=RoomyStub, progress=lambda *step: told.append(step))
    assert [one.image for one in found.predictions] == [str(path) for path in chosen], "in the order given"
    for one, expected in zip(found.predictions, stored.values(), strict=True):
        np.testing.assert_allclose(list(one.probabilities.values()), expected, atol=1e-5)
        assert list(one.probabilities) == ["COVID", "NORMAL"]
        assert one.label == max(one.probabilities, key=lambda name: one.probabilities[name])
    assert found.random
    assert told[-1][1:] == (len(chosen), len(chosen))


def test_a_real_network_gives_the_same_probabilities_as_in_the_test(
    data: Path, tiny_network: Path, tmp_path: Path
) -> None:
    made = extract(data, backbone=str(tiny_network), preprocess="tf", views=2, features=tmp_path)
    run = fit(made.files[0].path, [HeadSpec(kind="logreg")], runs=tmp_path / "runs").runs[0]
    stored, paths = probabilities(run), by_content(data)
    found = predict(run, [paths[sha] for sha in stored])
    again = [list(one.probabilities.values()) for one in found.predictions]
    np.testing.assert_allclose(again, list(stored.values()), atol=1e-5)
    assert not found.random
    with pytest.raises(WeightsError, match="is not the network that made these features"):
        predict(run, [data], network=data / "metadata.csv")


@pytest.mark.few(1)
@pytest.mark.parametrize("tta", [False, True])
def test_features_that_a_file_holds_give_the_same_predictions_without_the_network(
    tta: bool, data: Path, tiny_network: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = extract(data, backbone=str(tiny_network), preprocess="tf", views=2, features=tmp_path)
    run = fit(made.files[0].path, [HeadSpec(kind="logreg")], tta=tta, runs=tmp_path / "runs").runs[0]
    images = sorted(data.glob("*/images/*"))
    new = tmp_path / "new.png"
    Image.open(images[3]).rotate(90).save(new)
    some = [*images[:20], new, *images[20:]]
    without = predict(run, some, features=tmp_path / "nowhere")
    found = predict(run, some, features=tmp_path)
    assert found.predictions == without.predictions
    assert (without.rows_reused, found.rows_reused) == (0, len(images))
    assert (found.to_dict()["rows_computed"], found.to_dict()["rows_reused"]) == (1, len(images))

    def load(*_: object) -> None:
        raise AssertionError("the network is loaded for nothing")

    monkeypatch.setattr("cxrfeat.workflow.predict.load_engine", load)
    alone = predict(run, images, features=tmp_path).predictions
    expected = [one for one in without.predictions if one.image != str(new)]
    assert [(one.image, one.label) for one in alone] == [(one.image, one.label) for one in expected]
    for one, other in zip(
        alone, expected, strict=True
    ):  # a head multiplies 36 rows otherwise than 37, in the last bits
        assert one.probabilities == pytest.approx(other.probabilities, abs=1e-12)


@pytest.mark.slow
def test_a_damaged_feature_file_is_told_and_the_network_asked(
    data: Path, tiny_network: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    made = extract(data, backbone=str(tiny_network), preprocess="tf", views=1, features=tmp_path)
    run = fit(made.files[0].path, [HeadSpec(kind="logreg")], runs=tmp_path / "runs").runs[0]
    images = sorted(data.glob("*/images/*"))
    whole = predict(run, images, features=tmp_path)
    made.files[0].path.write_bytes(made.files[0].path.read_bytes()[:5000])
    caplog.clear()
    found = predict(run, images, features=tmp_path)
    assert found.rows_reused == 0
    assert found.predictions == whole.predictions
    assert "Its images were computed" in caplog.text


@pytest.mark.slow
def test_the_engine_is_chosen_for_the_number_of_views_or_by_the_user(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, int]] = []

    def choose(engine: str, network: Network, spec: FeatureSpec, views: int) -> str:
        asked.append((engine, views))
        return "stub"

    def load(name: str, network: Network, spec: FeatureSpec, views: int) -> StubEngine:
        assert (name, views) == ("stub", asked[-1][1])
        return StubEngine(network, spec)

    monkeypatch.setattr("cxrfeat.workflow.predict.choose_engine", choose)
    monkeypatch.setattr("cxrfeat.workflow.predict.load_engine", load)
    run = run_of(data, tmp_path / "tta", tta=True)
    images = sorted(data.glob("*/images/*"))[:6]
    assert len(predict(run, images).predictions) == 6
    predict(run_of(data, tmp_path / "plain"), images, engine="onnx")
    assert asked == [("auto", 12), ("onnx", 6)]


@pytest.mark.few(2)
@pytest.mark.parametrize(
    "view",
    [
        ViewSpec(size=32, letters=True, border_crop=0.1),
        ViewSpec(size=32, mask="outside"),
        ViewSpec(size=32, border_only=0.1),
        ViewSpec(size=32, shuffle=4),
    ],
    ids=["letters", "template", "border", "shuffle"],
)
def test_an_image_is_treated_as_the_training_images_were(view: ViewSpec, data: Path, tmp_path: Path) -> None:
    bare = Path(shutil.copytree(data, tmp_path / "bare", ignore=shutil.ignore_patterns("masks", "metadata.csv")))
    run = run_of(bare, tmp_path, view=view)
    stored, paths = probabilities(run), by_content(data)
    found = predict(run, [paths[sha] for sha in stored], make_engine=RoomyStub)
    for one, expected in zip(found.predictions, stored.values(), strict=True):
        np.testing.assert_allclose(list(one.probabilities.values()), expected, atol=1e-5)


@pytest.mark.few(1)
@pytest.mark.parametrize(
    ("mask", "shown"), [("lungs", "cut down to the lungs by lung masks"), ("outside", "without their lungs by")]
)
def test_a_head_that_was_trained_with_masks_is_refused(mask: Masking, shown: str, data: Path, tmp_path: Path) -> None:
    run = run_of(data, tmp_path, view=ViewSpec(size=32, mask=mask))
    image = sorted(data.glob("COVID/images/*"))[0]
    with pytest.raises(InputError, match=rf"{run.name} was trained on images {shown}.*Extract features without `mask`"):
        predict(run, [image], make_engine=StubEngine)


def test_one_output_for_many_images_is_a_failed_check_of_the_prediction(run: Run, data: Path) -> None:
    images = sorted(data.glob("*/images/*"))
    found = predict(run, images, make_engine=RoomyStub)
    assert found.checks == ()
    assert found.to_dict()["checks"] == []
    head = FittedHead.from_npz(run.bytes_of("head.npz"), run.document.fitted)
    dead = replace(head, arrays={**head.arrays, "coef": 0 * head.arrays["coef"]})
    run = change_file(run, "head.npz", dead.to_npz())
    checks = predict(run, images, make_engine=RoomyStub).to_dict()["checks"]
    assert [(one["check"], one["status"]) for one in checks] == [("outputs", "fail")]
    assert f"{len(images)} of {len(images)} images get the same output" in checks[0]["why"]
    assert predict(run, images[:2], make_engine=RoomyStub).checks == (), "of two images nothing can be said"


def test_unusable_images_are_set_aside_and_the_others_predicted(run: Run, data: Path, tmp_path: Path) -> None:
    good = sorted(data.glob("COVID/images/*"))[0]
    (tmp_path / "text.png").write_text("not an image")
    (tmp_path / "cut.png").write_bytes(good.read_bytes()[:200])
    found = predict(run, [tmp_path / "text.png", good, tmp_path / "cut.png"], make_engine=StubEngine)
    assert [one.image for one in found.predictions] == [str(good)]
    assert [Path(one.path).name for one in found.quarantined] == ["text.png", "cut.png"]
    with pytest.raises(InputError, match=r"None of the 1 images can be used \(.*text.png: .*Check the files"):
        predict(run, [tmp_path / "text.png"], make_engine=StubEngine)


def test_folders_are_searched_and_what_is_missing_is_named(run: Run, data: Path, tmp_path: Path) -> None:
    found = predict(run, [data / "COVID" / "images"], make_engine=StubEngine)
    assert len(found.predictions) == len(list((data / "COVID" / "images").iterdir()))
    with pytest.raises(InputError, match=r"There is no image .*nowhere.png. Check the path"):
        predict(run, [tmp_path / "nowhere.png"], make_engine=StubEngine)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="empty' holds nothing"):
        predict(run, [tmp_path / "empty"], make_engine=StubEngine)


def test_pictures_of_another_kind_are_marked_and_the_training_images_are_not(
    run: Run, data: Path, tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    strange = []
    for number, grey in enumerate((0, 255)):
        strange.append(tmp_path / f"flat-{number}.png")
        Image.fromarray(np.full((64, 64), grey, np.uint8)).save(strange[-1])
    for number in range(4):
        strange.append(tmp_path / f"bands-{number}.png")
        bands = np.repeat(rng.permutation(np.linspace(0, 255, 8)), 8)[:, None] * np.ones(64)
        Image.fromarray(bands.astype(np.uint8)).save(strange[-1])
    found = predict(run, strange, make_engine=StubEngine)
    assert all(one.out_of_distribution for one in found.predictions)
    parts = dict(zip(cells(run, "split.csv")["content_sha256"], cells(run, "split.csv")["part"], strict=True))
    training = [path for sha, path in by_content(data).items() if parts[sha] == "train"]
    marked = [one.out_of_distribution for one in predict(run, training, make_engine=StubEngine).predictions]
    assert sum(marked) <= 1 + len(training) // 50


class _Wider(StubEngine):
    """A network that gives other features than those the head was fitted on."""

    def __init__(self, network: Network, spec: FeatureSpec, batch: int = 16, threads: int = 1) -> None:
        super().__init__(network, spec, batch, threads)
        self.dim = 16

    def run(self, views: Views) -> Features:
        return np.repeat(stub_features(views), 2, axis=1)


def test_features_of_another_width_are_refused(run: Run, data: Path) -> None:
    with pytest.raises(StaleFeaturesError, match="fitted on features of width 8; these have 16"):
        predict(run, [data / "COVID" / "images"], make_engine=_Wider)


def test_a_network_that_cannot_be_made_again_is_said_to_be_gone(run: Run, data: Path) -> None:
    def changed(weights: str) -> Run:
        change_json(run, lambda told: told["features"]["spec"].update(weights=weights))
        return read_run(run.path)

    with pytest.raises(WeightsError, match=r"no longer in .*Give its file with `network`"):
        predict(changed(f"sha256:{'2' * 64}"), [data], make_engine=StubEngine)
    with pytest.raises(WeightsError, match="random weights that another version of cxrfeat drew"):
        predict(changed("random:seed=0,keras=0.0.1,backend=tensorflow"), [data], make_engine=StubEngine)
    with pytest.raises(WeightsError, match="do not say which network made them"):
        predict(changed("../../etc/passwd"), [data], make_engine=StubEngine)


class _Trap:
    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return _spring, ("sprung",)


def _spring(text: str) -> None:
    raise AssertionError(f"something was unpickled: {text}")


def pickled_npz() -> bytes:
    content, array = io.BytesIO(), io.BytesIO()
    array.write(b"\x93NUMPY\x01\x00")
    header = b"{'descr': '|O', 'fortran_order': False, 'shape': (1,), }".ljust(117) + b"\n"
    array.write(len(header).to_bytes(2, "little") + header + pickle.dumps(_Trap()))
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("coef.npy", array.getvalue())
        archive.writestr("mean.npy", array.getvalue())
    return content.getvalue()


@pytest.mark.parametrize("name", ["head.npz", "novelty.npz"])
@pytest.mark.parametrize(
    "content",
    [b"", b"garbage", b"PK\x03\x04 and then nothing", pickle.dumps(_Trap()), pickled_npz()],
    ids=["empty", "text", "half a zip", "a pickle", "a pickle inside an npz"],
)
def test_arrays_that_were_tampered_with_are_refused_unopened(name: str, content: bytes, run: Run, data: Path) -> None:
    other = change_file(run, name, content)
    with pytest.raises(IntegrityError, match=r"damaged.*Fit (it|the head) again"):
        predict(other, [data], make_engine=StubEngine)


@pytest.mark.parametrize(
    "change",
    [
        {"fitted": None},
        {"fitted": {}},
        {"features": {}},
        {"features": {"spec": {"kind": "FeatureSpec"}}},
        {"features": []},
        {"backbone": None, "features": None},
    ],
)
def test_a_description_that_was_tampered_with_is_refused(change: dict[str, object], run: Run, data: Path) -> None:
    change_json(run, lambda told: told.update(change))
    with pytest.raises(IntegrityError, match=r"damaged.*Make the run again"):
        predict(read_run(run.path), [data], make_engine=StubEngine)


def test_a_head_of_more_classes_than_it_says_is_refused(run: Run, data: Path) -> None:
    change_json(run, lambda told: told["fitted"]["classes"].append("FLU"))
    with pytest.raises(CxrFeatError, match="damaged"):
        predict(read_run(run.path), [data], make_engine=StubEngine)


def test_a_run_folder_names_no_path_no_file_and_no_patient(run: Run, data: Path, stub: StubFactory) -> None:
    shutil.rmtree(data.parent / "nothing", ignore_errors=True)
    texts = {path.name: path.read_bytes().decode("latin-1") for path in run.path.iterdir()}
    header, *lines = (data / "metadata.csv").read_text().splitlines()
    rows = [dict(zip(header.split(","), line.split(","), strict=True)) for line in lines]
    secrets = {str(data), str(data.parent)} | {Path(row["image"]).name for row in rows}
    secrets |= {Path(row["image"]).stem for row in rows} | {row["patient_id"] for row in rows if row["patient_id"]}
    assert len(secrets) > 40
    for name, text in texts.items():
        for secret in secrets:
            assert secret not in text, f"{name} names {secret}"
