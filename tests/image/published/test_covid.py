from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from cxrfeat.image.layout import Layout, find_layout
from cxrfeat.image.row import Selection
from cxrfeat.types import Part
from tests.image.layouts import labels
from tests.image.published import trees


def laid_out(root: Path, name: str) -> Layout:
    trees.TREES[name](root)
    return find_layout(root)


def of(layout: Layout, field: str) -> dict[str, object]:
    """What is said of each image, by the name of its file."""
    return {entry.path.rpartition("/")[2]: getattr(entry, field) for entry in layout.entries}


@pytest.mark.parametrize(
    ("name", "classes", "masks"),
    [
        ("covid-radiography-3", ["COVID", "NORMAL", "Viral Pneumonia"], 0),
        ("covid-radiography-4", ["COVID", "Lung_Opacity", "Normal", "Viral Pneumonia"], 0),
        ("covid-radiography-5", ["COVID", "Lung_Opacity", "Normal", "Viral Pneumonia"], 8),
    ],
)
def test_kaggles_radiography_has_its_sources_from_its_spreadsheets(
    tmp_path: Path, name: str, classes: list[str], masks: int
) -> None:
    layout = laid_out(tmp_path, name)
    assert layout.published == ("covid-radiography", "COVID-19 Radiography Database (Kaggle)")
    assert Counter(labels(layout).values()) == dict.fromkeys(classes, 2)
    assert sum(entry.mask is not None for entry in layout.entries) == masks
    sources = Counter(entry.source for entry in layout.entries)
    assert sources["sirm.org/category/senza-categoria/covid-19"] == 1
    assert sources["bimcv.cipf.es/bimcv-projects/bimcv-covid19"] == 1
    assert sources["kaggle.com/paultimothymooney/chest-xray-pneumonia"] == 2
    assert None not in sources, "NORMAL-1 of the spreadsheet is Normal-1.png"


def test_without_the_extra_for_spreadsheets_the_classes_are_read_and_it_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trees.radiography_5(tmp_path)
    monkeypatch.setitem(__import__("sys").modules, "openpyxl", None)
    layout = find_layout(tmp_path)
    assert len(layout.entries) == 8
    assert {entry.source for entry in layout.entries} == {None}
    assert any(
        "COVID.metadata.xlsx is a spreadsheet, which needs the extra tables" in note.text for note in layout.notes
    )


@pytest.mark.parametrize("twice", [False, True], ids=["once", "folders in themselves"])
def test_covid_qu_ex_is_its_lungs_alone_with_their_masks(tmp_path: Path, twice: bool) -> None:
    trees.qu_ex(tmp_path)
    if not twice:
        for name in ("Lung Segmentation Data", "Infection Segmentation Data"):
            (tmp_path / name / name).rename(tmp_path / f"{name} once")
            (tmp_path / name).rmdir()
            (tmp_path / f"{name} once").rename(tmp_path / name)
    layout = find_layout(tmp_path)
    assert layout.published == ("covid-qu-ex", "COVID-QU-Ex")
    assert Counter(labels(layout).values()) == {"COVID-19": 6, "Non-COVID": 6, "Normal": 6}
    assert Counter(entry.split for entry in layout.entries) == dict.fromkeys(Part, 6)
    assert all("/lung masks/" in str(entry.mask) for entry in layout.entries)
    assert layout.left_out == {"again in 'Infection Segmentation Data'": 9}


def test_covidx_has_classes_patients_sources_and_parts_from_its_lists(tmp_path: Path) -> None:
    layout = laid_out(tmp_path, "covidx")
    assert layout.published == ("covidx", "COVIDx")
    assert Counter(labels(layout).values()) == {"negative": 2, "positive": 3}
    assert Counter(entry.source for entry in layout.entries) == {"rsna": 2, "ricord": 2, "fig1": 1}
    assert of(layout, "patient")["COVID-00003b.jpg"] == "COVID-00003", "a and b are one patient's"
    assert of(layout, "split")["ricord-2.png"] is Part.TEST


def test_of_several_versions_of_covidx_the_last_is_read_and_it_is_said(tmp_path: Path) -> None:
    trees.covidx(tmp_path)
    (tmp_path / "labels").mkdir()
    for name in ("train", "test"):
        lines = (tmp_path / f"{name}.txt").read_text()
        (tmp_path / f"{name}.txt").unlink()
        for version, words in (("9A", ("normal", "COVID-19")), ("10B", ("negative", "positive"))):
            text = lines.replace("negative", words[0]).replace("positive", words[1])
            (tmp_path / "labels" / f"{name}_COVIDx{version}.txt").write_text(text)
    layout = find_layout(tmp_path)
    assert Counter(labels(layout).values()) == {"negative": 2, "positive": 3}
    told = " ".join(note.text for note in layout.notes)
    assert "2 tables of other versions not read, but test_COVIDx10B.txt and train_COVIDx10B.txt, such as" in told


