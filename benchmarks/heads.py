"""What does training a head on cached features cost, against the obvious code, and is the result the same?

The obvious code (`obvious.py`) is plain Keras `fit` with its defaults, batches of 32 and the paper's optimiser, and
plain scikit-learn with its defaults, cxrfeat's strengths and a `StandardScaler`; the networks of both ways take
features as they are (`--no-standardize`). Features are random blobs of three classes. Both ways take turns. The parts,
of which `--part` chooses:
- `epoch`: seconds of one epoch of each network, validation included, compiling apart. The share is the arithmetic of
  its layers, forward and backward, in a second, over that of a large single-precision matrix product.
- `result`: the loss of the last epoch, from the same first weights and in the same order of rows. Without dropout the
  difference is rounding; with it each way draws its own units, so both are run for several seeds.
- `scikit`: seconds of fitting each scikit-learn head, standardisation included, and of predicting, and the share of
  rows for which both predict the same.
- `command`: `cxrfeat fit-head` against the six in one script, both as a command with start-up, imports and test;
  cxrfeat's audit and intervals included. With more views than one a few epochs of plain Keras are real and 20 are
  computed from them.
- `many`: 32 dense heads of other learning rates and seeds, each way in a new process, imports apart. All of cxrfeat's
  are real; of plain Keras's some, and 32 are computed from them. And logistic regression and ridge at the 45 strengths
  that `cxrfeat tune` walks through, against as many scikit-learn fits, every fifth of them real.
- `against`, with `--against` another checkout of cxrfeat: seconds of fitting the estimator of each kind by both, each
  in a process of its own, `--epochs` of a network.

    python -m benchmarks.heads --json heads.json
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import math
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, NamedTuple

import numpy as np

from benchmarks.blobs import CLASSES, blobs, write_blobs
from benchmarks.checkout import BEFORE, OURS, add_against, checkouts, working
from benchmarks.common import Spread, alternate, fresh_process, options, publish, say, scratch, seconds_of
from benchmarks.engines import PRODUCT, matrix_product
from benchmarks.obvious import EPOCHS, NETWORKS, at_strength, classifier, network, write_parts
from cxrfeat.backbone.quiet import import_keras
from cxrfeat.feature.split import Fold
from cxrfeat.head.fit import fit_head
from cxrfeat.head.network_head import first_weights
from cxrfeat.head.parallel import outcomes
from cxrfeat.head.regularization_path import STRENGTHS, logistic_path, ridge_path
from cxrfeat.head.sampling import epoch_rows
from cxrfeat.head.training_set import TrainingSet
from cxrfeat.spec import HeadKind, HeadSpec

PLAIN = "plain"
PARTS = ("epoch", "result", "scikit", "command", "many", "against")
SVMS: tuple[HeadKind, ...] = ("svm-linear", "svm-rbf")
OTHERS: tuple[HeadKind, ...] = ("logreg", "knn", "ridge")
HELD = 10
"""One image is held out to validate for so many to train on."""
PREDICTED = 2000
"""Rows that the scikit-learn heads predict, at most as many as images to train on."""


class Size(NamedTuple):
    """Features to train on."""

    images: int
    views: int
    dim: int

    def __str__(self) -> str:
        return f"{self.images:,} x {self.views} x {self.dim}"

    def training(self, held: int | None = None) -> TrainingSet:
        """Features of this size, and some more to validate on."""
        held = held or max(len(CLASSES), self.images // HELD)
        X, y = blobs(self.images + held, self.dim, self.views)
        return TrainingSet(X[held:], y[held:], X[:held, 0], y[:held], CLASSES)

    @classmethod
    def parse(cls, text: str) -> Size:
        """From `IMAGESxVIEWSxDIM`."""
        return cls(*map(int, text.split("x")))


Row = dict[str, Any]


def row(part: str, head: str, size: Size, spreads: dict[str, Spread], **besides: Any) -> Row:  # noqa: ANN401  # Keras and scikit-learn have no types
    """Both ways, and how many times longer the obvious one takes."""
    ours, plain = spreads[OURS], spreads[PLAIN]
    ratio = plain.over(ours)
    return {
        "part": part, "head": head, **size._asdict(),
        OURS: ours.to_dict(), PLAIN: plain.to_dict(), "ratio": ratio.to_dict(), **besides,
    }  # fmt: skip


def epoch(chosen: argparse.Namespace, size: Size) -> list[Row]:
    """Each network, plain Keras and cxrfeat in turn."""
    training = size.training()
    X, y = training.X.reshape(-1, size.dim), training.row_labels
    validation = training.X_val, training.y_val
    candidates: dict[str, Callable[[], float]] = {}
    first: dict[str, dict[str, float]] = {}
    for kind in NETWORKS:
        model = network(kind, size.dim, len(CLASSES))

        def plain(epochs: int = chosen.epochs, model: Any = model) -> float:  # noqa: ANN401  # Keras and scikit-learn have no types
            start = time.perf_counter()
            model.fit(X, y, batch_size=32, epochs=epochs, validation_data=validation, verbose=0)
            return (time.perf_counter() - start) / epochs

        def ours(epochs: int = chosen.epochs, kind: HeadKind = kind) -> float:
            return (
                seconds_of(lambda: fit_head(HeadSpec(kind=kind, epochs=epochs, standardize=False), training)) / epochs
            )

        first[kind] = {OURS: ours(1), PLAIN: plain(1)}
        candidates |= {f"{kind} {OURS}": ours, f"{kind} {PLAIN}": plain}
    candidates[PRODUCT] = matrix_product(chosen.matrix)
    spreads = alternate(candidates, repeats=chosen.repeats, what=f"epoch {size}")
    rows = []
    for kind in NETWORKS:
        both = {way: spreads[f"{kind} {way}"] for way in (OURS, PLAIN)}
        work = gflop(kind, size)
        rates = {way: Spread(tuple(work / seconds for seconds in spread.values)) for way, spread in both.items()}
        shares = {way: rate.over(spreads[PRODUCT]).median for way, rate in rates.items()}
        besides = {
            "gflop": work,
            "share": shares,
            "first_epoch": first[kind],
            "sgemm_gflops": spreads[PRODUCT].to_dict(),
        }
        rows.append(row("epoch", kind, size, both, **besides))
    return rows


def gflop(kind: HeadKind, size: Size) -> float:
    """Thousand million operations of an epoch: for each weight two forward, two for its slope, two for its inputs'."""
    widths: tuple[int, ...] = (size.dim, *(() if kind == "softmax" else (500, 200)), len(CLASSES))
    products = [wide * narrow for wide, narrow in itertools.pairwise(widths)]
    return 1e-9 * size.images * size.views * (6 * sum(products) - 2 * products[0])  # features need no slope


