from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cxrfeat.errors import BadImageError
from cxrfeat.image.dicom.grey import Lut, Window
from cxrfeat.image.dicom.header import About, read_about, read_header
from tests.dicoms import BIG, DEFLATED, EXPLICIT, IMPLICIT, J2K, dicom, lut, pydicom

WORDS = np.arange(40 * 50, dtype=np.uint16).reshape(40, 50)
TAGS: dict[str, Any] = {
    "PatientID": "P 1",
    "PatientSex": "F",
    "PatientAge": "058Y",
    "PatientBirthDate": "19620101",
    "StudyDate": "20200131",
    "AccessionNumber": "A9",
    "ViewPosition": "pa",
    "BodyPartExamined": "CHEST",
    "PresentationIntentType": "FOR PRESENTATION",
    "ImageType": ["DERIVED", "PRIMARY"],
    "SeriesDescription": "Thorax PA",
    "PatientOrientation": ["L", "F"],
    "ImageLaterality": "U",
    "BurnedInAnnotation": "YES",
}


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, BIG, DEFLATED, J2K])
def test_what_is_said_of_an_image_is_read_from_any_encoding(syntax: str, tmp_path: Path) -> None:
    code = pydicom.Dataset()
    code.CodeValue, code.CodeMeaning = "R-10214", "postero-anterior"
    content = dicom(WORDS, syntax, ViewCodeSequence=[code], **TAGS)
    about = read_header(content).about
    assert about == About(
        sop_class="1.2.840.10008.5.1.4.1.1.1.1",
        sop_instance=about.sop_instance,
        study=about.study,
        series=about.series,
        accession="A9",
        modality="DX",
        intent="FOR PRESENTATION",
        image_type=("DERIVED", "PRIMARY"),
        series_description="Thorax PA",
        body_part="CHEST",
        view_position="PA",
        view_code="postero-anterior",
        orientation=("L", "F"),
        laterality="U",
        patient="P 1",
        sex="F",
        age="058Y",
        birth_date="19620101",
        study_date="20200131",
        burned_in="YES",
    )
    assert len({about.sop_instance, about.study, about.series}) == 3
    path = tmp_path / "one.dcm"
    path.write_bytes(content)
    assert read_about(path).about == about


def test_a_header_is_read_without_its_pixels(tmp_path: Path) -> None:
    """Also one that is longer than what is read at first, and of a file whose pixels are not there."""
    content = dicom(np.zeros((2000, 2000), np.uint16), **TAGS)
    path = tmp_path / "one.dcm"
    path.write_bytes(content[:3000])
    os.truncate(path, 250_000_000)
    assert read_about(path).about.patient == "P 1"
    assert len(read_about(path).pixels[0]) <= 1 << 16  # type: ignore[index]  # it has pixels
    long = dicom(WORDS, PatientComments="x" * 10_000, ImageComments="y" * 10_000, **TAGS)
    private = b"\x29\x00\x10\x10OB\0\0" + (3_000_000).to_bytes(4, "little") + bytes(3_000_000)
    at = long.index(b"\xe0\x7f\x10\x00OW")
    path.write_bytes(long[:at] + private + long[at:])
    assert read_about(path).layout == read_header(long).layout


def test_a_file_that_says_nothing_is_empty_words(tmp_path: Path) -> None:
    path = tmp_path / "one.dcm"
    nothing: dict[str, Any] = {"Modality": None, "PatientID": "", "ViewPosition": None, "SOPClassUID": None}
    path.write_bytes(dicom(WORDS, BitsStored=None, HighBit=None, **nothing))
    header = read_about(path)
    assert (header.about.modality, header.about.patient, header.about.view_position) == ("", "", "")
    assert header.layout is not None
    assert (header.layout.stored, header.layout.high, header.frames) == (16, 15, 1)


@pytest.mark.parametrize(
    ("tags", "why"),
    [
        ({"Rows": None}, "how many pixels"),
        ({"BitsAllocated": None}, "of how many bits"),
        ({"VOILUTSequence": [lut(np.zeros(10, np.uint8), 0, 16)]}, "does not have the entries"),
        ({"VOILUTSequence": [lut(np.zeros(256, np.uint8), 0, 17)]}, "does not have the entries"),
        ({"VOILUTSequence": [pydicom.Dataset()]}, "described by three numbers"),
    ],
)
def test_headers_that_contradict_themselves_are_refused(tags: dict[str, Any], why: str) -> None:
    with pytest.raises(BadImageError, match=f"header: damaged DICOM: .*{why}"):
        read_header(dicom(WORDS, **tags))


def test_windows_and_tables_are_read_as_they_are_written() -> None:
    entries = np.arange(300, dtype="<u2")
    shown = read_header(
        dicom(
            WORDS,
            WindowCenter=["10", "20.5"],
            WindowWidth=["100", "200", "300"],
            VOILUTFunction="SIGMOID",
            RescaleSlope="2",
            RescaleIntercept="-5",
            VOILUTSequence=[lut(entries, 7, 12), lut(entries, -3, 12, signed=True)],
            PixelPaddingValue=5,
            PixelPaddingRangeLimit=3,
        )
    ).shown
    assert shown.windows == (Window(10, 100, "SIGMOID"), Window(20.5, 200, "SIGMOID"))
    assert (shown.slope, shown.intercept, shown.padding) == (2, -5, (3, 5))
    assert shown.luts == (Lut(entries.tobytes(), "<u2", 7, 12), Lut(entries.tobytes(), "<u2", -3, 12))


def test_numbers_of_signed_images_have_a_sign_whatever_the_file_calls_them() -> None:
    for value in (-2000, 63536):
        tags: dict[str, Any] = {"PixelPaddingValue": value} if value < 0 else {}
        content = dicom(WORDS, signed=True, **tags)
        if value > 0:
            sign = b"\x28\x00\x03\x01US\x02\x00\x01\x00"
            padding = b"\x28\x00\x20\x01US\x02\x00" + value.to_bytes(2, "little")
            content = content.replace(sign, sign + padding, 1)
        assert read_header(content).shown.padding == (-2000, -2000)


@pytest.mark.parametrize("what", ["nothing", "folder", "pipe"])
def test_what_is_no_file_is_refused(what: str, tmp_path: Path) -> None:
    path = tmp_path / "one.dcm"
    if what == "folder":
        path.mkdir()
    elif what == "pipe":
        os.mkfifo(path)
    with pytest.raises(BadImageError, match=r"open: (the file is not there|not a regular file)"):
        read_about(path)


def test_what_goes_wrong_inside_is_no_fault_of_the_name(tmp_path: Path) -> None:
    path = tmp_path / "one.dcm"
    path.write_bytes(dicom(WORDS)[:400])
    with pytest.raises(BadImageError, match=r"header: damaged DICOM: it is cut short in its header"):
        read_about(path)
