from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from cxrfeat.errors import SpecError
from cxrfeat.finetuning.recipe import PAPER
from cxrfeat.spec import (
    HEAD_KINDS,
    IMAGENET_MEAN,
    IMAGENET_STD,
    TRAINED_KINDS,
    FeatureSpec,
    FinetuneSpec,
    HeadSpec,
    Spec,
    SplitSpec,
    ViewSpec,
    canonical_json,
    fingerprint,
    from_dict,
    to_dict,
)

DIGEST = "0123456789abcdef" * 4

# Small domains, in which equal specs are drawn often, and values that are equal but written differently.
MASKS = st.sampled_from(
    [("none", None), ("lungs", None), ("lungs", DIGEST), ("outside", None), ("outside", DIGEST), ("outside", "0" * 64)]
)
VIEWS = st.builds(
    lambda mask, **fields: ViewSpec(mask=mask[0], masks=mask[1], **fields),
    MASKS,
    size=st.sampled_from([16, 32]),
    count=st.sampled_from([1, 2]),
    flip=st.sampled_from([True, False, 1, 0]),
    zoom=st.sampled_from([(1, 1), (1.0, 1.0), (1.0, 1.2)]),
    brightness=st.sampled_from([(1, 2), (1.0, 2.0), (0.5, 2.0)]),
    border_crop=st.sampled_from([0, 0.0, -0.0, 0.1]),
    border_darken=st.sampled_from([0, 0.0, 0.25]),
    seed=st.sampled_from([0, 1]),
    letters=st.sampled_from([False, 0, True, 1]),
    border_only=st.sampled_from([0, 0.0, -0.0, 0.1]),
    shuffle=st.sampled_from([0, 2, 16]),
)


@st.composite
def feature_specs(draw: st.DrawFn) -> FeatureSpec:
    fields: dict[str, Any] = {
        "backbone": draw(st.sampled_from(["resnet50", "file"])),
        "weights": draw(st.sampled_from(["sha256:0", "sha256:1"])),
        "preprocess": draw(st.sampled_from(["tf", "torch"])),
        "view": draw(VIEWS),
        "normalize": draw(st.sampled_from(["backbone", "none", "featurewise"])),
        "storage": draw(st.sampled_from(["float32", "float16"])),
        "decoder": draw(st.sampled_from([1, 2])),
        "output": draw(st.sampled_from([None, "a"])),
        "pool": draw(st.sampled_from(["mean", "cls"])),
    }
    if fields["preprocess"] == "torch" and draw(st.booleans()):
        fields["pixel_mean"] = draw(st.sampled_from([(0,), (0.0,), (-0.0,), IMAGENET_MEAN]))
        fields["pixel_std"] = (1,) if len(fields["pixel_mean"]) == 1 else IMAGENET_STD
    if fields["normalize"] == "featurewise":
        fields["mean"] = draw(st.sampled_from([0, 0.0, -0.0, 100, 100.0]))
        fields["std"] = draw(st.sampled_from([1, 1.0, 2]))
        fields["split"] = draw(st.sampled_from(["aa", "bb"]))
    return FeatureSpec(**fields)


SPLITS = st.builds(
    SplitSpec,
    by=st.sampled_from(["group", "paper"]),
    test=st.sampled_from([0.2, 0.5]),
    validation=st.sampled_from([0.1, 0.5]),
    seed=st.sampled_from([0, 1]),
)
HEADS = st.builds(
    HeadSpec,
    kind=st.sampled_from(["softmax", "logreg"]),
    epochs=st.sampled_from([0, 1]),
    momentum=st.sampled_from([0, 0.0, -0.0, 1, 1.0]),
    views_per_epoch=st.sampled_from([None, 1]),
    standardize=st.sampled_from([True, False, 1, 0]),
    strength=st.sampled_from([None, 1, 1.0]),
)
SPECS: st.SearchStrategy[Spec] = st.one_of(VIEWS, feature_specs(), SPLITS, HEADS)


@given(SPECS, SPECS)
def test_fingerprints_are_equal_exactly_when_specs_are(a: Spec, b: Spec) -> None:
    assert (fingerprint(a) == fingerprint(b)) == (a == b)


@given(VIEWS, st.data())
def test_a_change_of_any_one_field_of_the_views_changes_the_fingerprint(view: ViewSpec, data: st.DataObject) -> None:
    field = data.draw(st.sampled_from([field.name for field in dataclasses.fields(ViewSpec)]))
    value = getattr(data.draw(VIEWS), field)
    assume(field != "masks" or value is None or view.mask != "none")
    assume(field != "mask" or value != "none" or view.masks is None)
    changed = dataclasses.replace(view, **{field: value})
    assert (fingerprint(view) == fingerprint(changed)) == (getattr(view, field) == getattr(changed, field))


