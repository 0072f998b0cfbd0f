"""A run's head, ready to be used on images: what a run folder keeps of it, read back."""

from __future__ import annotations

from cxrfeat.feature.decoded import decoder_notes
from cxrfeat.head.fitted import FittedHead
from cxrfeat.head.novelty import Novelty
from cxrfeat.image.note import tell
from cxrfeat.run.folder import HEAD, NOVELTY, Run


def load_head(run: Run) -> tuple[FittedHead, Novelty]:
    """A run's head, and what tells images unlike those it was fitted on.

    Raises:
        IntegrityError: If the run is damaged.
    """
    document = run.document
    head = FittedHead.from_npz(run.bytes_of(HEAD), document.fitted)
    tell(decoder_notes(document.features.spec, run.name))
    novelty = Novelty.from_npz(run.bytes_of(NOVELTY), head.dim)
    return head, novelty
