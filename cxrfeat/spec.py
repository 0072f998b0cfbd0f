"""Frozen descriptions of what to compute, and their fingerprints.

A spec is a value: it checks itself, two equal specs have equal fingerprints, and two different ones do not. Whatever
changes a number is a field; paths, batch sizes, worker counts and engines change nothing beyond rounding and stay out.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol, TypeVar, get_args

from cxrfeat.errors import SpecError
from cxrfeat.system.given import one_or_many

DECODER_REVISION = 2
"""Raise when `image/decode.py`, its neighbours or `image/resample.py` come to give other pixels for the same bytes.

2: images taller than wide are resampled like all others, whatever Pillow is installed, and integers far below the range
of their type are no longer black. Square and wide images of 8 or 16 bits are as they were in 1.
"""

IMAGENET_MEAN = (0.485, 0.456, 0.406)
"""Of red, green and blue, from 0 to 1: what `preprocess` `torch` removes."""
IMAGENET_STD = (0.229, 0.224, 0.225)

Normalize = Literal["backbone", "featurewise", "none"]
Preprocess = Literal["tf", "torch", "caffe", "none", "xrv"]
Pool = Literal["mean", "cls", "none"]
TrainingPrecision = Literal["float32", "float16", "bfloat16"]
Precision = Literal["float32", "tf32", "float16", "bfloat16"]
StoredPrecision = Literal[Precision, "bfloat16-openvino"]
OPENVINO_BFLOAT16: StoredPrecision = "bfloat16-openvino"
"""What `bfloat16` is on a CPU: OpenVINO rounds at other places than Keras does on a GPU, so features are others."""
AskedPrecision = Literal["auto", TrainingPrecision]
EngineName = Literal["auto", "keras", "openvino", "onnx"]
Runner = Literal["local", "ray"]
Storage = Literal["float32", "float16"]
Masking = Literal["none", "lungs", "outside"]
SplitBy = Literal["group", "date", "column", "paper"]
PaperSplit = Literal["group", "paper"]
"""Splits that the paper's rows can be done again with."""
NamedWeights = Literal["imagenet", "random"]
"""Weights of a network of the table that need no path."""
TrainedKind = Literal["softmax", "dense", "dropout"]
"""Networks: heads that are trained by gradients."""
LinearKind = Literal["logreg", "ridge"]
"""Heads that are one layer, though no gradient fitted them."""
HeadKind = Literal[TrainedKind, "logreg", "svm-linear", "svm-rbf", "knn", "ridge"]
AskedHead = Literal["all", "all+controls", HeadKind]
HEAD_KINDS: tuple[HeadKind, ...] = get_args(HeadKind)
CONTROL_KINDS: tuple[HeadKind, ...] = ("knn", "ridge")
"""Cheap heads that a better one should beat."""
MAIN_KINDS: tuple[HeadKind, ...] = tuple(kind for kind in HEAD_KINDS if kind not in CONTROL_KINDS)
"""What `all` means where a head is asked for."""
TRAINED_KINDS: tuple[TrainedKind, ...] = get_args(TrainedKind)
Optimizer = Literal["sgd", "adam"]
Schedule = Literal["inverse-time", "cosine", "constant"]
ClassWeights = Literal["none", "balanced"]
BatchNorm = Literal["frozen", "trained"]
Recipe = Literal["default", "paper"]
Sampler = Literal["halving", "optuna"]
By = Literal["accuracy", "balanced-accuracy", "auroc", "log-loss", "mae", "rmse"]
"""What a search chooses by; the last two of a number, the others of classes."""
Explaining = Literal["cam", "gradcam", "gradcam++", "occlusion"]
AskedExplaining = Literal["auto", Explaining]
Projecting = Literal["pca", "tsne", "umap"]
_LATER: dict[str, bool] = {"later": True}
"""Marks a field that came after the first files were written: see `to_dict`."""


