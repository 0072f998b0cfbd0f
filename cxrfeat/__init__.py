"""Cached features of frozen networks for chest X-rays, and honest classifiers on them. Research use only.

Everything the command line does, Python can do; importing this package is light, and TensorFlow loads when a network
runs.

Example:
    >>> import cxrfeat
    >>> cxrfeat.__version__
    '0.1.0'
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

__all__ = [
    "DenseHead", "DropoutHead", "KnnHead", "LogregHead", "RidgeHead", "SoftmaxHead", "SvmLinearHead", "SvmRbfHead",
    "audit_data", "compare", "explain_run", "extract", "finetune_network", "fit", "index", "open", "predict",
    "report_runs", "tune", "verify",
]  # fmt: skip

if TYPE_CHECKING:
    from cxrfeat.feature.store import FeatureFile as open  # noqa: A004, N813  # `cxrfeat.open(path)` reads like the built-in
    from cxrfeat.head.estimator import (
        DenseHead,
        DropoutHead,
        KnnHead,
        LogregHead,
        RidgeHead,
        SoftmaxHead,
        SvmLinearHead,
        SvmRbfHead,
    )
    from cxrfeat.image.index import index_folder as index
    from cxrfeat.study.audit import audit as audit_data
    from cxrfeat.study.compare import compare
    from cxrfeat.study.explain import explain as explain_run
    from cxrfeat.study.extract import extract
    from cxrfeat.study.finetune import finetune as finetune_network
    from cxrfeat.study.fit import fit
    from cxrfeat.study.predict import predict
    from cxrfeat.study.report import report as report_runs
    from cxrfeat.study.tune import tune
    from cxrfeat.study.verify import verify

_PLACES = {
    "audit_data": ("cxrfeat.study.audit", "audit"),  # `audit` is the package of the checks
    "compare": ("cxrfeat.study.compare", "compare"),
    "explain_run": ("cxrfeat.study.explain", "explain"),  # `explain` is the package of the methods
    "extract": ("cxrfeat.study.extract", "extract"),
    "finetune_network": ("cxrfeat.study.finetune", "finetune"),  # `finetune` is the package of the training
    "fit": ("cxrfeat.study.fit", "fit"),
    "index": ("cxrfeat.image.index", "index_folder"),
    "open": ("cxrfeat.feature.store", "FeatureFile"),
    "predict": ("cxrfeat.study.predict", "predict"),
    "report_runs": ("cxrfeat.study.report", "report"),  # `report` is the package of tables and pages
    "tune": ("cxrfeat.study.tune", "tune"),
    "verify": ("cxrfeat.study.verify", "verify"),
}
_PLACES |= {name: ("cxrfeat.head.estimator", name) for name in __all__ if name.endswith("Head")}


def __getattr__(name: str) -> Any:  # noqa: ANN401  # one of several functions and classes
    if name not in _PLACES:
        raise AttributeError(f"module 'cxrfeat' has no attribute {name!r}")
    import importlib

    module, attribute = _PLACES[name]
    return getattr(importlib.import_module(module), attribute)
