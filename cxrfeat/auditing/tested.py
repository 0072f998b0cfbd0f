"""What the test of a head says against it: shortcuts that do as well, outputs that do not depend on the image."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from cxrfeat.auditing.outputs import Told, outputs_of
from cxrfeat.auditing.short import ShortAudit, check_tested
from cxrfeat.head.data import Data
from cxrfeat.head.evaluation import HeadTest
from cxrfeat.run.document import FinalEvaluation
from cxrfeat.spec import HeadKind
from cxrfeat.types import Finding, failed_first


def examined(tested: HeadTest, kind: HeadKind, data: Data, audit: ShortAudit) -> FinalEvaluation:
    """The test with what its controls and its outputs show.

    Args:
        tested: Of heads on the folds of the audit's split.
        kind: Kind of the head to keep.
        data: What they were tested on.
        audit: Has the controls.
    """
    split, keys = audit.split, data.file.content_sha256
    probabilities = tested.probabilities[len(tested.rows) - len(split.tested) :]
    ends = np.cumsum([len(fold.test) for fold in split.folds])
    told = [
        Told(
            name=fold.name,
            y=data.file.labels[fold.test],
            probabilities=of_fold,
            contents=[keys[row] for row in fold.test.tolist()],
            features=data.plain,
            rows=fold.test,
            votes=head.kind == "knn",
        )
        for fold, head, of_fold in zip(split.folds, tested.heads, np.split(probabilities, ends[:-1]), strict=True)
    ]
    outputs = outputs_of(kind, told, data.file.classes)
    return tested.test.examined(audit.control_scores(probabilities), outputs)


def with_test(findings: Iterable[Finding], test: FinalEvaluation) -> list[Finding]:
    """What the audit says of the data, and what a test says of its head; failed checks first."""
    return failed_first([*findings, *check_tested(test)])
