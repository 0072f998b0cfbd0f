"""A run's head, ready to be used on images: what a run folder keeps of it, read back."""

from __future__ import annotations

from cxrfeat.errors import IntegrityError, SpecError
from cxrfeat.feature.decoded import decoder_notes
from cxrfeat.head.fitted import FittedHead
from cxrfeat.head.novelty import Novelty
from cxrfeat.image.note import tell
from cxrfeat.run.folder import Run
from cxrfeat.spec import FeatureSpec, from_dict


def load_head(run: Run) -> tuple[FittedHead, Novelty, FeatureSpec, str]:
    """A run's head, what tells unlike images, how its features were made, and the network's name.

    Raises:
        IntegrityError: If the run is damaged.
    """
    try:
        head = FittedHead.from_npz(run.bytes_of("head.npz"), run.info["fitted"])
        spec = from_dict(FeatureSpec, run.info["features"]["spec"])
        name = str(run.info["backbone"])
    except (KeyError, TypeError, SpecError) as error:
        raise IntegrityError(f"{run.path / 'run.json'} is damaged ({error}). Fit the head again.") from error
    tell(decoder_notes(spec, run.name))
    return head, Novelty.from_npz(run.bytes_of("novelty.npz"), head.dim), spec, name
