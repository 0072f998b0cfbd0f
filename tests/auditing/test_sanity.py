from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from cxrfeat.auditing.sanity import check_sanity
from cxrfeat.errors import BadImageError
from cxrfeat.image.decode import decode_with_colour
from cxrfeat.image.index import index_folder
from cxrfeat.image.inspect import Inspection, inspect_image
from cxrfeat.image.row import Header, ImageRow
from cxrfeat.phantom.drawing import draw_phantom
from cxrfeat.phantom.spec import Letters, PhantomSpec
from cxrfeat.types import Finding, Grey, Status

CHECKS = ["inverted", "blank", "letters", "colour", "tiny", "orientation", "depth"]
PER_CLASS = 24  # so that one image is under a twentieth of its class, and two are over
SIZE = 160
Seen = list[tuple[ImageRow, Inspection]]


def seen_as(label: str, number: int, image: Grey, *, bits: int = 8, colour: float = 0.0) -> tuple[ImageRow, Inspection]:
    height, width = image.shape
    header = Header(format="PNG", suffix=".png", width=width, height=height, bits=bits, mode="L", file_bytes=1)
    name = f"{label}/{number:03d}.png"
    row = ImageRow(path=name, label=label, content_sha256=f"{label}{number}".ljust(64, "0"), header=header)
    return row, inspect_image(image, colour)


def phantoms_with(letters: Letters) -> list[tuple[str, int, NDArray[np.uint8]]]:
    spec = PhantomSpec(classes=("COVID", "NORMAL"), letters=letters, size=SIZE, seed=3)
    drawn = [(c, p, draw_phantom(spec, c, p, 0)) for c in range(2) for p in range(PER_CLASS)]
    return [(phantom.label, number, phantom.image) for _, number, phantom in drawn]


@pytest.fixture(scope="module")
def drawn() -> list[tuple[str, int, NDArray[np.uint8]]]:
    return phantoms_with("none")


@pytest.fixture(scope="module")
def sound(drawn: list[tuple[str, int, NDArray[np.uint8]]]) -> Seen:
    return [seen_as(*each) for each in drawn]


def audit(seen: Sequence[tuple[ImageRow, Inspection | BadImageError]]) -> dict[str, Finding]:
    found = check_sanity([row for row, _ in seen], [inspection for _, inspection in seen])
    assert [one.check for one in found] == (CHECKS if found else [])
    for one in found:
        assert one.why.endswith(".")
        assert bool(one.do) == (one.status is not Status.PASS)
        assert bool(one.images) == (one.status is not Status.PASS)
    return {one.check: one for one in found}


def changed(
    sound: Seen, drawn: list[tuple[str, int, NDArray[np.uint8]]], count: int, change: Callable[[Grey], Grey]
) -> Seen:
    """The sound images, with the first `count` of the first class changed."""
    return [
        seen_as(label, number, change(image)) if place < count else sound[place]
        for place, (label, number, image) in enumerate(drawn)
    ]


def test_sound_images_pass_every_check(sound: Seen) -> None:
    assert [one.status for one in audit(sound).values()] == [Status.PASS] * len(CHECKS)


