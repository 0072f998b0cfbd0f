from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxrfeat.errors import CxrFeatError, InputError, IntegrityError, StorageError, UsageError
from cxrfeat.run.folder import (
    Run,
    all_runs,
    check_name,
    digest8,
    find_run,
    find_runs,
    read_run,
    run_name,
    write_run,
)
from cxrfeat.run.table import to_csv

TABLE: dict[str, list[object]] = {"image_id": ["aa", 'b"b', "c,c"], "p": [0.1, 1 / 3, 1e-300], "label": [0, 1, 2]}


def made(folder: Path, name: str = "data-resnet50-softmax-12345678", **info: Any) -> Run:
    return write_run(folder / name, info, arrays={"head.npz": b"\0\1"}, tables={"predictions.csv": TABLE})


def test_a_run_comes_back_as_it_was_written(tmp_path: Path) -> None:
    run = made(tmp_path / "runs", head="softmax", test={"accuracy": 1 / 3}, none=None)
    again = read_run(run.path)
    assert again == run
    assert again.info == {
        "format": "cxrfeat-run", "version": 1, "head": "softmax", "test": {"accuracy": 1 / 3}, "none": None
    }  # fmt: skip
    assert again.bytes_of("head.npz") == b"\0\1"
    table = again.table("predictions.csv")
    assert table["image_id"] == TABLE["image_id"]
    assert [float(text) for text in table["p"]] == TABLE["p"], "numbers are written in full"
    assert sorted(path.name for path in run.path.iterdir()) == ["head.npz", "predictions.csv", "run.json"]


@given(st.lists(st.tuples(st.text("ab,\"\n '"), st.floats(allow_nan=False)), min_size=1, max_size=4))
def test_a_table_comes_back_whatever_its_texts(tmp_path_factory: pytest.TempPathFactory, rows: list[Any]) -> None:
    folder = tmp_path_factory.mktemp("run")
    table = {"text": [text for text, _ in rows], "number": [number for _, number in rows]}
    run = write_run(folder / "run", {}, arrays={}, tables={"t.csv": table})
    stored = run.table("t.csv")
    assert stored["text"] == table["text"]
    assert [float(text) for text in stored["number"]] == table["number"]


def test_a_run_is_never_written_over_another(tmp_path: Path) -> None:
    run = made(tmp_path, head="softmax")
    with pytest.raises(StorageError, match="Something stands there already"):
        made(tmp_path, head="dense")
    assert read_run(run.path).info["head"] == "softmax"
    assert [path.name for path in tmp_path.iterdir()] == [run.name]


def test_what_json_cannot_hold_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        made(tmp_path, auroc=math.nan)
    with pytest.raises(ValueError, match="argument 2 is shorter"):
        to_csv({"a": [1, 2], "b": [1]})
    assert all_runs(tmp_path) == []


@pytest.mark.parametrize(
    ("content", "kind", "message"),
    [
        (b'{"format": "cxrfeat-run", "ver', IntegrityError, r"run.json is damaged \(.*Fit the head again"),
        (b"\xff\xfe\x00", IntegrityError, r"run.json is damaged"),
        (b"[" * 200_000, IntegrityError, r"run.json is damaged"),
        (b"[]", InputError, r"was not written by cxrfeat"),
        (b'{"format": "other"}', InputError, r"was not written by cxrfeat"),
        (
            b'{"format": "cxrfeat-run", "version": 2}',
            InputError,
            r"has version 2; this one reads 1. Fit the head again",
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
        with pytest.raises(IntegrityError, match=r"predictions.csv is not a table any more"):
            run.table("predictions.csv")


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
    with pytest.raises(InputError, match=r"'a' begins the names of 2 runs in .*say more of it:\n  a-1\n  a-12"):
        find_run("a", runs=tmp_path)
    with pytest.raises(InputError, match=r"There is no run 'c' in .* There are:\n  a-1\n  a-12\n  b-1"):
        find_run("c", runs=tmp_path)
    with pytest.raises(InputError, match=r"There is no run 'a-3' in .* Did you mean a-1\?"):
        find_run("a-3", runs=tmp_path)
    with pytest.raises(InputError, match=r"There is none yet: make one with `cxrfeat fit-head`"):
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
