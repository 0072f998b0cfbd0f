from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from cxrfeat.errors import InputError
from cxrfeat.image.finding import finding_counts
from cxrfeat.image.index import index_folder
from cxrfeat.image.layout import Layout, find_layout
from cxrfeat.image.row import Selection
from cxrfeat.types import Part
from tests.image.encode import noise
from tests.image.layouts import labels
from tests.image.published import trees
from tests.image.published.test_covid import laid_out, of


def counts(layout: Layout) -> dict[str, tuple[int, ...]]:
    """Of each finding: present, absent, uncertain, not stated."""
    found = finding_counts(layout.finding_names, [entry.findings for entry in layout.entries])
    return {name: tuple(states.values()) for name, states in found.items()}


def test_nih_has_findings_ages_and_its_official_split(tmp_path: Path) -> None:
    layout = laid_out(tmp_path, "nih")
    assert layout.published == ("nih", "NIH ChestX-ray14")
    assert Counter(labels(layout).values()) == {"Finding": 2, "No Finding": 2}
    assert counts(layout) == {"Cardiomegaly": (2, 2, 0, 0), "Emphysema": (1, 3, 0, 0), "Mass": (0, 4, 0, 0)}
    assert Counter(entry.patient for entry in layout.entries) == {"1": 2, "1336": 1, "1337": 1}
    assert Counter(entry.split for entry in layout.entries) == {Part.TRAIN: 2, Part.TEST: 2}
    assert of(layout, "age") == {
        "00000001_000.png": 58.0, "00000001_001.png": 58.0, "00001336_000.png": None, "00001337_000.png": 52.0,
    }  # fmt: skip
    told = " ".join(note.text for note in layout.notes)
    assert "no age in years from 0 to 120, such as '411'" in told
    assert "Of 5 images that Data_Entry_2017.csv lists 1 is not here: this is a part of the set." in told
    assert "choose it: `column=label=Cardiomegaly`" in told
    assert layout.table is not None
    assert list(layout.table.columns) == [
        "image",
        "label",
        "patient_id",
        "source",
        "split",
        "sex",
        "age",
        "view_position",
    ]
    for name in ("train_val_list.txt", "test_list.txt"):
        (tmp_path / name).unlink()
    without = find_layout(tmp_path)
    assert without.table is not None
    assert "split" not in without.table.columns
    assert {entry.split for entry in without.entries} == {None}


def test_a_finding_is_made_the_class_and_what_is_uncertain_is_left_out_aloud(tmp_path: Path) -> None:
    trees.nih(tmp_path / "nih")
    layout = find_layout(tmp_path / "nih", Selection(column={"label": "emphysema"}))
    assert Counter(labels(layout).values()) == {"Emphysema": 1, "no Emphysema": 3}
    trees.chexpert(tmp_path / "chexpert")
    layout = find_layout(tmp_path / "chexpert", Selection(column={"label": "Cardiomegaly"}))
    assert Counter(labels(layout).values()) == {"Cardiomegaly": 2}
    assert layout.left_out == {"lateral view": 1, "Cardiomegaly uncertain": 1, "Cardiomegaly not stated": 1}
    with pytest.raises(
        InputError, match=r"from 'Emfysema', which is not a column .* and no finding\. Did you mean Emph"
    ):
        find_layout(tmp_path / "nih", Selection(column={"label": "Emfysema"}))


def test_chexpert_has_frontal_views_and_what_is_uncertain_or_not_stated(tmp_path: Path) -> None:
    layout = laid_out(tmp_path, "chexpert")
    assert layout.published == ("chexpert", "CheXpert")
    assert Counter(labels(layout).values()) == {"Finding": 3, "No Finding": 1}
    assert layout.left_out == {"lateral view": 1}
    assert counts(layout)["Cardiomegaly"] == (2, 0, 1, 1)
    assert counts(layout)["Pneumothorax"] == (0, 1, 0, 3)
    assert counts(layout)["Support Devices"] == (1, 0, 0, 3)
    assert len(layout.finding_names) == 13
    assert {entry.patient for entry in layout.entries} == {
        f"patient{number}" for number in ("00001", "00002", "00003", "64541")
    }
    assert Counter(entry.split for entry in layout.entries) == {Part.TRAIN: 3, Part.VALIDATION: 1}
    assert layout.table is not None
    assert layout.table.unused == ()


