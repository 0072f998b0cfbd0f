"""`cxrfeat index` as people call it."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

from cxrfeat.image.patient import PATIENT_PATTERNS
from tests.cli.conftest import RANDOM, Cli
from tests.image.published import trees


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


def test_the_columns_of_any_table_are_named_and_shown(cli: Cli, data: Path, tmp_path: Path) -> None:
    lines = (data / "metadata.csv").read_text().splitlines()
    (data / "metadata.csv").unlink()
    lines[0] = lines[0].replace("image", "Pic", 1).replace("label", "Class (final), so far", 1)
    header = ";".join(f'"{title}"' for title in lines[0].replace(", so", "\0 so").split(",")).replace("\0", ",")
    table = tmp_path / "labels of mine.txt"
    table.write_text("\n".join([header, *(line.replace(",", ";") for line in lines[1:])]))
    given = ["--metadata", str(table), "--column", 'image=Pic,"label=Class (final), so far"', "--column", "source="]
    found = cli("index", *given, "--json").json
    assert found["table"]["form"] == "semicolon-separated"
    assert found["table"]["columns"]["label"] == "Class (final), so far"
    assert "source" in found["table"]["not_read"]
    assert set(found["sources"]) == {"unknown"}
    shown = cli("index", *given)
    assert "Columns of labels of mine.txt, semicolon-separated" in shown.out
    assert shown.err.strip().endswith("--backbone densenet121")
    words = shlex.split(shown.err.strip().splitlines()[-1].partition("Next: cxrfeat extract ")[2])
    assert words[1:5] == ["--metadata", str(table), "--column", 'image=Pic,"label=Class (final), so far",source=']
    assert cli("index", *words[1:5], "--json").json["table"] == found["table"]


def test_a_column_that_cannot_be_meant_is_refused(cli: Cli, data: Path) -> None:
    for given, message in (
        (["--column", "image"], "--column is names and titles"),
        (["--column", "image=a,image=b"], "--column names image twice"),
        (["--column", '"image=a'], "cannot be read: a name that holds a comma"),
        (["--column", "imge=a"], "Did you mean image?"),
    ):
        refused = cli("index", str(data), *given)
        assert (refused.code, message in refused.err) == (2, True), refused.err


def test_a_published_set_is_shown_by_its_name_with_what_its_users_expect(cli: Cli, tmp_path: Path) -> None:
    trees.chexpert(tmp_path / "chexpert")
    trees.filled(tmp_path / "chexpert")
    found = cli("index", "chexpert", "--json").json
    assert found["published"] == {"name": "chexpert", "title": "CheXpert"}
    assert (found["images"], found["patients"], found["left_out"]) == (4, 4, {"lateral view": 1})
    assert found["findings"]["Cardiomegaly"] == {"present": 2, "absent": 0, "uncertain": 1, "not_stated": 1}
    assert found["splits"] == {"train": 3, "validation": 1}
    shown = cli("index", "chexpert")
    for line in (
        r"recognised\s+CheXpert \(chexpert\)", r"class\s+No Finding\s+1\n", r"left out\s+lateral view\s+1\n",
        r"view\s+AP\s+3\n", r"Pleural Other\s+finding\n", r"present\s+absent\s+uncertain\s+not stated",
        r"Cardiomegaly\s+2\s+0\s+1\s+1\n", r"Path\s+image\n",
        r"--published none reads the folder as any other", r"--column label=Cardiomegaly",
    ):  # fmt: skip
        assert re.search(line, shown.out), (line, shown.out)
    chosen = cli("index", "chexpert", "--column", "label=Cardiomegaly", "--json").json
    assert chosen["classes"] == {"Cardiomegaly": 2}
    assert chosen["left_out"] == {"lateral view": 1, "Cardiomegaly uncertain": 1, "Cardiomegaly not stated": 1}
    assert chosen["dataset"] != found["dataset"], "another data set, which never takes the other's place"
    refused = cli("index", "chexpert", "--classes", "Cardiomegaly")
    assert (refused.code, "'Cardiomegaly' is a finding of these images" in refused.err) == (3, True)
    assert "--column label=Cardiomegaly makes the classes" in refused.err
    assert cli("index", "chexpert", "--published", "chekpert").code == 2
    off = cli("index", "chexpert", "--published", "none")
    assert "recognised" not in off.out


def test_every_command_that_reads_a_data_set_takes_the_same_words(cli: Cli, tmp_path: Path) -> None:
    trees.nih(tmp_path / "nih")
    trees.filled(tmp_path / "nih")
    words = ["--column", "label=Emphysema", "--published", "nih"]
    made = cli("extract", "nih", *RANDOM, *words, "--json")
    assert made.code == 0, made.err
    cache = made.json["files"][0]["path"]
    assert made.json["files"][0]["images"] == 4
    assert cli("verify", cache, "--data", "nih", *words).code == 0
    assert "Emphysema" in cli("audit", "nih", *words, "--folds", "2").out
    for command in ("explain", "finetune", "report", "reproduce"):
        shown = cli(command, "--help").out
        assert all(option in shown for option in ("--metadata", "--column", "--published")), command


def test_words_find_the_patients_of_published_sets(cli: Cli, tmp_path: Path) -> None:
    trees.kermany(tmp_path / "k")
    trees.filled(tmp_path / "k")
    found = cli("index", "k", "--published", "none", "--patient-regex", "kermany", "--json").json
    assert (found["patients"], found["unknown_patients"]) == (8, 0)
    refused = cli("index", "k", "--patient-regex", "kermanny")
    assert (refused.code, "Did you mean kermany?" in refused.err, "nlm-tb" in refused.err) == (3, True, True)
    shown = " ".join(cli("index", "--help").out.split())
    assert all(word in shown for word in PATIENT_PATTERNS)
