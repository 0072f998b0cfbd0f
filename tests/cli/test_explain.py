"""`cxrfeat explain` as it is typed. Features are the stub's; the network that is looked into is of the same width."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from PIL import Image

from cxrfeat.phantom.spec import PhantomSpec
from cxrfeat.phantom.writing import write_phantoms
from cxrfeat.spec import HeadSpec
from cxrfeat.workflow.extract import extract
from cxrfeat.workflow.fit_head import fit
from tests.cli.conftest import Cli, RoomyStub
from tests.cli.test_commands import fail_within
from tests.image.encode import noise


@pytest.fixture(scope="module")
def made(phantoms: Path, tiny_network: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `features/` and `runs/` of the phantoms in `data/`."""
    folder = tmp_path_factory.mktemp("made")
    data = shutil.copytree(phantoms, folder / "data")
    extracted = extract(
        data, backbone=str(tiny_network), preprocess="tf", views=2, features=folder / "features", make_engine=RoomyStub
    )
    fit(extracted.files[0].path, [HeadSpec(kind="logreg")], name="one", runs=folder / "runs")
    shutil.rmtree(data)
    return folder


@pytest.fixture
def run(made: Path, same_user: None, cli: Cli, data: Path, tmp_path: Path) -> str:
    """The name of a run on `data/`, which a test may change."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    return "one"


def image_of(data: Path) -> Path:
    return sorted(data.glob("COVID/images/*"))[0]


def test_images_are_explained_in_a_table_and_in_files(run: str, cli: Cli, data: Path) -> None:
    said = cli("explain", run, image_of(data), "--out", "seen", "--quiet")
    assert said.code == 0, said.err
    assert "Where the class comes from (cam)" in said.out
    assert image_of(data).name in said.out
    assert "Research use only, never diagnosis." in said.out
    assert "PASS" not in said.out, "single images are not judged"
    assert sorted(path.suffix for path in Path("seen").iterdir()) == [".json", ".png"]


def test_verbose_says_who_prepares_the_images_of_every_way_to_explain(run: str, cli: Cli, data: Path) -> None:
    for words in (["--data", data, "--n", "2"], ["--layer", "conv2d_2", image_of(data)]):
        said = cli("explain", run, *words, "-v")
        assert said.code == 0, said.err
        assert said.err.count("Chosen: What is kept") == 1
        assert "Chosen: Images are prepared by" in said.err or "--layer" in words, "one image is read at once"
        assert cli("explain", run, *words, "-v", "--quiet").code == 2


def test_the_heat_of_the_test_images_is_judged_above_the_table(run: str, cli: Cli, data: Path) -> None:
    said = cli("explain", run, "--data", data, "--n", "2", "--quiet")
    assert said.code == 0, said.err
    order = [said.out.index(text) for text in ("hot corner", "Where the class comes from", "Mean heat over")]
    assert order == sorted(order)
    assert Path("explained", run, "explain.json").is_file()
    document = cli("explain", run, "--data", data, "--n", "2", "--json").json
    written = json.loads(Path("explained", run, "explain.json").read_text())
    assert set(written["notes"]) <= set(document["notes"]), "what the reading of the folder says is the command's alone"
    assert document | {"notes": []} == written | {"notes": []}
    assert set(document) >= {"run", "method", "images", "checks", "classes", "typical", "quarantined", "notes"}
    assert {one["status"] for one in document["checks"]} <= {"pass", "warn", "fail"}
    assert len(document["images"]) == 2


def test_strict_makes_a_failed_check_exit_8(run: str, cli: Cli, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from cxrfeat.explaining import judge

    monkeypatch.setattr(judge, "OTHER_VIEW", 1.1)
    monkeypatch.setattr(judge, "SAME_VIEW", 1.1)
    monkeypatch.setattr(judge, "LEAST_SEEN", 2)  # the phantoms are few
    said = cli("explain", run, "--data", data, "--strict", "--quiet")
    assert said.code == 8, said.out
    assert re.search(r"does not lie where it should \(.*agreement of views.*The pictures are written", said.err)
    assert Path("explained", run, "explain.json").is_file()
    assert cli("explain", run, "--data", data, "--quiet").code == 0


def test_the_checks_that_the_run_failed_stand_above_its_heat_and_count_under_strict(
    run: str, cli: Cli, data: Path
) -> None:
    failed = [fail_within(Path("runs") / run)]
    image = image_of(data)
    said = cli("explain", run, image, "--quiet")
    assert (said.code, said.out.index(f"{run} failed its audit ({', '.join(failed)})")) == (0, 0)
    assert [one["check"] for one in cli("explain", run, image, "--json").json["failed_checks"]] == failed
    said = cli("explain", run, image, "--quiet", "--strict")
    assert said.code == 8, said.out
    assert f"failed its audit when it was fitted ({', '.join(failed)})" in said.err


def test_redacted_results_hold_no_path(run: str, cli: Cli, data: Path) -> None:
    said = cli("explain", run, "--data", data, "--n", "2", "--redact", "--quiet")
    assert said.code == 0
    written = " ".join([said.out, *(path.name for path in Path("explained", run).iterdir())])
    assert "COVID-p" not in written
    assert "NORMAL-p" not in written


@pytest.mark.slow
def test_a_layer_is_shown_for_one_image(run: str, cli: Cli, data: Path) -> None:
    said = cli("explain", run, image_of(data), "--layer", "nothing")
    assert said.code == 2
    names = re.search(r"There are (.*)\.", said.err)
    assert names is not None
    layer = names[1].split(", ")[1]
    said = cli("explain", run, image_of(data), "--layer", layer)
    assert said.code == 0, said.err
    assert f"{layer}: 8 channels of 8 x 8 cells" in said.out
    assert list(Path("explained", run).glob("maps-*.png"))
    said = cli("explain", run, "--data", data, "--layer", layer, "--unit", "1", "--unit", "2", "--top", "3", "--json")
    assert said.code == 0, said.err
    assert {unit: len(found["patches"]) for unit, found in said.json["units"].items()} == {"1": 3, "2": 3}
    said = cli("explain", run, "--data", data, "--layer", layer, "--unit", "1", "--top", "3", "--quiet")
    assert f"{layer}, unit 1: strongest of" in said.out


def spoil(data: Path, count: int) -> list[Path]:
    """Cuts off that many images."""
    spoilt = sorted(data.glob("NORMAL/images/*"))[:count]
    for path in spoilt:
        path.write_bytes(b"\x89PNG no more")
    return spoilt


@pytest.mark.slow
def test_images_that_cannot_be_used_are_told_by_salted_ids(run: str, cli: Cli, data: Path) -> None:
    (bad,) = spoil(data, 1)
    names = re.search(r"There are (.*)\.", cli("explain", run, image_of(data), "--layer", "nothing").err)
    assert names is not None
    for arguments in (("--layer", names[1].split(", ")[1], "--unit", "1"), ("--n", "2")):
        plain = cli("explain", run, "--data", data, *arguments, "--quiet")
        assert plain.code == 0, plain.err
        assert "1 images could not be used" in plain.out
        assert bad.name in plain.out
        for form in ((), ("--json",)):
            said = cli("explain", run, "--data", data, *arguments, "--redact", "--quiet", *form)
            assert said.code == 0, said.err
            written = said.out + " ".join(path.read_text() for path in Path("explained", run).glob("*.json"))
            assert bad.stem not in written
            assert "-p0" not in written
        assert len(said.json["quarantined"]) == 1


@pytest.mark.slow
def test_too_many_unusable_images_are_exit_4_and_the_others_are_explained(run: str, cli: Cli, data: Path) -> None:
    bad = [Path(f"bad{number}.png") for number in range(6)]
    for path in bad:
        path.write_text("no image")
    said = cli("explain", run, image_of(data), *bad, "--out", "seen")
    assert said.code == 4
    assert "6 of 7 images could not be used; the pictures of the others are written" in said.err
    assert len(list(Path("seen").glob("001-*.png"))) == 1
    assert cli("explain", run, image_of(data), *bad, "--max-bad", "6").code == 0
    assert cli("explain", run, image_of(data), "--max-bad", "some").code == 2
    spoil(data, 2)
    said = cli("explain", run, "--data", data, "--n", "1", "--max-bad", "1")
    assert said.code == 4
    assert re.search(r"2 of \d\d images could not be used", said.err)


def test_data_labelled_with_other_classes_are_refused(run: str, cli: Cli, data: Path) -> None:
    (data / "metadata.csv").unlink()
    (data / "COVID").rename(data / "FLU")
    (data / "NORMAL").rename(data / "HEALTHY")
    for method in ("auto", "occlusion"):
        said = cli("explain", run, "--data", data, "--method", method)
        assert said.code == 3
        assert "its labels are FLU, HEALTHY; the run knows COVID, NORMAL" in said.err


@pytest.mark.few(8)
@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ([], 2, "Name either images, or the data folder of the run with --data"),
        (["IMAGE", "--data", "data"], 2, "either images, or"),
        (["nowhere.png"], 3, "There is no image nowhere.png. Check the path"),
        (["--data", "nowhere"], 3, "There is no folder 'nowhere'"),
        (["--data", "other"], 3, "None of the .* images in other is one of one: it was fitted on other data"),
        (["IMAGE", "--class", "FLU"], 3, "knows no class 'FLU'. Its classes are COVID, NORMAL"),
        (["IMAGE", "--class", "covid"], 3, "Did you mean COVID"),
        (["IMAGE", "--method", "saliency"], 2, "--method is auto, cam, gradcam.*got 'saliency'"),
        (["--data", "data", "--n", "0"], 2, "at least 1; got 0"),
        (["text.png"], 3, "None of the 1 images can be used .text.png"),
        (["IMAGE", "--out", "text.png/x"], 7, "A part of that path is a file, not a folder"),
        (["IMAGE", "--unit", "3"], 2, "name the layer with --layer"),
        (["IMAGE", "--unit", "3", "--layer", "x"], 2, "--unit looks for patches in a data set"),
        (["--layer", "x"], 2, "--layer shows the maps of one image"),
        (["IMAGE", "--layer", "x", "--class", "COVID", "--n", "3"], 2, "nor judges heat: leave out --class, --n."),
        (["IMAGE", "--layer", "x", "--method", "cam", "--strict"], 2, "leave out --method, --strict."),
        (["IMAGE", "--n", "3", "--limit", "2"], 2, "none is judged: leave out --n, --limit."),
        (["text.png", "--layer", "x"], 3, "text.png cannot be used"),
        (["IMAGE", "--network", "text.png"], 3, "is not the network that made these features"),
    ],
)
def test_what_cannot_be_explained_is_said_in_a_sentence(
    arguments: list[str], code: int, message: str, run: str, cli: Cli, data: Path
) -> None:
    write_phantoms(Path("other"), PhantomSpec(classes=("COVID", "NORMAL"), patients_per_class=1, size=64, seed=5))
    Path("text.png").write_text("no image")
    said = cli("explain", run, *(str(image_of(data)) if one == "IMAGE" else one for one in arguments))
    assert said.code == code, said.err
    assert re.search(message, said.err)
    assert said.err.startswith("cxrfeat: ")
    assert said.out == ""
    assert not list(Path().glob("explained/*/*"))


def test_a_run_that_is_none_is_refused(run: str, cli: Cli, data: Path) -> None:
    said = cli("explain", "other", image_of(data))
    assert said.code == 3
    assert f"There is no run 'other' in runs. There are, the nearest first:\n  {run}" in said.err
    Path("runs/strange").mkdir()
    Path("runs/strange/run.json").write_text('{"format": "another"}')
    said = cli("explain", "strange", image_of(data))
    assert said.code == 3
    assert "was not written by cxrfeat" in said.err
    Path("runs/one/head.npz").write_bytes(b"broken")
    assert cli("explain", run, image_of(data)).code == 5


def test_data_without_a_test_image_are_refused(run: str, cli: Cli, data: Path) -> None:
    import hashlib

    table = Path("runs/one/split.csv").read_text().splitlines()[1:]
    tested = {line.split(",")[0] for line in table if line.endswith(",test")}
    (data / "metadata.csv").unlink()
    for path in data.glob("*/images/*"):
        if hashlib.sha256(path.read_bytes()).hexdigest() in tested:
            path.unlink()
    said = cli("explain", run, "--data", data)
    assert said.code == 3
    assert "was trained on and none that it was tested on" in said.err


def test_an_image_of_another_size_and_depth_is_explained(run: str, cli: Cli) -> None:
    Image.fromarray(noise(3, 200, 400)).save("wide.png")
    said = cli("explain", run, "wide.png", "--json", "--method", "occlusion")
    assert said.code == 0, said.err
    (one,) = said.json["images"]
    assert (one["width"], one["height"]) == (400, 200)
    assert len(one["heat"]) == 10
    with Image.open(Path("explained", run) / one["overlay"]) as picture:
        assert picture.width > 400
