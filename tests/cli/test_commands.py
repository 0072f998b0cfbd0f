from __future__ import annotations

import json
import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest

from cxrfeat.cli.again import command_line
from cxrfeat.feature.file import FeatureFile
from cxrfeat.reporting.again import run_call
from cxrfeat.run.folder import read_run
from cxrfeat.spec import MAIN_KINDS
from cxrfeat.types import Part
from cxrfeat.workflow import demo as demo_recipe
from tests.cli.conftest import RANDOM, Cli
from tests.run.reading import change_json
from tests.workflow.helpers import PARTS, make_features
from tests.workflow.test_demo import STAGES, TINY

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
                "views_per_second": NUMBER, "engine": str,
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
    run("verify", documents["extract"]["files"][0]["path"], "--recompute", "2", "--data", "data")
    return documents


def test_json_is_one_document_with_the_promised_keys(told: dict[str, Any]) -> None:
    assert set(told) == set(SCHEMAS)
    for command, document in told.items():
        conform(document, SCHEMAS[command], command)
    assert (told["verify"]["ok"], told["verify"]["problems"]) == (True, [])
    assert {one["status"] for one in told["fit-head"]["audit"]} <= {"pass", "warn", "fail"}


def test_the_demo_prints_the_envelope_of_its_runs(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(demo_recipe, "MAIN_KINDS", ("logreg", "svm-linear"))
    monkeypatch.setattr(demo_recipe, "EXPLAINED", 0)  # heat takes a real network
    for name, value in (("phantoms", TINY), ("size", 32), ("views", 1)):
        monkeypatch.setitem(demo_recipe.demo.__kwdefaults__ or {}, name, value)
    said = cli("demo", "--out", "shown", "--quiet")
    assert said.code == 0, said.err
    assert said.err == ""
    assert [line[12:] for line in said.out.splitlines() if line.startswith("--- cxrfeat")] == STAGES
    assert "RANDOM WEIGHTS" in said.out
    assert said.out.rstrip().endswith("shown/report.html")
    assert Path("shown/report.html").is_file()
    document = cli("demo", "--out", "shown", "--json").json
    conform(document["runs"][0], SCHEMAS["fit-head"]["runs"][0] | {"validation": dict, "test": dict})
    assert [run["head"] for run in document["runs"]] == ["logreg", "svm-linear"]
    assert all(run["reused"] for run in document["runs"]), "the second demo finds what the first made"
    assert document["report"] == "shown/report.html"


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


def test_redact_hides_every_path(cli: Cli, data: Path, phantoms: Path) -> None:
    names = [path.name for path in data.rglob("*") if path.is_file()] + ["lost.png", "text.png", "loose.png"]
    (data / "metadata.csv").unlink()
    (data / "truth.json").unlink()
    (data / "COVID" / "text.png").write_text("not an image")
    shutil.copy(sorted(data.glob("COVID/images/*"))[0], data / "loose.png")
    said = [cli("extract", *RANDOM, "--redact", "--json"), cli("extract", *RANDOM, "--redact")]
    said += [cli("index", "--redact"), cli("index", "--redact", "--json")]
    run = cli("fit-head", "--head", "logreg", "--json").json["runs"][0]["run"]
    said += [cli("predict", run, "data/COVID", "--redact"), cli("predict", run, "data/COVID", "--redact", "--json")]
    for one in said:
        assert one.code == 0, one.err
        for name in names:
            assert name not in one.out + one.err, name
    document = said[-1].json
    ids = [each["image"] for each in document["predictions"]] + [each["path"] for each in document["quarantined"]]
    assert len(set(ids)) == len(ids)
    assert all(len(each) == 32 for each in ids)
    assert "text.png" in cli("index").out, "without --redact they are shown"


def test_two_commands_take_a_folder_to_tested_heads(cli: Cli, data: Path, tmp_path: Path) -> None:
    said = cli("extract", "--backbone", "resnet50", "--weights", "random", "--size", "32", "--views", "1")
    assert said.code == 0, said.err
    said = cli("fit-head")
    assert said.code == 0, said.err
    found = sorted(json.loads(path.read_text())["head"] for path in (tmp_path / "runs").glob("*/run.json"))
    assert found == sorted(MAIN_KINDS), "all six, where none is named"
    (line,) = [line for line in said.out.splitlines() if line.startswith("Best on validation: ")]
    document = cli("fit-head", "--json").json
    assert all(run["reused"] for run in document["runs"])
    assert line == document["best"]["sentence"]
    best = document["best"]["run"]
    assert f"Next: cxrfeat predict {best} IMAGE" in said.err
    (compare,) = [line for line in said.err.splitlines() if line.startswith("Next: cxrfeat compare ")]
    assert cli(*compare.removeprefix("Next: cxrfeat ").split()).code == 0, "it can be typed as it stands"
    assert cli("predict", best, next((tmp_path / "data").glob("COVID/images/*"))).code == 0


def test_one_head_that_diverges_is_named_and_the_others_are_written(cli: Cli, tmp_path: Path) -> None:
    path = make_features(tmp_path / "f.h5")
    wild = ("--head", "dense", "--learning-rate", "999", "--epochs", "3")
    said = cli("fit-head", path, *wild, "--head", "logreg", "--train-sizes", "0.5,1")
    assert said.code == 3
    assert "dense could not be fitted: Training the dense head diverged in epoch" in said.out
    assert "1 of 2 heads could not be fitted (dense); the runs of the others are written" in said.err
    assert "logreg: More" in said.out, "and so are their curves"
    said = cli("fit-head", path, *wild, "--head", "logreg", "--json")
    assert said.code == 3
    assert [run["head"] for run in said.json["runs"]] == ["logreg"]
    assert [one["head"] for one in said.json["unfitted"]] == ["dense"]
    said = cli("fit-head", path, *wild)
    assert (said.code, said.out) == (3, "")
    assert "diverged in epoch" in said.err


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


def test_with_several_feature_files_the_choices_are_listed_as_commands(cli: Cli, data: Path) -> None:
    said = cli("fit-head")
    assert said.code == 3
    assert "There is no feature file in features. Make one with `cxrfeat extract" in said.err
    said = cli("extract", *RANDOM, "--backbone", "vgg16", "--json")
    assert [one["backbone"] for one in said.json["files"]] == ["resnet50", "vgg16"]
    said = cli("fit-head")
    assert said.code == 3
    commands = [line.strip() for line in said.err.splitlines() if line.startswith("  cxrfeat fit-head ")]
    assert len(commands) == 2
    for command in commands:
        assert cli(*command.split()[1:], "--head", "logreg").code == 0, "each can be typed as it stands"


def test_a_second_extraction_computes_nothing_and_a_new_image_only_itself(cli: Cli, data: Path) -> None:
    (data / "metadata.csv").unlink()
    first = cli("extract", *RANDOM, "--json").json["files"][0]
    again = cli("extract", *RANDOM, "--json").json["files"][0]
    assert (again["rows_computed"], again["rows_reused"]) == (0, first["images"])
    shutil.copy(sorted(data.glob("COVID/masks/*"))[0], data / "COVID" / "images" / "new.png")
    third = cli("extract", *RANDOM, "--json").json["files"][0]
    assert (third["rows_computed"], third["rows_reused"]) == (1, first["images"])


def test_masks_and_letters_are_asked_for_by_name(cli: Cli, data: Path) -> None:
    paths = set()
    for options in ([], ["--mask", "none"], ["--mask", "lungs"], ["--mask", "outside"], ["--remove-letters"]):
        said = cli("extract", *RANDOM, *options, "--json")
        assert said.code == 0, said.err
        paths.add(said.json["files"][0]["path"])
    assert len(paths) == 4, "none is the default"
    said = cli("extract", *RANDOM, "--mask", "heart")
    assert (said.code, said.out) == (2, "")
    assert "--mask is none, lungs or outside; got 'heart'" in said.err
    shutil.rmtree(data / "COVID" / "masks")
    said = cli("extract", *RANDOM, "--mask", "lungs")
    assert said.code == 3
    assert "images have no lung mask" in said.err
    assert cli("extract", *RANDOM, "--mask", "outside").code == 0


def test_strict_turns_a_failed_check_into_8_after_writing_the_runs(cli: Cli, tmp_path: Path) -> None:
    split: list[Part | None] = [PARTS[index % 3] for index in range(80)]
    path = make_features(tmp_path / "torn.h5", split=split, sources=["A", "A", "B", "B"] * 20)
    assert cli("fit-head", path, "--head", "logreg").code == 0
    said = cli("fit-head", path, "--head", "logreg", "--strict")
    assert said.code == 8
    assert "The audit failed (split)" in said.err
    assert said.out.index("FAIL") < said.out.index("Test scores")
    assert len(list((tmp_path / "runs").iterdir())) == 1
    said = cli("fit-head", path, "--head", "logreg", "--strict", "--regroup")
    assert said.code == 0, said.err
    assert "FAIL" not in said.out


def test_strict_refuses_dropped_parts_after_saying_them_in_the_audit_and_the_notes(cli: Cli, tmp_path: Path) -> None:
    split: list[Part | None] = [PARTS[(0, 0, 0, 1, 2)[index // 2 % 5]] for index in range(80)]
    split[7] = None
    path = make_features(tmp_path / "given.h5", split=split, sources=[None] * 80)
    said = cli("fit-head", path, "--head", "logreg", "--strict")
    assert said.code == 8
    assert "The audit failed (dropped parts)" in said.err
    assert "1 of 80 images (1 COVID) has no part in the data's own split" in said.err, "as a note of the run"
    assert "WARN  dropped parts" in said.out
    assert "FAIL" not in said.out
    (run,) = cli("fit-head", path, "--head", "logreg", "--json").json["runs"]
    assert run["notes"][0].startswith("1 of 80 images (1 COVID) has no part")
    assert (run["split"]["by"], run["test"]["images"]) == ("column", 16)
    said = cli("fit-head", path, "--head", "logreg", "--strict", "--split-by", "group")
    assert "dropped parts" not in said.out + said.err
    assert "The data's own split (train 48, validation 15, test 16, in no part 1) is not used" in said.err


def test_tune_mends_a_torn_split_too(cli: Cli, tmp_path: Path) -> None:
    torn: list[Part | None] = [PARTS[(0, 0, 0, 1, 2)[index // 2 % 5]] for index in range(80)]
    torn[0] = Part.TEST
    path = make_features(tmp_path / "torn.h5", split=torn, sources=[None] * 80)
    said = cli("tune", path, "--head", "ridge", "--trials", "1", "--inner-folds", "2", "--strict", "--regroup")
    assert said.code == 0, said.err
    assert "Regrouping moved 1 image of 1 patient or set of copies to one side: train 47 -> 46" in said.err


def test_extract_says_which_images_are_in_no_part_of_a_split_it_binds_to(cli: Cli, data: Path) -> None:
    table = data / "metadata.csv"
    lines = table.read_text().splitlines()
    place = lines[0].split(",").index("patient_id")
    numbers: dict[str, int] = {}
    parts = [
        ("train", "test", "validation")[numbers.setdefault(line.split(",")[place], len(numbers)) % 3]
        for line in lines[1:]
    ]
    rows = [f"{line},{part}" for line, part in zip(lines[1:], parts, strict=True)]
    rows[0] = rows[0].rsplit(",", 1)[0] + ","
    table.write_text("\n".join([f"{lines[0]},split", *rows]) + "\n")
    said = cli("extract", *RANDOM, "--normalize", "featurewise", "--quiet")
    assert said.code == 0, said.err
    assert "WARN  dropped parts" in said.out
    assert "the split that the features are bound to" in " ".join(said.out.split())
    assert [one["check"] for one in cli("extract", *RANDOM, "--normalize", "featurewise", "--json").json["audit"]] == [
        "dropped parts"
    ]
    assert cli("extract", *RANDOM, "--json").json["audit"] == []
    said = cli("extract", *RANDOM, "--split-by", "date")
    assert said.code == 2
    assert "cxrfeat fit-head --split-by" in said.err


def test_featurewise_features_keep_their_split(cli: Cli, data: Path) -> None:
    said = cli("extract", *RANDOM, "--normalize", "featurewise", "--json")
    assert said.code == 0, said.err
    assert cli("fit-head", "--head", "logreg").code == 0
    for options in (["--folds", "2"], ["--split-by", "paper"], ["--split", "date"]):
        said = cli("fit-head", "--head", "logreg", *options)
        assert said.code == 3
        assert "no other split of it is honest" in said.err


def test_an_identical_rerun_prints_the_run_that_stands(cli: Cli, features: Path) -> None:
    first = cli("fit-head", "--head", "logreg")
    again = cli("fit-head", "--head", "logreg")
    assert "(stood already)" not in first.out
    assert "(stood already)" in again.out
    assert cli("fit-head", "--head", "logreg", "--name", "mine").code == 0
    said = cli("fit-head", "--head", "logreg", "--name", "mine", "--seed", "1")
    assert said.code == 3
    assert "Choose another --name" in said.err


def test_runs_are_compared_by_any_beginning_of_their_names(cli: Cli, features: Path) -> None:
    said = cli("compare")
    assert said.code == 2
    assert "at least two different runs, and none is here. Fit another head" in said.err
    for head in ("logreg", "svm-linear"):
        assert cli("fit-head", "--head", head).code == 0
    assert "Accuracy of" in cli("compare").out
    assert cli("compare", "data-resnet50-l", "data-resnet50-s").code == 0
    said = cli("compare", "data", "data-resnet50-l")
    assert said.code == 3
    assert "'data' begins the names of 2 runs in runs; say more of it" in said.err
    assert cli("compare", "data-resnet50-l", "data-resnet50-l").code == 2


def test_predictions_come_with_what_they_are_not(cli: Cli, features: Path, data: Path) -> None:
    assert cli("fit-head", "--head", "logreg", "--name", "mine").code == 0
    image = sorted(data.glob("COVID/images/*"))[0]
    said = cli("predict", "mine", image)
    assert said.code == 0, said.err
    assert "Research use only, never diagnosis" in said.out
    assert "RANDOM WEIGHTS" in said.out
    assert str(image) in said.out
    bad = []
    for number in range(4):
        bad.append(data / f"bad-{number}.png")
        bad[-1].write_text("no image")
    said = cli("predict", "mine", image, *bad)
    assert said.code == 4
    assert "4 of 5 images could not be used" in said.err
    assert str(image) in said.out
    assert cli("predict", "mine", image, *bad, "--max-bad", "4").code == 0
    said = cli("predict", "nowhere", image)
    assert said.code == 3
    assert "There is no run 'nowhere' in runs. There are:\n  mine" in said.err


def test_a_damaged_run_is_an_integrity_error(cli: Cli, features: Path, data: Path) -> None:
    assert cli("fit-head", "--head", "logreg", "--name", "mine").code == 0
    for name in ("head.npz", "novelty.npz", "run.json"):
        kept = Path("runs/mine", name).read_bytes()
        Path("runs/mine", name).write_bytes(b"{")
        said = cli("predict", "mine", "data/COVID/images")
        assert said.code == 5, name
        assert "damaged" in said.err
        Path("runs/mine", name).write_bytes(kept)
    assert cli("predict", "mine", "data/COVID/images").code == 0


def test_weights_are_listed_and_a_strange_file_is_not_imported(cli: Cli, tmp_path: Path) -> None:
    rows = cli("weights", "list", "--json").json["weights"]
    assert {"densenet121", "resnet50", "vgg16", "inceptionv3", "xception"} <= {row["backbone"] for row in rows}
    assert {row["state"] for row in rows} == {"missing"}
    assert "densenet121" in cli("weights", "list").out
    (tmp_path / "strange.h5").write_text("not weights")
    said = cli("weights", "import", "strange.h5")
    assert said.code == 3
    assert "is not the ImageNet weights of a backbone" in said.err
    assert cli("weights", "import", "nowhere.h5").code == 3


def test_recomputing_finds_nothing_wrong_in_what_was_just_made(cli: Cli, features: Path) -> None:
    said = cli("verify", features, "--recompute", "3", "--data", "data")
    assert said.code == 0
    assert "every checksum matches, and the rows computed again are the same" in said.out
    assert cli("verify", features, "--recompute", "3").code == 2
    assert cli("verify", features, "--recompute", "-3", "--data", "data").code == 2


def fail_within(run: Path) -> str:
    """Let a run be one that failed a check when it was fitted; returns the check."""
    failed = {
        "check": "within sources",
        "status": "fail",
        "value": 0.0,
        "why": "No better.",
        "do": "Mend it.",
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
