"""Extracts a data set of any size that is not there, and says what it took: `python -m tests.feature.large N FOLDER`.

The plan, the shards, the features and the file are real; the images are one small picture under `N` content hashes,
and the network is a stub with a fixed cost per batch.
"""

from __future__ import annotations

import hashlib
import json
import resource
import sys
import time
from pathlib import Path

import numpy as np

from cxrfeat.backbone.network import Network
from cxrfeat.feature.extract import extract_features
from cxrfeat.feature.task import Computing
from cxrfeat.image.appearance import look
from cxrfeat.image.row import Header, ImageRow, Manifest
from cxrfeat.spec import FeatureSpec
from cxrfeat.types import Features, Views
from cxrfeat.view import stream
from cxrfeat.view.prepare import ImageFile, Prepared, Wanted
from tests.feature.images import SALT
from tests.image.encode import ramp
from tests.stub import stub_request

DIM = 64
VIEWS = 8


class Wide:
    """As many numbers per view as `DIM`, and a pause per batch."""

    name = "wide"
    dim = DIM

    def __init__(self, batch: int, pause: float) -> None:
        self.batch, self._pause = batch, pause

    def run(self, views: Views) -> Features:
        time.sleep(self._pause)
        features: Features = np.repeat(views[:, 0, :8].astype(np.float32), DIM // 8, axis=1)
        return features


def made_up(images: int) -> Manifest:
    header = Header(format="PNG", suffix=".png", width=48, height=40, bits=8, mode="L", file_bytes=2000)
    rows = (
        ImageRow(
            path=f"{'AB'[number % 2]}/{number:06d}.png",
            label="AB"[number % 2],
            content_sha256=hashlib.sha256(b"%d" % number).hexdigest(),
            header=header,
            patient=f"p{number // 3}",
        )
        for number in range(images)
    )
    return Manifest(
        dataset="large", root=Path(), rows=tuple(sorted(rows, key=lambda row: row.path)), classes=("A", "B")
    )


def measure(images: int, folder: Path, pause: float = 0.0) -> dict[str, float]:
    """Seconds, and the peak of memory in MB, of one extraction and of one that finds all of it done."""
    seen = look(ramp())

    def prepare(file: ImageFile, wanted: Wanted) -> Prepared:
        assert file.content_sha256 is not None
        first = np.frombuffer(bytes.fromhex(file.content_sha256), np.uint8)
        views = {spec: np.resize(first, (spec.count, spec.size, spec.size)) for spec in wanted.views}
        return Prepared(content_sha256=file.content_sha256, shape=(40, 48), views=views, look=seen)

    def make_engine(network: Network, spec: FeatureSpec, batch: int, threads: int) -> Wide:
        return Wide(batch, pause)

    stream.prepare = prepare  # type: ignore[attr-defined]  # where it is used
    manifest = made_up(images)
    took = {}
    for name in ("fresh", "again"):
        start = time.perf_counter()
        extract_features(
            manifest, [stub_request(views=VIEWS)], features=folder, identity=SALT,
            computing=Computing("wide", make_engine),
        )  # fmt: skip
        took[name] = time.perf_counter() - start
        took[f"{name}_peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return took


if __name__ == "__main__":
    print(json.dumps(measure(int(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3]))))