def test_of_ieee8023_ct_lateral_and_unfinished_rows_are_left_out_aloud(tmp_path: Path) -> None:
    layout = laid_out(tmp_path, "ieee8023")
    assert layout.published == ("ieee8023", "COVID-19 Image Data Collection")
    assert labels(layout) == {
        "images/a.jpeg": "Pneumonia/Viral/COVID-19", "images/b.jpg": "Pneumonia/Viral/SARS",
        "images/c.png": "No Finding",
    }  # fmt: skip
    assert layout.left_out == {"CT, no X-ray": 2, "lateral view": 1, "finding todo": 1}
    first = layout.entries[0]
    assert (first.patient, first.source, first.view_position) == ("2", "Cho Ray, Vietnam", "PA")
    assert (first.sex, first.age, first.date) == ("M", 65.0, "2020-01-22")
    assert first.mask == "annotations/lungVAE-masks/a_mask.png"
    told = " ".join(note.text for note in layout.notes)
    assert "Left out: 2 images, CT, no X-ray, such as 'images/ct.jpg'; 1 image, finding todo" in told
    assert ".nii.gz" not in told, "the volumes are counted among the CT"


def test_figure1_is_latin_1_and_its_names_hold_the_patient(tmp_path: Path) -> None:
    layout = laid_out(tmp_path, "figure1")
    assert layout.published == ("figure1", "Figure 1 COVID-19 Chest X-ray Dataset")
    assert of(layout, "patient") == {
        "COVID-00001.jpg": "COVID-00001", "COVID-00003a.jpg": "COVID-00003", "COVID-00003b.jpg": "COVID-00003",
        "COVID-00009.png": "COVID-00009",
    }  # fmt: skip
    assert layout.table is not None
    assert layout.table.form == "comma-separated, Latin-1"
    assert "Of 5 images that metadata.csv lists 1 is not here" in " ".join(note.text for note in layout.notes)


def test_actualmed_has_dates_in_its_notes_and_inconclusive_images_left_out(tmp_path: Path) -> None:
    layout = laid_out(tmp_path, "actualmed")
    assert layout.published == ("actualmed", "Actualmed COVID-19 Chest X-ray Dataset")
    assert Counter(labels(layout).values()) == {"No finding": 2, "COVID-19": 1}
    assert of(layout, "date")["CR.1.2.840.113564.2.png"] == "2020-03-18"
    assert layout.left_out == {"inconclusive": 1}


def test_covid_cxnet_has_images_that_its_table_does_not_describe(tmp_path: Path) -> None:
    layout = laid_out(tmp_path, "covid-cxnet")
    assert layout.published == ("covid-cxnet", "COVID-CXNet")
    assert of(layout, "label") == {"260.jpg": "COVID-19", "364.jpg": "COVID-19", "1.png": "normal"}
    assert (of(layout, "patient")["260.jpg"], of(layout, "source")["260.jpg"]) == ("10", "Spain")


def test_hannover_is_of_one_class(tmp_path: Path) -> None:
    layout = laid_out(tmp_path, "hannover")
    assert layout.published == ("hannover", "COVID-19 Image Repository (Hannover)")
    assert Counter(entry.patient for entry in layout.entries) == {"042f06a9": 2, "09ec853d": 1}
    assert {entry.label for entry in layout.entries} == {"COVID-19"}
    assert set(of(layout, "view_position").values()) == {"ap", "pa"}


def test_guangzhou_has_patients_in_its_names_which_begin_anew_in_the_test(tmp_path: Path) -> None:
    layout = laid_out(tmp_path, "kermany")
    assert layout.published == ("kermany", "Chest X-ray images of children, Guangzhou (Kermany)")
    assert Counter(labels(layout).values()) == {"NORMAL": 5, "PNEUMONIA": 5}
    assert Counter(entry.split for entry in layout.entries) == {Part.TRAIN: 6, Part.VALIDATION: 2, Part.TEST: 2}
    patients = of(layout, "patient")
    assert patients["person1_bacteria_1.jpeg"] == patients["person1_bacteria_2.jpeg"] == "person1"
    assert patients["person1_virus_6.jpeg"] == "test/PNEUMONIA/person1"
    assert (
        patients["NORMAL2-IM-0383-0001.jpeg"] == patients["NORMAL2-IM-0383-0002.jpeg"] != patients["IM-0115-0001.jpeg"]
    )


def test_columns_of_a_recipe_can_be_named_too(tmp_path: Path) -> None:
    trees.ieee8023(tmp_path)
    layout = find_layout(tmp_path, Selection(column={"label": "survival", "source": "", "image": "FILENAME"}))
    assert {entry.label for entry in layout.entries} == {"Y"}
    assert {entry.source for entry in layout.entries} == {None}
    assert layout.table is not None
    assert "location" in layout.table.unused
