"""What the folders around an image say of it: its class, and its part of a split.

The only place that knows layouts of folders. It works on paths alone:

- a folder per class, with images at any depth below it;
- `CLASS/images/` (the Kaggle COVID-19 Radiography Database), whose `images` says nothing of the class;
- `train/`, `val/` and `test/` above class folders, or below each of them, under any usual name (`test_images`);
- folders above classes that are neither (`fold1/`, `fold2/`), and a single folder that holds everything.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from cxrfeat.errors import InputError
from cxrfeat.image.mask_file import sorts_images
from cxrfeat.image.note import Note, Weight, examples, number
from cxrfeat.image.value import part_of, words
from cxrfeat.types import Part

LAYOUTS = (
    "Understood are: a folder per class (DATA/COVID/1.png); train, val and test folders above class folders; "
    "the Kaggle layout (CLASS/images next to CLASS/masks); and a metadata.csv with the columns image and label."
)

_CLASS_WORDS = frozenset(
    ("covid", "covid19", "normal", "healthy", "pneumonia", "viral", "bacterial", "tuberculosis", "tb", "sick",
     "abnormal", "positive", "negative", "opacity", "effusion", "cardiomegaly", "pneumothorax", "sars", "mers",
     "finding", "nodule",
     "mass", "atelectasis", "fibrosis", "edema", "oedema", "infiltration", "emphysema", "control",
     "controls", "pos", "neg")
)  # fmt: skip


@dataclass(slots=True)
class FolderClaims:
    """What the folders say."""

    labels: dict[str, str] = field(default_factory=dict)
    """The class of each image that lies in a class folder."""
    parts: dict[str, Part] = field(default_factory=dict)
    """The part of each image that lies in a folder named as one."""
    copies: set[str] = field(default_factory=set)
    """Images of a folder that stands again in itself, left aside."""
    loose: list[str] = field(default_factory=list)
    """Images that lie outside of all class folders."""
    problem: InputError | None = None
    """Why the folders give no classes; of no matter where a table does."""
    notes: list[Note] = field(default_factory=list)


def single_folder(paths: Collection[str]) -> str:
    """The folder that holds all images and must be entered to find their classes, with a `/` at its end; else empty.

    An archive is often unpacked one folder too deep. A folder is not entered whose own name is a class or a part, or
    in which nothing but folders for images and masks lie.

    Args:
        paths: Paths of the images, masks left out.

    Example:
        >>> single_folder(["Set/A/1.png", "Set/B/2.png"])
        'Set/'
        >>> single_folder(["COVID/p1/1.png", "COVID/p2/2.png"])
        ''
    """
    base = ""
    while True:
        tops = {path[len(base) :].split("/")[0] for path in paths}
        if len(tops) != 1 or any("/" not in path[len(base) :] for path in paths):
            return base
        (top,) = tops
        inner = {path[len(base) + len(top) + 1 :].split("/")[0] for path in paths if path.count("/", len(base)) > 1}
        telling = {name for name in inner if not sorts_images(name)}
        inside_named = any(_is_class_word(name) for name in telling)  # COVID-19_Radiography_Dataset/COVID
        named = (_is_class_word(top) and not inside_named) or part_of(top) is not None
        if named or not (len(telling) > 1 or (len(inner) == 1 and telling) or (sorts_images(top) and inner)):
            return base
        base += f"{top}/"


def claims_of(paths: Sequence[str], base: str, root_name: str) -> FolderClaims:
    """Read the folders around images.

    Args:
        paths: Paths of the images, relative to the data folder, masks left out.
        base: From `single_folder`.
        root_name: The name of the data folder.
    """
    found = FolderClaims()
    if base:
        found.notes.append(
            Note(
                text=f"Everything lies in the one folder {base.rstrip('/')!r}, which was entered.", weight=Weight.MINOR
            )
        )
    inner = {path: path[len(base) :].split("/")[:-1] for path in paths}
    _leave_copies(found, inner, base.rstrip("/").rpartition("/")[2] or root_name)
    tops = sorted({folders[0] for folders in inner.values() if folders})
    found.loose = sorted(path for path, folders in inner.items() if not folders)
    parted = [top for top in tops if part_of(top) is not None]
    others = [top for top in tops if top not in parted]
    nested = [top for top in others if _holds_parts(top, inner)]
    if parted and others:
        found.problem = InputError(
            f"{', '.join(parted)} next to {', '.join(others)}: the first are parts of a split, the others classes, and "
            "one folder cannot hold both. Move the classes into the parts, or rename the folders."
        )
    elif nested and len(tops) > 1 and len(nested) < len(tops):
        rest = [top for top in others if top not in nested]
        found.problem = InputError(
            f"The folder {nested[0]!r} holds parts of a split, and {', '.join(map(repr, rest))} next to it "
            f"{'does' if len(rest) == 1 else 'do'} not, so they are not classes of one data set. Give {nested[0]!r} as "
            "the data folder, or move what is next to it elsewhere."
        )
    elif parted or (tops and nested == tops and all(len(folders) != 2 for folders in inner.values())):
        level = 0 if parted else 1
        for path, folders in inner.items():
            if len(folders) > level and (part := part_of(folders[level])) is not None:
                found.parts[path] = part
        if level:
            _say_outer(found, tops, [])
        _label(found, inner, level + 1)
    elif not nested and (outer := _outer(tops, inner)):
        _say_outer(found, tops, outer)
        _label(found, inner, 1)
    else:
        _label(found, inner, 0)
        _parts_below(found, inner)
    return found


def near_equal(names: Collection[str]) -> list[list[str]]:
    """Names that differ in case, spaces, signs or Unicode form only: most likely one name.

    Example:
        >>> near_equal(["COVID", "Covid", "NORMAL", "No Finding", "no_finding"])
        [['COVID', 'Covid'], ['No Finding', 'no_finding']]
    """
    alike: dict[str, list[str]] = {}
    for name in sorted(names):
        alike.setdefault(key_of(name), []).append(name)
    return [some for some in alike.values() if len(some) > 1]


def key_of(name: str) -> str:
    """What two spellings of one name share."""
    import unicodedata

    return re.sub(r"[\W_]+", "", unicodedata.normalize("NFKC", name).casefold()) or name


def _is_class_word(name: str) -> bool:
    return bool(_CLASS_WORDS & set(words(name))) or key_of(name) in _CLASS_WORDS


def _holds_parts(top: str, inner: dict[str, list[str]]) -> bool:
    """Whether all images of a folder lie in two or more part folders inside it."""
    seconds = {folders[1] if len(folders) > 1 else "" for folders in inner.values() if folders and folders[0] == top}
    return len(seconds) > 1 and all(part_of(name) is not None for name in seconds)


def _leave_copies(found: FolderClaims, inner: dict[str, list[str]], name: str) -> None:
    """Kaggle's archives often hold a folder in itself, with the same files again."""
    again = [path for path, folders in inner.items() if folders and folders[0] == name]
    if not again or len(again) == len(inner):
        return
    files = {path: "/".join((*folders, path.rpartition("/")[2])) for path, folders in inner.items()}
    rest = {files[path] for path in inner if path not in set(again)}
    if all(files[path].removeprefix(f"{name}/") in rest for path in again):
        found.copies = set(again)
        found.notes.append(
            Note(
                text=f"The folder {name!r} holds itself once more, with {number(len(again), 'image')} of the same "
                "names, left aside."
            )
        )
        for path in again:
            del inner[path]


