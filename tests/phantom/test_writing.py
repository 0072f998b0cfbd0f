"""The phantom set is what it says: the same bytes every time, truth where it is said to be, no hidden shortcut."""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from cxrfeat.errors import InputError, SpecError
from cxrfeat.phantom.writing import (
    COLUMNS,
    Phantom,
    PhantomSpec,
    PhantomTruth,
    draw_phantom,
    images_of,
    write_phantoms,
)
from cxrfeat.spec import fingerprint

SMALL = PhantomSpec(patients_per_class=5, size=64, duplicates=3, broken=2, seed=7)


def all_of(spec: PhantomSpec) -> list[tuple[int, int, Phantom]]:
    return [
        (c, p, draw_phantom(spec, c, p, n))
        for c in range(len(spec.classes))
        for p in range(spec.patients_per_class)
        for n in range(images_of(spec, c, p))
    ]


def contents(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def table(folder: Path) -> list[dict[str, str]]:
    with (folder / "metadata.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, PhantomTruth]:
    folder = tmp_path_factory.mktemp("phantom") / "set"
    return folder, write_phantoms(folder, SMALL)


@pytest.fixture(scope="module")
def drawn() -> list[tuple[int, int, Phantom]]:
    return all_of(PhantomSpec(patients_per_class=60, size=96))


# The spec


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"classes": ()}, r"classes is a tuple of 1 to 26 names; got \(\)"),
        ({"classes": ["COVID"]}, "is a tuple of 1 to 26 names"),
        ({"classes": ("COVID", "../etc")}, r"got '\.\./etc'"),
        ({"classes": ("COVID", "covid")}, "holds a name twice"),  # one folder on some file systems
        ({"sources": ("A", "B", "C", "D")}, "sources is a tuple of 1 to 3 names"),
        ({"patients_per_class": 0}, "whole number from 1 to 100000; got 0"),
        ({"images_per_patient": 4}, "from 1 to 3; got 4"),
        ({"size": 63}, "from 64 to 2048; got 63"),
        ({"size": 256.0}, "got 256.0"),
        ({"seed": True}, "got True"),
        ({"patients_per_class": 2, "duplicates": 7}, "copies: a whole number from 0 to 6; got 7"),
        ({"broken": -1}, "from 0 to 1000; got -1"),
        ({"letters": "always"}, "random, class or none; got 'always'"),
    ],
)
def test_spec_refuses_what_cannot_be(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        PhantomSpec(**fields)


def test_spec_has_a_fingerprint() -> None:
    assert fingerprint(PhantomSpec()) == fingerprint(PhantomSpec(seed=0))
    assert fingerprint(PhantomSpec()) != fingerprint(PhantomSpec(seed=1))


def test_an_image_that_cannot_be_is_an_index_error() -> None:
    for place in ((3, 0, 0), (-1, 0, 0), (0, -1, 0), (0, 0, -1)):
        with pytest.raises(IndexError, match="no image of class"):
            draw_phantom(PhantomSpec(), *place)


# Drawing


@settings(max_examples=10, deadline=None)
@given(st.permutations([(0, 0, 0), (1, 0, 1), (2, 3, 0), (0, 1, 2)]))
def test_an_image_depends_on_what_it_is_and_not_on_the_order(order: list[tuple[int, int, int]]) -> None:
    spec = PhantomSpec(size=64)
    digests = {place: hashlib.sha256(draw_phantom(spec, *place).image.tobytes()).hexdigest() for place in order}
    again = {place: hashlib.sha256(draw_phantom(spec, *place).image.tobytes()).hexdigest() for place in sorted(order)}
    assert digests == again
    assert len(set(digests.values())) == len(order)


@pytest.mark.parametrize(
    "change",
    [
        {"patients_per_class": 2},
        {"duplicates": 1},
        {"broken": 3},
        {"classes": ("COVID", "NORMAL")},  # the image is its class by name
    ],
)
def test_the_rest_of_the_set_does_not_change_an_image(change: dict[str, Any]) -> None:
    spec = PhantomSpec(size=64)
    other = dataclasses.replace(spec, **change)
    np.testing.assert_array_equal(draw_phantom(spec, 0, 1, 0).image, draw_phantom(other, 0, 1, 0).image)


def test_letters_change_no_other_pixel() -> None:
    spec = PhantomSpec(size=128, letters="class")
    with_letter, without = draw_phantom(spec, 0, 0, 0), draw_phantom(dataclasses.replace(spec, letters="none"), 0, 0, 0)
    assert with_letter.letter is not None
    x0, y0, x1, y1 = with_letter.letter
    changed = np.argwhere(with_letter.image != without.image)
    assert len(changed) > 10
    assert (changed.min(axis=0) >= [y0, x0]).all()
    assert (changed.max(axis=0) < [y1, x1]).all()


def test_another_seed_is_another_set() -> None:
    a, b = (draw_phantom(PhantomSpec(size=64, seed=seed), 0, 0, 0) for seed in (0, 1))
    assert not np.array_equal(a.image, b.image)


def test_an_image_looks_like_a_chest_film(drawn: list[tuple[int, int, Phantom]]) -> None:
    for _, _, phantom in drawn[::7]:
        assert phantom.image.dtype == np.uint8
        assert phantom.lungs.shape == phantom.image.shape
        assert 0.10 < phantom.lungs.mean() < 0.45
        h, w = phantom.image.shape
        middle, abdomen = phantom.image[h // 3 : h // 2, w // 2 - 3 : w // 2 + 3], phantom.image[-h // 10 :, w // 2]
        lungs = np.median(phantom.image[phantom.lungs])
        assert lungs + 40 < np.median(middle)  # lungs dark, spine and heart bright
        assert lungs + 40 < np.median(abdomen)
        columns = phantom.lungs.sum(axis=0)
        assert columns[: w // 2].sum() > columns[w // 2 :].sum()  # the heart takes from the patient's left lung


def test_lesions_lie_in_the_lungs_and_normal_has_none(drawn: list[tuple[int, int, Phantom]]) -> None:
    for _, _, phantom in drawn:
        lesions = phantom.lesions
        assert (lesions == []) == (phantom.label == "NORMAL")
        y, x = np.mgrid[: phantom.image.shape[0], : phantom.image.shape[1]]
        for cx, cy, rx, ry in lesions:
            inside = ((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2 <= 1
            assert inside.sum() >= 10
            assert phantom.lungs[inside].mean() > 0.98
        sides = {cx > phantom.image.shape[1] / 2 for cx, _, _, _ in lesions}
        if phantom.label == "COVID":
            assert len(lesions) >= 6
            assert len(sides) == 2
        if phantom.label == "PNEUMONIA":
            assert len(lesions) == 1


def test_opacities_are_brighter_than_the_lung_about_them(drawn: list[tuple[int, int, Phantom]]) -> None:
    gains = []
    for _, _, phantom in drawn:
        if phantom.label == "PNEUMONIA":
            ((cx, cy, rx, ry),) = phantom.lesions
            y, x = np.mgrid[: phantom.image.shape[0], : phantom.image.shape[1]]
            d = ((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2
            gains.append(np.median(phantom.image[d < 0.3]) - np.median(phantom.image[(d > 1) & phantom.lungs]))
    assert np.mean(np.array(gains) > 0) > 0.9
    assert min(gains) < 25 < 60 < max(gains)  # some nearly hidden, some plain


def test_a_patient_has_one_anatomy() -> None:
    spec = PhantomSpec(size=96, letters="none")

    def centred(lungs: Any) -> Any:  # the patient stands a little elsewhere each time
        rows, columns = np.round(np.argwhere(lungs).mean(axis=0)).astype(int)
        return np.roll(lungs, (48 - rows, 48 - columns), (0, 1))

    def overlap(a: Phantom, b: Phantom) -> float:
        one, two = centred(a.lungs), centred(b.lungs)
        return float((one & two).sum() / (one | two).sum())

    first = [draw_phantom(spec, 1, patient, 0) for patient in range(0, 16, 2)]  # all of one source, so of one size
    second = [draw_phantom(spec, 1, patient, 1) for patient in range(0, 16, 2)]
    for a, b in zip(first, second, strict=True):
        assert (a.patient, a.source, len(a.lesions)) == (b.patient, b.source, len(b.lesions))
        assert not np.array_equal(a.image, b.image)
    same = np.mean([overlap(a, b) for a, b in zip(first, second, strict=True)])
    other = np.mean([overlap(a, b) for a, b in zip(first, second[1:], strict=False)])
    assert same > 0.92
    assert same > other + 0.08


def test_patients_have_one_to_three_images_and_unknown_ones_have_one() -> None:
    spec = PhantomSpec(size=64, patients_per_class=60)
    counts = Counter(images_of(spec, c, p) for c in range(3) for p in range(60))
    assert set(counts) == {1, 2, 3}
    unknown = [(c, p) for c in range(3) for p in range(60) if draw_phantom(spec, c, p, 0).patient is None]
    assert 3 <= len(unknown) <= 40
    assert {images_of(spec, c, p) for c, p in unknown} == {1}
    assert {images_of(dataclasses.replace(spec, images_per_patient=1), c, 0) for c in range(3)} == {1}


# What may and what may not give the class away


def test_letters_tied_to_the_class_are_on_exactly_the_first() -> None:
    spec = PhantomSpec(size=64, patients_per_class=8, letters="class")
    assert {(phantom.label, phantom.letter is not None) for _, _, phantom in all_of(spec)} == {
        ("COVID", True),
        ("NORMAL", False),
        ("PNEUMONIA", False),
    }


def test_letters_at_random_are_on_half_of_every_class(drawn: list[tuple[int, int, Phantom]]) -> None:
    for label in PhantomSpec().classes:
        share = np.mean([phantom.letter is not None for _, _, phantom in drawn if phantom.label == label])
        assert 0.36 < share < 0.64  # more than three standard deviations of a coin thrown a hundred times


def test_letters_can_be_absent() -> None:
    spec = PhantomSpec(size=64, patients_per_class=4, letters="none")
    assert all(phantom.letter is None for _, _, phantom in all_of(spec))


def test_the_letter_stands_in_an_upper_corner(drawn: list[tuple[int, int, Phantom]]) -> None:
    for _, _, phantom in drawn:
        if phantom.letter is not None:
            x0, y0, x1, y1 = phantom.letter
            h, w = phantom.image.shape
            assert 0 <= y0 < y1 < 0.25 * h
            assert 0 <= x0 < x1 < 0.25 * w or 0.75 * w < x0 < x1 <= w
            assert phantom.image[y0:y1, x0:x1].max() > 200


def test_every_class_has_every_source_equally() -> None:
    spec = PhantomSpec(size=64, patients_per_class=6)
    counts = Counter((c, draw_phantom(spec, c, p, 0).source) for c in range(3) for p in range(6))
    assert counts == {(c, source): 3 for c in range(3) for source in spec.sources}


@pytest.mark.parametrize(
    ("sources", "expected"),
    [
        (("A", "B", "C"), ["A", "B", "C"]),
        (("A", "B"), ["A", "B", "B"]),  # as in the public sets: COVID from one place, the rest from another
        (("A",), ["A", "A", "A"]),
    ],
)
def test_source_by_class_ties_them(sources: tuple[str, ...], expected: list[str]) -> None:
    spec = PhantomSpec(size=64, sources=sources, source_by_class=True)
    for patient in range(3):
        assert [draw_phantom(spec, c, patient, 0).source for c in range(3)] == expected


def test_the_container_follows_the_source_and_not_the_class(written: tuple[Path, PhantomTruth]) -> None:
    folder, truth = written
    by_source: dict[str, set[Any]] = {}
    for row in table(folder):
        if row["image"] in truth.images:
            with Image.open(folder / row["image"]) as image:
                by_source.setdefault(row["source"], set()).add((image.format, image.size, image.mode))
    assert by_source == {"Hospital A": {("PNG", (64, 64), "L")}, "Hospital B": {("JPEG", (68, 64), "L")}}


def test_other_class_names_take_the_patterns_in_turn() -> None:
    spec = PhantomSpec(size=64, classes=("sick", "healthy", "lobe", "sick again", "normal"))
    assert [len(draw_phantom(spec, c, 0, 0).lesions) > 1 for c in range(5)] == [True, False, False, True, False]
    assert [len(draw_phantom(spec, c, 0, 0).lesions) == 0 for c in range(5)] == [False, True, False, False, True]


def test_the_classes_can_be_learned_but_not_with_ease() -> None:
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import balanced_accuracy_score
    from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    images = all_of(PhantomSpec(patients_per_class=90, size=96))
    y = np.array([c for c, _, _ in images])
    groups = np.array([c * 1000 + p for c, p, _ in images])
    X = np.array(
        [
            np.asarray(Image.fromarray(phantom.image).resize((16, 16), Image.Resampling.BOX), np.float64).ravel()
            for _, _, phantom in images
        ]
    )
    sources = np.array([[phantom.source == "Hospital A"] for _, _, phantom in images], np.float64)
    folds = StratifiedGroupKFold(5, shuffle=True, random_state=0)

    def score(features: Any) -> float:
        model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=1000))
        return float(balanced_accuracy_score(y, cross_val_predict(model, features, y, groups=groups, cv=folds)))

    assert 0.50 < score(X) < 0.90  # chance is 0.33; an ImageNet network reaches 0.90 at 256 px
    assert score(sources) < 0.42


# Files


def test_metadata_names_every_image_and_every_path_exists(written: tuple[Path, PhantomTruth]) -> None:
    folder, truth = written
    rows = table(folder)
    assert tuple(rows[0]) == COLUMNS
    assert [row["image"] for row in rows] == sorted((*truth.images, *truth.broken))
    on_disk = {path for path in contents(folder) if "/images/" in path}
    assert on_disk == {row["image"] for row in rows}
    for row in rows:
        assert row["image"].startswith(f"{row['label']}/images/")
        assert row["source"] in SMALL.sources
        assert row["sex"] in ("F", "M")
        assert row["view_position"] in ("AP", "PA")
        assert 18 < int(row["age"]) < 93
        assert row["date"][:2] == "20"
        if row["image"] in truth.broken:
            assert row["mask"] == ""
            continue
        with Image.open(folder / row["image"]) as image, Image.open(folder / row["mask"]) as mask:
            assert image.size == mask.size
            assert set(np.unique(np.asarray(mask))) == {0, 255}


def test_patient_identifiers_tell_patients_apart_and_no_class(written: tuple[Path, PhantomTruth]) -> None:
    folder, _ = written
    known = {(row["label"], row["patient_id"]) for row in table(folder) if row["patient_id"]}
    assert len({patient for _, patient in known}) == len(known)  # nobody has two classes
    assert not any(label in patient for label, patient in known)


def test_duplicates_are_byte_identical_listed_and_nothing_else_is(written: tuple[Path, PhantomTruth]) -> None:
    folder, truth = written
    assert len(truth.duplicates) == SMALL.duplicates
    digests = {path: digest for path, digest in contents(folder).items() if "/images/" in path}
    pairs = {tuple(sorted(p for p in digests if digests[p] == d)) for d in digests.values()}
    assert {pair for pair in pairs if len(pair) > 1} == {tuple(sorted(pair)) for pair in truth.duplicates}
    by_image = {row["image"]: row for row in table(folder)}
    for original, copy in truth.duplicates:
        assert by_image[original]["label"] == by_image[copy]["label"]
        assert by_image[copy]["patient_id"] == ""


def test_broken_files_cannot_be_decoded_and_the_others_can(written: tuple[Path, PhantomTruth]) -> None:
    folder, truth = written
    assert len(truth.broken) == SMALL.broken
    for path in truth.broken:
        with pytest.raises(OSError, match="truncated"), Image.open(folder / path) as image:
            image.load()
    for path in truth.images:
        with Image.open(folder / path) as image:
            image.load()


def test_truth_json_says_what_was_planted(written: tuple[Path, PhantomTruth]) -> None:
    folder, truth = written
    stored = json.loads((folder / "truth.json").read_text())
    assert stored.pop("spec")["kind"] == "PhantomSpec"
    assert stored == json.loads(json.dumps(dataclasses.asdict(truth)))
    assert set(truth.lesions) == {path for path in truth.images if not path.startswith("NORMAL/")}
    assert set(truth.letters) < set(truth.images)


def test_no_file_holds_an_absolute_path(written: tuple[Path, PhantomTruth]) -> None:
    folder, _ = written
    for path in folder.rglob("*"):
        if path.is_file():
            assert str(folder).encode() not in path.read_bytes()
    text = (folder / "truth.json").read_text() + (folder / "metadata.csv").read_text()
    assert '"/' not in text
    assert ",/" not in text


def test_writing_again_gives_the_same_bytes(written: tuple[Path, PhantomTruth], tmp_path: Path) -> None:
    folder, truth = written
    before = contents(folder)
    assert write_phantoms(folder, SMALL) == truth
    assert contents(folder) == before
    assert write_phantoms(tmp_path / "elsewhere", SMALL) == truth
    assert contents(tmp_path / "elsewhere") == before


def test_an_interrupted_set_is_continued_and_progress_is_told(tmp_path: Path) -> None:
    spec = PhantomSpec(patients_per_class=2, size=64, images_per_patient=1, duplicates=1, broken=1)
    told: list[tuple[int, int]] = []

    def stop(done: int, total: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_phantoms(tmp_path / "set", spec, stop)
    assert not (tmp_path / "set" / "metadata.csv").exists()
    write_phantoms(tmp_path / "set", spec, lambda done, total: told.append((done, total)))
    write_phantoms(tmp_path / "whole", spec)
    assert contents(tmp_path / "set") == contents(tmp_path / "whole")
    assert told == [(done, 8) for done in range(1, 9)]


def test_two_sets_never_mix(tmp_path: Path) -> None:
    spec = PhantomSpec(patients_per_class=1, size=64, images_per_patient=1)
    write_phantoms(tmp_path / "set", spec)
    before = contents(tmp_path / "set")
    with pytest.raises(InputError, match=r"holds another phantom set\. Choose another folder"):
        write_phantoms(tmp_path / "set", dataclasses.replace(spec, seed=1))
    assert contents(tmp_path / "set") == before


def test_a_folder_of_the_users_own_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(InputError, match="is not empty and holds no phantom set"):
        write_phantoms(tmp_path, PhantomSpec(patients_per_class=1, size=64))
    assert set(contents(tmp_path)) == {"thesis.txt"}


def test_a_patient_for_whom_the_first_places_of_a_lesion_do_not_fit_is_drawn_too() -> None:
    """With this seed not one of three proposed patches lay within the lungs."""
    spec = PhantomSpec(patients_per_class=40, size=64, seed=2)
    assert all(1 <= images_of(spec, 0, patient) <= 3 for patient in range(40))
