from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxrfeat.errors import CxrFeatError, InputError, IntegrityError, StorageError, UsageError
from cxrfeat.run import Run, all_runs, check_name, digest8, find_run, read_run, run_name, to_csv, write_run

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
    monkeypatch.setattr("cxrfeat.run._LARGEST", 1)
    with pytest.raises(IntegrityError, match="larger than any run's"):
        run.bytes_of("head.npz")


def test_a_run_is_found_by_any_unambiguous_beginning(tmp_path: Path) -> None:
    for name in ("a-1", "a-12", "b-1"):
        made(tmp_path, name)
    assert find_run(tmp_path, "b").name == "b-1"
    assert find_run(tmp_path, "a-1").name == "a-1", "a whole name is no beginning"
    assert find_run(tmp_path, str(tmp_path / "a-12")).name == "a-12"
    with pytest.raises(InputError, match=r"'a' begins the names of 2 runs in .*say more of it:\n  a-1\n  a-12"):
        find_run(tmp_path, "a")
    with pytest.raises(InputError, match=r"There is no run 'c' in .* There are:\n  a-1\n  a-12\n  b-1"):
        find_run(tmp_path, "c")
    with pytest.raises(InputError, match=r"There is none yet: make one with `cxrfeat fit-head`"):
        find_run(tmp_path / "nowhere", "c")


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
