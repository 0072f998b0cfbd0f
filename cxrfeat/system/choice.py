"""What was chosen by itself, and why: who prepares images, what runs a network, in what batches.

Whoever chooses tells it through the logger of this module as information, so that nobody hears of it who did not ask:
the command line shows it under `verbose`, and a Python program sees it as it has set up `logging`.
"""

from __future__ import annotations

import logging

LOGGER = logging.getLogger("cxrfeat.choice")


def chose(text: str) -> None:
    """Log a choice, in a sentence that says why."""
    LOGGER.info("%s", text)
