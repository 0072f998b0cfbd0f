#!/usr/bin/env bash
# highdicom 0.28.2's `get_stored_frame` hands over whole words: what a file has above Bits Stored (overlays of old files,
# say) stays in them, and signed values are not sign-extended. `pixel_array` of the very same image, pydicom's, does both.
#
# Seen on 2026-11-28 with Python 3.11 and pydicom 3.0.2 (x86-64 Linux). PS3.5, 8.1.1, allows other bits there; they are
# no part of the value. This script fails once the behaviour is another.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip --quiet --disable-pip-version-check install highdicom==0.28.2 pydicom==3.0.2 numpy==2.4.6
"$work/venv/bin/python" - "$work/one.dcm" <<'P'
import sys

import highdicom
import numpy as np
import pydicom

print("highdicom", highdicom.__version__)
values = np.array([[-2048, -1], [0, 2047]], np.int16)
words = (values.view(np.uint16) & 0x0FFF) | np.array([[0x1000, 0], [0x8000, 0xF000]], np.uint16)
dataset = pydicom.Dataset()
dataset.SOPClassUID, dataset.SOPInstanceUID, dataset.Modality = "1.2.840.10008.5.1.4.1.1.1.1", "1.2.3.4", "DX"
dataset.StudyInstanceUID, dataset.SeriesInstanceUID = "1.2.3.5", "1.2.3.6"
dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
dataset.Rows, dataset.Columns = words.shape
dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 12, 11, 1
dataset.PixelData = words.tobytes()
dataset["PixelData"].VR = "OW"
dataset.file_meta = pydicom.dataset.FileMetaDataset()
dataset.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
pydicom.dcmwrite(sys.argv[1], dataset, enforce_file_format=True)
image = highdicom.imread(sys.argv[1])
frame, array = image.get_stored_frame(1), image.pixel_array
print("values", values.ravel().tolist(), "get_stored_frame", frame.ravel().tolist(), "pixel_array", array.ravel().tolist())
assert (array == values).all()
assert (frame.astype(np.int64) & 0xFFFF == words).all() and (frame != values).any(), "the behaviour changed"
print("as described")
P
