"""What is asked of an extraction: a network's features under a description, and where their file lies."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cxrfeat.backbone.network import Network
from cxrfeat.feature.split import Split
from cxrfeat.spec import FeatureSpec, fingerprint


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One feature file that is wanted."""

    network: Network
    spec: FeatureSpec
    bound_split: Split | None = None
    """Of the manifest's images, where the spec is bound to a split."""


def feature_path(features: Path, dataset: str, backbone: str, spec: FeatureSpec) -> Path:
    """The place of a feature file, the only function that builds it."""
    return features / f"{dataset}-{backbone}-{fingerprint(spec)[:8]}.h5"
