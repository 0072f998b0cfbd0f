"""DICOM files for tests, written by pydicom and imagecodecs: none of the reading code has a part in them."""

from __future__ import annotations

import io
import struct
import warnings
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

pydicom = pytest.importorskip("pydicom", reason="pydicom is not installed: pip install 'cxrfeat[dev]'")
imagecodecs = pytest.importorskip("imagecodecs", reason="imagecodecs is not installed: pip install 'cxrfeat[dicom]'")

IMPLICIT, EXPLICIT, DEFLATED, BIG = (f"1.2.840.10008.1.2{end}" for end in ("", ".1", ".1.99", ".2"))
RLE = "1.2.840.10008.1.2.5"
JPEG, JPEG_12, LOSSLESS, LS, J2K, HTJ2K = (f"1.2.840.10008.1.2.4.{end}" for end in (50, 51, 70, 80, 90, 201))
DX = "1.2.840.10008.5.1.4.1.1.1.1"


def dicom(
    words: NDArray[Any],
    syntax: str = EXPLICIT,
    *,
    stored: int | None = None,
    signed: bool = False,
    high: int | None = None,
    preamble: bool = True,
    **tags: Any,
) -> bytes:
    """A radiograph with these stored words, `(h, w)`; `tags` by keyword are added, `None` takes one away."""
    stored = stored or 8 * words.itemsize
    dataset = pydicom.Dataset()
    plain: dict[str, Any] = {
        "SOPClassUID": DX,
        "SOPInstanceUID": pydicom.uid.generate_uid(),
        "StudyInstanceUID": pydicom.uid.generate_uid(),
        "SeriesInstanceUID": pydicom.uid.generate_uid(),
        "Modality": "DX",
        "PatientID": "P1",
        "ViewPosition": "PA",
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "Rows": words.shape[0],
        "Columns": words.shape[1],
        "BitsAllocated": 8 * words.itemsize,
        "BitsStored": stored,
        "HighBit": stored - 1 if high is None else high,
        "PixelRepresentation": int(signed),
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of values that are wrong on purpose
        for name, value in (plain | tags).items():
            if value is not None:
                setattr(dataset, name, value)
        big = syntax == BIG
        if syntax in (IMPLICIT, EXPLICIT, DEFLATED, BIG):
            dataset.PixelData = words.astype(words.dtype.newbyteorder(">" if big else "<")).tobytes()
            dataset.PixelData += b"\0" * (len(dataset.PixelData) % 2)
        else:
            dataset.PixelData = pydicom.encaps.encapsulate([frame(words, syntax, stored, signed=signed)])
        dataset["PixelData"].VR = "OW" if words.itemsize == 2 or syntax == IMPLICIT else "OB"
        dataset.file_meta = pydicom.dataset.FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = syntax
        dataset.file_meta.MediaStorageSOPClassUID = DX
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.get("SOPInstanceUID") or "1.2.3"
        file = io.BytesIO()
        if preamble:
            pydicom.dcmwrite(file, dataset, enforce_file_format=True)
        else:
            del dataset.file_meta
            pydicom.dcmwrite(file, dataset, implicit_vr=syntax == IMPLICIT, little_endian=not big)
    return file.getvalue()


def frame(words: NDArray[Any], syntax: str, stored: int, *, signed: bool = False) -> bytes:
    """The words of one frame, compressed."""
    if syntax == RLE:
        return rle(words)
    if syntax == JPEG:
        return bytes(imagecodecs.jpeg8_encode(words, level=95))
    if syntax == JPEG_12:
        return bytes(imagecodecs.jpeg8_encode(words, level=100, bitspersample=12))
    if syntax == LOSSLESS:
        return bytes(imagecodecs.jpeg8_encode(words, lossless=True, predictor=1, bitspersample=stored))
    if syntax == LS:
        return bytes(imagecodecs.jpegls_encode(words))
    if syntax == HTJ2K:
        return bytes(imagecodecs.htj2k_encode(words.view(f"i{words.itemsize}") if signed else words))
    options = {"codecformat": "j2k", "reversible": True, "bitspersample": stored}
    return bytes(imagecodecs.jpeg2k_encode(words.view(f"i{words.itemsize}") if signed else words, **options))


def rle(words: NDArray[Any]) -> bytes:
    """PS3.5, annex G: bytes of each place apart, the highest first."""
    from pydicom.pixels.encoders.native import _encode_segment

    parts = words.astype(words.dtype.newbyteorder(">")).view(np.uint8).reshape(*words.shape, words.itemsize)
    segments = [bytes(_encode_segment(parts[..., place].tobytes(), words.shape[1])) for place in range(words.itemsize)]
    starts = np.cumsum([64, *map(len, segments)])[: len(segments)].tolist()
    return struct.pack(f"<{1 + len(starts)}L", len(starts), *starts).ljust(64, b"\0") + b"".join(segments)


def lut(entries: NDArray[Any], first: int, bits: int, *, signed: bool = False) -> Any:
    """One item of a sequence of lookup tables."""
    item = pydicom.Dataset()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        item.add_new(0x00283002, "SS" if signed else "US", [len(entries) % 65536, first, bits])
        item.add_new(0x00283006, "OW", np.ascontiguousarray(entries).tobytes())
    return item