class Spec(Protocol):
    """Anything with a fingerprint: a frozen dataclass that carries its revision."""

    REVISION: ClassVar[int]
    __dataclass_fields__: ClassVar[dict[str, Any]]


def canonical_json(value: object) -> str:
    """The one JSON text of a value: keys sorted, no spaces, no NaN.

    Example:
        >>> canonical_json({"b": 1.0, "a": None})
        '{"a":null,"b":1.0}'
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def canonical_sha256(value: object) -> str:
    """64 hexadecimal digits that name a value of JSON's own types: SHA-256 of its one text.

    Example:
        >>> canonical_sha256({"b": 1.0, "a": None}) == canonical_sha256({"a": None, "b": 1.0})
        True
    """
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def to_dict(spec: Spec) -> dict[str, Any]:
    """Kind, revision and fields of a spec, nested specs included, ready for JSON.

    A field that came after the first files is left out where it has its default, which means "as before": so what was
    computed before keeps its fingerprint.
    """
    fields: dict[str, Any] = {}
    for field in dataclasses.fields(spec):
        value = getattr(spec, field.name)
        if "later" in field.metadata and value == field.default:
            continue
        if dataclasses.is_dataclass(value):
            value = to_dict(value)  # type: ignore[arg-type]  # every dataclass held by a spec is a spec
        fields[field.name] = list(value) if isinstance(value, tuple) else value
    return {"kind": type(spec).__name__, "revision": spec.REVISION, **fields}


def fingerprint(spec: Spec) -> str:
    """64 hexadecimal digits that name what a spec computes: SHA-256 of its canonical JSON."""
    return canonical_sha256(to_dict(spec))


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewSpec:
    """How one image becomes `count` views; view 0 is always the plain resize.

    What changes the image itself is done to every view, the plain one too, in this order: letters, mask, `border_crop`,
    `border_darken`, `border_only`; then the view is drawn; then `shuffle`.

    Example:
        >>> ViewSpec(size=224).zoom
        (1.0, 1.2)
    """

    REVISION: ClassVar[int] = 1  # raise when the same fields come to mean other pixels

    size: int
    """Height and width of a view, in pixels."""

    count: int = 8
    """Views per image, the plain one included."""

    flip: bool = True
    """Mirror a drawn view left to right with probability 0.5."""

    zoom: tuple[float, float] = (1.0, 1.2)
    """Smallest and largest magnification about the centre; 1.0 is none."""

    brightness: tuple[float, float] = (0.8, 1.25)
    """Smallest and largest factor on the grey values; 1.0 is none."""

    border_crop: float = 0.0
    """Fraction of height and width cut off each side of every view, the plain one included; below 0.5."""

    border_darken: float = 0.0
    """Fraction of height and width blackened at each side of every view, the plain one included; below 0.5."""

    seed: int = 0
    """Seed of the drawn parameters."""

    letters: bool = dataclasses.field(default=False, metadata=_LATER)
    """Find letters that are burned in near the border, and fill them in."""

    mask: Masking = dataclasses.field(default="none", metadata=_LATER)
    """`lungs` keeps the lungs of every image and blackens the rest; `outside`, a control, blackens the lungs. They are
    where the image's mask has them, or a template in the middle where `masks` names none for it."""

    masks: str | None = dataclasses.field(default=None, metadata=_LATER)
    """Digest of the mask files (`image.mask.masks_digest`), on which the features then depend; without it no file is
    used. Only with a `mask`."""

    border_only: float = dataclasses.field(default=0.0, metadata=_LATER)
    """A control: only this fraction of height and width is kept at each side, and the inside is black; 0 is off, and
    it is below 0.5."""

    shuffle: int = dataclasses.field(default=0, metadata=_LATER)
    """A control: each view is cut into this many rows and columns of blocks, shuffled in an order drawn for the
    image; 0 is off, else 2 to 32, and no more than `size`."""

    def __post_init__(self) -> None:
        """Check every field, and write equal values one way (`1 == 1.0`, `-0.0 == 0.0`)."""
        _whole("`size`", self.size, "pixels", least=16, most=2048)
        _whole("`ViewSpec.count`", self.count, "views per image, the plain one included", least=1, most=1024)
        _whole("`seed`", self.seed, "a seed", least=0, most=2**63 - 1)
        object.__setattr__(self, "flip", bool(self.flip))
        object.__setattr__(self, "zoom", _interval("`zoom`", self.zoom, least=1.0, most=10.0))
        object.__setattr__(self, "brightness", _interval("`brightness`", self.brightness, least=0.05, most=20.0))
        for name in ("border_crop", "border_darken", "border_only"):
            value = _number(f"`{name}`", getattr(self, name))
            if not 0.0 <= value < 0.5:
                raise SpecError(
                    f"`{name}` is a fraction of each side, from 0 up to but not including 0.5; got {value:g}."
                )
            object.__setattr__(self, name, value)
        object.__setattr__(self, "letters", bool(self.letters))
        _word("`mask` is", self.mask, Masking)
        if self.masks is not None:
            if not isinstance(self.masks, str) or not re.fullmatch("[0-9a-f]{64}", self.masks):
                raise SpecError(
                    f"ViewSpec.masks is a digest of the mask files, 64 hexadecimal digits; got {self.masks!r}."
                )
            if self.mask == "none":
                raise SpecError("ViewSpec.masks is a digest of mask files, which mask 'none' does not use.")
        _whole("ViewSpec.shuffle", self.shuffle, "rows and columns of blocks, 0 for off", least=0, most=32)
        if self.shuffle == 1 or self.shuffle > self.size:
            raise SpecError(
                "ViewSpec.shuffle is rows and columns of blocks: at least 2, and no more than the view has pixels "
                f"({self.size}); got {self.shuffle}."
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureSpec:
    """Everything that the numbers in a feature file depend on; its fingerprint names the file."""

    REVISION: ClassVar[int] = 1

    backbone: str
    """A name of the backbone table, or `file` for a user's own network."""

    weights: str
    """`sha256:<hex>` of the weights file; `random:...` with the seed and the revision of the drawing; or `table:<hex>`,
    the SHA-256 of an imported table that does not say what made its features."""

    preprocess: Preprocess
    """Scaling of pixels that the network's weights were trained with: a mode of Keras `imagenet_utils`, or `xrv`: from
    -1024 to 1024. `torch` removes ImageNet's mean and deviation, or `pixel_mean` and `pixel_std`."""

    view: ViewSpec
    """How images become views."""

    normalize: Normalize = "backbone"
    """How pixels are scaled: `backbone` as the weights were trained, by `preprocess`; `featurewise` by mean and
    deviation of the training pixels; `none` leaves 0-255."""

    mean: float | None = None
    """Mean grey value of the training pixels, in [0, 255]; only with `featurewise`."""

    std: float | None = None
    """Their standard deviation, above 0; only with `featurewise`."""

    split: str | None = None
    """Digest of the split whose training part the numbers have seen: it gave `mean` and `std`, or the network, which
    then is not a row of the table, was tuned on it."""

    precision: StoredPrecision = "float32"
    """Arithmetic of the network; the halves keep weights and averages in float32, as Keras's mixed policies do. `tf32`
    multiplies float32 numbers rounded to 10 bits, which GPUs do several times faster, and CPUs not at all.
    `bfloat16-openvino` is OpenVINO's on CPUs that have it."""

    storage: Storage = "float32"
    """Type of the stored features; `float16` halves the file and keeps three digits."""

    decoder: int = DECODER_REVISION
    """Revision of what makes pixels of a file's bytes, decoding and resampling."""

    pixel_mean: tuple[float, ...] | None = dataclasses.field(default=None, metadata=_LATER)
    """Mean of each channel that the network's weights were trained with, or one for all, of pixels from 0 to 1; only
    with `torch`, whose own is ImageNet's."""

    pixel_std: tuple[float, ...] | None = dataclasses.field(default=None, metadata=_LATER)
    """Their standard deviations, above 0; there exactly where `pixel_mean` is."""

    output: str | None = dataclasses.field(default=None, metadata=_LATER)
    """Which value of an ONNX graph the features are made of, by its name; `None` for a Keras network, which has one."""

    pool: Pool = dataclasses.field(default="mean", metadata=_LATER)
    """How an output becomes features: `mean` averages maps over space, and all tokens except the first; `cls` takes the
    first token; `none` takes an output that already is features."""

    def __post_init__(self) -> None:
        """Check every field, and that statistics are there exactly where they are used."""
        for name in ("backbone", "weights"):
            _text(f"FeatureSpec.{name}", getattr(self, name))
        if not isinstance(self.view, ViewSpec):
            raise SpecError(f"FeatureSpec.view is a ViewSpec; got {self.view!r}.")
        _whole("FeatureSpec.decoder", self.decoder, "a revision", least=1, most=2**31 - 1)
        _word("`normalize` is", self.normalize, Normalize)
        _word("`preprocess` is", self.preprocess, Preprocess)
        _word("`precision` is", self.precision, StoredPrecision)
        _word("Features are stored as", self.storage, Storage)
        _word("`pool` is", self.pool, Pool)
        if self.output is not None:
            _text("`output`", self.output)
        self._check_scaling()
        if self.normalize == "featurewise":
            # Without a split, they are brought along to images that were in no part of it.
            if self.mean is None or self.std is None:
                raise SpecError("FeatureSpec.normalize 'featurewise' needs the mean and the deviation.")
            object.__setattr__(self, "mean", _number("FeatureSpec.mean", self.mean))
            object.__setattr__(self, "std", _number("FeatureSpec.std", self.std))
            if self.split is not None:
                _text("FeatureSpec.split", self.split)
            if not self.std or self.std <= 0:
                raise SpecError("FeatureSpec.std must be above 0: the training images are all of one grey value.")
            return
        if self.mean is not None or self.std is not None:
            raise SpecError(f"FeatureSpec holds statistics, which normalize {self.normalize!r} does not use.")
        if self.split is not None:
            _text("FeatureSpec.split", self.split)
            if self.backbone != "file":
                raise SpecError(f"FeatureSpec holds a split, which {self.backbone} with its own weights has not seen.")

    def _check_scaling(self) -> None:
        """Check mean and deviation of the pixels; ImageNet's own are what `torch` means by itself."""
        given = self.pixel_mean, self.pixel_std
        if given == (None, None):
            return
        if self.pixel_mean is None or self.pixel_std is None or self.preprocess != "torch":
            raise SpecError("FeatureSpec.pixel_mean and pixel_std go together, and with `preprocess=torch`.")
        means, stds = _channels("`mean`", self.pixel_mean), _channels("`std`", self.pixel_std)
        if len(means) != len(stds):
            raise SpecError(f"`mean` and `std` are of the same channels; got {len(means)} and {len(stds)} numbers.")
        if min(stds) <= 0:
            raise SpecError(f"`std` is above 0; got {min(stds):g}.")
        own = (means, stds) == (IMAGENET_MEAN, IMAGENET_STD)
        object.__setattr__(self, "pixel_mean", None if own else means)
        object.__setattr__(self, "pixel_std", None if own else stds)

    @property
    def from_table(self) -> bool:
        """Whether nobody knows what made the features: they were imported from a table that does not say."""
        return self.weights.startswith("table:")


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitSpec:
    """How images are split into train, validation and test parts."""

    REVISION: ClassVar[int] = 1

    by: SplitBy = "group"
    """`group`: patients and copies stay together; `date`: newest images are the test part, groups still together;
    `column`: as the data's own `split` column says; `paper`: image by image as in the paper, which leaks."""

    test: float = 0.2
    """Share of the images in the test part, about (groups are not cut); not used by `column`."""

    validation: float = 0.1
    """Share of the rest in the validation part."""

    seed: int = 0
    """Seed of what is assigned at random."""

    def __post_init__(self) -> None:
        """Check the shares."""
        _word("A split is by", self.by, SplitBy)
        for name in ("test", "validation"):
            value = _number(f"SplitSpec.{name}", getattr(self, name))
            if not 0.0 < value <= 0.5:
                raise SpecError(f"SplitSpec.{name} is a share above 0, at most 0.5; got {value:g}.")
            object.__setattr__(self, name, value)
        _whole("SplitSpec.seed", self.seed, "a seed", least=0, most=2**32 - 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadSpec:
    """A classifier on features, and how it is trained. The defaults are the paper's protocol, on standardised features.

    The networks (softmax, dense, dropout) use the fields from `epochs` to `standardize`; the other heads use `strength`
    or `neighbours`, and always standardise. The other fields are for all.
    """

    REVISION: ClassVar[int] = 1

    kind: HeadKind
    """Which classifier."""
    views: int | None = None
    """Number of cached views to train on, the plain one first; by default all of them."""
    epochs: int = 20
    """Passes over the training rows; 0 leaves the head at its random start."""
    batch: int = 32
    """Rows per step."""
    optimizer: Optimizer = "sgd"
    """How steps are taken: `sgd` with Nesterov momentum; `adam` with the usual constants (0.9, 0.999, 1e-7)."""
    learning_rate: float = 0.01
    """Learning rate of the first step."""
    schedule: Schedule = "inverse-time"
    """Learning rate at step t of T: `learning_rate / (1 + decay * t)`, or half a cosine down to zero, or constant."""
    decay: float = 1e-6
    """How fast the learning rate falls, per step; only for the schedule `inverse-time`."""
    momentum: float = 0.9
    """Share of the last step that the next one keeps; only with `sgd`."""
    hidden: tuple[int, ...] | None = None
    """Units of the hidden layers of dense and dropout, at least one layer; by default 500,200, as in the paper."""
    dropout: float = 0.5
    """Share of the first hidden layer's units dropped; only for the head dropout."""
    l2: float = 0.0
    """Penalty on the squared weights, without the biases: `l2 * sum(w ** 2)` is added to the loss."""
    label_smoothing: float = 0.0
    """Share of the target spread evenly over all classes."""
    patience: int | None = None
    """Stop after this many epochs without a lower validation loss, and keep the best epoch; 0 keeps the last. It is
    stored as `None`, the default."""
    min_delta: float = dataclasses.field(default=0.0, metadata=_LATER)
    """Smallest drop of the validation loss below the best so far that counts as an improvement; only with
    `patience`."""
    views_per_epoch: int | None = None
    """Training views of each image seen in an epoch, drawn again in every epoch; by default all of them."""
    standardize: bool = True
    """Subtract the training mean and divide by the training deviation, per feature, inside the fold; the paper did not.
    Measured in `benchmarks/README.md`."""
    strength: float | None = None
    """Inverse regularisation C of logreg, the SVMs and ridge (whose penalty is 1 / C); by default each head's own."""
    neighbours: int = 15
    """Number of training rows that vote; only for knn. Where there are fewer, as many as the square root of their
    number."""
    class_weights: ClassWeights = "none"
    """How much each row counts: `balanced` weights it by `rows / (classes * rows of its class)`; not for knn."""
    calibrate: bool = False
    """Fit a temperature on the validation images. Always done for the SVMs and ridge, which have no probabilities of
    their own."""
    seed: int = 0
    """Seed of everything random."""

    def __post_init__(self) -> None:
        """Check every field."""
        if self.kind not in HEAD_KINDS:
            raise SpecError(f"There is no head {self.kind!r}; the heads are {', '.join(HEAD_KINDS)}.")
        _word("`optimizer` is", self.optimizer, Optimizer)
        _word("`schedule` is", self.schedule, Schedule)
        _word("`class_weights` is", self.class_weights, ClassWeights)
        _whole("`epochs`", self.epochs, "passes over the training rows", least=0, most=100_000)
        _whole("`batch`", self.batch, "rows per step", least=1, most=2**20)
        _whole("`neighbours`", self.neighbours, "training rows that vote", least=1, most=2**20)
        _whole("`seed`", self.seed, "a seed", least=0, most=2**32 - 1)
        if self.views is not None:
            _whole("`views`", self.views, "cached views of each image", least=1, most=1024)
        if self.views_per_epoch is not None:
            _whole("`views_per_epoch`", self.views_per_epoch, "views per image and epoch", least=1, most=1024)
        if self.patience == 0:
            object.__setattr__(self, "patience", None)
        if self.patience is not None:
            _whole("`patience`", self.patience, "epochs without a lower validation loss", least=0, most=100_000)
        if self.hidden is not None:
            object.__setattr__(self, "hidden", tuple(one_or_many(self.hidden)))
            if not 1 <= len(self.hidden) <= 8:
                raise SpecError(f"`hidden` is the units of one to eight layers; got {len(self.hidden)}.")
            for units in self.hidden:
                _whole("`hidden`", units, "units of a layer", least=1, most=2**16)
        bounds = {
            "learning_rate": (0.0, 1e3), "decay": (0.0, 1e3), "momentum": (0.0, 1.0), "dropout": (0.0, 0.99),
            "l2": (0.0, 1e3), "label_smoothing": (0.0, 0.99), "min_delta": (0.0, 1e3),
        }  # fmt: skip
        for name, (low, high) in bounds.items():
            value = _number(f"`{name}`", getattr(self, name))
            if not low <= value <= high:
                raise SpecError(f"`{name}` is from {low:g} to {high:g}; got {value:g}.")
            object.__setattr__(self, name, value)
        object.__setattr__(self, "standardize", bool(self.standardize))
        object.__setattr__(self, "calibrate", bool(self.calibrate))
        if self.strength is not None:
            strength = _number("`strength`", self.strength)
            if strength <= 0:
                raise SpecError(f"`strength` is above 0; got {strength:g}.")
            object.__setattr__(self, "strength", strength)


@dataclass(frozen=True, slots=True, kw_only=True)
class FinetuneSpec:
    """How a network and its head are trained together. The defaults are the recipe that works (`default`)."""

    REVISION: ClassVar[int] = 1

    head: HeadSpec
    """The head, and the protocol for both: epochs, batch, optimiser, rates, patience, weights of classes, smoothing,
    seed. A head that starts at random is of this kind, with these layers; a warm one keeps its own layers. Nothing is
    standardised here, and `standardize` is always `False`: a warm head keeps the scaler that it was fitted with, and of
    a drawn one the features move."""
    clip: float | None = 1.0
    """Largest gradient norm of one step, over all weights together; 0 turns clipping off. It is stored
    as `None`."""
    freeze_until: str | None = None
    """Layers of the network before this one are not trained; by default all are."""
    batchnorm: BatchNorm = "frozen"
    """Batch normalisation: `frozen` keeps its statistics and factors; `trained` lets each batch have its own."""
    precision: TrainingPrecision = "float32"
    """Arithmetic of the network; half precision is for GPUs. Weights are always float32."""

    def __post_init__(self) -> None:
        """Check every field."""
        if self.head.kind not in TRAINED_KINDS:
            raise SpecError(
                f"A {self.head.kind} head has no gradient, so nothing can be trained through it; "
                f"take {', '.join(TRAINED_KINDS)}."
            )
        object.__setattr__(self, "head", dataclasses.replace(self.head, standardize=False))
        if self.head.l2:
            raise SpecError("`l2` is of heads alone: whole networks are kept from overfitting by `patience`.")
        if self.clip is not None:
            clip = _number("`clip`", self.clip)
            if clip < 0:
                raise SpecError(f"`clip` is a length above 0, or 0 for none; got {clip:g}.")
            object.__setattr__(self, "clip", clip or None)
        if self.freeze_until is not None:
            _text("`freeze_until`", self.freeze_until)
        _word("`batchnorm` is", self.batchnorm, BatchNorm)
        _word("`precision` is", self.precision, TrainingPrecision)


SpecType = TypeVar("SpecType", bound=Spec)

_TOLD: dict[type, str] = {ViewSpec: "views", FeatureSpec: "features", HeadSpec: "a head", FinetuneSpec: "a fine-tuning"}
_INSIDE: dict[str, type[Any]] = {"view": ViewSpec, "head": HeadSpec}


def from_dict(kind: type[SpecType], stored: Mapping[str, Any]) -> SpecType:
    """The spec that `to_dict` wrote.

    Args:
        kind: What it describes.
        stored: JSON's own types.

    Raises:
        SpecError: If it was written by another revision, lacks a field, or is not such a spec.

    Example:
        >>> from_dict(HeadSpec, to_dict(HeadSpec(kind="knn"))).neighbours
        15
    """
    try:
        fields = dict(stored)
        revision = fields.pop("revision")
        name = kind.__name__ if kind is HeadSpec else fields.pop("kind")  # a head's own `kind` says which head it is
        if (name, revision) != (kind.__name__, kind.REVISION):
            raise SpecError(
                f"Written as {name} revision {revision}; this version reads {kind.__name__} revision {kind.REVISION}."
            )
        for field, value in fields.items():
            if field in _INSIDE:
                fields[field] = from_dict(_INSIDE[field], value)
            elif isinstance(value, list):
                fields[field] = tuple(value)
        made: SpecType = kind(**fields)
        for field, value in to_dict(made).items():
            if stored[field] != value:
                raise ValueError(f"{field} is {stored[field]!r}")
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise SpecError(f"This is not the description of {_TOLD[kind]} that this version writes ({error}).") from error
    return made


def _whole(name: str, value: object, meaning: str, *, least: int, most: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise SpecError(f"{name} is {meaning}: a whole number from {least} to {most}; got {value!r}.")


def _word(said: str, value: object, words: Any) -> None:  # noqa: ANN401  # a `Literal`, which has no type
    *most, last = get_args(words)
    if value not in (*most, last):
        raise SpecError(f"{said} {', '.join(most)} or {last}; got {value!r}.")


def _text(name: str, value: object) -> None:
    if not isinstance(value, str) or not value:
        raise SpecError(f"{name} is a text, and not an empty one; got {value!r}.")


def _number(name: str, value: object) -> float:
    with contextlib.suppress(OverflowError):  # a whole number too large for a float is not finite either
        if not isinstance(value, bool) and isinstance(value, int | float) and math.isfinite(value):
            return float(value) + 0.0
    raise SpecError(f"{name} is a finite number; got {value!r}.")


def _channels(name: str, values: object) -> tuple[float, ...]:
    if not isinstance(values, tuple | list) or len(values) not in (1, 3):
        raise SpecError(f"{name} is three numbers, one for each channel, or one; got {values!r}.")
    return tuple(_number(name, value) for value in values)


def _interval(name: str, value: object, *, least: float, most: float) -> tuple[float, float]:
    if not isinstance(value, tuple | list) or len(value) != 2:
        raise SpecError(f"{name} is two numbers, the smallest and the largest; got {value!r}.")
    low, high = _number(name, value[0]), _number(name, value[1])
    if not least <= low <= high <= most:
        raise SpecError(f"{name} is {least:g} <= smallest <= largest <= {most:g}; got {low:g}, {high:g}.")
    return low, high
