"""A network and a head as one graph, and the method by which it is explained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from cxrfeat.errors import UsageError
from cxrfeat.explaining.averaged import AnyGraph
from cxrfeat.explaining.field import Fields
from cxrfeat.explaining.graph import Maps
from cxrfeat.explaining.heat import PATCHES, Evidence, cam, gradcam, gradcam_pp, occlusion
from cxrfeat.explaining.place import even
from cxrfeat.explaining.score import NO_GRADIENT, linear_of, score_of, scores
from cxrfeat.head.fitted import FittedHead
from cxrfeat.spec import AskedExplaining, Explaining
from cxrfeat.types import Features, Labels, Probabilities, Views

NAMES: dict[Explaining, str] = {
    "cam": "class activation map",
    "gradcam": "Grad-CAM",
    "gradcam++": "Grad-CAM++",
    "occlusion": "occlusion",
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Looked:
    """What the network and the head make of some views."""

    views: Views
    maps: Maps
    features: Features
    probabilities: Probabilities


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Explainer:
    """Says which places of a view speak for a class.

    Without a method asked for: the exact class activation map where averaged maps meet a linear head; Grad-CAM where
    there are maps and the head has a slope; occlusion otherwise.
    """

    graph: AnyGraph
    head: FittedHead
    mean: NDArray[np.float64]
    """`(dim,)` features of the average training image."""
    method: Explaining

    @property
    def fields(self) -> Fields:
        """Where the cells of the evidence lie in the view."""
        if self.method == "occlusion" or self.graph.fields is None:
            return even(PATCHES, self.graph.network.size)
        return self.graph.fields

    def judged(self, views: Views, maps: Maps, features: Features) -> Looked:
        """What the head makes of `(n, size, size)` uint8 views, of which the network has made maps and features.

        Raises:
            StaleFeaturesError: If the features are of another width than the head takes.
        """
        return Looked(views=views, maps=maps, features=features, probabilities=self.head.predict_proba(features))

    def evidence(self, looked: Looked, classes: Labels) -> Evidence:
        """What speaks for one class in each view, `(n, h, w)`."""
        if self.method == "occlusion":
            return np.concatenate(
                [self._occluded(view, int(index)) for view, index in zip(looked.views, classes, strict=True)]
            )
        if self.method == "cam":
            linear = linear_of(self.head)
            assert linear is not None  # `method_for` has made sure
            return cam(looked.maps, linear, classes, self.mean)
        gradient = self.graph.gradient(looked.maps, score_of(self.head), classes)[1]
        return (gradcam if self.method == "gradcam" else gradcam_pp)(looked.maps, gradient)

    def _occluded(self, view: NDArray[np.uint8], index: int) -> Evidence:
        return occlusion(view, lambda covered: scores(self.head, self.graph.features(covered))[:, index])


def method_for(asked: str, head: FittedHead, graph: AnyGraph) -> Explaining:
    """The method that is meant.

    Raises:
        UsageError: If there is no such method, or this head or network does not allow it.
    """
    if asked not in get_args(AskedExplaining):
        raise UsageError(f"`method` is {', '.join(get_args(AskedExplaining))}; got {asked!r}.")
    linear = linear_of(head) is not None
    allowed: list[Explaining] = []
    if linear and graph.averages:
        allowed.append("cam")
    if graph.has_maps and head.kind not in NO_GRADIENT:
        allowed += ["gradcam", "gradcam++"]
    allowed.append("occlusion")
    if asked == "auto":
        return allowed[0]
    for method in allowed:
        if method == asked:
            return method
    if not graph.has_maps:
        why = f"{graph.network.name} has no maps left where its features begin"
    elif asked == "cam":
        why = f"a class activation map takes a linear head on averaged maps, and {head.kind} is not linear"
        if linear:
            why = f"a class activation map takes averaged maps, and {graph.network.name} goes on after its maps"
    else:
        why = f"a {head.kind} head has no gradient"
    raise UsageError(f"`method={asked}`: {why}. Possible here: {', '.join(allowed)}.")
