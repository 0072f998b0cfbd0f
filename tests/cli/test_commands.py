"""What all commands promise: one JSON document with its keys, streams, and checks that follow a run."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest

from cxrfeat.cli.again import command_line
from cxrfeat.feature.file import FeatureFile
from cxrfeat.reporting.again import run_call
from cxrfeat.run.folder import read_run
from cxrfeat.types import Part
from tests.cli.conftest import RANDOM, Cli
from tests.run.reading import change_json
from tests.workflow.helpers import PARTS, make_features

NUMBER = (int, float)
INTERVAL = (list, type(None))
"""Two numbers, or nothing where fewer than eight groups bear the score, as in these validation parts."""
SCORES: dict[str, Any] = {
    "accuracy": NUMBER, "accuracy_ci": INTERVAL, "balanced_accuracy": NUMBER, "macro_f1": NUMBER,
    "auroc": NUMBER, "sensitivity": {"COVID": NUMBER, "NORMAL": NUMBER},
    "specificity": {"COVID": NUMBER, "NORMAL": NUMBER}, "confusion": [[int, int], [int, int]], "classes": [str, str],
    "images": int, "groups": int,
}  # fmt: skip
SCHEMAS: dict[str, dict[str, Any]] = {
    "index": {
        "images": int, "classes": {"COVID": int, "NORMAL": int}, "patients": int, "unknown_patients": int,
        "sources": {"Hospital A": int, "Hospital B": int}, "quarantined": [{"path": str, "reason": str}],
    },
    "extract": {
        "files": [
            {
                "backbone": str, "path": str, "images": int, "views": int, "dim": int, "rows_computed": int,
                "rows_reused": int, "quarantined": [{"path": str, "stage": str, "reason": str}], "seconds": NUMBER,
                "views_per_second": NUMBER, "engine": str, "workers": str,
            }
        ]
    },
    "fit-head": {
        "runs": [{"head": str, "run": str, "seconds": NUMBER, "validation": SCORES, "test": SCORES}],
        "audit": [{"check": str, "status": str, "why": str}] * 11,
        "best": {"head": str, "run": str, "by": str, "validation": dict, "test": dict, "tied": list, "sentence": str},
        "unfitted": [],
        "notes": [],
    },
    "compare": {
        "runs": [{"head": str, "run": str, "seconds": NUMBER, "validation": SCORES, "test": SCORES}] * 2,
        "audit": [{"check": str, "status": str, "why": str}] * 12,
    },
    "predict": {
        "checks": [],
        "predictions": [
            {
                "image": str, "label": str, "probabilities": {"COVID": NUMBER, "NORMAL": NUMBER},
                "out_of_distribution": bool,
            }
        ]
    },
    "labels": {
        "by": str, "images": int, "doubtful": int, "expected_wrong": NUMBER, "expected_wrong_ci": INTERVAL,
        "joint": {"COVID": {"COVID": NUMBER, "NORMAL": NUMBER}, "NORMAL": {"COVID": NUMBER, "NORMAL": NUMBER}},
        "notes": list, "random_weights": bool,
    },
    "similar": {
        "image": str, "image_id": str, "label": str, "in_set": bool, "random_weights": bool,
        "neighbours": [
            {
                "image": str, "image_id": str, "similarity": NUMBER, "label": str, "source": str, "same_group": bool,
                "copy": (str, type(None)),
            }
        ] * 3,
    },
    "verify": {"ok": bool, "problems": []},
}  # fmt: skip


def conform(value: Any, schema: Any, place: str = "") -> None:
    """Every key of the schema is there and of its type; further keys are welcome, further items are not."""
    if isinstance(schema, dict):
        assert isinstance(value, dict), place
        for key, inner in schema.items():
            assert key in value, f"{place} lacks {key}"
            conform(value[key], inner, f"{place}/{key}")
    elif isinstance(schema, list):
        assert isinstance(value, list), place
        assert len(value) == len(schema), place
        for index, (item, inner) in enumerate(zip(value, schema, strict=True)):
            conform(item, inner, f"{place}/{index}")
    else:
        assert isinstance(value, schema), f"{place} is {value!r}"


@pytest.fixture
def told(cli: Cli, data: Path) -> dict[str, Any]:
    """What each command prints with `--json`, one after the other, with a broken file among the images."""
    (data / "COVID" / "broken.png").write_text("not an image")
    with (data / "metadata.csv").open("a") as table:
        table.write("COVID/broken.png,COVID" + "," * 7 + "\n")
    documents: dict[str, Any] = {}

    def run(*command: object) -> None:
        said = cli(*command, "--json")
        assert said.code == 0, said.err
        assert said.err == "", "nothing but the document is said"
        documents[str(command[0])] = said.json
        assert said.out.count("\n{") == 0, "one document"

    run("index")
    run("extract", *RANDOM)
    run("fit-head", "--head", "svm-linear")
    run("fit-head", "--head", "logreg")
    run("compare")
    run("predict", documents["fit-head"]["runs"][0]["run"], sorted(data.glob("COVID/images/*"))[0])
    run("labels")
    run("similar", sorted(data.glob("COVID/images/*"))[0], "--n", "3")
    run("verify", documents["extract"]["files"][0]["path"], "--recompute", "2", "--data", "data")
    return documents


def test_json_is_one_document_with_the_promised_keys(told: dict[str, Any]) -> None:
    assert set(told) == set(SCHEMAS)
    for command, document in told.items():
        conform(document, SCHEMAS[command], command)
    assert (told["verify"]["ok"], told["verify"]["problems"]) == (True, [])
    assert {one["status"] for one in told["fit-head"]["audit"]} <= {"pass", "warn", "fail"}


def test_a_problem_is_in_the_document_and_in_the_exit_code(cli: Cli, features: Path) -> None:
    with FeatureFile(features) as file:
        place = file.features.id.get_offset() + 3
    content = bytearray(features.read_bytes())
    content[place] ^= 1
    features.write_bytes(bytes(content))
    said = cli("verify", features, "--json")
    assert said.code == 5
    assert said.json == {"ok": False, "problems": ["the checksum of row 0 does not match"], "notes": []}
    assert said.err.startswith("cxrfeat: ")


def test_data_go_to_stdout_and_the_rest_to_stderr(cli: Cli, features: Path) -> None:
    said = cli("fit-head", "--head", "logreg")
    assert said.code == 0
    assert "Test scores" in said.out
    assert "Before you believe the scores" in said.out
    assert said.out.index("Before you believe") < said.out.index("Test scores"), "above the scores"
    assert "RANDOM WEIGHTS" in said.out
    assert "Next: cxrfeat predict" in said.err
    assert "Next:" not in said.out
    assert cli("fit-head", "--head", "logreg", "--quiet").err == ""
    assert cli("index", "--quiet").err == ""
    assert cli("extract", *RANDOM, "--quiet").err == ""


def test_fit_head_and_tune_take_some_classes(cli: Cli, tmp_path: Path) -> None:
    path = make_features(tmp_path / "f.h5", classes=("COVID, ARDS", "NORMAL", "PNEUMONIA"))
    chosen = ("--classes", '"COVID, ARDS"', "--classes", "NORMAL")
    said = cli("fit-head", path, "--head", "logreg", *chosen, "--train-sizes", "0.5,1")
    assert said.code == 0, said.err
    assert "40 of 120 images are of other classes and left out: PNEUMONIA 40." in said.out
    document = cli("fit-head", path, "--head", "logreg", *chosen, "--json").json
    assert document["notes"] == ["40 of 120 images are of other classes and left out: PNEUMONIA 40."]
    (run,) = document["runs"]
    assert (run["reused"], run["test"]["classes"]) == (True, ["COVID, ARDS", "NORMAL"])
    again = run_call(read_run(Path(run["path"])))
    assert again is not None
    words = shlex.split(command_line(again))
    assert words[words.index("--classes") + 1] == '"COVID, ARDS",NORMAL', "the report's own command makes it again"
    assert cli("fit-head", path, *words[3:], "--json").json["runs"][0]["reused"]
    tuned = cli("tune", path, "--head", "ridge", "--trials", "1", "--inner-folds", "2", *chosen, "--json")
    assert tuned.code == 0, tuned.err
    assert tuned.json["runs"][0]["test"]["classes"] == ["COVID, ARDS", "NORMAL"]
    assert "left out: PNEUMONIA 40" in tuned.json["tuning"][0]
    said = cli("fit-head", path, "--classes", "COVID,NORMAL")
    assert said.code == 3
    assert "holds no class 'COVID'" in said.err


def test_the_card_s_own_words_work_without_further_arguments(cli: Cli, data: Path) -> None:
    assert cli("extract", "--backbone", "resnet50", "--weights", "random").code == 0
    with FeatureFile(next(Path("features").glob("*.h5"))) as file:
        assert (file.views, file.spec.view.size) == (8, 224)
    assert cli("fit-head", "--head", "logreg").code == 0


def test_tune_mends_a_torn_split_too(cli: Cli, tmp_path: Path) -> None:
    torn: list[Part | None] = [PARTS[(0, 0, 0, 1, 2)[index // 2 % 5]] for index in range(80)]
    torn[0] = Part.TEST
    path = make_features(tmp_path / "torn.h5", split=torn, sources=[None] * 80)
    said = cli("tune", path, "--head", "ridge", "--trials", "1", "--inner-folds", "2", "--strict", "--regroup")
    assert said.code == 0, said.err
    assert "Regrouping moved 1 image of 1 patient or set of copies to one side: train 47 -> 46" in said.err


def fail_within(run: Path) -> str:
    """Let a run be one that failed a check when it was fitted; returns the check."""
    failed = {
        "check": "within sources",
        "status": "fail",
        "value": 0.0,
        "why": "No better.",
        "do": "Correct it.",
        "images": [],
        "strict": False,
    }

    def change(told: dict[str, Any]) -> None:
        told["audit"] = [failed, *(one for one in told["audit"] if one["check"] != "within sources")]

    change_json(read_run(run), change)
    return "within sources"


def test_a_failed_check_of_its_fit_follows_a_run_into_whatever_it_says(cli: Cli, data: Path, features: Path) -> None:
    runs = [cli("fit-head", features, "--head", kind, "--json").json["runs"][0] for kind in ("logreg", "ridge")]
    failed = {fail_within(Path(run["path"])) for run in runs}
    image, name = sorted(data.glob("COVID/images/*"))[0], runs[0]["run"]
    for words, what in (
        (["predict", name, image], "Predictions"),
        (["compare", *(run["run"] for run in runs)], "Test scores"),
        (["report", name], "report.html"),
    ):
        said = cli(*words)
        assert said.code == 0, said.err
        assert said.out.index("within sources") < said.out.index(what), words
        assert f"{said.out}FAIL".index("FAIL") < said.out.index(what), words
    assert f"{name} failed its audit" in cli("predict", name, image).out
    document = cli("predict", name, image, "--json").json
    assert {one["check"] for one in document["failed_checks"]} == failed
    document = cli("compare", *(run["run"] for run in runs), "--json").json
    assert {one["check"] for run in document["runs"] for one in run["failed_checks"]} >= failed
    document = cli("report", name, "--json").json
    told = {(one["run"], one["check"]) for one in document["data"][0]["failed_checks"]}
    assert told == {(name, one) for one in failed}
