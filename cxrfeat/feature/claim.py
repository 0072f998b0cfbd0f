"""Whose name is it: what a data set is called among those that a features folder knows, so that none replaces another.

A data set is known by its images, not by its folder's last name. It is the one that a manifest tells of

- in the same folder: if one image of then at least is still, or again, in its place; or if half of all images of the
  two at least are in both, under the same labels (all were sorted anew);
- in another folder: if all images, their places, labels, patients and sources are the same (a copy); or if half of all
  are in both, as above, and the folder of then holds none in its place any more (it was moved, renamed or mounted
  elsewhere, and images came or went).

So two folders that overlap in part are two data sets.

What is not known gets a name that no other has: the folder's, or that with `-2`, `-3`, ... In doubt data sets are two:
that costs a longer name and no computing, for the rows of an image are taken from whichever file has them.

A feature file without a manifest (a stranger's, or the manifest was deleted) is judged by its own images, as if its
folder were gone.
"""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from cxrfeat.errors import InputError, IntegrityError
from cxrfeat.feature.file import FeatureFile
from cxrfeat.feature.store import dataset_of
from cxrfeat.image.group import group
from cxrfeat.image.identity import Identity
from cxrfeat.image.manifest_file import SUFFIX, YES, Line, manifest_path, read_lines, write_manifest
from cxrfeat.image.note import Note, tell
from cxrfeat.image.row import Manifest, Quarantined
from cxrfeat.system.files import sweep_temporaries
from cxrfeat.system.lock import Lock
from cxrfeat.types import Groups

WAIT = 60.0
"""Seconds to wait for another process that is choosing a name or writing a manifest."""

_SHARE = 0.5
_LOOKED_FOR, _OTHERS = 1000, 20  # of the images on record, spread over all; files with other bytes, until it is plain


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """The name of a data set in a features folder."""

    manifest: Manifest
    """With that name."""
    root: str
    """The data folder as it is, or stays, on record."""
    note: Note | None = None
    """For the user, where the name is not what the folder's would make one expect."""


def look_up(features: Path, manifest: Manifest) -> Claim:
    """What a data set is called in a features folder, or would be; nothing is written.

    Args:
        features: Folder of the files; it need not be there.
        manifest: Manifest of the data set, under the name that `dataset_name` gave.
    """
    base, mark = _parts(manifest.dataset)
    root = str(manifest.root.resolve())
    known = _known(features)
    best: tuple[tuple[bool, float, bool], str, _Known] | None = None
    for name, sets in known.items():
        one = sets.get(mark) or next(iter(sets.values()))
        likeness = one.likeness(manifest)
        if likeness is not None:
            rank = (one.lay_in(root), likeness, name == base.casefold())
            if best is None or rank > best[0]:
                best = rank, one.base, one
    if best is not None:
        _, name, one = best
        note = None
        if not one.lay_in(root) and name != base:
            where = f", once in {one.root!r}" if one.root else ""
            note = Note(text=f"These are the images of the data set {name}{where}; they keep that name in {features}.")
        stays = one.root is not None and not one.lay_in(root) and one.is_there()
        return Claim(
            manifest=replace(manifest, dataset=name + mark), root=one.root if stays and one.root else root, note=note
        )
    name, number = base, 1
    while name.casefold() in known:
        number += 1
        name = f"{base}-{number}"
    note = None
    if name != base:
        other = next(iter(known[base.casefold()].values()))
        where = f", that of {other.root!r}" if other.root else ""
        where = ", which lay in this folder before" if other.lay_in(root) else where
        said = f"{base} in {features} is another data set{where}; this one is called {name}, and nothing is replaced."
        note = Note(text=said)
    return Claim(manifest=replace(manifest, dataset=name + mark), root=root, note=note)


def claim_name(features: Path, manifest: Manifest, identity: Identity) -> Claim:
    """Settle what a data set is called, against all others that may be asking at this moment.

    A name that is new is put on record at once, by the manifest under that name.

    Args:
        features: Folder of the files.
        manifest: Manifest of the data set, under the name that `dataset_name` gave.
        identity: Salts the ids.

    Raises:
        LockedError: If another process does not let go of the manifests.
        StorageError: If the disk refuses.
    """
    with _manifests(features):
        claim = look_up(features, manifest)
        path = manifest_path(features, claim.manifest.dataset)
        if not path.exists():
            sweep_temporaries(features, path.name)
            write_manifest(features, claim.manifest, group(manifest.rows), identity, root=claim.root)
    tell([] if claim.note is None else [claim.note])
    return claim


