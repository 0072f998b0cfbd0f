"""Makes the golden runs of the present format version, once: `python -m tests.run.make_golden`.

Those of version 1 hold what the code of then wrote by these very calls, before a run was a typed document. Their
`run.json` was then put into the layout of `runs/README.md`, every value as it was: the classes of operating points
stand under `classes`; what `identity` says (`split`, `tta`) and `folds` shows (`itself_tested`) is not said twice;
`files` and `digest` were added. `novelty.npz` was made anew, by these calls, when it came to hold what it holds now.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from cxrfeat.run.folder import VERSION
from cxrfeat.spec import FinetuneSpec, HeadSpec
from tests.run.golden import DATA


def main() -> None:
    if standing := sorted(DATA.glob(f"run-v{VERSION}-*")):
        raise SystemExit(f"{standing[0]} is there; golden runs are never changed. Raise VERSION first.")
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        places = {"KERAS_HOME": "keras", "CXRFEAT_CACHE": "cache", "CXRFEAT_CONFIG": "config"}
        os.environ |= {variable: str(home / folder) for variable, folder in places.items()}
        make_runs(home)
        for run in sorted((home / "runs").glob("run-*")):
            print(shutil.copytree(run, DATA / run.name))


def make_runs(home: Path) -> None:
    from cxrfeat.phantom.spec import PhantomSpec
    from cxrfeat.phantom.writing import write_phantoms
    from cxrfeat.workflow.extract import extract
    from cxrfeat.workflow.finetune import finetune
    from cxrfeat.workflow.fit_head import fit
    from cxrfeat.workflow.tune import tune

    data, runs, features = home / "phantom", home / "runs", home / "features"
    write_phantoms(data, PhantomSpec(classes=("COVID", "NORMAL"), patients_per_class=20, size=64, duplicates=1))
    made = extract(data, backbone=small_network(home), preprocess="tf", views=2, features=features, runs=runs)
    path, name = made.files[0].path, f"run-v{VERSION}"
    few: dict[str, Any] = {"epochs": 3, "batch": 8, "optimizer": "adam", "learning_rate": 0.003}
    fit(path, HeadSpec(kind="logreg"), runs=runs, name=f"{name}-logreg")
    dropout = HeadSpec(kind="dropout", hidden=(6, 5), patience=2, **few)
    fit(path, dropout, runs=runs, name=f"{name}-dropout", tta=True)
    tune(path, ["knn", "logreg"], trials=1, inner_folds=2, fold_count=2, runs=runs, name=f"{name}-tuned-folds")
    spec = FinetuneSpec(head=HeadSpec(kind="softmax", calibrate=True, **few | {"epochs": 2}))
    finetune(data, head_from=runs / f"{name}-logreg", spec=spec, features=features, runs=runs, name=f"{name}-finetune")


def small_network(folder: Path) -> Path:
    from cxrfeat.backbone.quiet import import_keras

    keras = import_keras()
    layers, draw = keras.layers, np.random.default_rng(7)
    model = keras.Sequential(
        [
            keras.Input((32, 32, 3)),
            layers.Conv2D(4, 3, strides=4, padding="same", activation="relu"),
            layers.Conv2D(6, 3, strides=2, padding="same"),
        ]
    )
    path = folder / "small.keras"
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "__array__ implementation", DeprecationWarning)
        model.set_weights([draw.normal(0, 0.3, weight.shape).astype(np.float32) for weight in model.weights])
        model.save(path)
    return path


if __name__ == "__main__":
    main()
