"""The recipe of merging: shards that processes of an array left become feature files."""

from __future__ import annotations

from collections.abc import Iterable

from cxrfeat.errors import UsageError
from cxrfeat.feature.merge import merge_shares
from cxrfeat.image.identity import Identity
from cxrfeat.system.given import PathLike, as_path, as_paths, one_or_many
from cxrfeat.workflow.extract import Extraction


def merge(folders: PathLike | Iterable[PathLike], *, features: PathLike | None = None) -> Extraction:
    """Build the feature files whose shares were computed, from one folder or several.

    Args:
        folders: Folders of features, into which `extract` put shares; shares may be there more than once.
        features: Folder for the files; the first of `folders` unless given.

    Returns:
        As `extract`, of the whole.

    Raises:
        InputError: If there is nothing to merge, if images are missing, or if the shares are of different data.
        IntegrityError: If two shares contradict each other.
        LockedError: If a share is still being computed there.
        StorageError: If the disk refuses.
    """
    each = as_paths(one_or_many(folders), "a folder of shares")
    if not each:
        raise UsageError("Name at least one folder into which `cxrfeat extract` put shares.")
    files, order = merge_shares(each, each[0] if features is None else as_path(features), Identity.load())
    quarantined = {one.path: one for file in files for one in file.quarantined}
    bad = tuple(quarantined[path] for path in sorted(quarantined))
    return Extraction(files=tuple(files), manifest=order.manifest, quarantined=bad)
