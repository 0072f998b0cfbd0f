#!/usr/bin/env bash
# imageio 2.38.1's own DICOM reader gives negative numbers for the brighter half of an unsigned image of 16 (or 8) bits,
# if the file has Rescale Slope and Intercept, even 1 and 0: white bone becomes blacker than air.
#
# Seen on 2026-11-28 with Python 3.11 and NumPy 2.4.6 (x86-64 Linux): 40000 reads as -25536; without the two elements as
# 40000. This script fails once the behaviour is another.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip --quiet --disable-pip-version-check install imageio==2.38.1 pydicom==3.0.2 numpy==2.4.6
"$work/venv/bin/python" - "$work" <<'P'
import sys

import imageio
import imageio.v2
import numpy as np
import pydicom

print("imageio", imageio.__version__)
stored = np.array([[0, 30000], [40000, 65535]], np.uint16)
found = {}
for rescaled in (False, True):
    dataset = pydicom.Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID, dataset.Modality = "1.2.840.10008.5.1.4.1.1.1.1", "1.2.3.4", "DX"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = "1.2.3.5", "1.2.3.6"
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.Rows, dataset.Columns = stored.shape
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 16, 15, 0
    if rescaled:
        dataset.RescaleSlope, dataset.RescaleIntercept = "1", "0"
    dataset.PixelData = stored.tobytes()
    dataset["PixelData"].VR = "OW"
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
    path = f"{sys.argv[1]}/{rescaled}.dcm"
    pydicom.dcmwrite(path, dataset, enforce_file_format=True)
    assert (pydicom.dcmread(path).pixel_array == stored).all()
    found[rescaled] = np.asarray(imageio.v2.imread(path, format="DICOM")).astype(int)
    print("with" if rescaled else "without", "rescale:", found[rescaled].ravel().tolist())
assert (found[False] == stored).all() and (found[True] == stored.astype(np.int16)).all(), "the behaviour changed"
print("as described")
P
