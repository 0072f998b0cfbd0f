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
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cxrfeat.errors import InputError, IntegrityError
from cxrfeat.feature.file import FeatureFile
from cxrfeat.feature.store import dataset_of
from cxrfeat.image.group import group
from cxrfeat.image.identity import Identity
from cxrfeat.image.manifest_file import SUFFIX, manifest_path, read_lines, write_imported, write_manifest
from cxrfeat.image.manifest_line import YES, Line, Lines
from cxrfeat.image.note import Note, tell
from cxrfeat.image.row import Manifest, Quarantined
from cxrfeat.system.files import sweep_temporaries
from cxrfeat.system.lock import Lock
from cxrfeat.types import Groups

WAIT = 60.0
"""Seconds to wait for another process that is choosing a name or writing a manifest."""

_SHARE = 0.5
_ROWS_AT_ONCE = 4096
_DESCRIBED = ("path", "content_sha256", "label", "patient_id", "source")
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
    asked = _Asked(manifest)
    best: tuple[tuple[bool, float, bool], str, _Known] | None = None
    for name, sets in known.items():
        one = sets.get(mark) or next(iter(sets.values()))
        likeness = one.likeness(asked)
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


def record(features: Path, claim: Claim, groups: Groups, identity: Identity, failed: tuple[Quarantined, ...]) -> None:
    """Bring the manifest of a data set up to date; ids that stood in it stay.

    Args:
        features: Folder of the files.
        claim: Of `claim_name`.
        groups: `(images,)`, which of its images belong together.
        identity: Salts the ids.
        failed: Images that turned out unusable.

    Raises:
        LockedError: If another process does not let go of the manifests.
        StorageError: If the disk refuses.
    """
    with _manifests(features):
        sweep_temporaries(features, manifest_path(features, claim.manifest.dataset).name)
        write_manifest(features, claim.manifest, groups, identity, root=claim.root, failed=failed)


def record_imported(features: Path, dataset: str, lines: Sequence[Line]) -> bool:
    """Put on record what the ids of a table of features stand for; see `write_imported`.

    Raises:
        LockedError: If another process does not let go of the manifests.
        StorageError: If the disk refuses.
    """
    with _manifests(features):
        return write_imported(features, dataset, lines)


def _manifests(features: Path) -> Lock:
    return Lock(features / "manifests", wait=WAIT)


Marks = NDArray[np.bytes_]
"""Digests of 16 bytes, in their order, each once: of a million images, tuples of texts would take half a gigabyte."""


def _marks(told: Iterable[tuple[str, ...]]) -> Marks:
    """What stands for some texts that are told of each image together."""
    digests = b"".join(
        hashlib.blake2b("\0".join(one).encode("utf-8", "surrogatepass"), digest_size=16).digest() for one in told
    )
    return np.unique(np.frombuffer(digests, "S16"))


class _Asked:
    """The images of the data set whose name is asked for."""

    def __init__(self, manifest: Manifest) -> None:
        self.root, self._held = str(manifest.root.resolve()), manifest.held

    @cached_property
    def labelled(self) -> Marks:
        """Content and label of each."""
        return _marks(zip(self._contents(), self._coded("label"), strict=True))

    @cached_property
    def placed(self) -> Marks:
        """Path and content."""
        return _marks(zip(self._paths(), self._contents(), strict=True))

    @cached_property
    def described(self) -> Marks:
        """Path, content, label, patient and source."""
        coded = (self._coded(name) for name in ("label", "patient", "source"))
        return _marks(zip(self._paths(), self._contents(), *coded, strict=True))

    def _paths(self) -> Iterator[str]:
        return self._held.paths(np.arange(len(self._held)))

    def _contents(self) -> Iterator[str]:
        for start in range(0, len(self._held), _ROWS_AT_ONCE):
            yield from (sha.decode() for sha in self._held.contents[start : start + _ROWS_AT_ONCE].tolist())

    def _coded(self, name: str) -> Iterator[str]:
        codes, values = self._held.coded(name)
        texts = [value or "" for value in values]
        return (texts[code] for code in codes)


@dataclass(slots=True, kw_only=True)
class _Known:
    """What is on record of one data set, or of a part of it."""

    base: str
    root: str | None
    lines: list[Lines]
    """All that was told, of images that could not be used too."""

    def present(self, *names: str) -> Iterator[tuple[str, ...]]:
        """Some fields of what was there last."""
        return (tuple(line) for present, *line in self._told("present", *names) if present == YES)

    def _told(self, *names: str) -> Iterator[tuple[str, ...]]:
        """Some fields of all images that were there once."""
        every = chain.from_iterable(some.columns("content_sha256", *names) for some in self.lines)
        return (tuple(line) for sha, *line in every if sha)

    def lay_in(self, root: str) -> bool:
        """Whether a folder is where it lay, perhaps by another way to it."""
        if self.root is None or self.root == root:
            return self.root == root
        try:
            return Path(self.root).samefile(root)
        except OSError:
            return False

    def likeness(self, asked: _Asked) -> float | None:
        """The share of images that the two have in common, if they are the same data set; else `None`."""
        theirs = _marks(self.present("content_sha256", "label"))
        both = len(np.intersect1d(asked.labelled, theirs, assume_unique=True))
        share = both / max(1, len(asked.labelled) + len(theirs) - both)
        if self.lay_in(asked.root):
            return share if share >= _SHARE or self._again(asked) or self.is_there() else None
        if share >= _SHARE and not self.is_there():
            return share
        there = ((path, *others) for path, *others in self.present(*_DESCRIBED) if path)
        return share if np.array_equal(asked.described, _marks(there)) else None

    def _again(self, asked: _Asked) -> bool:
        """Whether an image is in the place where it was once."""
        return bool(np.isin(asked.placed, _marks(self._told("path", "content_sha256"))).any())

    def is_there(self) -> bool:
        """Whether its folder holds one of its images still: under its name, with its bytes."""
        if self.root is None:
            return False
        others = 0
        present = [
            (some, row)
            for some in self.lines
            for row in np.flatnonzero(some.says("present", YES) & some.tells("content_sha256")).tolist()
        ]
        for some, row in present[:: max(1, len(present) // _LOOKED_FOR)]:
            line = some[row]
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
            lines = Lines()  # another user's, perhaps: whatever it is, its name is taken
        dataset = path.name.removesuffix(SUFFIX)
        told.add(dataset)
        _add(known, dataset, lines)
    for path in sorted(features.glob("*.h5")):
        said = dataset_of(path)
        if said is not None and said not in told:
            _add(known, said, Lines(_lines_of(path)))
    return known


def _add(known: dict[str, dict[str, _Known]], dataset: str, lines: Lines) -> None:
    base, mark = _parts(dataset)
    one = known[base.casefold()].setdefault(mark, _Known(base=base, root=None, lines=[]))
    one.lines.append(lines)
    present = one.present("root")
    first = next(present, None)
    roots = lines.columns("root") if first is None else chain([first], present)
    one.root = next((root for (root,) in roots if root), None)


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
