"""Whether names can be those of classes: free texts that were taken for labels are told from them before any work."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping

from cxrfeat.spec import canonical_json

MANY = 20
"""Classes, above which it is doubtful that most of them have a single image."""
LONGEST = 200
"""Characters of a name; the longest of the public sets, a list of findings, has about 120."""
ROOM = 60_000
"""Bytes of all names as JSON: an attribute of HDF5 holds 64 kB, in which feature files keep them."""

_REMEDY = (
    "Give each image the short name of one class (in the column label of the table, or as the folder it lies in), "
    "or choose those to take by `classes`."
)


def doubt(counts: Mapping[str, int]) -> str | None:
    """Why names are hardly those of classes, and what to do; `None` where nothing speaks against them.

    Args:
        counts: Images of each class.

    Example:
        >>> doubt({"COVID": 1, "NORMAL": 1}) is None
        True
        >>> doubt({f"report {number}": 1 for number in range(200)})[:78]
        "There are 200 classes of one image each, such as 'report 0': is this free text"
    """
    for name in counts:
        if any(unicodedata.category(character) in ("Cc", "Zl", "Zp") for character in name):
            return (
                f"The class {shortened(name)} has a line break or another control character in its name, which no "
                "table and no picture can show. Rename it."
            )
    single = [name for name, images in counts.items() if images == 1]
    if len(counts) > MANY and len(single) > len(counts) / 2:
        each = "of one image each" if len(single) == len(counts) else f"of which {len(single)} have one image"
        return f"There are {len(counts)} classes {each}, such as {shortened(single[0])}: is this free text? {_REMEDY}"
    longest = max(counts, key=len, default="")
    if len(longest) > LONGEST:
        return (
            f"The class {shortened(longest)} has a name of {len(longest)} characters, and {LONGEST} are the most: "
            f"is this free text? {_REMEDY}"
        )
    size = len(canonical_json(sorted(counts)).encode())
    if size > ROOM:
        return (
            f"The names of {len(counts)} classes, such as {shortened(longest)}, take {size:,} bytes, and a feature "
            f"file has room for {ROOM:,}: are these lists of findings, or free text? {_REMEDY}"
        )
    return None


def shortened(name: str, most: int = 60) -> str:
    """A name in quotes, or its beginning, for a sentence."""
    return repr(name if len(name) <= most else f"{name[: most - 3]}...")
