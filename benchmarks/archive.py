"""What would a whole public archive take, on machines from two cores to eight GPUs, and what is in its way?

On paper: MIMIC-CXR's 377,110 images, eight views of each, five networks. How long an image of its size takes to be
read, decoded, looked at and made into views of 224 and of 299 px is measured here, as DICOM and as JPEG; how many views
a second the networks take is in `RATES`, from the tables of `benchmarks/README.md`. The rest is arithmetic: each image
is prepared once for all networks; on a CPU preparing and networks want the same cores, with a GPU they go on at the
same time and the slower one decides.

    python -m benchmarks.archive --json archive.json
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.common import alternate, options, publish, scratch
from benchmarks.dicom import radiograph, written
from benchmarks.feed import feed
from cxrfeat.backbone.table import TABLE
from cxrfeat.image.dicom.grey import KERNEL
from cxrfeat.spec import ViewSpec
from cxrfeat.system.process import threads
from cxrfeat.view.prepare import ImageFile, Wanted

IMAGES, VIEWS = 377_110, 8
HEIGHT, WIDTH = 2750, 2270
"""The mean size: its 4.7 TB of DICOM are 12.5 MB an image, two bytes a pixel."""

RATES: Mapping[str, Mapping[str, float]] = {
    "2 cores": {"densenet121": 34.5, "resnet50": 28.0, "vgg16": 6.89, "inceptionv3": 16.0, "xception": 10.4},
    "H100": {"densenet121": 3532, "resnet50": 3444, "vgg16": 1290, "inceptionv3": 1106, "xception": 921},
}
"""Views per second of the engine in float32: OpenVINO on two cores of an AMD EPYC (AVX-512), and JAX on one H100 that
draws the views. The last two of the H100 are an H200's, which waited for its views then: it is not slower than that."""

DISK = 1e9
"""Bytes per second that a disk or a network gives and takes: assumed, not measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """Machines that share the work."""

    name: str
    cores: int
    """Of all of them together."""
    gpus: int = 0

    @property
    def network_seconds(self) -> float:
        """All views through all networks, nothing else in the way."""
        rates = RATES["H100" if self.gpus else "2 cores"]
        return IMAGES * VIEWS * sum(1 / rate for rate in rates.values()) / (self.gpus or self.cores / 2)

    def seconds(self, core_seconds: float) -> float:
        """The whole of it.

        Args:
            core_seconds: What preparing one image takes of one core.
        """
        images = IMAGES * core_seconds / self.cores
        return max(images, self.network_seconds) if self.gpus else images + self.network_seconds

    def limit(self, core_seconds: float) -> str:
        """What decides how long it takes."""
        return "images" if IMAGES * core_seconds / self.cores > self.network_seconds else "networks"


SETUPS = (
    Setup(name="2 cores", cores=2),
    Setup(name="32 nodes of 2 cores", cores=64),
    Setup(name="32 nodes of 32 cores", cores=1024),
    Setup(name="one H100, 16 cores", cores=16, gpus=1),
    Setup(name="eight H100, 128 cores", cores=128, gpus=8),
)


def file_gigabytes() -> float:
    """What the features of all networks take on a disk."""
    return IMAGES * VIEWS * sum(TABLE[name].dim for name in RATES["2 cores"]) * 4 / 1e9


def files_of(folder: Path, height: int, count: int) -> dict[str, list[ImageFile]]:
    """One radiograph in both formats, each so many times."""
    image = radiograph(height, height * WIDTH // HEIGHT)
    jpeg = io.BytesIO()
    grain = np.random.default_rng(1).normal(0, 2.5, image.shape)  # with it a file has the 1.5 MB of a real one
    Image.fromarray((image / 16 + grain).clip(0, 255).astype(np.uint8)).save(jpeg, "JPEG", quality=95)
    contents = {"DICOM": (".dcm", written(image, "uncompressed")), "JPEG": (".jpg", jpeg.getvalue())}
    found = {}
    for name, (suffix, content) in contents.items():
        place = folder / f"image{suffix}"
        place.write_bytes(content)
        found[name] = [ImageFile(path=place, content_sha256=sha256(content).hexdigest())] * count
    return found


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    """Measure, reckon, print, and return the document."""
    parser = options(__doc__)
    parser.add_argument("--images", type=int, default=40, help="prepared in a measurement (default: 40)")
    parser.add_argument("--height", type=int, default=HEIGHT, help="of an image; its width follows")
    given = parser.parse_args(arguments)
    KERNEL.load()
    views = tuple(ViewSpec(size=size, count=VIEWS) for size in (224, 299))
    wanted = Wanted(look=True, views=views)
    with scratch() as folder:
        files = files_of(folder, given.height, given.images)
        megabytes = {name: each[0].path.stat().st_size / 1e6 for name, each in files.items()}
        candidates = {name: partial(feed, each, wanted, threads()) for name, each in files.items()}
        found = alternate(candidates, repeats=given.repeats, what="archive")
    rows: list[dict[str, Any]] = []
    lines: list[list[str]] = []
    for name, spread in found.items():
        each = threads() / spread.median
        for setup in SETUPS:
            seconds = setup.seconds(each)
            row: dict[str, Any] = {
                "format": name,
                "setup": setup.name,
                "core_seconds_an_image": each,
                "images_hours": IMAGES * each / setup.cores / 3600,
                "networks_hours": setup.network_seconds / 3600,
                "hours": seconds / 3600,
                "core_hours": setup.cores * seconds / 3600,
                "gpu_hours": setup.gpus * seconds / 3600,
                "limit": setup.limit(each),
                "read_gigabytes_per_second": IMAGES * megabytes[name] / 1e3 / seconds,
            }
            rows.append(row)
            lines.append([
                name, setup.name, f"{row['images_hours']:.2f}", f"{row['networks_hours']:.2f}", f"{row['hours']:.2f}",
                row["limit"], f"{row['core_hours']:.0f}", f"{row['gpu_hours']:.1f}",
                f"{row['read_gigabytes_per_second']:.3f}",
            ])  # fmt: skip
    notes = [
        *(
            f"{name}: {spread} images/s by {threads()} threads, {megabytes[name]:.1f} MB a file."
            for name, spread in found.items()
        ),
        f"The five feature files hold {file_gigabytes():.0f} GB: written as shards, read, written as files and read "
        f"back, {4 * file_gigabytes() * 1e9 / DISK / 60:.0f} minutes of a disk of {DISK / 1e9:g} GB/s, by one machine.",
    ]
    header = ["format", "machines", "images, h", "networks, h", "together, h", "limit", "core h", "GPU h", "GB/s read"]
    return publish("archive", arguments, header, lines, rows=rows, notes=notes, place=given.json)


if __name__ == "__main__":
    main()