def test_mimic_cxr_is_joined_from_its_gzipped_tables(tmp_path: Path) -> None:
    layout = laid_out(tmp_path, "mimic-cxr")
    assert layout.published == ("mimic-cxr", "MIMIC-CXR-JPG")
    assert of(layout, "label") == {"02aa804e-bde0afdd.jpg": "No Finding", "2a2277a9-b0ded155.jpg": "Finding"}
    assert of(layout, "split") == {"02aa804e-bde0afdd.jpg": Part.TRAIN, "2a2277a9-b0ded155.jpg": Part.TEST}
    assert of(layout, "date")["2a2277a9-b0ded155.jpg"] == "2132-10-15"
    assert layout.left_out == {"view LATERAL, not frontal": 1}
    assert counts(layout)["Pneumonia"] == (0, 0, 1, 1)
    told = " ".join(note.text for note in layout.notes)
    assert "1 image in mimic-cxr-2.0.0-metadata.csv.gz without a label" in told, (
        "its study is not in the table of findings"
    )


def test_padchest_has_lists_of_findings_projections_and_years_of_birth(tmp_path: Path) -> None:
    layout = laid_out(tmp_path, "padchest")
    assert layout.published == ("padchest", "PadChest")
    assert Counter(labels(layout).values()) == {"normal": 1, "Finding": 2}
    assert counts(layout) == {"cardiomegaly": (1, 2, 0, 0), "pleural effusion": (2, 1, 0, 0)}
    assert {entry.age for entry in layout.entries} == {64.0, 73.0, 84.0}
    assert set(of(layout, "view_position").values()) == {"PA", "AP_horizontal"}
    assert layout.left_out == {"projection L, not frontal": 1, "labelled exclude": 1}
    told = " ".join(note.text for note in layout.notes)
    assert "without a label, such as '1/2168401113669640128_00-063-005.png'" in told, "unchanged says nothing"


def test_rsna_has_its_three_classes_and_no_patients(tmp_path: Path) -> None:
    layout = laid_out(tmp_path, "rsna-pneumonia")
    assert layout.published == ("rsna-pneumonia", "RSNA Pneumonia Detection Challenge")
    assert Counter(labels(layout).values()) == {"Lung Opacity": 1, "No Lung Opacity / Not Normal": 1, "Normal": 1}
    assert {entry.patient for entry in layout.entries} == {None}
    assert layout.left_out == {"of the test, whose classes are not published": 2}
    (tmp_path / "stage_2_detailed_class_info.csv").unlink()
    assert Counter(labels(find_layout(tmp_path)).values()) == {"Lung Opacity": 1, "No Lung Opacity": 2}


def test_what_the_readers_of_vindr_do_not_agree_on_is_uncertain(tmp_path: Path) -> None:
    layout = laid_out(tmp_path / "physionet", "vindr-cxr")
    assert layout.published == ("vindr-cxr", "VinDr-CXR (PhysioNet)")
    assert of(layout, "label") == {
        "000434271f63.png": "No finding", "00053190460d.png": "Finding", "002a34c58c5b.png": "Finding",
    }  # fmt: skip
    assert counts(layout) == {
        "Aortic enlargement": (1, 2, 0, 0), "Cardiomegaly": (1, 1, 1, 0), "Other diseases": (1, 1, 1, 0),
        "Tuberculosis": (1, 2, 0, 0),
    }  # fmt: skip
    assert of(layout, "split")["002a34c58c5b.png"] is Part.TEST
    kaggle = laid_out(tmp_path / "kaggle", "vinbigdata")
    assert kaggle.published is not None
    assert kaggle.published[0] == "vinbigdata"
    assert of(kaggle, "label") == {"50a41819.png": "No finding", "9a5094b2.png": "Finding"}
    assert counts(kaggle) == {"Aortic enlargement": (0, 1, 1, 0), "Cardiomegaly": (1, 1, 0, 0)}
    assert kaggle.left_out == {"of the test, whose findings are not published": 1}


