"""Whether Python, and the packages that this one asks for, will do."""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterator, Sequence

from cxrfeat.system.check import Check
from cxrfeat.system.requirement import Requirement, extras_of, python_wanted
from cxrfeat.types import Status
from cxrfeat.version import __version__

_FOR = {
    "onnx": "ONNX Runtime as an engine, networks as ONNX files, and exported models",
    "openvino": "the fastest engine on a CPU",
    "fast": "SVMs, which are trained about nine times as fast",
    "dicom": "DICOM files with compressed pixels",
    "tables": "tables as Parquet and .xlsx",
    "anndata": "features as an annotated matrix",
    "ray": "extraction on several machines",
    "tune": "searches by Optuna",
    "umap": "feature maps by UMAP",
}
"""What the extras are for; those of people who work on this package, and of GPUs, are left out."""

_BY_ONE_ENGINE = ("tensorflow", "keras")
"""Packages without which networks still run, by another engine."""


def python_check() -> Check:
    """Whether this Python will do, with the versions of it and of this package."""
    wanted, enough = python_wanted()
    value = f"cxrfeat {__version__} on Python {platform.python_version()}, {platform.system()} {platform.machine()}"
    if not enough:
        return Check(check="python", status=Status.FAIL, value=value, do=f"Install cxrfeat with Python {wanted}.")
    return Check(check="python", status=Status.PASS, value=f"{value} ({sys.executable})")


def packages_check(needed: Sequence[Requirement]) -> Check:
    """Whether what nothing works without is installed.

    Args:
        needed: From `requirements`.
    """
    asked = [one for one in needed if one.extra is None]
    if not asked:
        return Check(
            check="packages",
            status=Status.WARN,
            value="cxrfeat is run from a folder and not installed, so what it needs is not known",
            do="Install it: pip install . in its folder.",
        )
    wrong = [one for one in asked if not one.enough]
    if not wrong:
        return Check(check="packages", status=Status.PASS, value=", ".join(map(str, asked)))
    without = all(one.name in _BY_ONE_ENGINE for one in wrong)
    return Check(
        check="packages",
        status=Status.WARN if without else Status.FAIL,
        value=", ".join(f"{one}, and {one.name}{one.wanted} is needed" for one in wrong)
        + (": explain and finetune do not work" if without else ""),
        do=f"Run pip install {' '.join(_quoted(one) for one in wrong)}.",
    )


def _quoted(one: Requirement) -> str:
    return f"'{one.name}{one.wanted}'"


def extra_checks(needed: Sequence[Requirement]) -> Iterator[Check]:
    """For each extra, whether it is installed, and what it would be good for.

    Args:
        needed: From `requirements`.
    """
    for extra in extras_of():
        if extra not in _FOR:
            continue
        parts = [one for one in needed if one.extra == extra]
        remedy = f"For {_FOR[extra]}: pip install 'cxrfeat[{extra}]'."
        there = [one for one in parts if one.enough]
        if not parts:
            yield Check(check=f"extra {extra}", status=Status.PASS, value="not for this kind of machine")
        elif len(there) == len(parts):
            yield Check(check=f"extra {extra}", status=Status.PASS, value=", ".join(map(str, parts)))
        elif all(one.found is None for one in parts):
            yield Check(check=f"extra {extra}", status=Status.PASS, value="not installed", do=remedy)
        else:
            wrong = [f"{one}, and {one.name}{one.wanted} is wanted" for one in parts if not one.enough]
            yield Check(check=f"extra {extra}", status=Status.WARN, value="; ".join(wrong), do=remedy)
