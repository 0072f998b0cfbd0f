from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxrfeat.errors import BadImageError
from cxrfeat.image.dicom import element
from cxrfeat.image.dicom.element import PIXEL_DATA, CutShortError, guarded, is_dicom, read_elements
from tests.dicoms import BIG, DEFLATED, EXPLICIT, IMPLICIT, dicom, pydicom

WORDS = np.arange(32 * 40, dtype=np.uint16).reshape(32, 40)
PATIENT, ROWS, CODE, SEQUENCE = 0x00100020, 0x00280010, 0x00080100, 0x00540220


def coded(value: str) -> pydicom.Dataset:
    item = pydicom.Dataset()
    item.CodeValue = value
    return item


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, BIG, DEFLATED])
@pytest.mark.parametrize("undefined", [False, True])
def test_elements_are_found_in_every_encoding(syntax: str, undefined: bool) -> None:
    nested = coded("outer")
    nested.ReferencedStudySequence = [coded("inner")]
    nested["ReferencedStudySequence"].is_undefined_length = undefined
    content = dicom(WORDS, syntax, PatientID="P 7 ", ViewCodeSequence=[nested, coded("second")])
    file = read_elements(content, {PATIENT, ROWS, SEQUENCE})
    of = file.elements
    assert (file.syntax, of.text(PATIENT), of.integer(ROWS)) == (syntax, "P 7", 32)
    assert [item.text(CODE) for item in of.items(SEQUENCE, {CODE})] == ["outer", "second"]
    place = of.found[PIXEL_DATA]
    stored = np.frombuffer(of.data, ">u2" if syntax == BIG else "<u2", WORDS.size, place.start)
    np.testing.assert_array_equal(stored.reshape(WORDS.shape), WORDS)


@pytest.mark.parametrize(("syntax", "guessed"), [(EXPLICIT, EXPLICIT), (IMPLICIT, IMPLICIT), (BIG, BIG)])
def test_without_preamble_and_meta_the_encoding_is_found_out(syntax: str, guessed: str) -> None:
    content = dicom(WORDS, syntax, preamble=False)
    assert is_dicom(content[:256])
    assert read_elements(content, {ROWS}).syntax == guessed
    assert read_elements(content, {ROWS}).elements.integer(ROWS) == 32


def test_a_value_that_is_no_utf8_is_the_same_text_wherever_it_is_read() -> None:
    content = dicom(WORDS, SpecificCharacterSet="ISO_IR 100", PatientID="M\u00fcller")
    assert read_elements(content, {PATIENT}).elements.text(PATIENT) == "M\u00fcller"


@pytest.mark.parametrize("text", ["1e999", "1e400", "nan", "inf", "12,5", "1_0", "\u0661", "0x1"])
def test_what_is_no_number_is_refused_without_being_quoted(text: str) -> None:
    of = read_elements(dicom(WORDS, RescaleSlope=None), {0x00281053}).elements
    of.data, of.found[0x00281053] = text.encode(), type(of.found[PIXEL_DATA])(b"DS", 0, len(text.encode()))
    with pytest.raises(BadImageError, match="not a number") as error:
        of.numbers(0x00281053)
    assert text not in str(error.value).replace("(0028,1053)", "")


def test_the_beginning_of_a_file_says_that_more_is_needed() -> None:
    content = dicom(WORDS)
    place = read_elements(content, {ROWS}).elements.found[PIXEL_DATA].start
    assert read_elements(content[:place], {ROWS}, whole=False).elements.integer(ROWS) == 32
    for end in (133, 150, 200, place - 12):
        with pytest.raises(CutShortError):
            read_elements(content[:end], {ROWS}, whole=False)


def test_what_unpacks_to_more_than_it_may_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(element, "_MOST_UNPACKED", 2_000_000)
    packer = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    bomb = b"".join(packer.compress(bytes(1 << 20)) for _ in range(3)) + packer.flush()
    content = dicom(WORDS, DEFLATED)
    start = content.index(b"1.2.840.10008.1.2.1.99") + 22
    for whole in (True, False):
        with pytest.raises((BadImageError, CutShortError), match="over 2 MB" if whole else None):
            read_elements(content[:start] + bomb, {ROWS}, whole=whole)


def test_sequences_nested_without_end_are_refused() -> None:
    opening = struct.pack("<HH2sHL", 0x0008, 0x1115, b"SQ", 0, 0xFFFFFFFF) + struct.pack(
        "<HHL", 0xFFFE, 0xE000, 0xFFFFFFFF
    )
    with pytest.raises(BadImageError, match="nested deeper"):
        read_elements(bytes(128) + b"DICM" + opening * 10_000, {ROWS})


@given(st.binary(max_size=400), st.booleans(), st.booleans())
def test_rubbish_ends_in_one_kind_of_error(rubbish: bytes, marked: bool, whole: bool) -> None:
    content = bytes(128) + b"DICM" + rubbish if marked else rubbish
    try:
        guarded("header", lambda: read_elements(content, {ROWS, SEQUENCE}, whole=whole))
    except BadImageError:
        pass
    except CutShortError:
        assert not whole


def test_other_files_are_no_dicom() -> None:
    for head in (
        b"",
        b"\x08\x00",
        b"\x02\x00" * 4,
        b"\x89PNG\r\n\x1a\n",
        bytes(300),
        b"hello, this is text",
        b"\x08" * 64,
    ):
        assert not is_dicom(head)
