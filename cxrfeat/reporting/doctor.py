"""What the doctor found, for people to read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cxrfeat.reporting.table import Table


def doctor_table(document: Mapping[str, Any]) -> Table:
    """Every check, in the order in which it was made.

    Args:
        document: As `Diagnosis.to_dict` gives it.
    """
    failed = [one["check"] for one in document["checks"] if one["status"] == "fail"]
    verdict = f"features would not be made here: see {', '.join(failed)}" if failed else "all that it takes is here"
    rows = tuple((one["status"], one["check"], _sentence(one["value"]), one["do"]) for one in document["checks"])
    return Table(title=f"This machine: {verdict}", columns=("", "check", "found", "what to do"), rows=rows)


def _sentence(found: str) -> str:
    """With a full stop.

    Example:
        >>> _sentence("2 cores"), _sentence("It is a file.")
        ('2 cores.', 'It is a file.')
    """
    return found if found.endswith(".") else f"{found}."