def test_siim_has_classes_by_study(tmp_path: Path) -> None:
    layout = laid_out(tmp_path, "siim-covid19")
    assert layout.published == ("siim-covid19", "SIIM-FISABIO-RSNA COVID-19 Detection")
    assert of(layout, "label") == {
        "000a312787f2.png": "Typical Appearance", "000c3a3f293f.png": "Negative for Pneumonia",
        "0012ff7358bc.png": "Negative for Pneumonia",
    }  # fmt: skip
    assert Counter(entry.patient for entry in layout.entries) == {"5776db0cec75": 1, "ff0879eb20ed": 2}
    assert layout.left_out == {"of the test, whose classes are not published": 1}


@pytest.mark.parametrize(
    ("name", "suffix", "classes", "left_out"),
    [
        ("rsna-pneumonia", ".dcm", {"Lung Opacity": 1, "No Lung Opacity / Not Normal": 1, "Normal": 1}, 2),
        ("vindr-cxr", ".dicom", {"Finding": 2, "No finding": 1}, 0),
        ("vinbigdata", ".dicom", {"Finding": 1, "No finding": 1}, 1),
        ("siim-covid19", ".dcm", {"Negative for Pneumonia": 2, "Typical Appearance": 1}, 1),
    ],
)
def test_sets_of_dicom_files_are_joined_by_the_names_of_these(
    tmp_path: Path, name: str, suffix: str, classes: dict[str, int], left_out: int
) -> None:
    from tests.dicoms import dicom  # skips where the packages that write DICOM are absent

    root = tmp_path / "set"
    trees.TREES[name](root)
    for seed, path in enumerate(sorted(root.rglob("*.png"))):
        grey = noise(seed, 48, 40).astype(np.uint16)
        path.with_suffix(suffix).write_bytes(
            dicom(grey, stored=8, PatientID=path.stem, PatientSex="F", ViewPosition="AP")
        )
        path.unlink()
    manifest = index_folder(root, decode_all=True)
    assert not manifest.quarantined
    assert Counter(row.label for row in manifest.rows) == classes
    assert sum(manifest.left_out.values()) == left_out
    assert {row.header.format for row in manifest.rows} == {"DICOM"}
    assert {row.sex for row in manifest.rows} == {"F"}, "of the header, where no table says it"
    known = {"rsna-pneumonia": {None}, "siim-covid19": {"5776db0cec75", "ff0879eb20ed"}}
    assert {row.patient for row in manifest.rows} == known.get(name, {Path(row.path).stem for row in manifest.rows})
    views = {"vindr-cxr": "PA", "vinbigdata": "PA"}
    assert {row.view_position for row in manifest.rows} == {views.get(name, "AP")}, "the set's own words come first"


@pytest.mark.parametrize("inside", ["", "MontgomerySet", "ChinaSet_AllFiles"], ids=["both", "Montgomery", "Shenzhen"])
def test_the_tuberculosis_sets_have_everything_in_their_names(tmp_path: Path, inside: str) -> None:
    trees.nlm_tb(tmp_path)
    layout = find_layout(tmp_path / inside)
    assert layout.published is not None
    assert layout.published[0] == "nlm-tb"
    each = 1 if inside else 2
    assert Counter(labels(layout).values()) == {"Normal": each, "Tuberculosis": each}
    assert len({entry.patient for entry in layout.entries}) == 2 * each
    sources = {"MontgomerySet": {"Montgomery"}, "ChinaSet_AllFiles": {"Shenzhen"}}
    assert {entry.source for entry in layout.entries} == sources.get(inside, {"Montgomery", "Shenzhen"})
    said = {"MCUCXR_0001_0.png": ("F", 27.0), "CHNCXR_0001_0.png": ("male", 45.0)}
    read = {entry.path.rpartition("/")[2]: (entry.sex, entry.age) for entry in layout.entries}
    assert {name: one for name, one in read.items() if name in said} == {
        name: said[name] for name in said if name in read
    }
