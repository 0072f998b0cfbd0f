from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cxrfeat.image.manifest_line import NO, YES, Line, Lines

TEXT = st.one_of(st.just(""), st.text(max_size=5), st.just("A/\udcff.png"))
LINE = st.builds(Line, *[TEXT] * (len(Line._fields) - 2), st.sampled_from([YES, NO]), st.just("/data"))


@given(st.lists(LINE, max_size=6))
def test_lines_come_back_as_they_were(lines: list[Line]) -> None:
    held = Lines(iter(lines))
    assert list(held) == lines
    assert [held[number] for number in range(len(lines))] == lines
    assert held[1:] == tuple(lines[1:])
    assert [(line.path, line.root) for line in lines] == list(held.columns("path", "root"))
    assert held.says("present", YES).tolist() == [line.present == YES for line in lines]
    assert not held.says("present", "perhaps").any()
    assert held.tells("path").tolist() == [line.path != "" for line in lines]


def test_more_lines_than_are_made_at_a_time() -> None:
    line = Line("", "A/1.png", "A", "", "", "", "", "", YES, "/data")
    held = Lines(line._replace(path=str(number)) for number in range(9000))
    assert [int(path) for (path,) in held.columns("path")] == list(range(9000))
    assert repr(held) == "Lines(9000)"