@pytest.mark.parametrize(
    "spec",
    [
        HeadSpec(kind="knn", neighbours=3),
        HeadSpec(kind="dense", hidden=(3, 4), patience=2, standardize=False),
        FinetuneSpec(head=HeadSpec(kind="softmax"), clip=None, freeze_until="conv2d"),
    ],
    ids=lambda spec: type(spec).__name__,
)
def test_a_head_and_a_fine_tuning_come_back_from_json_and_lack_no_field(spec: HeadSpec | FinetuneSpec) -> None:
    stored = json.loads(canonical_json(to_dict(spec)))
    assert from_dict(type(spec), stored) == spec
    for name in stored:
        with pytest.raises(SpecError, match=r"not the description of a (head|fine-tuning)"):
            from_dict(type(spec), {key: value for key, value in stored.items() if key != name})
    with pytest.raises(SpecError, match="as HeadSpec revision 2" if isinstance(spec, HeadSpec) else "revision 2"):
        from_dict(type(spec), {**stored, "revision": 2})


@given(feature_specs())
def test_a_feature_spec_comes_back_from_json(spec: FeatureSpec) -> None:
    again = from_dict(FeatureSpec, json.loads(canonical_json(to_dict(spec))))
    assert again == spec
    assert fingerprint(again) == fingerprint(spec)


def test_the_fingerprint_is_the_same_in_every_version() -> None:
    spec = FeatureSpec(backbone="resnet50", weights="sha256:00", preprocess="caffe", view=ViewSpec(size=224))
    assert fingerprint(spec).startswith("59b4b9cba98b3f36"), "every user's features would have to be extracted again"
    # Of the first decoder, whose files are still read, and give their rows where these would be the same today.
    assert fingerprint(dataclasses.replace(spec, decoder=1)).startswith("961947dcce17a838")


def test_a_field_that_came_later_leaves_the_fingerprints_of_before_alone() -> None:
    """What a file of the first version holds is still read, and still has its name."""
    before = {
        "kind": "ViewSpec", "revision": 1, "size": 224, "count": 8, "flip": True, "zoom": [1.0, 1.2],
        "brightness": [0.8, 1.25], "border_crop": 0.0, "border_darken": 0.0, "seed": 0,
    }  # fmt: skip
    assert to_dict(ViewSpec(size=224)) == before
    stored = {**to_dict(features()), "view": before}
    assert from_dict(FeatureSpec, stored).view == ViewSpec(size=224)
    later = ViewSpec(size=224, letters=True, mask="outside", masks=DIGEST, border_only=0.1, shuffle=8)
    assert to_dict(later) == {
        **before, "letters": True, "mask": "outside", "masks": DIGEST, "border_only": 0.1, "shuffle": 8
    }  # fmt: skip


def test_how_an_onnx_file_is_read_came_later_too() -> None:
    before = to_dict(features())
    assert not {"pixel_mean", "pixel_std", "output", "pool"} & before.keys()
    assert from_dict(FeatureSpec, before) == features()
    plain = features(preprocess="torch")
    assert features(preprocess="torch", pixel_mean=IMAGENET_MEAN, pixel_std=IMAGENET_STD) == plain, "torch says that"
    stored = to_dict(scaled(output="tokens", pool="cls"))
    assert {"pixel_mean": [0.5], "pixel_std": [0.25], "output": "tokens", "pool": "cls"}.items() <= stored.items()


def view(**changes: Any) -> ViewSpec:
    return ViewSpec(**{"size": 32, **changes})


def features(**changes: Any) -> FeatureSpec:
    plain: dict[str, Any] = {"backbone": "file", "weights": "sha256:0", "preprocess": "tf", "view": view()}
    return FeatureSpec(**{**plain, **changes})


def featurewise(**changes: Any) -> FeatureSpec:
    return features(**{"normalize": "featurewise", "mean": 1.0, "std": 1.0, "split": "aa", **changes})


def scaled(**changes: Any) -> FeatureSpec:
    return features(**{"preprocess": "torch", "pixel_mean": (0.5,), "pixel_std": (0.25,), **changes})


def head(**changes: Any) -> HeadSpec:
    return HeadSpec(**{"kind": "softmax", **changes})


