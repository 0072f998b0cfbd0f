from __future__ import annotations

import contextlib
import json
import math
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from PIL import Image

from cxrfeat.cli.main import run as command_line
from cxrfeat.errors import CxrFeatError, InputError, IntegrityError, StorageError, UsageError
from cxrfeat.finetuning.tuned import tuned_network
from cxrfeat.head.of_run import load_head
from cxrfeat.image.split import digest
from cxrfeat.run.folder import (
    HEAD,
    HISTORY,
    NETWORK,
    NOVELTY,
    PREDICTIONS,
    SPLIT,
    VERSION,
    Run,
    all_runs,
    check_name,
    find_run,
    find_runs,
    read_run,
    run_name,
    write_run,
)
from cxrfeat.run.record import digest8, to_json
from cxrfeat.spec import to_dict
from tests.run.golden import GOLDEN, golden
from tests.run.page import PAGE, page_tables
from tests.run.reading import change_json, run_json


def made(folder: Path, name: str = "data-resnet50-softmax-12345678", **changes: Any) -> Run:
    run = golden("dropout")
    return write_run(
        folder / name, replace(run.document, **changes), predictions=run.predictions(), split=run.split(),
        history=run.history(), arrays={"head.npz": b"\0\1"},
    )  # fmt: skip


def test_a_run_comes_back_as_it_was_written(tmp_path: Path) -> None:
    run = made(tmp_path / "runs", head="mine", seconds=1 / 3)
    again = read_run(run.path)
    assert again == run
    assert (again.document.head, again.document.seconds) == ("mine", 1 / 3)
    assert again.bytes_of("head.npz") == b"\0\1"
    first = golden("dropout")
    np.testing.assert_array_equal(again.predictions().probabilities, first.predictions().probabilities)
    assert (again.split(), again.history()) == (first.split(), first.history())
    names = ["head.npz", "history.csv", "predictions.csv", "run.json", "split.csv"]
    assert sorted(path.name for path in run.path.iterdir()) == names
    assert sorted(again.files) == [name for name in names if name != "run.json"]


def test_a_run_is_never_written_over_another(tmp_path: Path) -> None:
    run = made(tmp_path, head="softmax")
    with pytest.raises(StorageError, match="Something with that name already exists"):
        made(tmp_path, head="dense")
    assert read_run(run.path).document.head == "softmax"
    assert [path.name for path in tmp_path.iterdir()] == [run.name]


def test_what_json_cannot_hold_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        made(tmp_path, seconds=math.nan)
    assert all_runs(tmp_path) == []


# Golden runs: what is in them was written before runs were typed documents; see `tests.run.make_golden`.


def test_there_are_golden_runs_of_this_version() -> None:
    assert {path.name for path in GOLDEN if path.name.startswith(f"run-v{VERSION}-")} == {
        f"run-v{VERSION}-{name}" for name in ("logreg", "dropout", "tuned-folds", "finetune")
    }


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.name)
def test_a_golden_run_is_read_to_the_last_value(path: Path) -> None:
    assert sum(file.stat().st_size for file in path.iterdir()) < 60_000
    run = read_run(path)
    told = run_json(run)
    for name in ("format", "version", "files", "digest"):
        told.pop(name)
    assert to_json(run.document) == told
    assert set(run.files) == {file.name for file in path.iterdir()} - {"run.json"}
    said, split, history = (table.to_csv().encode() for table in (run.predictions(), run.split(), run.history()))
    names = ("predictions.csv", "split.csv", "history.csv")
    assert [said, split, history] == [run.bytes_of(name) for name in names], "every cell was read"
    head, novelty = load_head(run)
    assert (head.kind, list(head.classes)) == (told["fitted"]["kind"], told["classes"])
    assert head.dim == len(novelty.mean) == told["fitted"]["dim"]
    assert to_dict(run.document.features.spec) == told["features"]["spec"]


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.name)
def test_the_tables_of_a_golden_run_bear_its_scores(path: Path) -> None:
    run = read_run(path)
    document, said, split = run.document, run.predictions(), run.split()
    right = said.predicted == said.labels
    assert document.test.accuracy == right[said.tested].mean()
    assert np.array_equal(said.predicted, said.probabilities.argmax(axis=1))
    if document.validation is not None:
        assert document.validation.accuracy == right[said.validated].mean()
        assert digest(np.array(split.parts), split.contents) == document.split.sha256
    assert set(said.contents) <= set(split.contents)
    if document.finetune is not None:
        kept = run.history().kept
        assert kept is not None
        assert kept.epoch == document.finetune.kept


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.name)
def test_a_golden_run_names_no_place_of_a_machine(path: Path) -> None:
    for file in path.iterdir():
        assert not re.search(rb"/(tmp|home|root|work|usr|Users)/|\b[A-Z]:\\", file.read_bytes()), file.name


