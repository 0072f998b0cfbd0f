"""Every verb of the package takes a path, a run and a list in any form that a caller may have it in."""

from __future__ import annotations

import inspect
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cxrfeat
from cxrfeat.cli.main import app
from cxrfeat.phantom.spec import PhantomSpec
from cxrfeat.phantom.writing import write_phantoms
from tests.run.reading import run_json

Form = Callable[[str], Any]
"""Puts a path in one of its forms."""


FORMS: dict[str, Form] = {"text": str, "path": Path}


@pytest.fixture(scope="module")
def made(tiny_network: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `data`, `net.keras`, one feature file and two runs."""
    folder = tmp_path_factory.mktemp("made")
    spec = PhantomSpec(classes=("COVID", "NORMAL"), patients_per_class=10, images_per_patient=1, size=64, duplicates=0)
    write_phantoms(folder / "data", spec)
    shutil.copy(tiny_network, folder / "net.keras")
    extracted = cxrfeat.extract(
        folder / "data", backbone=folder / "net.keras", preprocess="tf", views=2, engine="keras",
        features=folder / "features",
    )  # fmt: skip
    shutil.copy(extracted.files[0].path, folder / "f.h5")
    cxrfeat.fit(folder / "f.h5", ["logreg", "ridge"], runs=folder / "runs")
    return folder


@pytest.fixture
def here(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same, with names that are short, in a folder that a test may change."""
    for name in ("data", "features", "runs"):
        shutil.copytree(made / name, tmp_path / name)
    for path in (tmp_path / "runs").iterdir():
        path.rename(path.with_name(json.loads((path / "run.json").read_text())["head"]))
    for name in ("net.keras", "f.h5"):
        shutil.copy(made / name, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


VERBS: dict[str, Callable[[Form], Any]] = {
    "activation_maps": lambda p: (
        cxrfeat.activation_maps(
            p("runs/logreg"), p(image()), "conv2d", data=p("data"), out=p("out"), network=p("net.keras")
        ).maps.shape
    ),
    "audit": lambda p: cxrfeat.audit(p("data"), cache=p("f.h5"), network=p("net.keras"), fold_count=2).images,
    "compare": lambda p: [run.name for run in cxrfeat.compare([p("logreg"), p("runs/ridge")], folder=p("runs")).runs],
    "doctor": lambda p: cxrfeat.doctor(p("net.keras"), features=p("features"), runs=p("runs")).ok,
    "explain": lambda p: [
        len(
            cxrfeat.explain(
                p("logreg"), **given, checks=False, network=p("net.keras"), runs=p("runs"), out=p("out")
            ).images
        )
        for given in ({"images": p(image())}, {"images": [p(image())]}, {"data": p("data"), "count": 1})
    ],
    "export": lambda p: [
        path.name
        for path in cxrfeat.export(
            p("logreg"), p("m.keras"), network=p("net.keras"), features=p("features"), runs=p("runs")
        ).beside
    ],
    "export_features": lambda p: cxrfeat.export_features(p("f.h5"), to="npz", out=p("f.npz")).images,
    "extract": lambda p: [
        cxrfeat.extract(
            p("data"),
            backbone=backbone,
            preprocess="tf",
            views=2,
            engine="keras",
            features=p("features"),
            runs=p("runs"),
        )
        .files[0]
        .images
        for backbone in (p("net.keras"), [p("net.keras")])
    ],
    "find_run": lambda p: (cxrfeat.find_run(p("ridge")).name, cxrfeat.find_run(p("rid"), runs=p("runs")).name),
    "find_runs": lambda p: [run.name for run in cxrfeat.find_runs([p("ridge"), p("runs/logreg")], runs=p("runs"))],
    "finetune": lambda p: refusal(
        lambda: cxrfeat.finetune(
            p("data"),
            backbone=p("net.keras"),
            weights=p("net.keras"),
            head_from=p("runs/logreg"),
            cache=p("f.h5"),
            network=p("net.keras"),
            features=p("features"),
            runs=p("runs"),
        )
    ),
    "fit": lambda p: run_json(cxrfeat.fit(p("f.h5"), "knn", runs=p("new")).runs[0])["head"],
    "fit_findings": lambda p: refusal(lambda: cxrfeat.fit_findings(p("f.h5"))),
    "fit_number": lambda p: cxrfeat.fit_number(p("f.h5"), "age").to_dict()["runs"][0]["test"]["mae"],
    "import_features": lambda p: refusal(lambda: cxrfeat.import_features(p("f.h5"), features=p("features"))),
    "index": lambda p: len(cxrfeat.index(p("data")).rows),
    "labels": lambda p: [
        [one.image for one in cxrfeat.labels(given, features=p("features"), runs=p("runs")).judged]
        for given in (p("f.h5"), p("logreg"), p("runs/ridge"))
    ],
    "learning_curve": lambda p: len(cxrfeat.learning_curve(p("f.h5"), "logreg", sizes=[0.5, 1.0])[0].points),
    "merge": lambda p: [
        refusal(lambda given=given: cxrfeat.merge(given, features=p("features")))[:25]  # type: ignore[misc]  # it does
        for given in (p("data"), [p("data")])
    ],
    "open": lambda p: cxrfeat.open(p("f.h5")).features.shape,
    "open_run": lambda p: run_json(cxrfeat.open_run(p("runs/ridge")))["head"],
    "predict": lambda p: [
        [one.label for one in cxrfeat.predict(p("logreg"), images, network=p("net.keras"), runs=p("runs")).predictions]
        for images in (p(image()), [p(image())], (p(image()),), iter([p(image())]), p("data/COVID/images"))
    ],
    "report": lambda p: [
        reported(
            runs, data=p("data"), features=p("features"), folder=p("runs"), network=p("net.keras"), out=p("r.html")
        )
        for runs in ([p("runs/logreg"), p("ridge")], None)
    ],
    "reproduce": lambda p: refusal(
        lambda: cxrfeat.reproduce(p("data"), resume=True, features=p("features"), runs=p("runs"))
    ),
    "select": lambda p: [
        one.image_id for one in cxrfeat.select(p("f.h5"), count=3, strategy="diverse", runs=p("runs")).choices
    ],
    "similar": lambda p: [
        one.image_id for one in cxrfeat.similar(p(image()), p("f.h5"), network=p("net.keras")).neighbours
    ],
    "top_patches": lambda p: (
        cxrfeat.top_patches(
            p("runs/logreg"), "conv2d", 1, p("data"), top=1, out=p("out"), network=p("net.keras")
        ).images
    ),
    "tune": lambda p: run_json(cxrfeat.tune(p("f.h5"), "ridge", trials=1, inner_folds=2, runs=p("new")).run)["head"],
    "tune_number": lambda p: (
        cxrfeat.tune_number(p("f.h5"), "age", "ridge", trials=1, inner_folds=2, runs=p("new")).run.document.target
    ),
    "validate": lambda p: [
        refusal(lambda: cxrfeat.validate(p("logreg"), p("data"), renamed={"x": "y"}, **where(p))),
        refusal(lambda: cxrfeat.validate(p("runs/logreg"), [p("data")], renamed={"x": "y"}, **where(p))),
    ],
    "verify": lambda p: cxrfeat.verify(p("f.h5"), recompute=1, data=p("data"), network=p("net.keras")),
    "views_curve": lambda p: len(cxrfeat.views_curve(p("f.h5"), ["logreg"])[0].points),
}
"""One call of each verb with every path, run and list that it takes, giving something that does not depend on form."""


def where(p: Form) -> dict[str, Any]:
    """The folders and the network of a verb that takes them all."""
    return {"network": p("net.keras"), "features": p("features"), "runs": p("runs")}


def image() -> str:
    return str(sorted(Path("data/COVID/images").iterdir())[0])


def reported(runs: Any, **given: Any) -> int:
    """How many runs a report of some is of."""
    return len(cxrfeat.report(runs, explained=0, **given).content.data[0].runs)


def refusal(call: Callable[[], object]) -> str:
    """What is said of a call that is refused, after all that it was given was understood, so that it is quick."""
    with pytest.raises(cxrfeat.CxrFeatError) as refused:
        call()
    return str(refused.value)


@pytest.fixture(scope="module")
def expected() -> dict[str, Any]:
    """What each verb gave for the first form."""
    return {}


LONG = ("activation_maps", "audit", "explain", "export", "report", "tune")
"""Verbs that take half a second, of which the default run tries one form."""


@pytest.mark.parametrize(
    ("verb", "form"),
    [
        pytest.param(verb, form, marks=pytest.mark.slow if verb in LONG and form == "path" else ())
        for verb in VERBS
        for form in FORMS
    ],
)
def test_a_verb_gives_the_same_for_every_form_of_a_path(
    here: Path, verb: str, form: str, expected: dict[str, Any]
) -> None:
    given = VERBS[verb](FORMS[form])
    assert given is not None
    assert given == expected.setdefault(verb, given)


def test_every_verb_is_in_the_table() -> None:
    functions = {name for name in cxrfeat.__all__ if inspect.isfunction(getattr(cxrfeat, name))}
    assert functions | {"open"} == set(VERBS)
    commands = {command.name for command in app.registered_commands}
    renamed = {"fit-head": "fit", "export-features": "export_features", "import-features": "import_features"}
    assert {renamed.get(str(name), name) for name in commands - {"demo"}} <= set(VERBS)


def test_a_run_and_an_open_file_stand_where_a_path_can(here: Path) -> None:
    run = cxrfeat.find_run("logreg")
    one = cxrfeat.predict(run, image(), network="net.keras").predictions
    assert one == cxrfeat.predict("logreg", image(), network="net.keras").predictions
    with cxrfeat.open("f.h5") as file:
        assert cxrfeat.verify(file) == []
        named = cxrfeat.fit(file, "knn", runs="new")
        described = cxrfeat.fit("f.h5", cxrfeat.HeadSpec(kind="knn"), runs="new")
        assert named.runs[0].name == described.runs[0].name
        assert described.reused == (True,)
    with pytest.raises(cxrfeat.UsageError, match="at least two different runs, and only logreg is here"):
        cxrfeat.compare([run, "logreg", "runs/logreg", run.path])


def test_a_run_that_is_not_there_is_named_with_the_nearest(here: Path) -> None:
    calls: list[Callable[[str], object]] = [
        lambda name: cxrfeat.predict(name, image()),
        lambda name: cxrfeat.explain(name, image()),
        lambda name: cxrfeat.compare([name, "ridge"]),
        lambda name: cxrfeat.report(name),
        lambda name: cxrfeat.finetune("data", head_from=name),
        lambda name: cxrfeat.activation_maps(name, image(), "conv2d"),
        lambda name: cxrfeat.top_patches(name, "conv2d", 0, "data"),
    ]
    for call in calls:
        with pytest.raises(cxrfeat.InputError, match=r"There is no run 'logrek' in runs\. Did you mean logreg\?"):
            call("logrek")


def test_no_image_and_no_head_are_said_at_once(here: Path) -> None:
    with pytest.raises(cxrfeat.UsageError, match="Name at least one image"):
        cxrfeat.predict("logreg", [])
    with pytest.raises(cxrfeat.UsageError, match="Name at least one head"):
        cxrfeat.fit("f.h5", [])
    with pytest.raises(TypeError, match="Give an image or a folder of images as text or Path; got ndarray"):
        cxrfeat.predict("logreg", [np.zeros((8, 8), np.uint8)])  # type: ignore[list-item]  # as a caller might


def test_one_thing_stands_where_many_can_in_descriptions_too(here: Path) -> None:
    assert cxrfeat.Selection(classes="COVID") == cxrfeat.Selection(classes=["COVID"])
    assert cxrfeat.index("data", cxrfeat.Selection(classes="COVID")).classes == ("COVID",)
    links: Any = "store"
    assert cxrfeat.Selection(follow_links=links) == cxrfeat.Selection(follow_links=[Path("store")])
    rows: Any = "ResNet"
    assert cxrfeat.ReproduceOptions(rows=rows) == cxrfeat.ReproduceOptions(rows=("ResNet",))
    units: Any = 64
    assert cxrfeat.HeadSpec(kind="dense", hidden=units) == cxrfeat.HeadSpec(kind="dense", hidden=(64,))
    zoom: Any = [1.0, 1.2]
    assert cxrfeat.ViewSpec(size=64, zoom=zoom) == cxrfeat.ViewSpec(size=64, zoom=(1.0, 1.2))
    assert len(cxrfeat.learning_curve("f.h5", "logreg", sizes=0.5)[0].points) == 1


def test_no_verb_takes_a_path_or_a_run_in_one_form_only() -> None:
    for name in sorted({*VERBS} - {"open"}):
        for parameter in inspect.signature(getattr(cxrfeat, name)).parameters.values():
            if "Callable" not in str(parameter.annotation):
                assert not re.search(r"\b(Path|Run)\b", str(parameter.annotation)), f"{name}: {parameter}"
