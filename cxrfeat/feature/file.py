"""The feature file as its users hold it: columns in their words, features as arrays, its split."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from cxrfeat.errors import InputError, SplitError
from cxrfeat.feature.described import TEXTS, DescribedImages
from cxrfeat.feature.format import PARTS
from cxrfeat.feature.shard import row_crc32
from cxrfeat.feature.split import Split, parted
from cxrfeat.feature.store import Store, damaged
from cxrfeat.feature.target import LABEL, Target, Uncertain, find_target
from cxrfeat.image.split import NO_PART, own_way
from cxrfeat.notebook import RANDOM_WEIGHTS, html_table
from cxrfeat.spec import FeatureSpec, SplitBy, SplitSpec
from cxrfeat.system.given import PathLike, as_path, nearest
from cxrfeat.types import Features, Groups

if TYPE_CHECKING:
    import h5py


class FeatureFile(DescribedImages):
    """A committed feature file, open for reading: its columns in memory, its features read as they are sliced.

    Use it as a context manager, or call `close`.
    """

    def __init__(self, path: PathLike) -> None:
        """Open and check the file.

        Raises:
            InputError: If there is no file, or it is not a feature file.
            IntegrityError: If it is damaged, or holds anything but plain data of the format.
        """
        self.path = as_path(path, "a feature file")
        self._store = Store(self.path)
        self.content = self._store.content

    def __fspath__(self) -> str:
        """Its path, so that an opened file can stand where a path can."""
        return str(self.path)

    def __enter__(self) -> Self:
        """The file itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file."""
        self.close()

    def close(self) -> None:
        """Release the file; the columns stay."""
        self._store.close()

    def __repr__(self) -> str:
        """Name and shape."""
        return f"FeatureFile({self.path.name!r}, images={self.images}, views={self.views}, dim={self.dim})"

    def _repr_html_(self) -> str:
        """What a notebook shows: what the features are of, and how many images of each class and group there are."""
        counts = np.bincount(self.labels, minlength=len(self.classes)).tolist()
        rows = [
            ("data set", self.content.dataset),
            ("network", self.content.backbone),
            ("weights", self.spec.weights),
            ("features", f"{self.images} images x {self.views} views x {self.dim} {self.spec.storage}"),
            ("classes", ", ".join(f"{name} {count}" for name, count in zip(self.classes, counts, strict=True))),
            ("groups", f"{len(np.unique(self.groups))}, patients with copies joined"),
            ("quarantined", str(len(self.content.quarantine))),
            ("fingerprint", self.fingerprint[:8]),
        ]
        title = f"{self.path.name}\n{RANDOM_WEIGHTS}" if self.spec.weights.startswith("random:") else self.path.name
        return html_table(title, ("", ""), rows)

    @property
    def spec(self) -> FeatureSpec:
        """How the features were made."""
        return self.content.spec

    @property
    def fingerprint(self) -> str:
        """Fingerprint of how the features were made."""
        return self.content.fingerprint

    @property
    def views(self) -> int:
        """Views per image; view 0 is the plain one."""
        return self.spec.view.count

    @property
    def dim(self) -> int:
        """Features per view."""
        return int(self._store.features.shape[2])

    @property
    def bound_split(self) -> Split | None:
        """The split that the features depend on and cannot be separated from, or `None`.

        An image that is in no part of it is not to be trained, validated or tested on.
        """
        if self.spec.split is None:
            return None
        named = [NO_PART if code < 0 else PARTS[code].value for code in self.content.columns["bound_split"].tolist()]
        return Split.of(
            np.array(named, dtype="<U10"), self.content_sha256, self.labels, self.classes, by="bound", seed=0
        )

    def split(self, seed: int = 0, *, by: SplitBy | None = None) -> Split:
        """Split the images into train, validation and test parts, as `fit-head` does.

        Args:
            seed: Seed of the split.
            by: `group`, `date`, `column` or `paper`; `None` is the split the features are bound to, else the data's
                own split if it names the part of any image, else by group.

        Returns:
            A split of one fold. Images to which the data's own split, or the one that the features are bound to, gives
            no part are in none, and by date those without one.

        Raises:
            SplitError: If the images cannot be divided so, or the features are bound to another split.
        """
        bound = self.bound_split
        if bound is None:
            return self._parted(own_way(by, self.given_split), seed)
        if by is not None and not self._is_parted(by, seed, bound):
            self.refuse_other_split("split_by")
        return dataclasses.replace(bound, seed=seed)

    def _parted(self, by: SplitBy, seed: int) -> Split:
        try:
            return parted(self.table, SplitSpec(by=by, seed=seed))
        except SplitError as error:
            if not self.content.quarantine:
                raise
            unread = len(self.content.quarantine)
            more = f"{unread} more {'image' if unread == 1 else 'images'} could not be read"
            raise SplitError(f"{error} ({more}: see `cxrfeat index`.)") from error

    def _is_parted(self, by: SplitBy, seed: int, bound: Split) -> bool:
        """Whether the split that is asked for is the one that the features are bound to."""
        try:
            return np.array_equal(self._parted(by, seed).parts, bound.parts)
        except SplitError:
            return False

    def refuse_other_split(self, field: str) -> None:
        """Raise a `SplitError` if the network has seen one training part, so that no other split is honest."""
        if self.spec.split is None:
            return
        if self.spec.normalize == "featurewise":
            why, remedy = (
                "was made with the training part of one split (`normalize=featurewise`)",
                "`normalize=backbone`",
            )
        else:
            why, remedy = "comes from a network that was tuned on the training part of one split", "a frozen network"
        raise SplitError(
            f"{self.path.name} {why}, so no other split of it is honest. Omit `{field}`, or extract with {remedy}."
        )

    @property
    def features(self) -> h5py.Dataset:
        """`(images, views, dim)`, read as it is sliced: `file.features[:10, 0]` touches ten rows."""
        return self._store.features

    def read(self) -> NDArray[np.float32]:
        """All features, `(images, views, dim)` float32, in memory.

        Raises:
            IntegrityError: If a row is not what was written.
        """
        features = np.empty((self.images, self.views, self.dim), dtype=np.float32)
        for part, stored in self.checked_blocks():
            features[part] = stored
        return features

    def row(self, number: int) -> Features:
        """The features of one image, `(views, dim)` float32.

        Raises:
            IntegrityError: If they are not what was written.
        """
        try:
            stored = self.features[number : number + 1]
        except (OSError, RuntimeError) as error:
            raise damaged(self.path, f"row {number} cannot be read") from error
        if row_crc32(stored)[0] != self.content.columns["crc32"][number]:
            raise damaged(self.path, f"the checksum of row {number} does not match")
        row: Features = stored[0].astype(np.float32)
        return row

    def of_classes(self, names: Sequence[str]) -> FeatureFile:
        """The same file as if it held only images of some classes; closing either closes both.

        Args:
            names: Two or more of `classes`, in any order.

        Raises:
            InputError: If there is no such class, or fewer than two are named.
        """
        return _SomeClasses(self, names)

    @property
    def dealt(self) -> tuple[FeatureFile, NDArray[np.bool_]] | None:
        """If images were left out of the file: the whole file, which decides the split, and the rows that are kept."""
        return None

    def of_target(self, target: Target) -> FeatureFile:
        """The same file as if a target were the class, with the images for which it is known.

        Closing either closes both. Images are split as they are in the whole file. A column that is the target is no
        longer kept as a column.

        Args:
            target: One with classes, of the images of this file.

        Raises:
            UsageError: If it is a number.
        """
        return _SomeTarget(self, target)

    def without(self, rows: Sequence[int]) -> FeatureFile:
        """The same file as if it did not hold some images, but split as if it did; closing either closes both.

        Args:
            rows: Rows of the images that are left out.
        """
        kept = np.ones(self.images, bool)
        kept[list(rows)] = False
        return _SomeImages(self, kept)

    def arrays(
        self, view: int | None = 0, *, target: str = LABEL, uncertain: Uncertain = "ignore"
    ) -> tuple[Features, NDArray[Any], Groups]:
        """Features, targets and groups, ready for scikit-learn.

        Args:
            view: Which view of each image; `None` gives the mean over views.
            target: What to predict, as `find_target` takes it; images for which it is unknown are left out.
            uncertain: What an uncertain finding counts as: `present`, `absent`, or `ignore` (unknown).

        Returns:
            `X (images, dim)` float32; `y (images,)`, places in the classes of the target as int64 (of a finding 0 and
            1, absent and present), or numbers as float64; and `groups (images,)` int64.

        Raises:
            UsageError: If there is no such target.
            InputError: If there is no such view, or nothing to predict.
            IntegrityError: If a row is not what was written.
        """
        asked = Target(name=LABEL, classes=self.classes, values=self.labels)
        if target != LABEL:
            asked = find_target(self, target, uncertain)
        if view is not None and not 0 <= view < self.views:
            raise InputError(f"{self.path.name} holds views 0 to {self.views - 1}; there is no view {view}.")
        chosen = np.empty((self.images, self.dim), dtype=np.float32)
        for part, stored in self.checked_blocks():
            chosen[part] = stored.mean(axis=1, dtype=np.float32) if view is None else stored[:, view]
        known = asked.known
        if known.all():
            return chosen, asked.values, self.groups
        return chosen[known], asked.values[known], self.groups[known]

    def checked_blocks(self) -> Iterator[tuple[slice, NDArray[Any]]]:
        """As `blocks`, each row checked.

        Raises:
            IntegrityError: If a row is not what was written.
        """
        for part, stored in self.blocks():
            bad = np.flatnonzero(row_crc32(stored) != self.content.columns["crc32"][part])
            if len(bad):
                raise damaged(self.path, f"the checksum of row {part.start + bad[0]} does not match")
            yield part, stored

    def blocks(self) -> Iterator[tuple[slice, NDArray[Any]]]:
        """The features as stored, some rows at a time, in bounded memory."""
        return self._store.blocks()


class _Some(FeatureFile):
    """Some rows of a feature file."""

    def __init__(self, whole: FeatureFile, kept: NDArray[np.bool_]) -> None:
        self.path, self._store, self._whole, self._kept = whole.path, whole._store, whole, kept
        columns = {name: column[kept] for name, column in whole.content.columns.items()}
        self.content = dataclasses.replace(whole.content, columns=columns)

    def __fspath__(self) -> str:
        """Refused: at its path lies the whole file."""
        raise TypeError("Some images of a feature file have no path of their own: give the whole file, and say which.")

    @property
    def features(self) -> h5py.Dataset:
        """`(images, views, dim)`, in memory: rows of a part of a file have no slices of their own."""
        return self.read()

    def row(self, number: int) -> Features:
        """The features of one image, `(views, dim)` float32."""
        return self._whole.row(int(np.flatnonzero(self._kept)[number]))

    def blocks(self) -> Iterator[tuple[slice, NDArray[Any]]]:
        """The features as stored, some rows at a time, in bounded memory."""
        start = 0
        for part, stored in self._whole.blocks():
            rows = stored[self._kept[part]]
            if len(rows):
                yield slice(start, start + len(rows)), rows
            start += len(rows)


class _SomeClasses(_Some):
    """The rows of a feature file that are of some classes."""

    def __init__(self, whole: FeatureFile, names: Sequence[str]) -> None:
        known = whole.classes
        for name in names:
            if name not in known:
                raise InputError(
                    f"{whole.path.name} holds no class {name!r}.{nearest(name, known)} "
                    f"Its classes are {', '.join(map(repr, known))}."
                )
        chosen = tuple(name for name in known if name in names)
        if len(chosen) < 2:
            raise InputError(
                f"{whole.path.name}: telling classes apart takes two, and {len(chosen) or 'none'} was chosen. "
                f"Its classes are {', '.join(map(repr, known))}."
            )
        super().__init__(whole, np.isin(whole.labels, [known.index(name) for name in chosen]))
        columns = self.content.columns
        place = np.array([chosen.index(name) if name in chosen else -1 for name in known])
        columns["label"] = place[columns["label"]].astype(columns["label"].dtype)
        self.content = dataclasses.replace(self.content, classes=chosen)


class _Dealt(_Some):
    """Some rows of a feature file, parted as the whole is."""

    @property
    def dealt(self) -> tuple[FeatureFile, NDArray[np.bool_]] | None:
        """The whole file, and which of its images are kept."""
        return self._whole, self._kept


class _SomeImages(_Dealt):
    """The rows of a feature file that nobody left out."""


class _SomeTarget(_Dealt):
    """The rows of a feature file of which a target is known, which is their class."""

    def __init__(self, whole: FeatureFile, target: Target) -> None:
        labels = target.labels
        super().__init__(whole, target.known)
        columns = self.content.columns
        columns["label"] = labels[target.known].astype(columns["label"].dtype)
        if target.name in TEXTS:
            columns[target.name] = np.full_like(columns[target.name], -1)
        self.content = dataclasses.replace(self.content, classes=target.classes)