def result(chosen: argparse.Namespace, size: Size) -> list[Row]:
    """The last epoch's loss both ways."""
    training, rows = size.training(), []
    for kind in ("dense", "dropout"):
        seeds = range(chosen.seeds if kind == "dropout" else 1)
        losses: dict[str, list[float]] = {OURS: [], PLAIN: []}
        validation: dict[str, list[float]] = {OURS: [], PLAIN: []}
        for seed in seeds:
            spec = HeadSpec(kind=kind, epochs=chosen.result_epochs, standardize=False, seed=seed)
            last = fit_head(spec, training).history.epochs[-1]
            for way, (loss, val_loss) in (
                (OURS, (last.loss or 0.0, last.val_loss or 0.0)),
                (PLAIN, same_start(spec, training)),
            ):
                losses[way].append(loss)
                validation[way].append(val_loss)
            say(f"result round {seed + 1}: {kind}, {OURS} {losses[OURS][-1]:.6f}, {PLAIN} {losses[PLAIN][-1]:.6f}")
        rows.append(
            {
                "part": "result", "head": kind, **size._asdict(), "seeds": len(seeds), "epochs": chosen.result_epochs,
                "loss": {way: summary(values) for way, values in losses.items()},
                "val_loss": {way: summary(values) for way, values in validation.items()},
                "difference": paired(losses), "val_difference": paired(validation),
            }
        )  # fmt: skip
    return rows


def same_start(spec: HeadSpec, training: TrainingSet) -> tuple[float, float]:
    """Loss and validation loss of plain Keras in the last epoch, from cxrfeat's first weights, in its order of rows."""
    images, views, dim = training.X.shape
    model = network(spec.kind, dim, len(training.classes), seed=spec.seed)
    model.set_weights(first_weights(spec, dim, len(training.classes)))
    told: Any = None
    for number in range(spec.epochs):
        image, view = epoch_rows(images, views, spec.views_per_epoch, spec.seed, number)
        validation = (training.X_val, training.y_val) if number == spec.epochs - 1 else None
        told = model.fit(
            training.X[image, view], training.y[image], batch_size=spec.batch, shuffle=False, verbose=0,
            validation_data=validation,
        )  # fmt: skip
    return told.history["loss"][0], told.history["val_loss"][0]


