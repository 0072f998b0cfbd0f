"""Whole files: ways of writing one image, pydicom's own test files, and files that were damaged."""

from __future__ import annotations

import random
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from cxrfeat.errors import BadImageError
from cxrfeat.image.container import probe
from cxrfeat.image.decode import decode, decode_opacity, decode_with_colour
from cxrfeat.image.dicom.grey import LINEAR_EXACT, Shown, Window, grey_of
from cxrfeat.image.dicom.header import read_header
from cxrfeat.image.dicom.image import decode_dicom, probe_dicom
from cxrfeat.image.dicom.stored import check_layout, stored_words
from tests.dicoms import BIG, DEFLATED, HTJ2K, IMPLICIT, J2K, JPEG, JPEG_12, LOSSLESS, LS, RLE, dicom, lut, pydicom

BUNDLED = Path(pydicom.__file__).parent / "data" / "test_files"


def ways(grey: NDArray[np.uint8]) -> Iterator[tuple[str, Callable[[], bytes]]]:
    """One image of 8 bits as a radiograph is written by different machines; only `JPEG` loses a level."""
    deep12 = np.rint(grey * (4095 / 255)).astype(np.uint16)
    deep16 = grey.astype(np.uint16) * 257
    below = (grey.astype(np.int16) * 100 - 12000).view(np.uint16)
    signed12 = (deep12.astype(np.int16) - 2048).view(np.uint16)
    table8 = np.rint(np.arange(4096) * (255 / 4095)).astype(np.uint8)
    table16 = np.rint(np.arange(4096) * (65535 / 4095)).astype("<u2")
    noise = np.random.default_rng(0).integers(0, 16, grey.shape).astype(np.uint16)
    inverse: dict[str, Any] = {"PhotometricInterpretation": "MONOCHROME1", "PresentationLUTShape": "INVERSE"}
    exact: dict[str, Any] = {"WindowCenter": "750", "WindowWidth": "25500", "VOILUTFunction": "LINEAR_EXACT"}
    linear: dict[str, Any] = {"RescaleSlope": "2", "RescaleIntercept": "-1024"}
    linear |= {"WindowCenter": ["3071.5", "1"], "WindowWidth": ["8191", "2"]}
    yield "8 bits", partial(dicom, grey)
    yield "MONOCHROME1", partial(dicom, 255 - grey, IMPLICIT, PhotometricInterpretation="MONOCHROME1")
    yield "12 bits", partial(dicom, deep12, stored=12)
    yield "16 bits, INVERSE", partial(dicom, 65535 - deep16, **inverse)
    yield "12 bits that are called 16", partial(dicom, deep12)
    yield "signed, windowed", partial(dicom, below, signed=True, **exact)
    yield "rescaled, two windows", partial(dicom, deep12, stored=12, **linear)
    yield "VOI LUT of bytes", partial(dicom, deep12, stored=12, VOILUTSequence=[lut(table8, 0, 8)])
    yield (
        "VOI LUT of 8 bits in words",
        partial(dicom, deep12, stored=12, VOILUTSequence=[lut(table8.astype("<u2"), 0, 8)]),
    )
    yield (
        "signed, VOI LUT",
        partial(dicom, signed12 & 4095, stored=12, signed=True, VOILUTSequence=[lut(table16, -2048, 16, signed=True)]),
    )
    yield "big-endian", partial(dicom, deep12, BIG, stored=12)
    yield "big-endian bytes in words", partial(dicom, grey, BIG)
    yield "deflated", partial(dicom, deep12, DEFLATED, stored=12)
    yield "no preamble", partial(dicom, deep12, IMPLICIT, stored=12, preamble=False)
    yield "high bit 15", partial(dicom, (deep12 << 4) | noise, stored=12, high=15)
    yield "unused bits", partial(dicom, deep12 | (noise << 12), stored=12)
    yield "RLE", partial(dicom, deep16, RLE)
    yield "RLE of bytes", partial(dicom, grey, RLE)
    yield "JPEG 2000", partial(dicom, deep12, J2K, stored=12)
    yield "JPEG 2000, signed", partial(dicom, below, J2K, signed=True, **exact)
    yield "HTJ2K", partial(dicom, deep12, HTJ2K, stored=12)
    yield "JPEG-LS", partial(dicom, deep12, LS, stored=12)
    yield "JPEG Lossless", partial(dicom, deep12, LOSSLESS, stored=12)
    yield "JPEG of 12 bits", partial(dicom, deep12, JPEG_12, stored=12)
    yield "JPEG", partial(dicom, grey, JPEG)


