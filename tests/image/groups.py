"""Images of patients, for tests of how they are parted."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from cxrfeat.types import Groups, Labels

CLASSES = ("COVID", "NORMAL", "PNEUMONIA")


def data(seed: int, count: int, patients: int) -> tuple[Labels, Groups, list[str]]:
    """Images of patients, most of one class each, with made-up content hashes."""
    rng = np.random.default_rng(seed)
    groups = rng.integers(0, patients, count)
    of_patient = rng.integers(0, 3, patients)
    labels = np.where(rng.random(count) < 0.9, of_patient[groups], rng.integers(0, 3, count))
    return labels, groups, [f"{value:016x}" for value in rng.permutation(10 * count)[:count]]


SOME = st.builds(data, st.integers(0, 10**6), st.integers(60, 200), st.integers(40, 90))
