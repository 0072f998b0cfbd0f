"""Should networks on cached features standardise them? Accuracy, ranking and steadiness of both ways on the same folds.

Every network is fitted on the same grouped folds with several seeds (first weights, order of rows, dropped units), once
on the features as they are, which is the paper's way, and once standardised by its training rows. The test of a seed is
that of all images, each by the head whose fold left it out. Shown are, over the seeds, mean and standard deviation of
accuracy and AUROC and the least accuracy; the worst single fold; the most test images of a fold that got one output;
and, with both ways paired by image and seed, the gain in accuracy by standardising, with the 95 % interval of a
bootstrap that draws patients (or sets of copies) and seeds. `score` is the number of pairs of fold and seed in which
standardising did better, worse, and as well.

    cxrfeat extract DATA --backbone NETWORK --views 1
    python -m benchmarks.standardize features/FILE.h5 --json standardize.json

Without a file the features are random blobs, which shows that it runs and says nothing.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.blobs import blobs, write_blobs
from benchmarks.common import options, publish, say, scratch
from cxrfeat.auditing.outputs import alike
from cxrfeat.feature.file import FeatureFile
from cxrfeat.feature.parting import part_images
from cxrfeat.feature.split import Fold
from cxrfeat.head.data import Data, load
from cxrfeat.head.fits import fit_folds
from cxrfeat.metric.resample import numbered, percentile_interval, weight_blocks
from cxrfeat.metric.score import scores
from cxrfeat.spec import TRAINED_KINDS, HeadKind, HeadSpec

RESAMPLES = 2000
BLOBS = (120, 16)
"""Images and features where no file is given."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Way:
    """One network, fitted one way with every seed."""

    accuracy: NDArray[np.float64]
    """`(seeds,)`."""
    auroc: NDArray[np.float64]
    """`(seeds,)`."""
    right: NDArray[np.bool_]
    """`(seeds, images)`, in the order of the folds."""
    of_fold: NDArray[np.float64]
    """`(seeds, folds)` accuracies."""
    alike: NDArray[np.int64]
    """`(seeds, folds)` most test images of one output."""

    def to_dict(self) -> dict[str, Any]:
        return {
            "accuracy": {
                "mean": float(self.accuracy.mean()),
                "sd": _sd(self.accuracy),
                "values": self.accuracy.tolist(),
            },
            "auroc": {"mean": float(self.auroc.mean()), "sd": _sd(self.auroc), "values": self.auroc.tolist()},
            "worst_fold": float(self.of_fold.min()),
            "folds": self.of_fold.tolist(),
            "alike": int(self.alike.max()),
        }


def fitted(data: Data, folds: Sequence[Fold], kind: HeadKind, seeds: int, epochs: int, *, standardize: bool) -> Way:
    """Fit and test one network with every seed."""
    y, classes = data.file.labels, data.file.classes
    specs = [HeadSpec(kind=kind, seed=seed, epochs=epochs, standardize=standardize) for seed in range(seeds)]
    rows = np.concatenate([fold.test for fold in folds])
    accuracy, auroc, right, of_fold, same = [], [], [], [], []
    for fits in fit_folds(data, specs, folds):
        told = [data.probabilities(fit.head, fold.test) for fit, fold in zip(fits, folds, strict=True)]
        found = scores(y[rows], np.concatenate(told), classes)
        accuracy.append(found["accuracy"])
        auroc.append(found["auroc"])
        hits = [one.argmax(1) == y[fold.test] for one, fold in zip(told, folds, strict=True)]
        right.append(np.concatenate(hits))
        of_fold.append([one.mean() for one in hits])
        same.append([len(alike(one)) for one in told])
    return Way(
        accuracy=np.array(accuracy), auroc=np.array(auroc), right=np.array(right), of_fold=np.array(of_fold),
        alike=np.array(same),
    )  # fmt: skip


def gain(plain: Way, standard: Way, groups: NDArray[np.int64]) -> dict[str, Any]:
    """Accuracy that standardising adds: the mean over images and seeds, and its interval over groups and seeds."""
    gains = standard.right.astype(np.float64) - plain.right
    group, count = numbered(groups)
    sums = np.array([np.bincount(group, weights=one, minlength=count) for one in gains])  # (seeds, groups)
    sizes = np.bincount(group, minlength=count).astype(np.float64)
    found, seeds = [], len(sums)
    rng = np.random.default_rng(1)
    for weights in weight_blocks(count, len(group), RESAMPLES, 0):
        drawn = np.stack([np.bincount(rng.integers(0, seeds, seeds), minlength=seeds) for _ in weights]) / seeds
        found.append(np.einsum("bs,sg,bg->b", drawn, sums, weights, optimize=True) / (weights @ sizes))
    better = standard.of_fold - plain.of_fold
    return {
        "gain": float(gains.mean()),
        "gain_ci": percentile_interval(np.concatenate(found), 0.95),
        "better": int((better > 0).sum()),
        "worse": int((better < 0).sum()),
        "same": int((better == 0).sum()),
    }


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    parser = options(__doc__)
    parser.add_argument("features", nargs="?", type=Path, help="a feature file (default: random blobs)")
    parser.add_argument("--seeds", type=int, default=8, help="of each network and way (default: 8)")
    parser.add_argument("--folds", type=int, default=5, help="grouped folds (default: 5)")
    parser.add_argument("--epochs", type=int, default=20, help="of each fit (default: 20)")
    parser.add_argument(
        "--head", action="append", choices=TRAINED_KINDS, help="may be given again (default: all three)"
    )
    chosen = parser.parse_args(arguments)
    rows, lines = [], []
    with contextlib.ExitStack() as stack:
        path = chosen.features or write_blobs(stack.enter_context(scratch()) / "blobs.h5", *blobs(*BLOBS))
        data = load(stack.enter_context(FeatureFile(path)))
        folds = part_images(data.file, fold_count=chosen.folds).folds
        groups = data.file.groups[np.concatenate([fold.test for fold in folds])]
        for number, kind in enumerate(chosen.head or TRAINED_KINDS, 1):
            plain, standard = (
                fitted(data, folds, kind, chosen.seeds, chosen.epochs, standardize=way) for way in (False, True)
            )
            found = gain(plain, standard, groups)
            rows.append(
                {"head": kind, "images": data.file.images, "folds": chosen.folds, "seeds": chosen.seeds, **found,
                 "plain": plain.to_dict(), "standardised": standard.to_dict()}
            )  # fmt: skip
            say(f"round {number}: {kind}, gain {found['gain']:+.4f}")
            for name, way in (("as they are", plain), ("standardised", standard)):
                last = name == "standardised"
                low, high = found["gain_ci"]
                lines.append(
                    [
                        f"{kind}, {name}",
                        f"{way.accuracy.mean():.3f} ± {_sd(way.accuracy):.3f}",
                        f"{way.accuracy.min():.3f}",
                        f"{way.of_fold.min():.3f}",
                        f"{way.auroc.mean():.3f} ± {_sd(way.auroc):.3f}",
                        str(way.alike.max()),
                        f"{found['gain']:+.3f} [{low:+.3f}, {high:+.3f}]" if last else "",
                        f"{found['better']}:{found['worse']}:{found['same']}" if last else "",
                    ]
                )
    header = ["head", "accuracy", "least", "worst fold", "AUROC", "alike", "gain", "score"]
    return publish("standardize", arguments, header, lines, rows=rows, place=chosen.json)


def _sd(values: NDArray[np.float64]) -> float:
    return float(values.std(ddof=1)) if len(values) > 1 else 0.0


if __name__ == "__main__":
    main()