def assert_same_in_all_ways(grey: NDArray[np.uint8]) -> None:
    for name, write in ways(grey):
        content = write()
        header, found = probe(content, ".dcm"), decode(content)
        assert (header.format, header.width, header.height) == ("DICOM", grey.shape[1], grey.shape[0])
        assert found.dtype == (np.float32 if name == "JPEG of 12 bits" else np.uint8), name
        apart = np.abs(found.astype(np.float64) - grey).max()
        assert apart <= {"JPEG": 12, "JPEG of 12 bits": 0.51}.get(name, 0), f"{name}: {apart} levels"


def phantom() -> NDArray[np.uint8]:
    y, x = np.mgrid[:233, :301]
    noise = np.random.default_rng(0).normal(0, 5, (233, 301))
    image: NDArray[np.float64] = (128 + 110 * np.sin(x / 30) * np.cos(y / 20) + noise).clip(0, 255)
    return np.rint(image).astype(np.uint8)


def test_one_image_written_in_25_ways_is_one_image() -> None:
    assert_same_in_all_ways(phantom())


def real_images(shared: Path) -> list[Path]:
    images = sorted((shared / "data" / "cxr-raw").rglob("*"))
    return [path for path in images if path.suffix.lower() in (".png", ".jpg", ".jpeg", ".webp")]


def as_bytes(path: Path) -> NDArray[np.uint8]:
    return np.rint(decode(path.read_bytes())).astype(np.uint8)


@pytest.mark.slow
def test_real_images_are_the_same_in_all_ways(shared: Path) -> None:
    for path in real_images(shared)[::50]:
        assert_same_in_all_ways(np.ascontiguousarray(as_bytes(path)[::3, ::3]))


@pytest.mark.slow
def test_all_real_images_are_the_same_in_all_ways(shared: Path) -> None:
    images = real_images(shared)
    assert len(images) == 120
    for path in images:
        assert_same_in_all_ways(as_bytes(path))


def test_the_mode_says_how_grey_was_made() -> None:
    modes = {name: probe(write(), ".dcm").mode for name, write in ways(phantom())}
    assert modes["rescaled, two windows"] == "DX, MONOCHROME2, uncompressed, window 1 of 2"
    assert modes["16 bits, INVERSE"] == "DX, MONOCHROME1, uncompressed, whole range"
    assert modes["signed, VOI LUT"] == "DX, MONOCHROME2, uncompressed, VOI LUT"
    assert modes["JPEG 2000, signed"] == "DX, MONOCHROME2, JPEG 2000 lossless, window (LINEAR_EXACT)"


def test_a_dicom_is_grey_and_opaque() -> None:
    content = dicom(phantom())
    grey, colour = decode_with_colour(content)
    np.testing.assert_array_equal(grey, phantom())
    assert colour == 0
    assert (decode_opacity(content) == np.full((233, 301), 255)).all()


@pytest.mark.parametrize(("rows", "columns", "why"), [(31, 40, "too small"), (65535, 65535, "megapixels")])
def test_absurd_sizes_are_refused_unread(rows: int, columns: int, why: str) -> None:
    content = dicom(phantom(), Rows=rows, Columns=columns)
    for read in (decode_dicom, lambda content: probe_dicom(content, "")):
        with pytest.raises(BadImageError, match=f"header: .*{why}"):
            read(content)


def bundled() -> list[Path]:
    """pydicom's own files that come with the package, one image each; those of colour and of reports too."""
    return [path for path in sorted(BUNDLED.rglob("*")) if path.is_file() and path.suffix in ("", ".dcm")]


