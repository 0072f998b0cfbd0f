"""Every command's `--json` has a schema, and the schemas say what each key is."""

from __future__ import annotations

import pytest
from jsonschema import Draft202012Validator

from cxrfeat.cli import console
from cxrfeat.cli.main import run
from scripts.schema import COMMON, FOLDER, file_of, keys, read
from tests.documents import with_json, wrong

WITH_JSON = with_json()


def test_every_command_with_json_has_a_schema_and_no_other_has_one() -> None:
    named = {file_of(command).name for command in WITH_JSON}
    assert named, "commands take --json"
    assert {path.name for path in FOLDER.glob("*.json")} == named | {COMMON}, (
        "describe what the command prints in docs/schema/, as the files there do for the others"
    )


@pytest.mark.few(8)
@pytest.mark.parametrize("command", WITH_JSON)
def test_a_schema_is_one_and_says_what_each_key_is(command: str) -> None:
    schema = read(file_of(command))
    Draft202012Validator.check_schema(schema)
    assert schema["title"] == f"cxrfeat {command} --json"
    told = list(keys(schema))
    assert told
    for place, one, _ in told:
        assert one.get("description", "").endswith("."), f"{command}: say what {place} is"


def test_a_document_with_a_key_too_many_or_too_few_is_told() -> None:
    assert not wrong("verify", {"ok": True, "problems": [], "notes": []})
    assert "'more' was unexpected" in wrong("verify", {"ok": True, "problems": [], "notes": [], "more": 1})
    assert "'ok' is a required property" in wrong("verify", {"problems": [], "notes": []})
    assert "at problems/0: 1 is not of type 'string'" in wrong("verify", {"ok": True, "problems": [1], "notes": []})


def test_a_test_that_prints_what_no_schema_describes_fails(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("cxrfeat.cli.weights.print_json", lambda _: console.print_json({"weights": [{"name": "x"}]}))
    with pytest.raises(pytest.fail.Exception, match="weights list --json, at weights/0"):
        run(["weights", "list", "--json"])
    assert not capsys.readouterr().out
