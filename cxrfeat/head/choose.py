"""Which heads are meant: descriptions, or names as users write them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from cxrfeat.errors import UsageError
from cxrfeat.spec import HEAD_KINDS, MAIN_KINDS, HeadKind, HeadSpec
from cxrfeat.system.given import nearest, one_or_many

HeadLike = HeadSpec | str
"""A description of a head, or the name of a kind, or `all` or `all+controls`."""


def head_kinds(names: Sequence[str]) -> list[HeadKind]:
    """Head kinds from what the user wrote: names, or `all`.

    Raises:
        UsageError: If there is no such head.
    """
    kinds: list[HeadKind] = []
    for name in names:
        if name == "all":
            kinds += MAIN_KINDS
        elif name == "all+controls":
            kinds += HEAD_KINDS
        elif name in HEAD_KINDS:
            kinds.append(name)
        else:
            raise UsageError(
                f"There is no head {name!r}.{nearest(str(name), HEAD_KINDS)} The heads are {', '.join(HEAD_KINDS)}, "
                "all, or all+controls."
            )
    return list(dict.fromkeys(kinds))


def head_specs(heads: HeadLike | Iterable[HeadLike], seed: int = 0) -> list[HeadSpec]:
    """The heads that are meant, in order, each once.

    Args:
        heads: One or many; a name is that kind of head as it is by default, or `all`.
        seed: Seed of the heads that are named.

    Raises:
        UsageError: If there is no such head, or none is named.
    """
    specs: list[HeadSpec] = []
    each: list[HeadLike] = one_or_many(heads)
    for one in each:
        specs += [one] if isinstance(one, HeadSpec) else [HeadSpec(kind=kind, seed=seed) for kind in head_kinds([one])]
    if not specs:
        raise UsageError("Name at least one head, or 'all'.")
    return list(dict.fromkeys(specs))
