"""Tables of features that were made elsewhere, or exported here, as feature files. The only reader of these.

Nothing in them is unpickled. Ids and patients are salted before they are stored, unless the table is this package's
own, whose ids are.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cxrfeat.errors import InputError, UsageError
from cxrfeat.feature.exported import ABOUT, PICTURES
from cxrfeat.feature.format import CODED, COLUMNS, NAMED, PARTS, Content, code, row_shape
from cxrfeat.feature.shard import row_crc32
from cxrfeat.image.identity import Identity
from cxrfeat.image.manifest_line import YES, Line
from cxrfeat.run.record import from_json
from cxrfeat.spec import FeatureSpec, ViewSpec
from cxrfeat.types import Part
from cxrfeat.version import __version__

if TYPE_CHECKING:
    import pandas

ELSEWHERE = "elsewhere"
"""The engine of features of which nobody says what made them."""

_KNOWN: dict[str, tuple[str, ...]] = {
    "image_id": ("image_id", "id", "image", "image_name", "file_name", "filename", "path"),
    "label": ("label", "class", "target"),
    "group": ("group", "patient_id", "patient"),
    "source": ("source", "hospital", "site"),
}
"""By which titles some columns are known; others go by their own names alone."""

_READ = (
    "source", "sex", "view_position", "modality", "laterality", "view", "split", "date", "age", "content_sha256",
    *PICTURES,
)  # fmt: skip
_LEAST_FEATURES = 2
_NAME = re.compile(r"[^./\\\0][^/\\\0]{0,120}")
"""Of a data set or a network, which becomes that of a file: it must not lead elsewhere."""
_SHA256 = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """A table that was read."""

    content: Content
    features: NDArray[np.float32]
    """`(images, views, dim)`."""
    not_read: tuple[str, ...]
    """Titles of columns that say nothing here."""
    lines: tuple[Line, ...]
    """What its ids stand for; none of a table whose ids are salted."""


def read_table(path: Path, identity: Identity, *, titles: Mapping[str, str], dataset: str | None = None) -> Imported:
    """Read a table of features.

    Args:
        path: A `.parquet`, `.npz` or `.csv` file.
        identity: Salts ids.
        titles: By our names of columns (`image_id`, `label`, `group`) the titles that they have there.
        dataset: What the data are called; `None` is what the table says, or its file's name.

    Raises:
        InputError: If it is no such table, lacks ids, labels or features, or holds what these cannot be.
        UsageError: If no file can be called like `dataset`.
    """
    if dataset is not None and not _NAME.fullmatch(dataset):
        raise UsageError(
            f"`dataset` is part of a file's name: up to 121 characters, no slash, no dot first; got {dataset!r}."
        )
    frame, features, about = _READERS[path.suffix.lower()](path)
    found = {name: _title(frame, name, titles.get(name)) for name in _KNOWN}
    if features is None:
        features, used = _columns_of_features(frame, path)
    else:
        used = []
    if found["image_id"] is None or found["label"] is None:
        lacking = "ids of images" if found["image_id"] is None else "labels"
        listed = ", ".join(map(str, frame.columns[:8]))
        raise InputError(f"{path} has no column of {lacking} among {listed}, ... Name it with `column`.")
    frame, features = _by_image(frame, features, str(found["image_id"]), path)
    if not np.isfinite(features).all():
        raise InputError(f"{path} holds features that are not numbers. Correct or leave out these rows.")
    content = _content(path, frame, features, found, about, identity, dataset)
    read = {*used, *filter(None, found.values()), *_READ}
    if about:  # everything of its own is
        read |= set(map(str, frame))
    return Imported(
        content=content,
        features=features,
        not_read=tuple(str(one) for one in frame if one not in read),
        lines=() if about else _lines(content, frame, found),
    )


def _lines(content: Content, frame: pandas.DataFrame, titles: Mapping[str, str | None]) -> tuple[Line, ...]:
    columns = content.columns
    salted, contents, groups = (columns[name].tolist() for name in ("image_id", "content_sha256", "group"))
    patients, sources = (_texts(frame, titles[name]) for name in ("group", "source"))
    return tuple(
        Line(
            salted[row].decode(), str(one), content.classes[columns["label"][row]], contents[row].decode(),
            groups[row].decode(), patients[row] or "", sources[row] or "", "", YES, "",
        )
        for row, one in enumerate(frame[titles["image_id"]])
    )  # fmt: skip


def _parquet(path: Path) -> tuple[pandas.DataFrame, NDArray[np.float32] | None, dict[str, Any]]:
    from pyarrow import ArrowException, parquet

    try:
        table = parquet.read_table(path)
    except (OSError, ArrowException) as error:
        raise InputError(f"{path} cannot be read as a table ({_line(error)}).") from error
    told = (table.schema.metadata or {}).get(ABOUT.encode())
    return table.to_pandas(), None, _about(told, path)


def _csv(path: Path) -> tuple[pandas.DataFrame, NDArray[np.float32] | None, dict[str, Any]]:
    import pandas

    texts = [name for names in _KNOWN.values() for name in names]
    try:
        return pandas.read_csv(path, dtype=dict.fromkeys(texts, "str")), None, {}
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read as a table ({_line(error)}).") from error


def _npz(path: Path) -> tuple[pandas.DataFrame, NDArray[np.float32] | None, dict[str, Any]]:
    import zipfile

    import pandas

    try:
        with np.load(path, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
    except (OSError, ValueError, zipfile.BadZipFile, EOFError) as error:
        raise InputError(f"{path} cannot be read as arrays of numbers and texts ({_line(error)}).") from error
    features = arrays.pop("features", None)
    if features is None or features.ndim not in (2, 3) or features.dtype.kind not in "fiu":
        raise InputError(f"{path} has no array 'features' of (images, features) or (images, views, features).")
    told = arrays.pop(ABOUT, None)
    rows = {name: one for name, one in arrays.items() if one.shape[:1] == features.shape[:1]}
    frame = pandas.DataFrame({name: list(one) if one.ndim > 1 else one for name, one in rows.items()})
    shaped = features.reshape(len(features), -1, features.shape[-1]).astype(np.float32)
    return frame, shaped, _about(None if told is None else str(told).encode(), path)


_READERS = {".parquet": _parquet, ".csv": _csv, ".npz": _npz}
ENDINGS = tuple(_READERS)


def _about(told: bytes | None, path: Path) -> dict[str, Any]:
    """What this package wrote of all rows; nothing in a table of others."""
    if told is None:
        return {}
    try:
        about = json.loads(told)
        from_json(FeatureSpec, about["spec"])
        classes, names = about["classes"], about["names"]
        if not (all(isinstance(one, str) for one in classes) and {*names} == {*NAMED}):
            raise ValueError("it names other columns")
        if not all(_NAME.fullmatch(about.get(one, "table")) for one in ("dataset", "backbone")):
            raise ValueError("its data set or network has a name that no file can have")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(f"{path} says wrongly how its features were made ({_line(error)}).") from error
    return dict(about)


def _title(frame: pandas.DataFrame, name: str, given: str | None) -> str | None:
    """Under which title a column stands; `None` if it does not."""
    if given is not None:
        if given not in frame:
            raise InputError(f"The table has no column {given!r}. Its columns are {', '.join(map(str, frame)):.200}.")
        return given
    return next((one for one in _KNOWN[name] if one in frame), None)


def _columns_of_features(frame: pandas.DataFrame, path: Path) -> tuple[NDArray[np.float32], list[str]]:
    """The largest set of columns of numbers that are called alike but for a number, in the order of that."""
    sets: dict[str, list[tuple[int, str]]] = {}
    for name in map(str, frame.columns):
        found = re.fullmatch(r"(.*?)(\d{1,6})", name)
        if found and frame[name].dtype.kind in "fiu":
            sets.setdefault(found[1], []).append((int(found[2]), name))
    largest = sorted(sets.values(), key=len)[-1] if sets else []
    names = [name for _, name in sorted(largest)]
    if len(names) < _LEAST_FEATURES:
        raise InputError(f"{path} has no columns of features, such as f0, f1, f2, ... or feature_1, feature_2, ...")
    return frame[names].to_numpy(np.float32)[:, None], names


def _by_image(
    frame: pandas.DataFrame, features: NDArray[np.float32], title: str, path: Path
) -> tuple[pandas.DataFrame, NDArray[np.float32]]:
    """A row for each image, and its views behind each other."""
    if "view" not in frame or features.shape[1] > 1:
        if frame[title].isna().any() or frame[title].duplicated().any():
            raise InputError(
                f"{path} has rows without an id, or with the same one, and no column 'view' that separates them."
            )
        return frame, features
    views = frame["view"].to_numpy()
    count = int(views.max()) + 1 if len(views) else 0
    plain = frame[views == 0].reset_index(drop=True)
    place = {one: row for row, one in enumerate(plain[title].tolist())}
    made = np.full((len(plain), count, features.shape[2]), np.nan, np.float32)
    for one, view, row in zip(frame[title].tolist(), views.tolist(), features[:, 0], strict=True):
        if one in place and 0 <= view < count:
            made[place[one], int(view)] = row
    if len(place) != len(plain) or len(plain) * count != len(frame):
        raise InputError(f"{path} has not the same views, from 0 on, of every image, each once.")
    return plain, made


def _content(
    path: Path,
    frame: pandas.DataFrame,
    features: NDArray[np.float32],
    titles: Mapping[str, str | None],
    about: Mapping[str, Any],
    identity: Identity,
    dataset: str | None,
) -> Content:
    images, views = features.shape[:2]
    ids = [str(one) for one in frame[titles["image_id"]]]
    labels = _texts(frame, titles["label"])
    if None in labels:
        raise InputError(f"{path} has {labels.count(None)} rows without a label. Leave them out, or name their class.")
    classes = tuple(about.get("classes") or sorted({str(one) for one in labels}))
    names = {one: list(about.get("names", {}).get(one, ())) for one in NAMED}
    if about:
        spec = from_json(FeatureSpec, about["spec"])
    else:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        view = ViewSpec(size=16, count=views)
        spec = FeatureSpec(backbone="file", weights=f"table:{digest}", preprocess="none", view=view)
    columns = {name: np.zeros((images, *row_shape(name, spec, names)), dtype) for name, (dtype, _) in COLUMNS.items()}
    patients = _texts(frame, titles["group"])
    own = bool(about)  # whose ids are salted
    salted = [one if own else identity.image_id(one) for one in ids]
    groups = [
        (one or salted[row]) if own else identity.group_id(f"imported {one}" if one else f"alone {ids[row]}")
        for row, one in enumerate(patients)
    ]
    contents = _texts(frame, "content_sha256")
    given: dict[str, Sequence[Any]] = {
        "image_id": [one.encode() for one in salted],
        "content_sha256": [
            (one if one and _SHA256.fullmatch(one) else hashlib.sha256(salted[row].encode()).hexdigest()).encode()
            for row, one in enumerate(contents)
        ],
        "label": [classes.index(str(one)) for one in labels],
        "group": [one.encode() for one in groups],
        "known_patient": frame["known_patient"].tolist() if own else [one is not None for one in patients],
        "split": _parts(frame, "split", path),
        "bound_split": _parts(frame, "bound_split", path),
        "date": [(one or "").encode() for one in _texts(frame, "date")],
        "age": _numbers(frame, "age"),
        "crc32": row_crc32(features).tolist(),
        "pixel_digest": range(1, images + 1),
    }
    columns |= {name: np.array(values, dtype=COLUMNS[name][0]) for name, values in given.items()}
    for name in PICTURES:
        if name in frame:
            columns[name] = _pictures(frame, name, columns[name].shape, path)
    values: dict[str, list[str]] = {}
    for name in CODED:
        if name == "kept_texts":
            kept = [_texts(frame, _named(frame, one, "kept")) for one in names[name]]
            flat, values[name] = code([text for row in zip(*kept, strict=True) for text in row])
            columns[name] = flat.reshape(images, -1) if len(flat) else columns[name]
        else:
            columns[name], values[name] = code(_texts(frame, name.replace("container/", "container_")))
    for at, name in enumerate(names["kept_numbers"]):
        columns["kept_numbers"][:, at] = _numbers(frame, _named(frame, name, "kept"))
    for at, name in enumerate(names["findings"]):
        stated = np.array(_numbers(frame, _named(frame, name, "finding")))
        columns["findings"][:, at] = np.where(np.isnan(stated), -2, stated)
    for name in ("width", "height", "bits", "file_bytes"):
        if own:
            columns[f"container/{name}"][:] = frame[f"container_{name}"]
    for name in ("mean_grey", "black_border"):
        if own:
            columns[name][:] = frame[name]
    return Content(
        spec=spec,
        backbone=str(about.get("backbone", re.sub(r"[^A-Za-z0-9_]+", "_", path.stem)[:60] or "table")),
        dataset=dataset or str(about.get("dataset", re.sub(r"[^A-Za-z0-9_.-]+", "_", path.stem)[:60] or "table")),
        classes=classes,
        columns=columns,
        values=values,
        names=names,
        quarantine=[],
        engine=str(about.get("engine", ELSEWHERE)),
        versions=dict(about.get("versions") or {"cxrfeat": __version__}),
    )


def _pictures(frame: pandas.DataFrame, name: str, shape: tuple[int, ...], path: Path) -> NDArray[np.uint8]:
    rows = [bytes(one) if isinstance(one, bytes) else np.asarray(one, np.uint8).tobytes() for one in frame[name]]
    pixels = np.frombuffer(b"".join(rows), np.uint8)
    if pixels.size != np.prod(shape):
        raise InputError(f"{path} holds pictures in {name!r} that are not of {shape[1]} x {shape[2]} pixels.")
    return pixels.reshape(shape)


def _named(frame: pandas.DataFrame, name: str, kind: str) -> str:
    return f"{kind} {name}" if f"{kind} {name}" in frame else name


def _texts(frame: pandas.DataFrame, title: str | None) -> list[str | None]:
    if title is None or title not in frame:
        return [None] * len(frame)
    known = frame[title].astype(object).where(frame[title].notna(), None)
    return [None if one is None or not str(one).strip() else str(one).strip() for one in known]


def _numbers(frame: pandas.DataFrame, title: str) -> list[float]:
    import pandas

    if title not in frame:
        return [float("nan")] * len(frame)
    found: list[float] = (
        pandas.to_numeric(frame[title], errors="coerce")
        .astype("Float64")
        .to_numpy(np.float64, na_value=np.nan)
        .tolist()
    )
    return found


def _parts(frame: pandas.DataFrame, title: str, path: Path) -> list[int]:
    words = {str(part): place for place, part in enumerate(PARTS)} | {"val": 1, "valid": 1}
    texts = _texts(frame, title)
    if odd := {one for one in texts if one is not None and one.lower() not in words}:
        raise InputError(
            f"{path} has parts of a split that are none of {', '.join(Part)}: {len(odd)} other words in {title!r}."
        )
    return [-1 if one is None else words[one.lower()] for one in texts]


def _line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
