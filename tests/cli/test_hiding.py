from __future__ import annotations

from pathlib import Path

import pytest

from cxrfeat.cli.hiding import command_line, hidden, if_asked
from cxrfeat.image.identity import Identity
from tests.cli.conftest import Cli


def named(name: str) -> str:
    return repr(Identity.load().image_id(name))


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("line 3: 'A/x y.png' is 'A', and its folder says \"B's\"", ["A/x y.png", "A", "B's"]),
        ("The data's own split tears a patient's images apart.", []),
        ("Kept: 'a\\nb.png'.", ["a\nb.png"]),
        ("The system refused: [Errno 13] Permission denied: '/home/p/x'.", ["/home/p/x"]),
        ("the image of row 4 is not in /home/Jane Doe", ["/home/Jane"]),
        ("allow it: `follow_links=/srv/scans`.", ["/srv/scans"]),
        ("train/val/test, AP/PA, 3/4 and https://host/place stay", []),
        ("(/a/b.png, /a/c.png)", ["/a/b.png", "/a/c.png"]),
    ],
)
def test_what_is_quoted_and_what_is_a_path_is_named_by_its_id(text: str, names: list[str]) -> None:
    told = hidden(text)
    for name in names:
        assert named(name) in told
        assert name not in told.replace(named(name), "")
    if not names:
        assert told == text


def test_what_was_typed_is_no_secret() -> None:
    text = "There is no folder 'dta'. Did you mean 'data'?"
    with command_line(["index", "dta", "--redact"]):
        assert if_asked(text) == f"There is no folder 'dta'. Did you mean {named('data')}?"
    with command_line(["index", "dta"]):
        assert if_asked(text) == text
    assert if_asked(text) == text, "and it is forgotten"


def test_errors_and_notes_of_a_command_hide_names(cli: Cli, data: Path) -> None:
    (data / "COVID" / "images" / "Jane Doe.png").write_bytes(b"no image")
    (data / "metadata.csv").write_text(
        "image,label\nCOVID/images/Jane Doe.png,COVID\nCOVID/images/John Roe.png,NORMAL\n"
    )
    shown, hides = cli("index", "data"), cli("index", "data", "--redact")
    assert shown.code == hides.code == 3
    assert "John Roe" in shown.err
    assert "line 3" in hides.err
    assert not {"Jane", "John", "Doe", "Roe"} & {*hides.err.replace("/", " ").replace(".", " ").split()}
