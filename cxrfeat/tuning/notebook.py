"""What each fit of a search showed, written down at once, so that a search that was stopped continues where it was."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cxrfeat.spec import canonical_json
from cxrfeat.system.files import write_atomic
from cxrfeat.version import __version__


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """What one head said of the held images of one inner fold, as sums that add up over folds."""

    counts: tuple[tuple[int, ...], ...] = ()
    """Confusion matrix, rows true."""
    log_loss: float = 0.0
    """Summed over images, in nats."""
    auroc: float | None = None
    """Mean over classes; only where the choice is by it."""
    images: int = 0
    """Of a number: held images."""
    absolute: float = 0.0
    """Of a number: absolute errors, summed over images."""
    squared: float = 0.0
    """Of a number: squared errors, summed over images."""
    seconds: float = 0.0
    failed: str | None = None
    """Why it could not be fitted."""

    @classmethod
    def read(cls, stored: Mapping[str, Any], classes: int) -> Tally:
        """From JSON; of a number there are no classes.

        Raises:
            TypeError: If it is no tally.
            ValueError: If a number is none.
        """
        counts = tuple(tuple(int(count) for count in row) for row in stored["counts"])
        if stored["failed"] is not None:
            return cls(failed=str(stored["failed"]))
        auroc = None if stored["auroc"] is None else float(stored["auroc"])
        numbers = [float(stored[name]) for name in ("log_loss", "seconds")]
        numbers += [float(stored.get(name, 0.0)) for name in ("absolute", "squared")] + [auroc or 0.0]
        if [len(row) for row in counts] != [classes] * classes or not all(map(math.isfinite, numbers)):
            raise ValueError("no tally")
        images = int(stored.get("images", 0))
        if not classes and images < 1:
            raise ValueError("no tally")
        return cls(
            counts=counts, log_loss=numbers[0], auroc=auroc, seconds=numbers[1], images=images, absolute=numbers[2],
            squared=numbers[3],
        )  # fmt: skip


class Notebook:
    """Tallies of an unfinished search, on disk after each, so that the same command continues where it was stopped."""

    def __init__(self, path: Path, identity: Mapping[str, Any], classes: int) -> None:
        """Read what is there, if it is of this search; whatever else is there is ignored with a note."""
        self.path = path
        self.notes: list[str] = []
        self._head = {
            "format": "cxrfeat-tune",
            "cxrfeat": __version__,
            "identity": json.loads(canonical_json(identity)),
        }
        self._pages: dict[str, list[Tally]] = {}
        self._texts: dict[str, str] = {}
        """Each page as JSON, made once."""
        if not path.exists():
            return
        try:
            stored = json.loads(path.read_bytes())
            if {key: stored[key] for key in self._head} != self._head:
                raise ValueError("of another search")
            pages = {key: [Tally.read(one, classes) for one in page] for key, page in dict(stored["tallies"]).items()}
        except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
            self.notes.append(f"{path} is damaged or of another version: the search started again.")
            return
        self._add(pages)
        if pages:
            self.notes.append(f"The search continued after {len(pages)} fits that {path} kept.")

    def find(self, key: str, length: int) -> list[Tally] | None:
        """So many tallies under a key, if they are there."""
        page = self._pages.get(key)
        return page if page is not None and len(page) == length else None

    def keep(self, pages: Mapping[str, list[Tally]]) -> None:
        """Write more tallies down.

        Raises:
            StorageError: If the disk refuses.
        """
        self._add(pages)
        head = json.dumps(self._head, allow_nan=False)
        write_atomic(self.path, f'{head[:-1]}, "tallies": {{{", ".join(self._texts.values())}}}}}'.encode())

    def _add(self, pages: Mapping[str, list[Tally]]) -> None:
        self._pages |= pages
        for key, page in pages.items():
            self._texts[key] = f"{json.dumps(key)}: {json.dumps([asdict(one) for one in page], allow_nan=False)}"