def few_steps(image: Grey) -> Grey:
    return (image // 16 * 16).astype(np.uint8)


def twelve_bits_as_sixteen(image: Grey) -> Grey:
    return (image.astype(np.float32) * (4095 / 65535)).astype(np.float32)


@pytest.mark.parametrize(
    ("check", "change"),
    [
        ("inverted", lambda image: 255 - image),
        ("blank", lambda image: np.full_like(image, 255)),
        ("blank", np.zeros_like),
        ("blank", lambda image: (100 + image // 64).astype(np.uint8)),
        ("orientation", lambda image: image[::-1, ::-1]),
        ("orientation", lambda image: np.rot90(image)),
        ("orientation", lambda image: np.rot90(image, 3)),
        ("orientation", lambda image: image[:, : SIZE * 3 // 8]),
        ("depth", few_steps),
        ("depth", twelve_bits_as_sixteen),
    ],
    ids=["negative", "white", "black", "even", "head down", "left", "right", "narrow", "few levels", "12 bits"],
)
@pytest.mark.parametrize(("count", "status"), [(1, Status.WARN), (2, Status.FAIL)])
def test_one_such_image_warns_and_a_twentieth_of_a_class_fails(
    check: str,
    change: Callable[[Grey], Grey],
    count: int,
    status: Status,
    sound: Seen,
    drawn: list[tuple[str, int, NDArray[np.uint8]]],
) -> None:
    found = audit(changed(sound, drawn, count, change))
    assert found[check].status is status
    assert found[check].value == count
    assert found[check].images == tuple(row.path for row, _ in sound[:count])
    others = {name for name, one in found.items() if one.status is not Status.PASS} - {check}
    assert others <= {"tiny"}, "each fault is named once"


@pytest.mark.parametrize("count", [PER_CLASS, 2 * PER_CLASS], ids=["half", "all"])
def test_negatives_are_found_even_where_they_are_the_most(
    count: int, sound: Seen, drawn: list[tuple[str, int, NDArray[np.uint8]]]
) -> None:
    found = audit(changed(sound, drawn, count, lambda image: 255 - image))["inverted"]
    assert found.status is Status.FAIL
    assert found.value == count


def test_letters_on_one_class_alone_fail() -> None:
    found = audit([seen_as(*each) for each in phantoms_with("class")])["letters"]
    assert found.status is Status.FAIL
    assert found.value is not None
    assert found.value > 0.9
    assert "COVID" in found.why
    assert "`letters=True`" in found.do
    assert all(path.startswith("COVID/") for path in found.images)


@pytest.mark.slow
def test_letters_on_any_class_warn() -> None:
    found = audit([seen_as(*each) for each in phantoms_with("random")])["letters"]
    assert found.status is Status.WARN
    assert found.value is not None
    assert 0.5 <= found.value < 0.75
    assert {path.split("/")[0] for path in found.images} == {"COVID", "NORMAL"}


def lettered(sound: Seen, shares: dict[str, float]) -> Seen:
    return [
        (row, replace(seen, letters=0.01 * (int(row.path[-7:-4]) < shares[row.label] * PER_CLASS)))
        for row, seen in sound
    ]


def test_letters_fail_only_where_chance_would_not_do_that(sound: Seen) -> None:
    def status(covid: float, normal: float, seen: Seen = sound) -> Status:
        return audit(lettered(seen, {"COVID": covid, "NORMAL": normal}))["letters"].status

    assert status(0.0, 0.0) is Status.PASS
    assert status(1.0, 1.0) is Status.WARN
    assert status(0.5, 0.7) is Status.WARN
    assert status(0.05, 0.95) is Status.FAIL
    assert status(1.0, 0.0) is Status.FAIL, "complete, so without an interval"
    few = [*sound[:2], *sound[PER_CLASS : PER_CLASS + 2]]
    assert status(1.0, 0.0, few) is Status.WARN, "two against two may be chance"
    one_patient = [(replace(row, patient=row.label), seen) for row, seen in sound]
    assert status(1.0, 0.0, one_patient) is Status.WARN, "many images of two patients are two observations"


def test_one_class_alone_cannot_be_told(sound: Seen) -> None:
    found = audit(lettered(sound[:PER_CLASS], {"COVID": 0.5}))["letters"]
    assert found.status is Status.WARN
    assert found.value == 0.5


def test_colour_warns_however_much_there_is(sound: Seen) -> None:
    coloured = [(row, replace(seen, colour=30.0)) for row, seen in sound]
    nearly = [(row, replace(seen, colour=1.0)) for row, seen in sound]
    assert audit(nearly)["colour"].status is Status.PASS
    assert audit([*coloured[:1], *sound[1:]])["colour"].value == 1
    assert audit(coloured)["colour"].status is Status.WARN


@pytest.mark.parametrize(
    ("height", "width", "status"),
    [(128, 128, Status.PASS), (127, 160, Status.WARN), (160, 64, Status.WARN), (63, 63, Status.FAIL)],
)
def test_small_images_warn_and_tiny_ones_fail(height: int, width: int, status: Status, sound: Seen) -> None:
    row, seen = sound[0]
    small = replace(row, header=replace(row.header, height=height, width=width))
    found = audit([(small, seen), *sound[1:]])["tiny"]
    assert found.status is status
    assert found.images == (() if status is Status.PASS else (row.path,))


def test_a_lateral_view_is_known_by_its_name(sound: Seen) -> None:
    row, seen = sound[0]
    for name, status in (
        (" Lateral", Status.WARN),
        ("L", Status.WARN),
        ("PA", Status.PASS),
        ("AP Supine", Status.PASS),
    ):
        assert audit([(replace(row, view_position=name), seen), *sound[1:]])["orientation"].status is status


def test_images_that_cannot_be_decoded_are_left_out(sound: Seen) -> None:
    bad = [(row, BadImageError("decode", "cut short")) for row, _ in sound]
    assert audit(bad) == {}
    assert [one.status for one in audit([*bad[:5], *sound[5:]]).values()] == [Status.PASS] * len(CHECKS)
    with pytest.raises(ValueError, match="One inspection for each of 48 images; got 1"):
        check_sanity([row for row, _ in sound], [sound[0][1]])


def test_a_set_of_one_image_is_judged(sound: Seen) -> None:
    assert [one.status for one in audit(sound[:1]).values()] == [Status.PASS] * len(CHECKS)


@pytest.mark.slow
def test_a_real_set_has_no_false_alarm_and_its_one_turned_image_is_found(shared: Path) -> None:
    manifest = index_folder(shared / "data" / "cxr299")
    rows = tuple(row for place, row in enumerate(manifest.rows) if place % 12 == 0 or "NORMAL-339." in row.path)
    contents = [(manifest.root / row.path).read_bytes() for row in rows]
    found = audit([(row, inspect_image(*decode_with_colour(one))) for row, one in zip(rows, contents, strict=True)])
    for check in ("inverted", "blank", "colour", "tiny", "depth"):
        assert found[check].status is Status.PASS, found[check].images
    assert found["orientation"].images == ("NORMAL/NORMAL-339.png",)
    assert found["letters"].value is not None
    assert found["letters"].value > 0.6, "one hospital marks nearly every image, the other half of them"
