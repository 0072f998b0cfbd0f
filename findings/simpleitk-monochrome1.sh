#!/usr/bin/env bash
# SimpleITK 2.5.7 turns MONOCHROME1 round while it reads a DICOM file, before the rescale slope, and its metadata still
# say MONOCHROME1. Who turns it round again by that tag, as is right with other readers, gets a negative.
#
# Seen on 2026-11-28 with Python 3.11 (x86-64 Linux), pydicom 3.0.2 beside it: stored values 0, 1000, 4095 of 12 bits with
# slope 2 and intercept -100 read as 8090, 6090, -100 = 2 * (4095 - stored) - 100. This script fails once that changes.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip --quiet --disable-pip-version-check install pydicom==3.0.2 numpy==2.4.6 SimpleITK==2.5.7
"$work/venv/bin/python" - "$work/one.dcm" <<'P'
import sys

import numpy as np
import pydicom
import SimpleITK as sitk

print("SimpleITK", sitk.Version.VersionString())
stored = np.array([[0, 1000], [2000, 4095]], np.uint16)
dataset = pydicom.Dataset()
dataset.SOPClassUID, dataset.SOPInstanceUID, dataset.Modality = "1.2.840.10008.5.1.4.1.1.1.1", "1.2.3.4", "DX"
dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME1"
dataset.Rows, dataset.Columns = stored.shape
dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 12, 11, 0
dataset.RescaleSlope, dataset.RescaleIntercept, dataset.RescaleType = "2", "-100", "US"
dataset.PixelData = stored.tobytes()
dataset["PixelData"].VR = "OW"
dataset.file_meta = pydicom.dataset.FileMetaDataset()
dataset.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
pydicom.dcmwrite(sys.argv[1], dataset, enforce_file_format=True)
image = sitk.ReadImage(sys.argv[1])
found = sitk.GetArrayFromImage(image).squeeze().astype(int)
said = image.GetMetaData("0028|0004").strip()
print("stored", stored.ravel().tolist(), "read", found.ravel().tolist(), "and it says", said)
assert (pydicom.dcmread(sys.argv[1]).pixel_array == stored).all()
assert (found == 2 * (4095 - stored.astype(int)) - 100).all() and said == "MONOCHROME1", "the behaviour changed"
print("as described")
P
