"""The epochs of a fit as rows, in which a number that tests know to be there can be used as one."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Protocol

from cxrfeat.run.table import History


class Trained(Protocol):
    @property
    def history(self) -> History: ...


def epochs_of(trained: Trained) -> list[dict[str, Any]]:
    return [asdict(one) for one in trained.history.epochs]
