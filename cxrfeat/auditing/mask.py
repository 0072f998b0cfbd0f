"""Whether the lung masks of a data set can be used."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from cxrfeat.image.mask import Masks
from cxrfeat.types import Finding, Status


def check_masks(masks: Masks, contents: Sequence[str]) -> list[Finding]:
    """Masks that cannot be used, that are missing, or that had to be turned round; nothing where there are none at all.

    Args:
        masks: From `find_masks`, of the images that could be read.
        contents: The content hash of each of these.
    """
    if not masks:
        return []
    bad = {mask.image: mask.problem for mask in masks.values() if mask.problem is not None}
    turned = sum(mask.inverted for mask in masks.values())
    images, missing = len(contents), sum(content not in masks for content in contents)
    said = []
    if bad:
        reasons = "; ".join(
            f"{count} x {reason}" for reason, count in Counter(why for _, why in bad.values()).most_common(3)
        )
        said.append(f"{len(bad)} of {len(masks)} lung masks cannot be used ({reasons})")
    if missing:
        said.append(f"{missing} of {images} images have none")
    if bad or missing:
        said[-1] += "; a template stands in"
    if turned:
        said.append(f"{turned} of {len(masks)} are bright outside the lungs, and are used inverted")
    return [
        Finding(
            check="masks",
            status=Status.WARN if said else Status.PASS,
            value=len(bad) + missing,
            why=f"{'; '.join(said)}." if said else f"All {len(masks)} lung masks mark something plausible as lungs.",
            do="Repair these masks or delete them: `mask` of cxrfeat extract sets their images aside." if bad else "",
            images=tuple(sorted(bad)),
        )
    ]