def summary(values: Sequence[float]) -> dict[str, Any]:
    """Mean and spread over seeds."""
    spread = statistics.stdev(values) if len(values) > 1 else 0.0
    return {"mean": statistics.fmean(values), "deviation": spread, "values": list(values)}


def paired(values: dict[str, list[float]]) -> dict[str, float]:
    """The mean difference over seeds, its standard error, and the largest."""
    each = [ours - plain for ours, plain in zip(values[OURS], values[PLAIN], strict=True)]
    error = statistics.stdev(each) / math.sqrt(len(each)) if len(each) > 1 else 0.0
    return {"mean": statistics.fmean(each), "error": error, "largest": max(map(abs, each))}


def scikit(chosen: argparse.Namespace, size: Size, kind: HeadKind) -> Row:
    """A scikit-learn head, both ways in turn."""
    training = size.training(held=min(PREDICTED, size.images))
    X, y, held = training.X.reshape(-1, size.dim), training.row_labels, training.X_val
    fitted: dict[str, Any] = {}

    def ours() -> None:
        fitted[OURS] = fit_head(HeadSpec(kind=kind), TrainingSet(X[:, None], y, held[:0], y[:0], CLASSES)).head

    def plain() -> None:
        fitted[PLAIN] = classifier(kind).fit(X, y)

    fit_head(HeadSpec(kind=kind), Size(60, 1, 4).training())  # imports
    classifier(kind)
    candidates: dict[str, Callable[[], float]] = {
        f"fit {OURS}": lambda: seconds_of(ours),
        f"fit {PLAIN}": lambda: seconds_of(plain),
        f"predict {OURS}": lambda: seconds_of(lambda: fitted[OURS].predict(held)),
        f"predict {PLAIN}": lambda: seconds_of(lambda: fitted[PLAIN].predict(held)),
    }
    spreads = alternate(candidates, repeats=chosen.repeats, what=f"{kind} {size}")
    same = float((fitted[OURS].predict(held) == fitted[PLAIN].predict(held)).mean())
    predicting = {way: spreads[f"predict {way}"] for way in (OURS, PLAIN)}
    besides = {
        "predict": {way: spread.to_dict() for way, spread in predicting.items()},
        "predict_ratio": predicting[PLAIN].over(predicting[OURS]).median,
        "predicted_rows": len(held),
        "same_predictions": same,
    }
    return row("scikit", kind, size, {way: spreads[f"fit {way}"] for way in (OURS, PLAIN)}, **besides)


def command(chosen: argparse.Namespace, size: Size, folder: Path) -> list[Row]:
    """`fit-head` and the obvious script, each a process of its own."""
    X, y = blobs(size.images, size.dim, size.views)
    features = write_blobs(folder / f"{size.views}.h5", X, y)
    parts = write_parts(folder / f"{size.views}.npz", X, y)
    epochs = EPOCHS if size.views == 1 and not chosen.plain_epochs else chosen.plain_epochs or 3
    accuracy: dict[str, Any] = {}

    def ours() -> float:
        runs = mkdtemp(dir=folder)
        asked = [
            sys.executable,
            "-m",
            "cxrfeat",
            "fit-head",
            str(features),
            "--no-standardize",
            "--runs",
            runs,
            "--json",
        ]
        start = time.perf_counter()
        done = subprocess.run(asked, check=True, capture_output=True, text=True)
        seconds = time.perf_counter() - start
        accuracy[OURS] = {one["head"]: one["test"]["accuracy"] for one in json.loads(done.stdout)["runs"]}
        accuracy["fits"] = {one["head"]: one["seconds"] for one in json.loads(done.stdout)["runs"]}
        return seconds

    def plain() -> float:
        asked = [sys.executable, "-m", "benchmarks.obvious", str(parts), "--epochs", str(epochs)]
        start = time.perf_counter()
        done = subprocess.run(asked, check=True, capture_output=True, text=True)
        seconds = time.perf_counter() - start
        told = json.loads(done.stdout.splitlines()[-1])
        accuracy[PLAIN] = told["accuracy"]
        return seconds + float(told["left_out"])

    repeats = chosen.repeats if size.views == 1 else 1  # of several views it takes minutes
    spreads = alternate({OURS: ours, PLAIN: plain}, repeats=repeats, what=f"command {size}")
    besides = {"fit_seconds": accuracy.pop("fits"), "accuracy": accuracy, "plain_epochs": epochs}
    return [row("command", "all", size, spreads, **besides)]