def _outer(tops: Sequence[str], inner: dict[str, list[str]]) -> list[str]:
    """The names that all folders at the top hold, if these are the classes and the tops are something else."""
    if len(tops) < 2 or any(map(_is_class_word, tops)):
        return []
    seconds: dict[str, set[str]] = {top: set() for top in tops}
    for folders in inner.values():
        if folders:
            seconds[folders[0]].add(folders[1] if len(folders) > 1 else "")
    names = seconds[tops[0]]
    if "" in names or any(key_set(each) != key_set(names) for each in seconds.values()):
        return []
    telling = sorted(name for name in names if not sorts_images(name))
    return telling if len(telling) > 1 and len(telling) == len(names) else []


def key_set(names: Collection[str]) -> set[str]:
    """What two sets of names share, however they are spelt."""
    return {key_of(name) for name in names}


def _say_outer(found: FolderClaims, tops: Sequence[str], classes: Sequence[str]) -> None:
    hold = (
        f" all hold {', '.join(map(repr, classes[:4]))}{' ...' if len(classes) > 4 else ''}, so these are the classes"
    )
    shown = ", ".join(map(repr, tops[:4])) + (" ..." if len(tops) > 4 else "")
    found.notes.append(
        Note(
            text=f"The folders {shown}{hold if classes else ' hold parts of a split'}; which folder an image lies in "
            "is not used. If these are hospitals, say so in the column source of metadata.csv."
        )
    )


def _label(found: FolderClaims, inner: dict[str, list[str]], level: int) -> None:
    """Take the class from the folder at a level, folders that merely hold images passed over."""
    unlabelled = []
    for path, folders in inner.items():
        at = level
        while at + 1 < len(folders) and sorts_images(folders[at]):
            at += 1
        if at < len(folders) and not (sorts_images(folders[at]) and at == len(folders) - 1):
            found.labels[path] = folders[at]
        elif folders:
            unlabelled.append(path)
    if unlabelled and level and found.labels:
        found.problem = InputError(
            f"{unlabelled[0].rpartition('/')[0]!r} holds images directly{examples(unlabelled)}, so nothing says which "
            f"class each belongs to. {LAYOUTS}"
        )
    else:
        found.loose = sorted({*found.loose, *unlabelled})


def _parts_below(found: FolderClaims, inner: dict[str, list[str]]) -> None:
    """Parts of a split inside each class folder (`COVID/train/1.png`), if every image lies in one."""
    parts = {path: part_of(folders[1]) if len(folders) > 1 else None for path, folders in inner.items() if folders}
    if parts and all(part is not None for part in parts.values()) and len(Counter(parts.values())) > 1:
        found.parts = {path: part for path, part in parts.items() if part is not None}