def test_the_example_of_the_specification_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    copied(tmp_path)
    monkeypatch.chdir(tmp_path)
    example = PAGE.split("```python\n")[1].split("```")[0]
    assert len(example.strip().splitlines()) <= 12
    exec(compile(example, "runs/README.md", "exec"), {})
    head, stated, counted = capsys.readouterr().out.split()
    assert (head, float(stated)) == ("dropout", float(counted))


def test_the_page_names_the_files_of_a_run() -> None:
    named = {HEAD, NOVELTY, NETWORK, PREDICTIONS, SPLIT, HISTORY, "run.json"}
    assert set(page_tables("## ")["Files"]) == named
    assert set(golden("finetune").files) | {"run.json"} == named


# Damage


def copied(folder: Path, name: str = "dropout") -> Path:
    return Path(shutil.copytree(golden(name).path, folder / "run"))


def owners(told: Any) -> Iterator[tuple[Any, Any]]:
    """Each object of a JSON value with each of its keys."""
    if isinstance(told, dict):
        for key, value in told.items():
            yield told, key
            yield from owners(value)
    if isinstance(told, list):
        for value in told:
            yield from owners(value)


@pytest.mark.few(1)
@pytest.mark.parametrize("name", ["logreg", pytest.param("tuned-folds", marks=pytest.mark.slow), "finetune"])
def test_a_key_that_is_not_there_is_damage_wherever_it_lies(name: str, tmp_path: Path) -> None:
    place = copied(tmp_path, name) / "run.json"
    whole = place.read_bytes()
    for number in range(len(list(owners(json.loads(whole))))):
        told = json.loads(whole)
        owner, key = list(owners(told))[number]
        if owner is told and key in ("format", "version"):
            continue  # then it is none of ours
        del owner[key]
        place.write_text(json.dumps(told))
        with pytest.raises(IntegrityError, match=r"run\.json is damaged \(.*\)\. Make the run again\.$"):
            read_run(place.parent)


@settings(max_examples=40, suppress_health_check=list(HealthCheck))
@given(
    st.sampled_from(["head.npz", "novelty.npz", "predictions.csv", "split.csv", "history.csv", "run.json"]), st.data()
)
def test_a_cut_or_changed_file_is_damage(
    tmp_path_factory: pytest.TempPathFactory, name: str, data: st.DataObject
) -> None:
    folder = copied(tmp_path_factory.mktemp("damaged"))
    content = (folder / name).read_bytes()
    at = data.draw(st.integers(0, len(content) - 1))
    if data.draw(st.booleans()):
        changed = content[:at]
    else:
        changed = content[:at] + bytes([content[at] ^ data.draw(st.integers(1, 255))]) + content[at + 1 :]
        if name == "run.json":
            with contextlib.suppress(ValueError):
                assume(json.loads(changed) != json.loads(content))  # else one space was made another
    (folder / name).write_bytes(changed)
    with pytest.raises((IntegrityError, InputError), match=re.escape(name)) as raised:
        use(read_run(folder))
    if isinstance(raised.value, InputError):  # of another format or version
        assert name == "run.json"


def use(run: Run) -> None:
    run.predictions()
    run.split()
    run.history()
    load_head(run)


def test_space_and_order_in_run_json_are_free(tmp_path: Path) -> None:
    place = copied(tmp_path) / "run.json"
    told = json.loads(place.read_bytes())
    place.write_text(json.dumps(dict(reversed(told.items())), indent=3))
    assert read_run(place.parent).document == golden("dropout").document


def test_another_number_is_damage_unless_the_digest_is_made_again(tmp_path: Path) -> None:
    run = read_run(copied(tmp_path))
    place = run.path / "run.json"
    place.write_text(place.read_text().replace('"seconds": 0.', '"seconds": 1.'))
    with pytest.raises(IntegrityError, match="it is not what was written"):
        read_run(run.path)
    change_json(run, lambda told: told.update(seconds=7.5, more="of another program"))
    assert read_run(run.path).document.seconds == 7.5
    change_json(run, lambda told: told.update(seconds="7.5"))
    with pytest.raises(IntegrityError, match=r'run.json is damaged \(seconds is "7.5", not a number\)'):
        read_run(run.path)


@pytest.mark.parametrize("number", ["NaN", "-Infinity", "1" + 400 * "0"])
@pytest.mark.parametrize("name", ["seconds", "of_another_program"])
def test_a_number_that_is_not_finite_is_damage_wherever_it_stands(number: str, name: str, tmp_path: Path) -> None:
    place = copied(tmp_path) / "run.json"
    told = {**json.loads(place.read_bytes()), name: "here"}
    place.write_text(json.dumps(told).replace('"here"', number))
    with pytest.raises(IntegrityError, match=r"run\.json is damaged \(.*\)\. Make the run again\.$"):
        read_run(place.parent)


