"""What do data sets of a million images take beside the network: each stage, its time and its memory?

Each stage runs in an interpreter of its own, so that its peak of memory is its own; what the images are (made up, one
row for each) is there before its clock starts, and what that takes of memory is told. But for `index`, which reads
files, nothing is an image file: the shards are written as an extraction writes them, with features of noise, and with
portraits in which there are few copies: blends of those of real X-rays, where some are given. `files` and `shards` only
prepare.

- index: a folder of PNG files of 32 x 32 pixels read, each file once;
- claim: the data set's name among those of the features folder, and its manifest written;
- plan: which images no file and no shard has, cut into shards;
- record: both again, as by every later extraction: the manifest read, compared and brought up to date;
- resume: the plan once all shards lie there, so that each of them is found;
- copies: all portraits read from the shards, and each held against each;
- build: the feature file of the shards, read back and checked;
- verify: what `cxrfeat verify` does without images;
- split: the file opened, and parted by groups;
- audit: the short audit of file and split, as before every head.

    python -m benchmarks.rows --rows 100000 --rows 1000000 --data DATA --json rows.json
"""

from __future__ import annotations

import hashlib
import io
import resource
import struct
import time
import zlib
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import fresh_process, options, publish, say, scratch
from benchmarks.portraits import Portraits, real_portraits
from benchmarks.scale import peak
from cxrfeat.backbone.network import FILE, Network
from cxrfeat.feature.claim import Claim, claim_name
from cxrfeat.feature.file import FeatureFile
from cxrfeat.feature.paths import Paths
from cxrfeat.feature.request import Request, feature_path
from cxrfeat.feature.shard import FEATURES, Shard, row_crc32, shard_bytes
from cxrfeat.feature.store import verify_features
from cxrfeat.feature.task import Computing, Task, begin
from cxrfeat.feature.work import Work
from cxrfeat.image.decode import decoders
from cxrfeat.image.group import group
from cxrfeat.image.identity import Identity
from cxrfeat.image.index import index_folder
from cxrfeat.image.row import Header, ImageRow, ImageRows, Manifest
from cxrfeat.spec import FeatureSpec, ViewSpec
from cxrfeat.types import Groups

DIM, VIEWS, IMAGES_EACH = 64, 8, 3
"""Features per view, views, and images of a patient."""

REAL = "portraits.npy"
"""File of the portraits that others are blended of."""

STAGES = (
    "files",
    "index",
    "claim",
    "record",
    "plan",
    "shards",
    "resume",
    "copies",
    "build",
    "verify",
    "split",
    "audit",
)
"""In the order in which they need each other."""


def manifest_of(rows: int) -> Manifest:
    """So many images of two classes."""
    header = Header(format="PNG", suffix=".png", width=299, height=299, bits=8, mode="L", file_bytes=60_000)
    images = (  # held one at a time: `Manifest` keeps them by columns
        ImageRow(
            path=f"{'AB'[number % 2]}/{number // 2:07d}.png",
            label="AB"[number % 2],
            content_sha256=hashlib.sha256(b"%d" % number).hexdigest(),
            header=header,
            patient=f"p{number // (2 * IMAGES_EACH)}{'AB'[number % 2]}",
        )
        for half in (0, 1)
        for number in range(half, rows, 2)
    )
    return Manifest(dataset="rows", root=Path(), rows=ImageRows(images), classes=("A", "B"))


def groups_of(manifest: Manifest) -> Groups:
    """Patients."""
    return group(manifest.rows)


def asked() -> Request:
    """A stand-in's features."""
    identity = f"sha256:{'0' * 64}"
    network = Network(name="stand-in", backbone=FILE, weights=identity, preprocess="none", size=64)
    view = ViewSpec(size=64, count=VIEWS)
    return Request(
        network=network, spec=FeatureSpec(backbone=FILE, weights=identity, preprocess="none", view=view)
    )  # fmt: skip


def place(folder: Path) -> Path:
    """Of the feature file."""
    return feature_path(folder, "rows", asked().network.name, asked().spec)


def begun(manifest: Manifest, folder: Path, stack: ExitStack) -> Task:
    """What `extract` does before it computes."""
    contents = Paths(manifest).contents
    work = stack.enter_context(Work(place(folder)))
    return begin(work, asked(), "rows", contents, Computing("stand-in", _nothing, 32), stack)


def _nothing(*_: object) -> Any:  # noqa: ANN401  # it never returns
    raise AssertionError("nothing is computed here")


def files(manifest: Manifest, folder: Path) -> None:
    """Write an image file for each, all different: of one picture, with the number in a comment."""
    from PIL import Image

    picture = io.BytesIO()
    Image.fromarray(np.arange(1024, dtype=np.uint8).reshape(32, 32)).save(picture, "PNG")
    whole, end = picture.getvalue()[:-12], picture.getvalue()[-12:]
    for name in manifest.classes:
        (folder / "images" / name).mkdir(parents=True, exist_ok=True)
    for number, path in enumerate(manifest.held.paths(np.arange(len(manifest.rows)))):
        comment = b"tEXtComment\0%d" % number
        chunk = struct.pack(">I", len(comment) - 4) + comment + struct.pack(">I", zlib.crc32(comment))
        (folder / "images" / path).write_bytes(whole + chunk + end)


def index(_: Manifest, folder: Path) -> None:
    """As every command that is given a data folder begins."""
    assert index_folder(folder / "images").classes


def claim(manifest: Manifest, folder: Path) -> None:
    """As `extract` begins."""
    claim_name(folder / "manifests", manifest, Identity(bytes(32)))