REFUSED: list[tuple[Any, dict[str, Any], str]] = [
    (view, {"size": 15}, r"^`size` is pixels: a whole number from 16 to 2048; got 15"),
    (view, {"size": 2049}, r"from 16 to 2048; got 2049"),
    (view, {"size": 32.0}, r"whole number .* got 32.0"),
    (view, {"size": True}, r"whole number .* got True"),
    (view, {"count": 0}, r"^`ViewSpec.count` is views per image, the plain one included: .* from 1 to 1024; got 0"),
    (view, {"seed": -1}, r"^`seed` .* from 0 to 9223372036854775807; got -1"),
    (view, {"zoom": (0.9, 1.0)}, "^`zoom` is 1 <= smallest <= largest <= 10; got 0.9, 1"),
    (view, {"zoom": (1.2, 1.1)}, r"smallest <= largest"),
    (view, {"zoom": 1.2}, "^`zoom` is two numbers, the smallest and the largest; got 1.2"),
    (view, {"zoom": (1.0, float("nan"))}, r"^`zoom` is a finite number; got nan"),
    (view, {"zoom": (1.0, 10**400)}, r"^`zoom` is a finite number; got 1000"),
    (view, {"brightness": (0.0, 1.0)}, "^`brightness` is 0.05 <="),
    (view, {"border_crop": 0.5}, r"^`border_crop` is a fraction of each side, .* 0.5; got 0.5"),
    (view, {"border_darken": -0.1}, r"^`border_darken` is a fraction of each side, .* got -0.1"),
    (view, {"border_crop": "a"}, r"^`border_crop` is a finite number; got 'a'"),
    (view, {"border_only": 0.5}, r"^`border_only` is a fraction of each side, .* 0.5; got 0.5"),
    (view, {"border_only": -0.1}, r"^`border_only` is a fraction of each side, .* got -0.1"),
    (view, {"mask": "lung"}, r"`mask` is none, lungs or outside; got 'lung'"),
    (view, {"mask": None}, r"`mask` is none, lungs or outside; got None"),
    (view, {"mask": "lungs", "masks": "12ab"}, r"ViewSpec.masks is a digest .* 64 hexadecimal digits; got '12ab'"),
    (view, {"mask": "lungs", "masks": DIGEST.upper()}, r"ViewSpec.masks is a digest"),
    (view, {"mask": "lungs", "masks": DIGEST + "\n"}, r"ViewSpec.masks is a digest"),
    (view, {"mask": "outside", "masks": 5}, r"ViewSpec.masks is a digest .* got 5"),
    (view, {"masks": DIGEST}, r"ViewSpec.masks is a digest of mask files, which mask 'none' does not use"),
    (view, {"shuffle": 1}, r"ViewSpec.shuffle is .* at least 2, and no more than the view has pixels \(32\); got 1"),
    (view, {"shuffle": 33}, r"ViewSpec.shuffle .* from 0 to 32; got 33"),
    (view, {"shuffle": 17, "size": 16}, r"no more than the view has pixels \(16\); got 17"),
    (view, {"shuffle": -2}, r"ViewSpec.shuffle .* from 0 to 32; got -2"),
    (view, {"shuffle": 2.0}, r"ViewSpec.shuffle .* got 2.0"),
    (view, {"shuffle": False}, r"ViewSpec.shuffle .* got False"),
    (features, {"backbone": 5}, r"FeatureSpec.backbone is a text, and not an empty one; got 5"),
    (features, {"weights": ""}, r"FeatureSpec.weights is a text, and not an empty one; got ''"),
    (features, {"view": 224}, r"FeatureSpec.view is a ViewSpec; got 224"),
    (features, {"precision": "float64"}, r"`precision` is float32, tf32, float16, bfloat16 or bfloat16-openvino; got"),
    (features, {"decoder": True}, r"FeatureSpec.decoder is a revision: .* got True"),
    (features, {"normalize": "rows"}, r"`normalize` is backbone, featurewise or none; got 'rows'"),
    (features, {"preprocess": "keras"}, r"`preprocess` is tf, torch, caffe, none or xrv; got 'keras'"),
    (features, {"storage": "float64"}, r"stored as float32 or float16; got 'float64'"),
    (features, {"mean": 1.0}, r"holds statistics, which normalize 'backbone' does not use"),
    (features, {"normalize": "none", "mean": 1.0}, r"statistics, which normalize 'none' does not use"),
    (features, {"backbone": "vgg16", "split": "aa"}, r"a split, which .+ with its own weights has not seen"),
    (featurewise, {"mean": None}, r"'featurewise' needs the mean and the deviation"),
    (featurewise, {"split": 3}, r"FeatureSpec.split is a text"),
    (featurewise, {"mean": float("inf")}, r"FeatureSpec.mean is a finite number; got inf"),
    (featurewise, {"std": 0}, r"FeatureSpec.std must be above 0: the training images are all of one grey value"),
    (features, {"pool": "max"}, r"`pool` is mean, cls or none; got 'max'"),
    (features, {"output": ""}, r"`output` is a text, and not an empty one"),
    (features, {"pixel_mean": (0.5,), "pixel_std": (0.5,)}, r"go together, and with `preprocess=torch`"),
    (scaled, {"pixel_std": None}, r"pixel_mean and pixel_std go together"),
    (scaled, {"pixel_mean": (0.5, 0.5)}, r"`mean` is three numbers, one for each channel, or one; got \(0.5, 0.5\)"),
    (scaled, {"pixel_mean": 0.5}, r"`mean` is three numbers, one for each channel, or one; got 0.5"),
    (scaled, {"pixel_mean": (0.5, 0.5, 0.5)}, r"`mean` and `std` are of the same channels; got 3 and 1 numbers"),
    (scaled, {"pixel_mean": (float("nan"),)}, r"`mean` is a finite number; got nan"),
    (scaled, {"pixel_std": (0,)}, r"`std` is above 0; got 0"),
    (SplitSpec, {"by": "hash"}, r"A split is by group, date, column or paper; got 'hash'"),
    (SplitSpec, {"test": 0}, r"SplitSpec.test is a share above 0, at most 0.5; got 0"),
    (SplitSpec, {"validation": 0.6}, r"SplitSpec.validation is a share above 0, at most 0.5; got 0.6"),
    (SplitSpec, {"seed": 2**32}, r"SplitSpec.seed"),
    (head, {"kind": "forest"}, rf"There is no head 'forest'; the heads are {', '.join(HEAD_KINDS)}"),
    (head, {"epochs": -1}, r"`epochs` is passes over the training rows: .* got -1"),
    (head, {"batch": 0}, r"`batch` is rows per step: .* got 0"),
    (head, {"seed": 1.5}, r"`seed`"),
    (head, {"views_per_epoch": 0}, r"`views_per_epoch` is views per image and epoch"),
    (head, {"learning_rate": -1}, r"`learning_rate` is from 0 to 1000; got -1"),
    (head, {"decay": "x"}, r"`decay` is a finite number; got 'x'"),
    (head, {"momentum": 1.1}, r"`momentum` is from 0 to 1; got 1.1"),
    (head, {"dropout": 1}, r"`dropout` is from 0 to 0.99; got 1"),
    (head, {"strength": 0}, r"`strength` is above 0; got 0"),
    (head, {"optimizer": "lbfgs"}, r"`optimizer` is sgd or adam; got 'lbfgs'"),
    (head, {"schedule": None}, r"`schedule` is inverse-time, cosine or constant; got None"),
    (head, {"class_weights": {"COVID": 2}}, r"`class_weights` is none or balanced; got {'COVID': 2}"),
]