def record(
    features: Path, claim: Claim, groups: Groups, identity: Identity, failed: tuple[Quarantined, ...]
) -> list[Line]:
    """Bring the manifest of a data set up to date; ids that stood in it stay.

    Args:
        features: Folder of the files.
        claim: Of `claim_name`.
        groups: `(images,)`, which of its images belong together.
        identity: Salts the ids.
        failed: Images that turned out unusable.

    Returns:
        Its lines.

    Raises:
        LockedError: If another process does not let go of the manifests.
        StorageError: If the disk refuses.
    """
    with _manifests(features):
        sweep_temporaries(features, manifest_path(features, claim.manifest.dataset).name)
        return write_manifest(features, claim.manifest, groups, identity, root=claim.root, failed=failed)


def _manifests(features: Path) -> Lock:
    return Lock(features / "manifests", wait=WAIT)


@dataclass(slots=True, kw_only=True)
class _Known:
    """What is on record of one data set, or of a part of it."""

    base: str
    root: str | None
    present: list[Line]
    """What was there last."""
    ever: set[tuple[str, str]] = field(default_factory=set)
    """Place and content hash of each image that was there once."""

    def lay_in(self, root: str) -> bool:
        """Whether a folder is where it lay, perhaps by another way to it."""
        if self.root is None or self.root == root:
            return self.root == root
        try:
            return Path(self.root).samefile(root)
        except OSError:
            return False

    def likeness(self, manifest: Manifest) -> float | None:
        """The share of images that the two have in common, if they are the same data set; else `None`."""
        ours = {(row.content_sha256, row.label) for row in manifest.rows}
        theirs = {(line.content_sha256, line.label) for line in self.present}
        share = len(ours & theirs) / max(1, len(ours | theirs))
        if self.lay_in(str(manifest.root.resolve())):
            again = any((row.path, row.content_sha256) in self.ever for row in manifest.rows)
            return share if share >= _SHARE or again or self.is_there() else None
        here = {(row.path, row.content_sha256, row.label, row.patient or "", row.source or "") for row in manifest.rows}
        there = {
            (line.path, line.content_sha256, line.label, line.patient_id, line.source)
            for line in self.present
            if line.path
        }
        return share if here == there or (share >= _SHARE and not self.is_there()) else None

    def is_there(self) -> bool:
        """Whether its folder holds one of its images still: under its name, with its bytes."""
        if self.root is None:
            return False
        others = 0
        for line in self.present[:: max(1, len(self.present) // _LOOKED_FOR)]:
            try:
                with Path(self.root, line.path).open("rb") as file:
                    same = hashlib.file_digest(file, "sha256").hexdigest() == line.content_sha256
            except OSError:
                continue
            if same:
                return True
            others += 1
            if others == _OTHERS:
                return False
        return False


def _known(features: Path) -> dict[str, dict[str, _Known]]:
    """Every data set on record: by its name (as file systems see it that know no case), then by its mark."""
    known: dict[str, dict[str, _Known]] = defaultdict(dict)
    told: set[str] = set()
    for path in sorted(features.glob(f"*{SUFFIX}")):
        try:
            lines = read_lines(path)
        except IntegrityError:
            continue  # what it stood for is judged by the feature files
        except InputError:
            lines = []  # another user's, perhaps: whatever it is, its name is taken
        dataset = path.name.removesuffix(SUFFIX)
        told.add(dataset)
        _add(known, dataset, lines)
    for path in sorted(features.glob("*.h5")):
        said = dataset_of(path)
        if said is not None and said not in told:
            _add(known, said, list(_lines_of(path)))
    return known


def _add(known: dict[str, dict[str, _Known]], dataset: str, lines: list[Line]) -> None:
    base, mark = _parts(dataset)
    images = [line for line in lines if line.content_sha256]
    one = known[base.casefold()].setdefault(mark, _Known(base=base, root=None, present=[]))
    one.present += [line for line in images if line.present == YES]
    one.ever |= {(line.path, line.content_sha256) for line in images}
    one.root = next((line.root for line in one.present or lines if line.root), None)


def _lines_of(path: Path) -> Iterator[Line]:
    """What a feature file says of its images."""
    try:
        with FeatureFile(path) as file:
            for sha, label in zip(file.content_sha256, file.labels.tolist(), strict=True):
                yield Line("", "", file.classes[label], sha, "", "", "", "", YES, "")
    except (InputError, IntegrityError):
        return  # nobody can say whose it is: its name is taken, by nobody's images


def _parts(dataset: str) -> tuple[str, str]:
    """Name and mark of `dataset_name`."""
    match = re.fullmatch(r"(.+?)(\.[0-9a-f]{6})?", dataset, re.DOTALL)
    assert match is not None  # no name is empty
    return match[1], match[2] or ""