def record(manifest: Manifest, folder: Path) -> None:
    """As it begins the second time, and as it goes on once all is computed."""
    from cxrfeat.feature.claim import record

    known = claim_name(folder / "manifests", manifest, Identity(bytes(32)))
    assert known.manifest.dataset == manifest.dataset
    record(folder / "manifests", known, groups_of(manifest), Identity(bytes(32)), ())


def plan(manifest: Manifest, folder: Path) -> None:
    """As before the first shard."""
    with ExitStack() as stack:
        task = begun(manifest, folder, stack)
        assert len(task.job.missing) == task.job.plan.count > 0


def shards(manifest: Manifest, folder: Path) -> None:
    """Write all of them, without waiting for the disk as a commit does."""
    draw = np.random.default_rng(0)
    real = folder / REAL
    portraits = Portraits(np.load(real) if real.exists() else None)
    with ExitStack() as stack:
        task = begun(manifest, folder, stack)
        job, work = task.job, task.committed.work
        for index in job.missing:
            keys = job.plan.shard(index)
            n = len(keys)
            features = draw.random((n, VIEWS, DIM), dtype=np.float32)
            shard = Shard(
                content_sha256=keys,
                arrays={
                    FEATURES: features,
                    "crc32": row_crc32(features),
                    "view_params": draw.random((n, VIEWS, 3)),
                    "mean_grey": draw.random(n, dtype=np.float32),
                    "black_border": np.zeros(n, np.float32),
                    "thumbnail": draw.integers(0, 256, (n, 8, 8), dtype=np.uint8),
                    "portrait": portraits.some(n, draw),
                    "pixel_digest": draw.integers(0, 2**64, n, dtype=np.uint64),
                },
                engine="stand-in",
                decoders=decoders(),
            )
            work.shard_path(job.plan, index).write_bytes(shard_bytes(shard))


def resume(manifest: Manifest, folder: Path) -> None:
    """As when everything was computed."""
    with ExitStack() as stack:
        assert not begun(manifest, folder, stack).job.missing


def copies(manifest: Manifest, folder: Path) -> None:
    """As `extract` looks for them."""
    from cxrfeat.feature.extract import grouped

    with ExitStack() as stack:
        assert len(grouped(manifest, [begun(manifest, folder, stack)])) == len(manifest.rows)


def build(manifest: Manifest, folder: Path) -> None:
    """As at the end of `extract`."""
    from cxrfeat.feature.finish import finish

    groups = groups_of(manifest)
    with ExitStack() as stack:
        task = begun(manifest, folder, stack)
        claim = Claim(manifest=manifest, root="")
        made = finish(task.request, task.job, task.committed, claim, groups, Identity(bytes(32)), lambda _: {})
        assert made.images == len(manifest.rows)


def verify(_: Manifest, folder: Path) -> None:
    """As `cxrfeat verify`."""
    assert verify_features(place(folder)) == []


def split(_: Manifest, folder: Path) -> None:
    """As `fit-head` begins."""
    with FeatureFile(place(folder)) as file:
        assert len(file.split().parts) == file.images


def audit(_: Manifest, folder: Path) -> None:
    """As `fit-head` looks at the data."""
    from cxrfeat.auditing.short import ShortAudit

    with FeatureFile(place(folder)) as file:
        assert ShortAudit(file, file.split()).findings


def run(name: str, rows: int, folder: str) -> dict[str, float]:
    """One stage."""
    every = (files, index, claim, record, plan, shards, resume, copies, build, verify, split, audit)
    stages: dict[str, Callable[[Manifest, Path], None]] = dict(zip(STAGES, every, strict=True))
    manifest = manifest_of(0 if name in ("index", "verify", "split", "audit") else rows)
    before = _held()
    spent, start = time.process_time(), time.perf_counter()
    stages[name](manifest, Path(folder))
    return {
        "seconds": time.perf_counter() - start,
        "processor_seconds": time.process_time() - spent,
        "before_mb": before,
        "peak_mb": peak(),
    }


def _held() -> float:
    """What this process holds now, in MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    """Measure, print, and return the document."""
    parser = options(__doc__)
    parser.add_argument("--rows", type=int, action="append", help="default: 10,000 and 100,000")
    parser.add_argument("--stage", choices=STAGES, action="append", help="default: all")
    parser.add_argument("--data", type=Path, help="a folder of X-rays, whose portraits those of the shards are made of")
    parser.add_argument("--folder", type=Path, help="where files go, and stay; default: a temporary one")
    given = parser.parse_args(arguments)
    found: list[dict[str, Any]] = []
    with scratch() as own:
        for rows in sorted(given.rows or [10_000, 100_000]):
            folder = (given.folder or own) / str(rows)
            folder.mkdir(parents=True, exist_ok=True)
            if given.data is not None:
                np.save(folder / REAL, real_portraits(given.data))
            for stage in given.stage or STAGES:
                with fresh_process() as process:
                    told = process.submit(run, stage, rows, str(folder)).result()
                smaller = [one for one in found if one["stage"] == stage]
                ratio = None
                if smaller:
                    each = [one["processor_seconds"] / one["rows"] for one in (told | {"rows": rows}, smaller[-1])]
                    ratio = each[0] / each[1]
                found.append({"stage": stage, "rows": rows, **told, "to_linear": ratio})
                say(f"rows round 1: {stage} {rows} {told}")
    lines = [
        [
            one["stage"], f"{one['rows']:,}", f"{one['seconds']:.2f}", f"{one['processor_seconds']:.2f}",
            f"{one['before_mb']:.0f}", f"{one['peak_mb']:.0f}",
            "" if one["to_linear"] is None else f"{one['to_linear']:.2f}",
        ]
        for one in found
    ]  # fmt: skip
    header = ["stage", "images", "seconds", "processor s", "MB before", "peak MB", "to linear"]
    return publish("rows", arguments, header, lines, rows=found, place=given.json)


if __name__ == "__main__":
    main()