@pytest.mark.parametrize(("make", "fields", "message"), REFUSED)
def test_a_bad_field_is_refused_by_name_and_value(make: Any, fields: dict[str, Any], message: str) -> None:
    make()  # without the bad field it stands
    with pytest.raises(SpecError, match=message):
        make(**fields)


def _stored(**changes: Any) -> dict[str, Any]:
    stored = to_dict(features())
    for name, value in changes.items():
        if value is None:
            del stored[name]
        else:
            stored[name] = value
    return stored


@pytest.mark.parametrize(
    ("stored", "message"),
    [
        (_stored(revision=2), r"Written as FeatureSpec revision 2; this version reads FeatureSpec revision 1"),
        (_stored(kind="ViewSpec"), r"Written as ViewSpec revision 1"),
        (_stored(kind=None), r"not the description of features .*kind"),
        (_stored(weights=None), r"not the description of features .*weights"),
        (_stored(colour="red"), r"not the description of features .*colour"),
        (_stored(view=3), r"not the description of views"),
        (_stored(view={**to_dict(view()), "zoom": 3}), r"`zoom` is two numbers, .* got 3"),
        (_stored(view={**to_dict(view()), "size": "32"}), r"`size` .* got '32'"),
        ([1, 2], r"not the description of features"),
        (None, r"not the description of features"),
    ],
)
def test_a_stored_description_of_another_kind_is_refused(stored: Any, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        from_dict(FeatureSpec, stored)


def test_canonical_json_refuses_what_json_does_not_have() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical_json({"a": float("nan")})


def test_networks_standardise_by_default_and_what_is_trained_with_a_network_never_does() -> None:
    assert HeadSpec(kind="dropout").standardize
    for kind in TRAINED_KINDS:
        for standardize in (True, False):
            tuned = FinetuneSpec(head=HeadSpec(kind=kind, standardize=standardize))
            assert not tuned.head.standardize
            assert tuned == FinetuneSpec(head=HeadSpec(kind=kind))
    assert not PAPER.head.standardize


def test_a_run_of_the_old_default_is_never_taken_for_one_of_the_new() -> None:
    """The field always stood in what was written, so no revision tells them apart: the value does."""
    old = {**to_dict(HeadSpec(kind="dense")), "standardize": False}
    assert to_dict(HeadSpec(kind="dense", standardize=False)) == old
    assert to_dict(HeadSpec(kind="dense"))["standardize"] is True
