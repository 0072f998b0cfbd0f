"""Which of several runs did best, in a sentence."""

from __future__ import annotations

from cxrfeat.head.best import Best
from cxrfeat.reporting.table import in_words, number


def best_sentence(best: Best) -> str:
    """One line for people: the run, what it is tied with, and its test."""
    document, few = best.run.document, " image" if best.images == 1 else " images"
    said = f"Best on validation: {document.head}, accuracy {number(best.accuracy)} on {best.images}{few}"
    if best.tied is None:
        said += " (too few to say what is tied)"
    elif best.tied:
        tied = [one.document.head for one in best.tied]
        said += f", tied with {', '.join(tied)}" if len(tied) + 1 < best.among else ", tied with all the others"
    return f"{said}; its test: {in_words(document.test.accuracy, document.test.accuracy_ci)}."
