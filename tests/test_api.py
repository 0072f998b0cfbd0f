from __future__ import annotations

import ast
import importlib
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import cxrfeat
from cxrfeat import errors, spec
from cxrfeat.errors import CxrFeatError
from tests.workflow.helpers import make_features

HEAVY = ("tensorflow", "keras", "sklearn", "scipy", "numpy", "PIL", "h5py", "rich", "jinja2", "joblib")


def loaded(code: str, *arguments: str, names: tuple[str, ...] = HEAVY) -> list[str]:
    """Which of the heavy packages a fresh interpreter has loaded after running `code`."""
    tail = f"\nimport json, sys; print('\\n' + json.dumps([name for name in {names!r} if name in sys.modules]))"
    done = subprocess.run([sys.executable, "-c", code + tail, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: list[str] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_importing_the_package_loads_nothing_heavy() -> None:
    assert loaded("import cxrfeat; cxrfeat.__version__; dir(cxrfeat)") == []


def test_help_loads_nothing_heavy() -> None:
    assert loaded("from cxrfeat.cli.main import run; assert run(['--help']) == 0") == []
    assert loaded("from cxrfeat.cli.main import run; assert run(['extract', '--help']) == 0") == []


def test_indexing_a_folder_loads_no_network_library(phantoms: Path) -> None:
    code = "import sys; from cxrfeat.cli.main import run; assert run(['index', sys.argv[1]]) == 0"
    assert loaded(code, str(phantoms), names=("tensorflow", "keras", "sklearn")) == []


@pytest.mark.slow
def test_scikit_learn_heads_fit_and_predict_without_tensorflow(tmp_path: Path) -> None:
    features = make_features(tmp_path / "f.h5")
    code = """
import sys
from pathlib import Path
from cxrfeat.cli.main import run
heads = [part for kind in ("logreg", "svm-linear", "svm-rbf") for part in ("--head", kind)]
assert run(["fit-head", sys.argv[1], *heads, "--runs", sys.argv[2], "--quiet"]) == 0
assert run(["compare", "--runs", sys.argv[2]]) == 0
import numpy as np
from cxrfeat.run.folder import all_runs, read_run
from cxrfeat.head.of_run import load_head
for path in all_runs(Path(sys.argv[2])):
    head, _ = load_head(read_run(path))
    assert head.predict_proba(np.ones((2, 6), np.float32)).shape == (2, 2)
"""
    assert loaded(code, str(features), str(tmp_path / "runs"), names=("tensorflow", "keras")) == []


@pytest.mark.parametrize("name", cxrfeat.__all__)
def test_every_name_of_the_package_loads_when_it_is_used_and_says_what_it_is(name: str) -> None:
    assert callable(getattr(cxrfeat, name))
    assert (getattr(cxrfeat, name).__doc__ or "").strip()


def test_type_checkers_see_the_names_that_load_when_they_are_used() -> None:
    tree = ast.parse(Path(cxrfeat.__file__).read_text(encoding="utf-8"))
    (checked,) = [node for node in tree.body if isinstance(node, ast.If)]
    seen = {}
    for node in checked.body:
        assert isinstance(node, ast.ImportFrom)
        for alias in node.names:
            seen[alias.asname or alias.name] = getattr(importlib.import_module(str(node.module)), alias.name)
    assert set(seen) == set(cxrfeat.__all__) <= set(dir(cxrfeat))
    for name, thing in seen.items():
        assert getattr(cxrfeat, name) is thing


def test_every_error_and_every_description_is_a_name_of_the_package() -> None:
    raised = {name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, CxrFeatError)}
    assert raised <= set(cxrfeat.__all__)
    assert {name for name in vars(spec) if re.fullmatch(".+Spec", name)} <= set(cxrfeat.__all__)


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'cxrfeat' has no attribute 'nothing'"):
        getattr(cxrfeat, "nothing")  # noqa: B009  # mypy would refuse the plain form
    assert not hasattr(cxrfeat, "_nothing")


def test_an_opened_file_has_arrays_for_scikit_learn(tmp_path: Path) -> None:
    with cxrfeat.open(make_features(tmp_path / "f.h5")) as file:
        X, y, groups = file.arrays(view=0)
        assert X.shape == (80, 6)
        assert file.classes == ("COVID", "NORMAL")
        assert len(y) == len(groups) == len(file.sources) == 80
        assert file.features[:3, 0].shape == (3, 6)


def test_indexing_from_python_gives_the_manifest(phantoms: Path) -> None:
    manifest = cxrfeat.index(phantoms)
    assert manifest.classes == ("COVID", "NORMAL")
    assert len(manifest.rows) == len(list(phantoms.glob("*/images/*")))