def many(chosen: argparse.Namespace, size: Size) -> list[Row]:
    """Dense heads of many configurations."""
    count, real = chosen.configurations, min(chosen.configurations, chosen.real)

    def ours() -> float:
        with fresh_process() as process:
            seconds: float = process.submit(many_ours, size, count, chosen.result_epochs).result()
        return seconds

    def plain() -> float:
        with fresh_process() as process:
            seconds = process.submit(many_plain, size, real, chosen.result_epochs).result()
        return float(seconds[0] + (count - 1) * statistics.median(seconds[1:] or seconds))

    spreads = alternate({OURS: ours, PLAIN: plain}, repeats=min(chosen.repeats, 2), what=f"many {size}")
    return [row("many", f"dense, {count}", size, spreads, configurations=count, plain_real=real)]


def configurations(count: int, epochs: int) -> list[HeadSpec]:
    """Dense heads of different learning rates and seeds."""
    rates = np.geomspace(1e-3, 2e-2, count).tolist()
    return [
        HeadSpec(kind="dense", epochs=epochs, learning_rate=rate, standardize=False, seed=seed)
        for seed, rate in enumerate(rates)
    ]


def many_ours(size: Size, count: int, epochs: int) -> float:
    """Seconds of all of them; in a process of its own."""
    training = size.training()
    X, y = np.concatenate([training.X_val[:, None], training.X]), np.concatenate([training.y_val, training.y])
    held = np.arange(len(training.y_val))
    folds = [Fold(name="all", train=np.arange(len(held), len(y)), validation=held, test=held[:0])]
    return seconds_of(lambda: list(outcomes(configurations(count, epochs), X, y, folds, CLASSES)))


def many_plain(size: Size, count: int, epochs: int) -> list[float]:
    """Seconds of each; in a process of its own."""
    import_keras()
    training = size.training()
    X, y = training.X.reshape(-1, size.dim), training.row_labels
    validation = training.X_val, training.y_val

    def fit(spec: HeadSpec) -> None:
        model = network("dense", size.dim, len(CLASSES), learning_rate=spec.learning_rate)
        model.fit(X, y, batch_size=32, epochs=epochs, validation_data=validation, verbose=0)

    return [seconds_of(partial(fit, spec)) for spec in configurations(count, epochs)]


def strengths(chosen: argparse.Namespace, size: Size) -> list[Row]:
    """A head at all strengths of a search."""
    rows = []
    some = STRENGTHS[2::5]
    for kind, path in (("logreg", logistic_path), ("ridge", ridge_path)):

        def ours(path: Callable[..., Any] = path) -> float:
            training = size.training()
            return seconds_of(lambda: path(training, STRENGTHS))

        def plain(kind: str = kind) -> float:
            training = size.training()
            fits = [partial(at_strength(kind, strength).fit, training.X[:, 0], training.y) for strength in some]
            return sum(map(seconds_of, fits)) * len(STRENGTHS) / len(some)

        at_strength(kind, 1.0)  # imports
        spreads = alternate({OURS: ours, PLAIN: plain}, repeats=min(chosen.repeats, 2), what=f"{kind} strengths {size}")
        count = len(STRENGTHS)
        rows.append(row("many", f"{kind}, {count}", size, spreads, configurations=count, plain_real=len(some)))
    return rows


_FITTER = """
import json, sys, time
import numpy as np
from cxrfeat.head.estimator import ESTIMATORS
with np.load(sys.argv[1]) as stored:
    X, y = stored["X"], stored["y"]
for line in sys.stdin:
    kind, parameters = json.loads(line)
    head = ESTIMATORS[kind](**parameters)
    start = time.perf_counter()
    head.fit(X, y)
    print(time.perf_counter() - start, flush=True)
"""


def against(chosen: argparse.Namespace, size: Size, folder: Path) -> list[Row]:
    """Each kind by this checkout and by another, in turn."""
    X, y = blobs(size.images, size.dim, size.views)
    place = folder / f"{size.views} {size.dim}.npz"
    np.savez(place, allow_pickle=False, X=X.reshape(-1, size.dim), y=np.repeat(y, size.views))
    with contextlib.ExitStack() as stack:
        fitters = {
            name: stack.enter_context(working(code, _FITTER, str(place)))
            for name, code in checkouts(chosen.against).items()
        }
        rows = []
        for kind in (*NETWORKS, *OTHERS, *SVMS):
            parameters = {"epochs": chosen.epochs, "standardize": False} if kind in NETWORKS else {}
            candidates = {name: partial(fitter.ask, [kind, parameters]) for name, fitter in fitters.items()}
            for one in candidates.values():
                one()  # imports
            spreads = alternate(candidates, repeats=chosen.repeats, what=f"against {kind} {size}")
            ratio = spreads[BEFORE].over(spreads[OURS])
            both = {name: spread.to_dict() for name, spread in spreads.items()}
            rows.append({"part": "against", "head": kind, **size._asdict(), **both, "ratio": ratio.to_dict()})
    return rows


