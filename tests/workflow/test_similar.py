from __future__ import annotations

import csv
import io
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import cxrfeat
from cxrfeat.errors import InputError, UsageError, WeightsError
from cxrfeat.feature.file import FeatureFile
from cxrfeat.phantom.spec import PhantomSpec
from cxrfeat.phantom.writing import write_phantoms
from cxrfeat.workflow.similar import similar
from tests.workflow.helpers import make_features


@pytest.fixture(scope="module")
def folder(tiny_network: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`data`, one of whose images is there twice, and its features by a real network."""
    folder = tmp_path_factory.mktemp("similar")
    spec = PhantomSpec(classes=("COVID", "NORMAL"), patients_per_class=8, images_per_patient=2, size=64, duplicates=0)
    write_phantoms(folder / "data", spec)
    made = cxrfeat.extract(
        folder / "data", backbone=tiny_network, preprocess="tf", views=2, engine="keras", features=folder / "features"
    )
    shutil.copy(made.files[0].path, folder / "f.h5")
    shutil.copy(next((folder / "features").glob("*.manifest.csv")), folder / f"{manifest_of(folder)}")
    return folder


def manifest_of(folder: Path) -> str:
    return next((folder / "features").glob("*.manifest.csv")).name


def path_of(folder: Path, number: int = 0) -> Path:
    return sorted((folder / "data").glob("NORMAL/images/*"))[number]


@pytest.fixture
def here(folder: Path, same_user: None) -> Path:
    return folder


@pytest.mark.slow
def test_an_image_of_the_set_is_meant_by_path_id_and_bytes(here: Path, tmp_path: Path) -> None:
    path = path_of(here)
    found = similar(path, here / "f.h5", count=3)
    assert found.image == str(path.relative_to(here / "data"))
    assert found.label == "NORMAL"
    assert found.image_id is not None
    other = tmp_path / "other.bin"
    shutil.copy(path, other)
    for text in (found.image, found.image_id, found.image_id[:12], other):
        assert similar(text, here / "f.h5", count=3) == found, text
    assert found.image not in [one.image for one in found.neighbours]
    assert all(one.same_group in (True, False) for one in found.neighbours)


def test_the_other_images_of_the_patient_are_said_to_be_such(here: Path) -> None:
    with FeatureFile(here / "f.h5") as file:
        ids, groups = np.array(file.image_ids), file.groups
    row = int(np.flatnonzero(np.bincount(groups)[groups] == 2)[0])
    found = similar(ids[row], here / "f.h5", count=len(ids))
    told = {one.image_id for one in found.neighbours if one.same_group}
    assert told == set(ids[groups == groups[row]]) - {ids[row]}


def test_a_planted_copy_from_disk_comes_first_and_tells_the_patient(
    here: Path, tiny_network: Path, tmp_path: Path
) -> None:
    path = path_of(here, 3)
    with Image.open(path) as image:
        image.convert("L").resize((200, 200)).point(lambda grey: min(255, grey * 1.1)).save(tmp_path / "copy.jpg")
    found = similar(tmp_path / "copy.jpg", here / "f.h5", count=5, network=tiny_network, engine="keras")
    first = found.neighbours[0]
    assert first.image == str(path.relative_to(here / "data"))
    assert first.copy == "near"
    assert first.similarity > 0.8
    assert (found.image_id, found.label) == (None, None)
    assert found.neighbours[0].same_group is True
    other = similar(path, here / "f.h5", count=31)
    groups = {one.image: one.same_group for one in other.neighbours}
    assert all(one.same_group == groups[one.image] for one in found.neighbours[1:])


def test_a_new_image_has_the_features_that_extraction_would_give_it(
    here: Path, tiny_network: Path, tmp_path: Path
) -> None:
    """Other bytes of the same pixels: the likeness is that of the image itself."""
    path = path_of(here, 2)
    with Image.open(path) as image:
        image.save(tmp_path / "again.bmp")
    found = similar(tmp_path / "again.bmp", here / "f.h5", count=4, network=tiny_network, engine="keras")
    of_set = similar(path, here / "f.h5", count=3)
    assert (found.neighbours[0].image, found.neighbours[0].copy) == (of_set.image, "same pixels")
    np.testing.assert_allclose(found.neighbours[0].similarity, 1, atol=1e-4)
    np.testing.assert_allclose(
        [one.similarity for one in found.neighbours[1:]], [one.similarity for one in of_set.neighbours], atol=1e-4
    )


def test_of_a_new_image_nobody_knows_the_patient(here: Path, tiny_network: Path, tmp_path: Path) -> None:
    noise = np.random.default_rng(5).integers(0, 256, (90, 90), np.uint8)
    Image.fromarray(noise).save(tmp_path / "new.png")
    found = similar(tmp_path / "new.png", here / "f.h5", network=tiny_network, engine="keras")
    assert {one.same_group for one in found.neighbours} == {None}
    assert len(found.neighbours) == 10


def test_what_cannot_be_asked_says_so(here: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="at least 1; got 0"):
        similar(path_of(here), here / "f.h5", count=0)
    with pytest.raises(InputError, match=r"There is no image 'nothing\.png': neither a file, nor the id or the path"):
        similar("nothing.png", here / "f.h5")
    with pytest.raises(InputError, match=r"nothing\.h5"):
        similar(path_of(here), here / "nothing.h5")
    (tmp_path / "text.png").write_text("no image")
    with pytest.raises(InputError, match=r"text\.png cannot be used"):
        similar(tmp_path / "text.png", here / "f.h5")
    lone = make_features(tmp_path / "lone.h5")
    buffer = io.BytesIO()
    Image.fromarray(np.eye(64, dtype=np.uint8) * 200).save(buffer, "PNG")
    (tmp_path / "new.png").write_bytes(buffer.getvalue())
    with pytest.raises(WeightsError):
        similar(tmp_path / "new.png", lone)


@pytest.mark.slow
@pytest.mark.weights
def test_a_planted_copy_and_the_same_patient_come_first_among_real_images(shared: Path, tmp_path: Path) -> None:
    network = shared / "weights" / "mobilenet_imagenet_conv_pw_12.keras"
    if not network.is_file():
        pytest.skip(f"{network} is not here")
    with (shared / "data" / "cxr299" / "metadata.csv").open(newline="") as file:
        table = [row for row in csv.DictReader(file) if row["patient_id"]][::6]
    lines = []
    for number, row in enumerate(table):
        place = tmp_path / "data" / row["label"] / f"{number}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(shared / "data" / "cxr299" / row["image"], place)
        lines.append((f"{row['label']}/{number}.png", row["label"], f"p{number}"))
    asked = list(range(3, len(lines), 20))
    for number in asked:
        path, label, patient = lines[number]
        with Image.open(tmp_path / "data" / path) as image:
            grey = image.convert("L")
        width, height = grey.size
        grey.resize((180, 180)).save(tmp_path / "data" / label / f"{number}-copy.jpg", quality=70)
        again = grey.rotate(5, Image.Resampling.BICUBIC).crop((width // 9, height // 12, width, height - height // 20))
        again.point(lambda value: int(255 * (value / 255) ** 1.2)).save(
            tmp_path / "data" / label / f"{number}-again.png"
        )
        lines += [(f"{label}/{number}-copy.jpg", label, f"c{number}"), (f"{label}/{number}-again.png", label, patient)]
    with (tmp_path / "data" / "metadata.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("image", "label", "patient_id"), *lines])
    made = cxrfeat.extract(
        tmp_path / "data", backbone=network, preprocess="tf", views=1, features=tmp_path / "features"
    )
    assert len(asked) >= 5
    for number in asked:
        path, label, _ = lines[number]
        found = similar(path, made.files[0].path, count=3).neighbours
        assert (found[0].image, found[0].copy) == (f"{label}/{number}-copy.jpg", "near")
        assert (found[1].image, found[1].copy, found[1].same_group) == (f"{label}/{number}-again.png", None, True)
