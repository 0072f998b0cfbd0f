#!/usr/bin/env bash
# Decoding JPEG 2000 through pydicom holds Python's interpreter lock for the whole frame, with pylibjpeg-openjpeg 2.6.0 and
# with Pillow alike; so threads that decode an archive gain nothing, and everything else in the process stands still.
# imagecodecs decodes the same frame, by the same OpenJPEG, without the lock.
#
# Seen on 2026-11-28 with Python 3.11 and pydicom 3.0.2 (x86-64 Linux): of the turns that a counting thread makes beside a
# frame of 1500 x 1200 pixels, 12 bits, hardly any by pydicom, most by imagecodecs. This script fails once that changes.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip --quiet --disable-pip-version-check install pydicom==3.0.2 numpy==2.4.6 pylibjpeg==2.1.0 \
  pylibjpeg-openjpeg==2.6.0 pillow==13.0.0 imagecodecs==2026.3.6
"$work/venv/bin/python" - <<'P'
import sys
import threading
import time

import imagecodecs
import numpy as np
import pydicom
from pydicom.encaps import encapsulate
from pydicom.pixels import pixel_array

y, x = np.mgrid[:1500, :1200]
noise = np.random.default_rng(0).normal(0, 8, y.shape)
image = (2000 + 1500 * np.sin(x / 90) * np.cos(y / 70) + noise).clip(0, 4095).astype(np.uint16)
frame = imagecodecs.jpeg2k_encode(image, codecformat="j2k", reversible=True, bitspersample=12)
dataset = pydicom.Dataset()
dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
dataset.Rows, dataset.Columns = image.shape
dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 12, 11, 0
dataset.PixelData = encapsulate([frame])
dataset["PixelData"].VR = "OB"
dataset.file_meta = pydicom.dataset.FileMetaDataset()
dataset.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.90"


def longest_pause(work):
    """The longest time in which another thread gets no turn, as part of the time that the work takes."""
    pauses, done = [0.0], threading.Event()

    def turn():
        last = time.perf_counter()
        while not done.is_set():
            time.sleep(0.001)
            now = time.perf_counter()
            pauses.append(now - last)
            last = now

    thread = threading.Thread(target=turn)
    thread.start()
    time.sleep(0.05)
    start = time.perf_counter()
    found = work()
    seconds = time.perf_counter() - start
    done.set()
    thread.join()
    assert (found == image).all()
    return max(pauses) / seconds


ways = {
    "pydicom, pylibjpeg": lambda: pixel_array(dataset, decoding_plugin="pylibjpeg"),
    "pydicom, pillow": lambda: pixel_array(dataset, decoding_plugin="pillow"),
    "imagecodecs": lambda: imagecodecs.jpeg2k_decode(frame),
}
print("Python", sys.version.split()[0], "pydicom", pydicom.__version__)
found = {name: sorted(longest_pause(work) for _ in range(5))[2] for name, work in ways.items()}
for name, share in found.items():
    print(f"{name:20} another thread stands still for {share:5.0%} of the frame")
assert found["pydicom, pylibjpeg"] > 0.7 and found["pydicom, pillow"] > 0.7 and found["imagecodecs"] < 0.5
print("as described")
P
