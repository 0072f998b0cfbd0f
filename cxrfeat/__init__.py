"""Cached features of frozen networks for chest X-rays, and honest classifiers on them. Research use only.

Everything the command line does, Python can do; importing this package is light, and TensorFlow loads when a network
runs. A path is text or `Path`; a run is a `Run`, its name, or its folder; and where many can be given, one can.

Example:
    >>> import cxrfeat
    >>> cxrfeat.__version__
    '0.1.0'
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cxrfeat.version import __version__ as __version__

if TYPE_CHECKING:
    from cxrfeat.errors import (
        AuditError,
        CxrFeatError,
        DivergedError,
        InputError,
        IntegrityError,
        LockedError,
        MissingExtraError,
        QuarantineError,
        SpecError,
        SplitError,
        StaleFeaturesError,
        StorageError,
        UsageError,
        WeightsError,
    )
    from cxrfeat.feature.store import FeatureFile
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
    from cxrfeat.image.row import Manifest, Selection
    from cxrfeat.run.folder import Run, find_run, find_runs
    from cxrfeat.run.folder import read_run as open_run
    from cxrfeat.spec import FeatureSpec, FinetuneSpec, HeadSpec, SplitSpec, ViewSpec
    from cxrfeat.study.audit import AuditResult, audit
    from cxrfeat.study.compare import Comparison, compare
    from cxrfeat.study.curve import Curve, learning_curve, views_curve
    from cxrfeat.study.explain import Explained, explain
    from cxrfeat.study.extract import Extraction, extract
    from cxrfeat.study.finetune import finetune
    from cxrfeat.study.fit import FitResult, fit
    from cxrfeat.study.predict import Predictions, predict
    from cxrfeat.study.report import Report, report
    from cxrfeat.study.reproduce import Options as ReproduceOptions
    from cxrfeat.study.reproduce import Reproduction, reproduce
    from cxrfeat.study.tune import TuneResult, tune
    from cxrfeat.study.units import ActivationMaps, TopPatches, activation_maps, top_patches
    from cxrfeat.study.verify import verify
    from cxrfeat.types import Finding, Part, Status

_PLACES = {
    **dict.fromkeys(
        (
            "AuditError", "CxrFeatError", "DivergedError", "InputError", "IntegrityError", "LockedError",
            "MissingExtraError", "QuarantineError", "SpecError", "SplitError", "StaleFeaturesError", "StorageError",
            "UsageError", "WeightsError",
        ),
        "cxrfeat.errors",
    ),
    **dict.fromkeys(
        (
            "DenseHead", "DropoutHead", "KnnHead", "LogregHead", "RidgeHead", "SoftmaxHead", "SvmLinearHead",
            "SvmRbfHead",
        ),
        "cxrfeat.head.estimator",
    ),
    **dict.fromkeys(("FeatureSpec", "FinetuneSpec", "HeadSpec", "SplitSpec", "ViewSpec"), "cxrfeat.spec"),
    **dict.fromkeys(("Finding", "Part", "Status"), "cxrfeat.types"),
    **dict.fromkeys(("Manifest", "Selection"), "cxrfeat.image.row"),
    **dict.fromkeys(("Run", "find_run", "find_runs"), "cxrfeat.run.folder"),
    "ActivationMaps": "cxrfeat.study.units",
    "AuditResult": "cxrfeat.study.audit",
    "Comparison": "cxrfeat.study.compare",
    "Curve": "cxrfeat.study.curve",
    "Explained": "cxrfeat.study.explain",
    "Extraction": "cxrfeat.study.extract",
    "FeatureFile": "cxrfeat.feature.store",
    "FitResult": "cxrfeat.study.fit",
    "Predictions": "cxrfeat.study.predict",
    "Report": "cxrfeat.study.report",
    "ReproduceOptions": "cxrfeat.study.reproduce:Options",
    "Reproduction": "cxrfeat.study.reproduce",
    "TopPatches": "cxrfeat.study.units",
    "TuneResult": "cxrfeat.study.tune",
    "activation_maps": "cxrfeat.study.units",
    "audit": "cxrfeat.study.audit",
    "compare": "cxrfeat.study.compare",
    "explain": "cxrfeat.study.explain",
    "extract": "cxrfeat.study.extract",
    "finetune": "cxrfeat.study.finetune",
    "fit": "cxrfeat.study.fit",
    "index": "cxrfeat.image.index:index_folder",
    "learning_curve": "cxrfeat.study.curve",
    "open": "cxrfeat.feature.store:FeatureFile",
    "open_run": "cxrfeat.run.folder:read_run",
    "predict": "cxrfeat.study.predict",
    "report": "cxrfeat.study.report",
    "reproduce": "cxrfeat.study.reproduce",
    "top_patches": "cxrfeat.study.units",
    "tune": "cxrfeat.study.tune",
    "verify": "cxrfeat.study.verify",
    "views_curve": "cxrfeat.study.curve",
}  # fmt: skip
"""For each name its module, and after a colon what it is called there, where that is something else."""

__all__ = [
    "ActivationMaps", "AuditError", "AuditResult", "Comparison", "Curve", "CxrFeatError", "DenseHead", "DivergedError",
    "DropoutHead", "Explained", "Extraction", "FeatureFile", "FeatureSpec", "Finding", "FinetuneSpec", "FitResult",
    "HeadSpec", "InputError", "IntegrityError", "KnnHead", "LockedError", "LogregHead", "Manifest",
    "MissingExtraError", "Part", "Predictions", "QuarantineError", "Report", "ReproduceOptions", "Reproduction",
    "RidgeHead", "Run", "Selection", "SoftmaxHead", "SpecError", "SplitError", "SplitSpec", "StaleFeaturesError",
    "Status", "StorageError", "SvmLinearHead", "SvmRbfHead", "TopPatches", "TuneResult", "UsageError", "ViewSpec",
    "WeightsError", "activation_maps", "audit", "compare", "explain", "extract", "find_run", "find_runs",
    "finetune", "fit", "index", "learning_curve", "open", "open_run", "predict", "report", "reproduce",
    "top_patches", "tune", "verify", "views_curve",
]  # fmt: skip


def __getattr__(name: str) -> Any:  # noqa: ANN401  # one of several functions and classes
    if name not in _PLACES:
        raise AttributeError(f"module 'cxrfeat' has no attribute {name!r}")
    import importlib

    module, _, attribute = _PLACES[name].partition(":")
    return getattr(importlib.import_module(module), attribute or name)


def __dir__() -> list[str]:
    """The names that load when they are used among them, for whoever types a tab."""
    return sorted({*globals(), *__all__})
