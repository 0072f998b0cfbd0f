from __future__ import annotations

import csv
import io
import itertools
from collections.abc import Callable
from concurrent.futures import CancelledError
from hashlib import sha256
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from cxrfeat.image import duplicate
from cxrfeat.image.alignment import SYMMETRIES
from cxrfeat.image.appearance import look
from cxrfeat.image.decode import decode
from cxrfeat.image.duplicate import SIMILAR, Pair, Search, find_duplicates
from cxrfeat.phantom.drawing import draw_phantom
from cxrfeat.phantom.spec import PhantomSpec
from tests.effort import expensive
from tests.image.encode import encode, noise

Picture = NDArray[np.uint8]


def jpeg(image: Picture, quality: int) -> Picture:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=quality)
    return decode(file.getvalue()).astype(np.uint8)


def resized(image: Picture, factor: float) -> Picture:
    height, width = image.shape
    return np.asarray(Image.fromarray(image).resize((round(width * factor), round(height * factor))))


def cropped(image: Picture, top: float, left: float, bottom: float, right: float) -> Picture:
    height, width = image.shape
    rows = slice(round(height * top), height - round(height * bottom))
    part: Picture = image[rows, round(width * left) : width - round(width * right)]
    return part


def brighter(image: Picture, factor: float) -> Picture:
    return (image * factor).clip(0, 255).astype(np.uint8)


