"""What an extraction reports of each feature file that it made."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cxrfeat.feature.spare import Spare
from cxrfeat.image.note import Note
from cxrfeat.image.note import number as counted
from cxrfeat.image.row import Quarantined


@dataclass(frozen=True, slots=True, kw_only=True)
class Dropped:
    """Images that a feature file had and has no more; their rows are kept next to it."""

    images: int = 0
    gone: int = 0
    """Not in the data folder any more."""
    changed: int = 0
    """In their place, with other bytes."""
    classes: tuple[str, ...] = ()
    """Those of which no image is left."""

    def notes(self, path: Path) -> list[Note]:
        """What there is to say about it, of the file at `path`."""
        if not self.images:
            return []
        left = self.images - self.gone - self.changed
        whole = f" ({'class' if len(self.classes) == 1 else 'classes'} {', '.join(self.classes)} as a whole)"
        parts = [
            f"{self.gone} {'is' if self.gone == 1 else 'are'} gone" if self.gone else "",
            f"{self.changed} {'has' if self.changed == 1 else 'have'} other bytes now" if self.changed else "",
            f"{left} {'is' if left == 1 else 'are'} not among the chosen" if left else "",
        ]
        said = (
            f"{path.name} had {counted(self.images, 'image')} that it has no more{whole if self.classes else ''}: "
            f"{', '.join(part for part in parts if part)}. Their features are kept in {Spare.folder_of(path).name}, "
            "for when the images come back; delete it if they will not."
        )
        return [Note(text=said)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Extracted:
    """One feature file that stands, and what it took."""

    backbone: str
    path: Path
    images: int
    views: int
    dim: int
    rows_computed: int
    rows_reused: int
    quarantined: tuple[Quarantined, ...]
    seconds: float
    """Of the extraction itself: start-up apart."""
    views_per_second: float
    engine: str
    random: bool
    """Whether the weights are random, so that scores mean nothing."""
    dataset: str
    """The data set's name in the features folder."""
    dropped: Dropped
    """Images that the file had before this call."""
    workers: str
    """Who prepared the images: threads, or processes where there are many of both; empty where none was computed."""
    rows_kept: int
    """Rows next to the file, of images that are not in it any more."""
    mixed: str = ""
    """The decoders that changed between the runs that the rows are from, such as `pillow 12.3.0 and 13.0.0`."""

    def __fspath__(self) -> str:
        """Its path, so that it can stand where a path can."""
        return str(self.path)

    def to_dict(self) -> dict[str, Any]:
        """The file in plain values, for JSON."""
        return {**asdict(self), "path": str(self.path)}