def test_pydicoms_own_files_are_read_as_simpleitk_reads_them_or_refused() -> None:
    """SimpleITK turns MONOCHROME1 round and applies the rescale; it knows no windows, so these are left out."""
    sitk = pytest.importorskip("SimpleITK", reason="SimpleITK is not installed: pip install 'cxrfeat[dev]'")
    read, refused = 0, 0
    for path in bundled():
        content = path.read_bytes()
        try:
            header = read_header(content)
            assert header.layout is not None or header.pixels is None
            if header.layout is None or header.frames != 1:
                continue
            check_layout(header.layout)
            words = stored_words(header.layout, *header.pixels)  # type: ignore[misc]  # it has pixels
        except BadImageError:
            refused += 1
            continue
        layout, shown = header.layout, header.shown
        image = sitk.GetArrayFromImage(sitk.ReadImage(str(path)))[0].astype(np.float64)
        image = (image - shown.intercept) / shown.slope
        low = -(2 ** (layout.stored - 1)) if layout.signed else 0
        expected = (image - low) / (2**layout.stored - 1) * 255
        # A window as wide as the bits are gives the stored values back.
        whole = Window(low + 2 ** (layout.stored - 1) - 0.5, 2**layout.stored - 1, LINEAR_EXACT)
        found = grey_of(words, layout, Shown(photometric=shown.photometric, windows=(whole,)))
        assert np.abs(found - expected).max() <= 0.51, path.name
        read += 1
    assert read >= 45
    assert refused >= 20


def test_what_is_read_of_pydicoms_own_files_is_what_pydicom_reads() -> None:
    names = {
        "modality": "Modality",
        "patient": "PatientID",
        "study": "StudyInstanceUID",
        "sex": "PatientSex",
        "age": "PatientAge",
        "study_date": "StudyDate",
        "view_position": "ViewPosition",
        "accession": "AccessionNumber",
        "sop_instance": "SOPInstanceUID",
        "body_part": "BodyPartExamined",
    }
    compared = 0
    for path in bundled():
        try:
            about = read_header(path.read_bytes()).about
        except BadImageError:
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            dataset = pydicom.dcmread(path, force=True, stop_before_pixels=True)
            for name, keyword in names.items():
                found = str(getattr(about, name))
                assert found.upper() == str(dataset.get(keyword) or "").strip().upper(), (path.name, name)
        compared += 1
    assert compared >= 120


def mutated(content: bytes, draw: random.Random) -> bytes:
    """A file with some of what disks, networks and enemies do to one."""
    changed = bytearray(content)
    for _ in range(draw.choice((1, 1, 2, 5, 20))):
        what, at = draw.randrange(7), draw.randrange(len(changed))
        if draw.random() < 0.6:  # where the header is
            at = draw.randrange(min(len(changed), 1600))
        if what == 0:
            changed[at] ^= 1 << draw.randrange(8)
        elif what == 1:
            changed[at] = draw.choice((0, 1, 0x7F, 0x80, 0xFF))
        elif what == 2:
            changed[at : at + 4] = draw.choice((bytes(4), b"\xff" * 4, b"\xff\xff\xff\x7f", draw.randbytes(4)))
        elif what == 3:
            del changed[at : at + draw.randrange(1, 64)]
        elif what == 4:
            changed[at:at] = draw.randbytes(draw.randrange(1, 64))
        elif what == 5:
            changed[at : at + 40] = changed[:40][::-1]
        elif len(changed) > 400:
            del changed[draw.randrange(200, len(changed)) :]
    return bytes(changed)


def outcome(content: bytes) -> str:
    """What becomes of a file: the same thing each time, and nothing but an image or a reason."""
    try:
        header = probe(content, ".dcm")
    except BadImageError as error:
        return str(error)
    try:
        grey = decode(content)
    except BadImageError as error:
        return str(error)
    assert grey.shape == (header.height, header.width)
    assert np.isfinite(grey).all()
    assert 0 <= grey.min() <= grey.max() <= 255
    return "read"


def assert_mutations_end_well(count: int) -> None:
    small = phantom()[:96, :128]
    files = [write() for _, write in ways(small)]
    draw = random.Random(18)
    contents = [mutated(files[number % len(files)], draw) for number in range(count)]
    began = time.monotonic()
    told = [outcome(content) for content in contents]
    assert time.monotonic() - began < 0.05 * count + 5
    with ThreadPoolExecutor(2) as pool:  # quarantine does not depend on who else reads
        assert list(pool.map(outcome, contents)) == told
    reasons = {text for text in told if text != "read"}
    assert 0.1 * count < told.count("read") < 0.9 * count
    assert all(text.partition(":")[0] in ("header", "decode") and text.isprintable() for text in reasons)


def test_100_damaged_files_end_as_images_or_reasons() -> None:
    assert_mutations_end_well(100)


@pytest.mark.slow
def test_1000_damaged_files_end_as_images_or_reasons_in_bounded_memory() -> None:
    import resource

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert_mutations_end_well(1000)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 600_000  # kB