def test_a_file_that_is_not_listed_is_not_used(tmp_path: Path) -> None:
    run = read_run(copied(tmp_path))
    (run.path / "network.keras").write_bytes(b"of a stranger")
    with pytest.raises(IntegrityError, match=r"network.keras is damaged"):
        run.bytes_of("network.keras")
    assert tuned_network(run) is None


def test_a_network_that_is_missing_is_damage(tmp_path: Path) -> None:
    run = read_run(copied(tmp_path, "finetune"))
    assert tuned_network(run) == run.path / "network.keras"
    (run.path / "network.keras").unlink()
    with pytest.raises(IntegrityError, match=r"network.keras is missing. Make the run again."):
        tuned_network(run)


@pytest.mark.parametrize("name", ["run.json", "predictions.csv", "head.npz", "novelty.npz", "history.csv"])
@pytest.mark.parametrize("how", ["cut", "gone", "rubbish"])
def test_a_damaged_run_is_one_line_and_one_exit_code_at_every_command(
    name: str, how: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for one in ("logreg", "dropout"):
        shutil.copytree(golden(one).path, tmp_path / "runs" / one)
    place = tmp_path / "runs" / "dropout" / name
    content = place.read_bytes()
    if how == "gone":
        place.unlink()
    else:
        place.write_bytes(content[: len(content) // 2] if how == "cut" else b"\x00 rubbish")
    Image.fromarray(np.arange(64 * 64, dtype=np.uint8).reshape(64, 64)).save(tmp_path / "image.png")
    uses = {
        ("compare", "logreg", "dropout"): {"run.json", "predictions.csv", "history.csv"},
        ("predict", "dropout", "image.png"): {"run.json", "head.npz", "novelty.npz"},
        ("report", "dropout"): {"run.json", "predictions.csv", "history.csv"},
    }
    for words, files in uses.items():
        if name in files:
            code, said = command_line(list(words)), " ".join(capsys.readouterr().err.split())
            no_run = how == "gone" and name == "run.json"
            assert code == (InputError if no_run else IntegrityError).exit_code, said
            assert "Traceback" not in said
            assert no_run or (name in said and "Make the run again." in said), said


@pytest.mark.parametrize(
    ("content", "kind", "message"),
    [
        (b'{"format": "cxrfeat-run", "ver', IntegrityError, r"run.json is damaged \(.*Make the run again"),
        (b"\xff\xfe\x00", IntegrityError, r"run.json is damaged"),
        (b"[" * 200_000, IntegrityError, r"run.json is damaged"),
        (b"[]", InputError, r"was not written by cxrfeat"),
        (b'{"format": "other"}', InputError, r"was not written by cxrfeat"),
        (
            b'{"format": "cxrfeat-run", "version": 2}',
            InputError,
            r"has version 2; this one reads 1. Make the run again",
        ),
    ],
)
def test_a_folder_that_is_no_run_is_refused(
    tmp_path: Path, content: bytes, kind: type[CxrFeatError], message: str
) -> None:
    run = made(tmp_path)
    (run.path / "run.json").write_bytes(content)
    with pytest.raises(kind, match=message):
        read_run(run.path)


def test_a_folder_without_its_files_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"is not a run: it has no run.json"):
        read_run(tmp_path)
    run = made(tmp_path)
    (run.path / "head.npz").unlink()
    (run.path / "predictions.csv").write_text("a,b\n1\n")
    with pytest.raises(IntegrityError, match=r"head.npz cannot be read \(No such file"):
        run.bytes_of("head.npz")
    for broken in (b"a,b\n1\n", b"", b"\xff\xff"):
        (run.path / "predictions.csv").write_bytes(broken)
        with pytest.raises(IntegrityError, match=r"predictions.csv is damaged"):
            run.predictions()


def test_a_wrong_name_lists_the_nearest_runs_first(tmp_path: Path) -> None:
    for name in (*(f"set-a-{number}" for number in range(12)), "chest-logreg", "chest-svm-rbf"):
        made(tmp_path, name)
    with pytest.raises(InputError) as raised:
        find_run("chest-logrge", runs=tmp_path)
    first, *listed = str(raised.value).splitlines()
    assert "There is no run 'chest-logrge'" in first
    assert "Did you mean chest-logreg? There are, the nearest first:" in first
    assert listed[:2] == ["  chest-logreg", "  chest-svm-rbf"]
    assert listed[-1] == "  ... and 4 more"
    assert len(listed) == 11
    with pytest.raises(InputError, match=r"There is no run 'chest-logrge' in .* Did you mean chest-logreg"):
        find_run(tmp_path / "chest-logrge")


def test_a_run_is_named_by_its_folder_and_by_the_file_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = made(tmp_path / "elsewhere", "mine")
    monkeypatch.chdir(tmp_path)
    for text in (run.path, "elsewhere/mine", "elsewhere/mine/", "./elsewhere/mine/run.json", "elsewhere/mi"):
        assert find_run(text).path.resolve() == run.path.resolve(), text


def test_a_file_out_of_proportion_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = made(tmp_path)
    monkeypatch.setattr("cxrfeat.run.folder._LARGEST", 1)
    with pytest.raises(IntegrityError, match="larger than any run's"):
        run.bytes_of("head.npz")


def test_a_run_is_found_by_any_unambiguous_beginning(tmp_path: Path) -> None:
    for name in ("a-1", "a-12", "b-1"):
        made(tmp_path, name)
    assert find_run("b", runs=tmp_path).name == "b-1"
    assert find_run("a-1", runs=tmp_path).name == "a-1", "a whole name is no beginning"
    with pytest.raises(
        InputError, match=r"'a' is the beginning of the names of 2 runs in .*type more of it:\n  a-1\n  a-12"
    ):
        find_run("a", runs=tmp_path)
    with pytest.raises(
        InputError, match=r"There is no run 'c' in .* There are, the nearest first:\n  a-1\n  a-12\n  b-1"
    ):
        find_run("c", runs=tmp_path)
    with pytest.raises(InputError, match=r"There is no run 'a-3' in .* Did you mean a-1\?"):
        find_run("a-3", runs=tmp_path)
    with pytest.raises(InputError, match=r"There are no runs yet: make one with `cxrfeat fit-head`"):
        find_run("c", runs=tmp_path / "nowhere")


def test_a_run_is_found_in_every_form_that_callers_have_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a-1", "a-2", "runs"):
        made(tmp_path / "runs", name)
    monkeypatch.chdir(tmp_path)
    run = find_run("a-1")
    assert find_run(run) is run
    forms = ("a-1", Path("a-1"), "runs/a-1", "runs/a-1/", Path("runs/a-1"), tmp_path / "runs" / "a-1", "./runs/a-1")
    for form in forms:
        assert find_run(form).path.resolve() == run.path.resolve(), form
    assert find_run("runs/r").name == "runs", "a beginning of a folder's name, too"
    assert find_run("runs").name == "runs", "a run's name comes before a folder that holds runs"


def test_runs_are_one_or_many(tmp_path: Path) -> None:
    run, other = made(tmp_path, "a-1"), made(tmp_path, "b-1")

    def names(given: Any) -> list[str]:
        return [one.name for one in find_runs(given, runs=tmp_path)]

    for one in ("a-1", Path("a-1"), run.path, str(run.path), run):
        assert names(one) == ["a-1"]
    for many in (["b-1", run], ("b-1", run.path), iter([other, "a"]), {"b-1": 0, "a-1": 0}):
        assert names(many) == ["b-1", "a-1"]
    assert names(None) == ["a-1", "b-1"]
    assert names([]) == []


def test_a_folder_of_runs_is_no_run_and_says_what_it_holds(tmp_path: Path) -> None:
    made(tmp_path / "mine", "a-1")
    for form in (tmp_path / "mine", str(tmp_path / "mine")):
        with pytest.raises(
            InputError, match=r"mine is not a run: it has no run.json. It holds 1 run; name one, such as .*a-1"
        ):
            find_run(form)
    with pytest.raises(InputError, match=r"not a run: it has no run.json\. Make one with"):
        find_run(tmp_path)


@pytest.mark.parametrize("nothing", ["", " "])
def test_an_empty_text_is_no_run(tmp_path: Path, nothing: str) -> None:
    made(tmp_path, "a-1")
    with pytest.raises(InputError, match="An empty text was given as a run"):
        find_run(nothing, runs=tmp_path)


def test_unfinished_runs_are_not_listed(tmp_path: Path) -> None:
    made(tmp_path, ".cxrfeat-tmp-00")
    made(tmp_path, "whole")
    (tmp_path / "other").mkdir()
    assert [path.name for path in all_runs(tmp_path)] == ["whole"]


@pytest.mark.parametrize("name", ["", ".hidden", "-x", "a/b", "../a", "a b", "ü", "a" * 122, "a\n"])
def test_a_name_that_is_no_folder_everywhere_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="letters, digits and"):
        check_name(name)


def test_names_are_safe_for_any_file_system() -> None:
    assert check_name("My_run-1.5+") == "My_run-1.5+"
    assert run_name("my data", "a/b:c", "..", "ü") == "my_data-a_b_c-x-x"
    assert digest8({"a": 1, "b": 2}) == digest8({"b": 2, "a": 1}) != digest8({"a": 1, "b": 3})


def test_run_json_is_plain_text(tmp_path: Path) -> None:
    run = made(tmp_path, head="softmax")
    assert json.loads((run.path / "run.json").read_text(encoding="ascii"))["head"] == "softmax"