CHANGES: list[tuple[str, Callable[[Picture], Picture], str]] = [
    ("re-encoded, quality 70", lambda image: jpeg(image, 70), ""),
    ("re-encoded, quality 90", lambda image: jpeg(image, 90), ""),
    ("a tenth smaller", lambda image: resized(image, 0.9), ""),
    ("a tenth larger", lambda image: resized(image, 1.1), ""),
    ("mirrored", lambda image: image[:, ::-1], "mirrored left to right"),
    ("15 % brighter, clipped", lambda image: brighter(image, 1.15), ""),
    ("15 % darker", lambda image: brighter(image, 0.85), ""),
    ("cropped all round", lambda image: cropped(image, 0.03, 0.03, 0.03, 0.03), ""),
    ("cropped in a corner", lambda image: cropped(image, 0.03, 0.03, 0, 0), ""),
    ("less contrast", lambda image: (image // 2 + 40).astype(np.uint8), ""),
    ("inverted", lambda image: 255 - image, "inverted"),
    ("turned and re-encoded", lambda image: jpeg(np.ascontiguousarray(np.rot90(image)), 80), "turned counterclockwise"),
    ("all at once", lambda image: 255 - jpeg(cropped(image, 0, 0.03, 0.03, 0)[:, ::-1].copy(), 80),
     "mirrored left to right, inverted"),
]  # fmt: skip


def search(images: list[Picture], contents: list[str] | None = None) -> tuple[Pair, ...]:
    looks = [look(image) for image in images]
    return find_duplicates(
        contents or [sha256(image.tobytes()).hexdigest() for image in images],
        np.stack([one.portrait for one in looks]),
        np.array([one.pixel_digest for one in looks], np.uint64),
    )


def patients(count: int, size: int = 128) -> list[Picture]:
    """One phantom of each of `count` patients."""
    spec = PhantomSpec(size=size)
    return [draw_phantom(spec, number % 3, number // 3, 0).image for number in range(count)]


@pytest.fixture(scope="module")
def originals() -> list[Picture]:
    return patients(24)


def test_different_patients_are_no_copies(originals: list[Picture]) -> None:
    assert search(originals) == ()


@pytest.mark.parametrize(("name", "change", "said"), CHANGES, ids=[case[0] for case in CHANGES])
def test_each_kind_of_copy_is_found_and_named(
    originals: list[Picture], name: str, change: Callable[[Picture], Picture], said: str
) -> None:
    pairs = search([*originals, *(change(image) for image in originals[:4])])
    assert [(pair.one, pair.other) for pair in pairs] == [(index, 24 + index) for index in range(4)], name
    assert {pair.kind for pair in pairs} == {"near"}
    assert {pair.change for pair in pairs} == {said}
    assert all(SIMILAR <= pair.similarity <= 1 for pair in pairs)


def turn(image: Picture, symmetry: int) -> Picture:
    image = image.T if symmetry & 4 else image
    image = image[::-1] if symmetry & 2 else image
    return image[:, ::-1] if symmetry & 1 else image


@pytest.mark.parametrize("inverted", [False, True])
@pytest.mark.parametrize("symmetry", range(8))
def test_the_change_makes_the_other_of_the_one(originals: list[Picture], symmetry: int, inverted: bool) -> None:
    copy = turn(originals[5], symmetry)
    copy = 255 - copy if inverted else jpeg(np.ascontiguousarray(copy), 90)
    expected = ", ".join(word for word in (SYMMETRIES[symmetry], "inverted" if inverted else "") if word)
    assert [pair.change for pair in search([*originals, copy])] == [expected]
    undone = {"turned clockwise": "turned counterclockwise", "turned counterclockwise": "turned clockwise"}
    back = ", ".join(undone.get(word, word) for word in expected.split(", "))
    assert [pair.change for pair in search([copy, *originals])] == [back], "told from the other side"


def test_copies_are_found_among_a_few_images_too(originals: list[Picture]) -> None:
    """What all have in common cannot be told from what makes a copy then."""
    for copy in (jpeg(originals[0], 75), cropped(originals[0], 0.03, 0, 0, 0.03)):
        (pair,) = search([originals[0], copy])
        assert (pair.one, pair.other, pair.kind) == (0, 1, "near")
        (pair,) = search([originals[0], originals[1], copy])
        assert (pair.one, pair.other) == (0, 2)
    assert search(originals[:1]) == search(originals[:2]) == ()
    assert find_duplicates([], np.empty((0, 40, 40), np.uint8), np.empty(0, np.uint64)) == ()


def test_the_same_bytes_and_the_same_pixels_are_told_apart(originals: list[Picture]) -> None:
    one, other = originals[:2]
    images = [one, other, one, one, jpeg(one, 80)]
    pairs = search(images, ["c", "d", "c", "b", "a"])
    assert [(pair.one, pair.other, pair.kind, pair.similarity) for pair in pairs[:2]] == [
        (0, 2, "bytes", 1.0),
        (0, 3, "pixels", 1.0),
    ]
    assert [(pair.one, pair.other, pair.kind) for pair in pairs[2:]] == [(3, 4, "near")], "by one of them only"


def test_images_of_one_value_are_copies_only_where_their_pixels_are_the_same() -> None:
    images = [np.full((64, 64), value, np.uint8) for value in (0, 7, 7, 255)]
    assert [(pair.one, pair.other, pair.kind) for pair in search(images, list("abcd"))] == [(1, 2, "pixels")]


def test_noise_is_no_copy_of_noise() -> None:
    assert search([noise(seed, 64, 64) for seed in range(60)]) == ()


def test_the_order_of_the_images_changes_nothing(originals: list[Picture]) -> None:
    images = [*originals, *(change(image) for image, (_, change, _) in zip(originals, CHANGES, strict=False))]
    order = np.random.default_rng(3).permutation(len(images)).tolist()
    pairs, mixed = search(images), search([images[index] for index in order])
    assert len(pairs) == len(CHANGES)
    found = {(frozenset((pair.one, pair.other)), pair.similarity) for pair in pairs}
    assert {(frozenset((order[pair.one], order[pair.other])), pair.similarity) for pair in mixed} == found
    assert list(mixed) == sorted(mixed, key=lambda pair: (pair.one, pair.other))
    assert search(images) == pairs


def test_features_propose_and_portraits_decide(originals: list[Picture], monkeypatch: pytest.MonkeyPatch) -> None:
    images = [*originals, jpeg(np.ascontiguousarray(originals[3][::-1]), 80)]
    looks = [look(image) for image in images]
    given = (
        [sha256(image.tobytes()).hexdigest() for image in images],
        np.stack([one.portrait for one in looks]),
        np.array([one.pixel_digest for one in looks], np.uint64),
    )
    features = np.random.default_rng(0).normal(size=(25, 30)).astype(np.float32)
    features[24] = features[3] + 0.01
    features[8] = features[7]  # of different people
    monkeypatch.setattr("cxrfeat.image.candidate._PROPOSE", 2.0)
    assert find_duplicates(*given) == ()
    (pair,) = find_duplicates(*given, features)
    assert (pair.one, pair.other, pair.change) == (3, 24, "mirrored top to bottom")


def test_a_pile_of_nearly_equal_images_is_one_chain(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many of them there are, each is compared with a few."""
    monkeypatch.setattr("cxrfeat.image.candidate._MOST", 8)
    image = patients(1)[0]
    images = [np.clip(image + np.random.default_rng(seed).normal(0, 4, image.shape), 0, 255) for seed in range(40)]
    pairs = search([one.astype(np.uint8) for one in images])
    assert len(pairs) < 8 * 40
    joined = {0}
    for _ in images:
        joined |= {place for pair in pairs if {pair.one, pair.other} & joined for place in (pair.one, pair.other)}
    assert len(joined) == 40


# Real X-rays

PLANTED: list[tuple[str, Callable[[Picture], Picture]]] = [
    (name, change) for name, change, _ in CHANGES if not set(name.split()) & {"inverted", "turned", "all", "less"}
]


def real(shared: Path, every: int) -> tuple[list[str], list[Picture], list[str]]:
    """Names, pixels and patients of the images of cxr299."""
    root = shared / "data" / "cxr299"
    with (root / "metadata.csv").open(newline="") as file:
        rows = sorted(csv.DictReader(file), key=lambda row: row["image"])[::every]
    images = [decode((root / row["image"]).read_bytes()).astype(np.uint8) for row in rows]
    return [row["image"] for row in rows], images, [row["patient_id"] or row["image"] for row in rows]


def plant(names: list[str], images: list[Picture], count: int) -> tuple[list[Picture], list[str], set[tuple[int, int]]]:
    """The images with `count` copies of some of them behind, their contents, and the planted pairs."""
    contents = [sha256(name.encode()).hexdigest() for name in names]
    chosen = np.random.default_rng(11).permutation(len(images))[:count].tolist()
    whole, planted = list(images), set()
    for number, index in enumerate(chosen):
        change = None if number % (len(PLANTED) + 1) == 0 else PLANTED[number % (len(PLANTED) + 1) - 1][1]
        planted.add((index, len(whole)))
        whole.append(images[index] if change is None else change(images[index]))
        contents.append(contents[index] if change is None else sha256(b"copy %d" % number).hexdigest())
    return whole, contents, planted


def test_planted_copies_of_real_xrays_are_found_and_nothing_else(shared: Path) -> None:
    names, images, _ = real(shared, every=12)
    whole, contents, planted = plant(names, images, 20)
    assert {(pair.one, pair.other) for pair in search(whole, contents)} == planted


@pytest.mark.slow
def test_copies_among_all_real_xrays(shared: Path) -> None:
    """Measured: 40 of 40, and of the images themselves one pair, COVID-189 and COVID-65: one picture, two contrasts."""
    names, images, _ = real(shared, every=1)
    whole, contents, planted = plant(names, images, 40)
    found = {(pair.one, pair.other) for pair in search(whole, contents)}
    assert len(found & planted) >= 38
    own = {(names[one], names[other]) for one, other in found if other < len(names)}
    assert own == {("COVID/COVID-189.png", "COVID/COVID-65.png")}
    assert {(one, other) for one, other in found - planted if other >= len(names)} == set()


@pytest.mark.slow
def test_every_kind_of_copy_of_real_xrays_is_found(shared: Path) -> None:
    """Of 300 copies of each kind; measured: all."""
    names, images, _ = real(shared, every=4)
    contents = [sha256(name.encode()).hexdigest() for name in names]
    for name, change, _ in CHANGES:
        copies = [change(image) for image in images]
        pairs = search([*images, *copies], contents + [sha256(f"{one} {name}".encode()).hexdigest() for one in names])
        found = {(pair.one, pair.other) for pair in pairs}
        assert sum((index, index + len(images)) in found for index in range(len(images))) >= 0.99 * len(images), name


@pytest.mark.slow
def test_tables_find_the_copies_of_real_xrays_too(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 1200 and a copy of each, of every kind in turn; measured: 1203 of 1204 pairs of each against each."""
    _, images, _ = real(shared, every=1)
    images += [CHANGES[number % len(CHANGES)][1](image) for number, image in enumerate(images)]
    contents = [f"{number:05d}" for number in range(len(images))]
    expected = {(pair.one, pair.other, pair.change) for pair in search(images, contents)}
    for name, value in {"candidate.EXACT": 256, "candidate._COLUMNS": 256, "album.IN_MEMORY": 512}.items():
        monkeypatch.setattr(f"cxrfeat.image.{name}", value)
    found = {(pair.one, pair.other, pair.change) for pair in search(images, contents)}
    assert len(expected) >= 1190
    assert len(found & expected) >= 0.995 * len(expected)
    assert found <= expected


def test_the_file_of_a_copy_does_not_matter(originals: list[Picture]) -> None:
    decoded = [decode(encode(originals[2], kind)).astype(np.uint8) for kind in ("PNG", "BMP", "TIFF")]
    assert [pair.kind for pair in search(decoded, list("abc"))] == ["pixels", "pixels"]


def test_pairs_are_the_same_for_any_number_of_workers_and_any_blocks(
    originals: list[Picture], monkeypatch: pytest.MonkeyPatch
) -> None:
    images = [*originals, *(jpeg(image, 80) for image in originals), *(255 - image for image in originals[:5])]
    expected = search(images)
    assert len(expected) >= len(originals) + 5
    for workers, rows in ((1, 128), (3, 7), (5, 16)):
        monkeypatch.setattr("cxrfeat.system.ahead.threads", lambda workers=workers: workers)
        monkeypatch.setattr("cxrfeat.image.candidate._ROWS", rows)
        assert search(images) == expected


@pytest.fixture(scope="module")
def alike(originals: list[Picture]) -> list[tuple[NDArray[np.uint8], int]]:
    """Looks of phantoms and of what is made of them, by chance in any order."""
    images = [*originals, *(change(image) for (_, change, _) in CHANGES for image in originals[:6]), originals[0] * 0]
    looks = [look(image) for image in images]
    return [(one.portrait, one.pixel_digest) for one in looks]


@pytest.mark.parametrize("sample", [16, 2000])
@expensive(10)
@given(data=st.data())
def test_what_is_found_does_not_depend_on_when_the_images_came(
    alike: list[tuple[NDArray[np.uint8], int]], sample: int, data: st.DataObject
) -> None:
    """Bit for bit, for any images with copies among them, told in any parts and compared in any blocks."""
    places = data.draw(st.lists(st.integers(0, len(alike) - 1), max_size=70))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(places)), max_size=6)))
    block = data.draw(st.integers(1, 40))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("cxrfeat.image.candidate._ROWS", 8)
        patched.setattr("cxrfeat.image.candidate._COLUMNS", 32)
        patched.setattr("cxrfeat.image.candidate._AT_ONCE", 16)
        patched.setattr("cxrfeat.image.candidate._MOST", data.draw(st.sampled_from([2, 64])))
        patched.setattr("cxrfeat.image.candidate.SAMPLE", sample)
        patched.setattr("cxrfeat.image.candidate._BLOCK", block)
        parts = Search()
        for start, stop in itertools.pairwise([0, *cuts, len(places)]):
            parts.add(alike[place] for place in places[start:stop])
        found = parts.pairs(range(len(places)))
        patched.setattr("cxrfeat.image.candidate._BLOCK", 2048)
        contents = [f"{number:03d}" for number in range(len(places))]
        whole = find_duplicates(contents, [alike[one][0] for one in places], [alike[one][1] for one in places])
    assert sorted(found, key=lambda pair: (pair.one, pair.other)) == list(whole)


def test_of_many_images_too_it_does_not_depend_on_when_they_came(
    alike: list[tuple[NDArray[np.uint8], int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the first are held against all, and further ones looked up in tables: these find copies as well."""
    for name, value in {"EXACT": 32, "_ROWS": 8, "_COLUMNS": 32, "SAMPLE": 16, "_BLOCK": 16}.items():
        monkeypatch.setattr(f"cxrfeat.image.candidate.{name}", value)
    monkeypatch.setattr("cxrfeat.image.nearby._TABLES", 8)
    monkeypatch.setattr("cxrfeat.image.album.IN_MEMORY", 0)
    found = []
    for block in (20, 1000):
        monkeypatch.setattr("cxrfeat.image.candidate._BLOCK_NEARBY", block)
        search = Search()
        search.add(alike[:60])
        found.append(sorted(search.pairs(range(60)), key=lambda pair: (pair.one, pair.other)))
    assert found[0] == found[1]
    first = {(pair.one, pair.other) for pair in found[0]}
    expected = [(at % 6, 24 + at) for at in range(36)]
    assert sum(pair in first for pair in expected) >= 0.9 * len(expected)


def test_of_a_digest_the_first_image_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duplicate, "_LATEST", 5)
    digests = np.random.default_rng(0).integers(0, 30, 200).astype(np.uint64) + np.uint64(2**63)
    first, known = duplicate._First(), dict[int, int]()
    for image, digest in enumerate(digests.tolist()):
        assert first.of(digest, image) == known.setdefault(digest, image)


def test_images_are_compared_before_the_last_ones_come(
    alike: list[tuple[NDArray[np.uint8], int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[tuple[int, int]] = []

    def noted(pictures: Any, propose: Any, strip: tuple[int, int]) -> Any:
        compared.append(strip)
        return confirmed(pictures, propose, strip)

    confirmed = duplicate._confirmed
    monkeypatch.setattr(duplicate, "_confirmed", noted)
    monkeypatch.setattr("cxrfeat.image.candidate._BLOCK", 16)
    monkeypatch.setattr("cxrfeat.image.candidate.SAMPLE", 20)
    monkeypatch.setattr("cxrfeat.image.candidate._ROWS", 8)
    search = Search()
    search.add(alike[:20])
    assert compared == [], "too few to weigh the frequencies by"
    search.add(alike[20:30])
    assert sorted(compared) == [(0, 8), (8, 16), (16, 24)]
    search.add(alike[30:39])
    assert len(compared) == 3, "they wait until a block is full"
    search.add(alike[39:41])
    assert sorted(compared)[3:] == [(24, 32), (32, 40)]
    search.pairs(range(41))
    assert sorted(compared)[5:] == [(40, 41)]


def test_a_search_that_is_stopped_ends_soon(originals: list[Picture], monkeypatch: pytest.MonkeyPatch) -> None:
    stop, blocks = Event(), []

    def counting(*given: Any) -> Any:
        blocks.append(1)
        stop.set()
        return confirmed(*given)

    confirmed = duplicate._confirmed
    monkeypatch.setattr(duplicate, "_confirmed", counting)
    monkeypatch.setattr("cxrfeat.image.candidate._ROWS", 1)
    monkeypatch.setattr(duplicate, "_BLOCKS_AHEAD", 2)
    monkeypatch.setattr("cxrfeat.system.ahead.threads", lambda: 1)
    looks = [look(np.asarray(image)) for image in originals]
    given = [str(number) for number in range(len(looks))], np.stack([one.portrait for one in looks])
    digests = np.array([one.pixel_digest for one in looks], np.uint64)
    with pytest.raises(CancelledError):
        duplicate.find_duplicates(*given, digests, stop=stop)
    assert len(blocks) <= 4 < len(originals)
    with pytest.raises(CancelledError):
        duplicate.find_duplicates(*given, digests, stop=stop)
