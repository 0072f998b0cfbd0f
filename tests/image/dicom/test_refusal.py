from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from cxrfeat.image.dicom.header import About, read_header
from cxrfeat.image.dicom.refusal import is_listed, no_picture, unwanted, view_of
from tests.dicoms import DX, dicom, pydicom

WORDS = np.zeros((40, 50), np.uint16)
STORED = "1.2.840.10008.5.1.4.1.1."

PICTURES: dict[str, dict[str, Any]] = {
    "a radiograph": {},
    "computed radiography": {"SOPClassUID": f"{STORED}1", "Modality": "CR"},
    "film": {"SOPClassUID": f"{STORED}7", "Modality": "RG"},
    "a secondary capture of a radiograph": {"SOPClassUID": f"{STORED}7", "Modality": "CR"},  # RSNA's 30,000
    "a file without a modality": {"Modality": None, "SOPClassUID": None},  # VinDr's 18,000
    "an odd modality": {"Modality": "OT"},
}
NO_PICTURES: dict[str, tuple[dict[str, Any], str, bool]] = {
    # name: tags, why, whether it is of another kind and so is listed only
    "CT": ({"SOPClassUID": f"{STORED}2", "Modality": "CT"}, "of modality CT", True),
    "MR": ({"Modality": "MR"}, "of modality MR", True),
    "an index": ({"SOPClassUID": "1.2.840.10008.1.3.10"}, "DICOMDIR", True),
    "a presentation state": ({"SOPClassUID": f"{STORED}11.1", "Modality": "PR"}, "a presentation state", False),
    "a report": ({"SOPClassUID": f"{STORED}88.11", "Modality": "SR"}, "a report", False),
    "a PDF": ({"SOPClassUID": f"{STORED}104.1", "Modality": "DOC"}, "a document", False),
    "a segmentation": ({"SOPClassUID": f"{STORED}66.4"}, "a segmentation", False),
    "many frames": ({"NumberOfFrames": 2}, "of 2 frames", False),
    "no frame": ({"NumberOfFrames": 0}, "of no frame", False),
    "a secondary capture": ({"SOPClassUID": f"{STORED}7", "Modality": "OT"}, "secondary capture", False),
    "another secondary capture": ({"SOPClassUID": f"{STORED}7.2", "Modality": None}, "secondary capture", False),
    "a modality of one's own": ({"SOPClassUID": "1.2.3", "Modality": "JANE DOE"}, "of another modality", False),
}


@pytest.mark.parametrize("name", PICTURES)
def test_radiographs_are_pictures(name: str) -> None:
    assert no_picture(read_header(dicom(WORDS, **PICTURES[name]))) == ""


@pytest.mark.parametrize("name", NO_PICTURES)
def test_what_is_no_picture_is_told_in_words_of_ours(name: str) -> None:
    tags, why, listed = NO_PICTURES[name]
    header = read_header(dicom(WORDS, **tags))
    assert why in no_picture(header)
    assert "JANE" not in no_picture(header)
    assert is_listed(header) is listed


def test_a_file_without_pixels_is_no_picture() -> None:
    header = read_header(dicom(WORDS))
    assert no_picture(replace(header, layout=None)) == "it has no pixels"


VIEWS = [
    ({"view_position": "PA"}, "frontal"),
    ({"view_position": "AP"}, "frontal"),
    ({"view_position": "AP_SUPINE"}, "frontal"),
    ({"view_position": "AP", "view_code": "lateral"}, "frontal"),  # the first that tells
    ({"view_position": "LL"}, "lateral"),
    ({"view_position": "LATERAL"}, "lateral"),
    ({"view_position": "L LAT"}, "lateral"),
    ({"view_position": "RAO"}, "oblique"),
    ({"view_position": "LLD"}, "decubitus"),
    ({"view_code": "postero-anterior"}, "frontal"),
    ({"view_code": "Left lateral"}, "lateral"),
    ({"view_code": "left anterior oblique"}, "oblique"),
    ({"view_code": "antero-posterior decubitus"}, "decubitus"),
    ({"orientation": ("L", "F")}, "frontal"),
    ({"orientation": ("A", "F")}, "lateral"),
    ({"orientation": ("PR", "F"), "view_position": "PA"}, "frontal"),
    ({"series_description": "W034 Chest LAT"}, "lateral"),
    ({"series_description": "Chest PA and LAT"}, ""),
    ({"series_description": "Chest, bilateral"}, ""),
    ({}, ""),
    ({"view_position": "JANE DOE"}, ""),
]


@pytest.mark.parametrize(("said", "view"), VIEWS)
def test_the_view_is_that_of_the_first_that_tells(said: dict[str, Any], view: str) -> None:
    about = About(**said)
    assert view_of(about) == view
    assert bool(unwanted(about)) is (view not in ("", "frontal"))


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"intent": "FOR PROCESSING"}, "FOR PROCESSING"),
        ({"sop_class": f"{STORED}1.1.1"}, "FOR PROCESSING"),
        ({"body_part": "HAND", "view_position": "PA"}, "another part of the body"),
        ({"view_position": "LL"}, "a lateral view"),
        ({"sop_class": DX, "body_part": "CHEST", "view_position": "PA", "intent": "FOR PRESENTATION"}, ""),
        ({"body_part": "JANE DOE"}, ""),
    ],
)
def test_other_radiographs_are_told_by_their_reason(said: dict[str, Any], why: str) -> None:
    found = unwanted(About(**said))
    assert (why in found) if why else not found
    assert "HAND" not in found


def test_the_classes_of_the_standard_are_sorted_by_their_beginnings() -> None:
    """Of every storage class that pydicom knows: radiographs pass, and nothing without pixels does."""
    header = read_header(dicom(WORDS, Modality=None))
    names = {uid: entry[0] for uid, entry in pydicom.uid.UID_dictionary.items() if entry[1] == "SOP Class"}
    for uid, name in names.items():
        why = no_picture(replace(header, about=replace(header.about, sop_class=uid)))
        if not name.endswith("Storage"):
            continue
        if name.startswith(("Computed Radiography", "Digital X-Ray Image")):
            assert not why
        if "Presentation State" in name or " SR Storage" in name or "Waveform" in name or "Secondary Capture" in name:
            assert why, name