def line(row: Row) -> list[str]:
    """A row of the table."""
    size = Size(row["images"], row["views"], row["dim"])
    begin = [f"{row['part']} {row['head']}", str(size)]
    if row["part"] == "result":
        shown = [f"loss {loss['mean']:.4f} +- {loss['deviation']:.4f}" for loss in row["loss"].values()]
        difference = row["difference"]
        return [*begin, *shown, "", f"difference {difference['mean']:.1e} +- {difference['error']:.1e}"]
    besides, other = "", PLAIN
    if row["part"] == "against":
        besides, other = "before / cxrfeat", BEFORE
    elif row["part"] == "epoch":
        besides = f"share {row['share'][OURS]:.2f}, plain {row['share'][PLAIN]:.2f}"
    elif row["part"] == "scikit":
        besides = f"same {100 * row['same_predictions']:.1f} %, predict {row['predict_ratio']:.1f} x"
    elif row["part"] == "command" and row["plain_epochs"] != EPOCHS:
        besides = f"plain from {row['plain_epochs']} epochs"
    elif row["part"] == "many":
        besides = f"plain from {row['plain_real']} fits"
    return [*begin, f"{row[OURS]['shown']} s", f"{row[other]['shown']} s", row["ratio"]["shown"], besides]


def parser() -> argparse.ArgumentParser:
    """The options."""
    made = options(__doc__)
    made.add_argument("--part", action="append", choices=PARTS, help="default: all")
    add_against(made)
    sizes = {"large": "2880x8x1024", "wide": "2880x1x2048", "svm": "5760x1x1024", "single": "2880x1x1024"}
    for name, size in sizes.items():
        made.add_argument(f"--{name}", type=Size.parse, default=Size.parse(size), metavar="IMAGESxVIEWSxDIM",
                            help=f"default: {size}")  # fmt: skip
    made.add_argument("--epochs", type=int, default=3, help="in a measurement of `epoch` (default: 3)")
    made.add_argument("--matrix", type=int, default=4096, help="side of the matrix product (default: 4096)")
    made.add_argument("--seeds", type=int, default=10, help="of the dropout head in `result` (default: 10)")
    made.add_argument("--result-epochs", type=int, default=EPOCHS, help="in `result` and `many` (default: 20)")
    made.add_argument(
        "--plain-epochs", type=int, help="real ones of the script in `command`; default: 20, or 3 with several views"
    )
    made.add_argument("--configurations", type=int, default=32, help="in `many` (default: 32)")
    made.add_argument("--real", type=int, default=5, help="of them by plain Keras (default: 5)")
    return made


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Measure, print a table, write JSON."""
    chosen = parser().parse_args(arguments)
    parts, rows = chosen.part or PARTS, []
    import_keras()
    with scratch() as folder:
        if "epoch" in parts:
            rows += [*epoch(chosen, chosen.large), *epoch(chosen, chosen.wide), *epoch(chosen, chosen.single)]
        if "result" in parts:
            rows += result(chosen, chosen.single)
        if "scikit" in parts:
            rows += [scikit(chosen, chosen.svm, kind) for kind in SVMS]
            rows += [scikit(chosen, chosen.large, kind) for kind in OTHERS]
            rows += [scikit(chosen, chosen.wide, kind) for kind in (*SVMS, *OTHERS)]
        if "command" in parts:
            rows += command(chosen, chosen.single, folder)
            rows += command(chosen, chosen.large, folder)
        if "many" in parts:
            rows += many(chosen, chosen.single)
            rows += strengths(chosen, chosen.single)
        if "against" in parts and chosen.against:
            rows += [row for size in (chosen.wide, chosen.single) for row in against(chosen, size, folder)]
    notes = [
        "Images x views x features. Seconds, median (min-max): of one epoch, one fit, the command, all configurations. "
        "plain / cxrfeat: median of the rounds' own quotients. share: of the rate of a "
        f"{chosen.matrix} x {chosen.matrix} float32 product.",
        "result: mean loss of the last epoch over seeds, +- deviation; difference: mean +- standard error, paired.",
    ]
    header = ["what", "features", OURS, PLAIN, "plain / cxrfeat", ""]
    return publish("heads", arguments, header, [line(row) for row in rows], rows=rows, notes=notes, place=chosen.json)


if __name__ == "__main__":
    main()
