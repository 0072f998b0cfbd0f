"""Made-up documents of runs, as the commands print them."""

from __future__ import annotations

from typing import Any

SCORES: dict[str, Any] = {
    "accuracy": 0.75, "accuracy_ci": [0.5, 1.0], "balanced_accuracy": 0.7, "balanced_accuracy_ci": None,
    "auroc": None, "auroc_ci": None, "macro_f1": 2 / 3, "images": 8, "groups": 5, "classes": ["COVID", "NORMAL"],
    "sensitivity": {"COVID": 0.5, "NORMAL": 1.0}, "specificity": {"COVID": 1.0, "NORMAL": None},
    "sensitivity_ci": {"COVID": [0.1, 0.9], "NORMAL": None}, "specificity_ci": {"COVID": None, "NORMAL": None},
    "auroc_per_class": {"COVID": 0.9, "NORMAL": None}, "confusion": [[2, 2], [0, 4]],
}  # fmt: skip
TRAINING = {"loss": 0.65014, "accuracy": 0.9588, "val_loss": 3.1393, "val_accuracy": None, "epochs": 20.0}
WORTH = {
    "prevalence": 0.1, "sensitivity": 0.5, "sensitivity_ci": [0.1, 0.9], "specificity": 1.0, "specificity_ci": None,
    "ppv": 0.25, "ppv_ci": [0.125, 0.5], "npv": None, "npv_ci": None,
}  # fmt: skip


def run(**changes: Any) -> dict[str, Any]:
    return {
        "head": "logreg",
        "backbone": "resnet50",
        "test": SCORES,
        "seconds": 1.26,
        "random_weights": False,
    } | changes


def full(name: str, **changes: Any) -> dict[str, Any]:
    return run(run=name, dataset="d", training=TRAINING, predictive_values={"COVID": WORTH}) | changes
