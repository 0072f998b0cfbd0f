"""How fast are the headers of an archive read, and how fast are DICOM files decoded, against pydicom's `pixel_array`?

Headers: files of some 130 elements with sequences, read as `cxrfeat index` reads them before it chooses. Decoding: a
radiograph of 12 bits in several transfer syntaxes, and one of 8, from bytes in memory to grey values, window included;
beside it pydicom's stored values alone, by whatever plugins are installed, with and without its reading of the header.
A thread decodes one file after the other, and keeps none, as `cxrfeat extract` does.

    python -m benchmarks.dicom --json dicom.json
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate

from benchmarks.common import alternate, options, publish, say, scratch, seconds_of
from cxrfeat.image.decode import decode
from cxrfeat.image.dicom.grey import KERNEL
from cxrfeat.image.dicom.tree import read_radiographs
from cxrfeat.image.layout import find_layout
from cxrfeat.system.process import threads

HEIGHT, WIDTH = 2500, 2048
SYNTAXES = {"uncompressed": "1.2.840.10008.1.2.1", "RLE": "1.2.840.10008.1.2.5", "JPEG 2000": "1.2.840.10008.1.2.4.90"}
EIGHT = "uncompressed, 8 bits"


def radiograph(height: int, width: int) -> NDArray[np.uint16]:
    """Smooth with the noise of a detector, 12 bits."""
    y, x = np.mgrid[:height, :width]
    noise = np.random.default_rng(0).normal(0, 3, (height, width))
    image: NDArray[np.float64] = 2000 + 1500 * np.sin(x / 300) * np.cos(y / 200) + noise
    return image.clip(0, 4095).astype(np.uint16)


def written(image: NDArray[np.uint16] | NDArray[np.uint8], syntax: str, number: int = 0) -> bytes:
    """A DX file with the elements that machines write."""
    bits = 12 if image.dtype == np.uint16 else 8
    dataset = Dataset()
    texts = {
        "ImageType": ["ORIGINAL", "PRIMARY"], "SOPClassUID": "1.2.840.10008.5.1.4.1.1.1.1", "StudyDate": "20200131",
        "SOPInstanceUID": f"1.2.3.{number}", "StudyInstanceUID": f"1.2.4.{number}", "SeriesInstanceUID": "1.2.5",
        "AccessionNumber": "A1", "Modality": "DX", "PresentationIntentType": "FOR PRESENTATION", "Manufacturer": "X",
        "PatientName": "A^B", "PatientID": f"P{number}", "PatientBirthDate": "19500101", "PatientSex": "M",
        "PatientAge": "070Y", "BodyPartExamined": "CHEST", "KVP": "120", "ViewPosition": "PA", "StudyID": "1",
        "PatientOrientation": ["L", "F"], "PhotometricInterpretation": "MONOCHROME2",
        "WindowCenter": [str(2**bits // 2), "100"], "WindowWidth": [str(2**bits), "200"], "BurnedInAnnotation": "NO",
        "RescaleIntercept": "0", "RescaleSlope": "1", "PresentationLUTShape": "IDENTITY", "LossyImageCompression": "00",
    }  # fmt: skip
    numbers = {
        "SamplesPerPixel": 1, "Rows": image.shape[0], "Columns": image.shape[1], "BitsAllocated": 8 * image.itemsize,
        "BitsStored": bits, "HighBit": bits - 1, "PixelRepresentation": 0,
    }  # fmt: skip
    for name, value in (texts | numbers).items():
        setattr(dataset, name, value)
    dataset.add_new((0x0019, 0x0010), "LO", "MAKER")
    for place in range(70):
        dataset.add_new((0x0019, 0x1000 + place), "LO" if place % 2 else "DS", "12.5")
    for name in ("ViewCodeSequence", "AnatomicRegionSequence", "ProcedureCodeSequence", "RequestAttributesSequence"):
        code = Dataset()
        code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "R-10214", "SNM3", "postero-anterior"
        setattr(dataset, name, [code])
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.UID(SYNTAXES[syntax])
    if syntax == "uncompressed":
        dataset.PixelData = image.astype(f"<u{image.itemsize}").tobytes()
    elif syntax == "RLE":
        dataset.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
        dataset.compress(SYNTAXES["RLE"], image, encoding_plugin="pydicom")
    else:
        dataset.PixelData = encapsulate([bytes(imagecodecs.jpeg2k_encode(image, codecformat="j2k", bitspersample=12))])
    dataset["PixelData"].VR = "OW" if syntax == "uncompressed" else "OB"
    file = io.BytesIO()
    pydicom.dcmwrite(file, dataset, enforce_file_format=True)
    return file.getvalue()


def rate(work: Callable[[bytes], object], content: bytes, workers: int, count: int) -> float:
    """Images per second of some threads, each of which drops one before it makes the next."""

    def one_by_one(each: int) -> None:
        for _ in range(each):
            work(content)

    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(one_by_one, [1] * workers))
        seconds = seconds_of(lambda: list(pool.map(one_by_one, [count] * workers)))
        return workers * count / seconds


def with_pydicom(content: bytes) -> object:
    """Header and stored values."""
    return pydicom.dcmread(io.BytesIO(content)).pixel_array


def pixel_array_alone(content: bytes, count: int) -> float:
    """Images per second of `pixel_array`, each of a file whose header was read before."""
    seconds = 0.0
    for _ in range(count):
        dataset = pydicom.dcmread(io.BytesIO(content))
        start = time.perf_counter()
        dataset.pixel_array  # noqa: B018  # a property that works
        seconds += time.perf_counter() - start
        del dataset
    return count / seconds


def headers(root: Path, paths: Sequence[str]) -> float:
    """Headers per second."""
    start = time.perf_counter()
    assert len(read_radiographs(root, paths, ()).columns) == len(paths)
    return len(paths) / (time.perf_counter() - start)


def layouts(root: Path, count: int) -> float:
    """Files per second until it is known which images a folder holds, and what they are."""
    start = time.perf_counter()
    assert len(find_layout(root).entries) == count
    return count / (time.perf_counter() - start)


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    """Measure, print, and return the document."""
    parser = options(__doc__)
    parser.add_argument("--files", type=int, default=2000, help="of the archive (default: 2000)")
    parser.add_argument("--images", type=int, default=40, help="decoded in a measurement (default: 40)")
    parser.add_argument("--height", type=int, default=HEIGHT, help="of a radiograph; its width follows")
    given = parser.parse_args(arguments)
    KERNEL.load()
    image = radiograph(given.height, given.height * WIDTH // HEIGHT)
    with scratch() as folder:
        root = folder / "archive"
        small = image[:64, :64]
        paths = [f"{'AB'[number % 2]}/{number // 100}/{number}.dcm" for number in range(given.files)]
        say(f"writing {len(paths)} files")
        for number, path in enumerate(paths):
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_bytes(written(np.ascontiguousarray(small), "uncompressed", number))
        candidates: dict[str, Callable[[], float]] = {
            "headers": partial(headers, root, paths),
            "headers, folders and classes": partial(layouts, root, len(paths)),
        }
        contents = {syntax: written(image, syntax) for syntax in SYNTAXES}
        contents[EIGHT] = written((image >> 4).astype(np.uint8), "uncompressed")
        for syntax, content in contents.items():
            count = given.images if syntax in ("uncompressed", EIGHT) else max(2, given.images // 4)
            candidates[f"{syntax}: pydicom, pixel_array alone"] = partial(pixel_array_alone, content, count)
            for workers in sorted({1, threads()}):
                with_workers = f"{workers} thread{'s' if workers > 1 else ''}"
                candidates[f"{syntax}: pydicom, {with_workers}"] = partial(rate, with_pydicom, content, workers, count)
                candidates[f"{syntax}: cxrfeat, {with_workers}"] = partial(rate, decode, content, workers, count)
        found = alternate(candidates, repeats=given.repeats, what="dicom")
    alone = {syntax: found[f"{syntax}: pydicom, pixel_array alone"] for syntax in contents}
    rows, lines = [], []
    for name, spread in found.items():
        against = spread.over(alone[name.partition(":")[0]]) if ": cxrfeat" in name else None
        rows.append({"what": name, "per_second": spread.to_dict(), "over_pixel_array": against and against.median})
        lines.append([name, str(spread), "" if against is None else str(against)])
    return publish(
        "dicom", arguments, ["what", "files/s", "over pixel_array alone"], lines, rows=rows, place=given.json
    )  # fmt: skip


if __name__ == "__main__":
    main()
