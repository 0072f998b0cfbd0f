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
    from cxrfeat.auditing.result import AuditResult
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
    from cxrfeat.explaining.explained import Explained
    from cxrfeat.explaining.layer import ActivationMaps, TopPatches
    from cxrfeat.feature.file import FeatureFile
    from cxrfeat.feature.file import FeatureFile as open  # noqa: A004, N813  # `cxrfeat.open(path)` reads like the built-in
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
    from cxrfeat.head.learning_curve import LearningCurve
    from cxrfeat.head.prediction import Predictions
    from cxrfeat.image.index import index_folder as index
    from cxrfeat.image.row import Manifest, Selection
    from cxrfeat.reporting.comparison import Comparison
    from cxrfeat.reporting.plan import Options as ReproduceOptions
    from cxrfeat.run.folder import Run, find_run, find_runs
    from cxrfeat.run.folder import read_run as open_run
    from cxrfeat.spec import FeatureSpec, FinetuneSpec, HeadSpec, SplitSpec, ViewSpec
    from cxrfeat.system.cluster import ClusterSpec
    from cxrfeat.types import Finding, Part, Status
    from cxrfeat.workflow.audit import audit
    from cxrfeat.workflow.compare import compare
    from cxrfeat.workflow.doctor import Diagnosis, doctor
    from cxrfeat.workflow.explain import activation_maps, explain, top_patches
    from cxrfeat.workflow.export import Exported, export
    from cxrfeat.workflow.export_features import ExportedFeatures, export_features
    from cxrfeat.workflow.extract import Extraction, extract
    from cxrfeat.workflow.findings import fit_findings
    from cxrfeat.workflow.finetune import finetune
    from cxrfeat.workflow.fit_head import FitResult, fit
    from cxrfeat.workflow.import_features import ImportedFeatures, import_features
    from cxrfeat.workflow.labels import JudgedLabel, LabelDoubts, labels
    from cxrfeat.workflow.learning_curve import learning_curve, views_curve
    from cxrfeat.workflow.merge import merge
    from cxrfeat.workflow.predict import predict
    from cxrfeat.workflow.regression import fit_number
    from cxrfeat.workflow.report import Report, report
    from cxrfeat.workflow.reproduce import Reproduction, reproduce
    from cxrfeat.workflow.select import Choice, Selected, select
    from cxrfeat.workflow.similar import Neighbour, Neighbours, similar
    from cxrfeat.workflow.tune import TuneResult, tune
    from cxrfeat.workflow.tune_number import tune_number
    from cxrfeat.workflow.validate import Validated, Validations, validate
    from cxrfeat.workflow.verify import verify

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
    "ActivationMaps": "cxrfeat.explaining.layer",
    "AuditResult": "cxrfeat.auditing.result",
    "Choice": "cxrfeat.workflow.select",
    "ClusterSpec": "cxrfeat.system.cluster",
    "Comparison": "cxrfeat.reporting.comparison",
    "Diagnosis": "cxrfeat.workflow.doctor",
    "Explained": "cxrfeat.explaining.explained",
    "Exported": "cxrfeat.workflow.export",
    "ExportedFeatures": "cxrfeat.workflow.export_features",
    "Extraction": "cxrfeat.workflow.extract",
    "FeatureFile": "cxrfeat.feature.file",
    "FitResult": "cxrfeat.workflow.fit_head",
    "ImportedFeatures": "cxrfeat.workflow.import_features",
    "JudgedLabel": "cxrfeat.workflow.labels",
    "LabelDoubts": "cxrfeat.workflow.labels",
    "LearningCurve": "cxrfeat.head.learning_curve",
    "Neighbour": "cxrfeat.workflow.similar",
    "Neighbours": "cxrfeat.workflow.similar",
    "Predictions": "cxrfeat.head.prediction",
    "Report": "cxrfeat.workflow.report",
    "ReproduceOptions": "cxrfeat.reporting.plan:Options",
    "Reproduction": "cxrfeat.workflow.reproduce",
    "Selected": "cxrfeat.workflow.select",
    "TopPatches": "cxrfeat.explaining.layer",
    "TuneResult": "cxrfeat.workflow.tune",
    "Validated": "cxrfeat.workflow.validate",
    "Validations": "cxrfeat.workflow.validate",
    "activation_maps": "cxrfeat.workflow.explain",
    "audit": "cxrfeat.workflow.audit",
    "compare": "cxrfeat.workflow.compare",
    "doctor": "cxrfeat.workflow.doctor",
    "explain": "cxrfeat.workflow.explain",
    "export": "cxrfeat.workflow.export",
    "export_features": "cxrfeat.workflow.export_features",
    "extract": "cxrfeat.workflow.extract",
    "finetune": "cxrfeat.workflow.finetune",
    "fit": "cxrfeat.workflow.fit_head",
    "fit_findings": "cxrfeat.workflow.findings",
    "fit_number": "cxrfeat.workflow.regression",
    "import_features": "cxrfeat.workflow.import_features",
    "index": "cxrfeat.image.index:index_folder",
    "labels": "cxrfeat.workflow.labels",
    "learning_curve": "cxrfeat.workflow.learning_curve",
    "merge": "cxrfeat.workflow.merge",
    "open": "cxrfeat.feature.file:FeatureFile",
    "open_run": "cxrfeat.run.folder:read_run",
    "predict": "cxrfeat.workflow.predict",
    "report": "cxrfeat.workflow.report",
    "reproduce": "cxrfeat.workflow.reproduce",
    "select": "cxrfeat.workflow.select",
    "similar": "cxrfeat.workflow.similar",
    "top_patches": "cxrfeat.workflow.explain",
    "tune": "cxrfeat.workflow.tune",
    "tune_number": "cxrfeat.workflow.tune_number",
    "validate": "cxrfeat.workflow.validate",
    "verify": "cxrfeat.workflow.verify",
    "views_curve": "cxrfeat.workflow.learning_curve",
}  # fmt: skip
"""For each name its module, and after a colon what it is called there, where that is something else."""

__all__ = [
    "ActivationMaps", "AuditError", "AuditResult", "Choice", "ClusterSpec", "Comparison", "CxrFeatError",
    "DenseHead", "Diagnosis", "DivergedError", "DropoutHead", "Explained", "Exported", "ExportedFeatures",
    "Extraction", "FeatureFile", "FeatureSpec", "Finding", "FinetuneSpec", "FitResult", "HeadSpec",
    "ImportedFeatures", "InputError", "IntegrityError", "JudgedLabel", "KnnHead", "LabelDoubts", "LearningCurve",
    "LockedError", "LogregHead", "Manifest", "MissingExtraError", "Neighbour", "Neighbours", "Part", "Predictions",
    "QuarantineError", "Report", "ReproduceOptions", "Reproduction", "RidgeHead", "Run", "Selected", "Selection",
    "SoftmaxHead", "SpecError", "SplitError", "SplitSpec", "StaleFeaturesError", "Status", "StorageError",
    "SvmLinearHead", "SvmRbfHead", "TopPatches", "TuneResult", "UsageError", "Validated", "Validations", "ViewSpec",
    "WeightsError", "activation_maps", "audit", "compare", "doctor", "explain", "export", "export_features",
    "extract", "find_run", "find_runs", "finetune", "fit", "fit_findings", "fit_number",
    "import_features", "index", "labels", "learning_curve",
    "merge", "open", "open_run", "predict", "report", "reproduce", "select", "similar", "top_patches", "tune",
    "tune_number",
    "validate", "verify", "views_curve",
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
