from __future__ import annotations

import logging

import pytest

from cxrfeat.errors import AuditError
from cxrfeat.image.note import LOGGER, Note, Weight, examples, number, refuse_losses, tell, texts, without_examples

NOTES = [
    Note(text="2 images are left aside, such as 'a.png', and that is it.", weight=Weight.LOSS),
    Note(text="The column x is not used."),
    Note(text="3 masks left aside.", weight=Weight.MINOR),
]


def test_what_could_matter_is_a_warning_and_the_rest_is_information(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger=LOGGER.name):
        tell(NOTES)
    assert [record.levelno for record in caplog.records] == [logging.WARNING, logging.WARNING, logging.INFO]
    assert [record.getMessage() for record in caplog.records] == texts(NOTES)


def test_losses_are_refused_together_and_without_names() -> None:
    refuse_losses(NOTES[1:])
    with pytest.raises(AuditError, match="which `strict` refuses: 2 images are left aside and that is it") as caught:
        refuse_losses([*NOTES, Note(text="A column of patients is lost.", weight=Weight.LOSS)])
    assert str(caught.value).endswith("A column of patients is lost.")
    assert "a.png" not in str(caught.value)
    assert "column x" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("covid is another data set, that of '/home/x'; this one is called covid-2.", "covid is another data set; this "
         "one is called covid-2."),
        ("These are the images of covid, once in 'a b'; they keep it.", "These are the images of covid; they keep it."),
        ("""1 image, such as "it's.png", is odd.""", "1 image is odd."),
        ("Nothing of that kind.", "Nothing of that kind."),
    ],
)  # fmt: skip
def test_examples_and_places_can_be_left_out(text: str, expected: str) -> None:
    assert without_examples(text) == expected


def test_what_examples_writes_without_examples_takes_away() -> None:
    values = ["a, b.png", "it's.png", 'a "q".png']
    for most in (1, 2, 3):
        assert without_examples(f"3 images{examples(values, most)}.") == "3 images."
    assert examples([]) == ""


def test_a_count_agrees_with_its_noun() -> None:
    assert (number(0, "image"), number(1, "image"), number(2, "class", "classes")) == (
        "0 images", "1 image", "2 classes",
    )  # fmt: skip
