"""The style sheet: what is written in it can be read, in light and in dark."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import cxrfeat.reporting

CSS = (Path(cxrfeat.reporting.__file__).parent / "templates" / "style.css").read_text(encoding="utf-8")
COLOURS = {
    name: dict(re.findall(r"--([\w-]+): (#[0-9a-f]{3,6})", block))
    for name, block in zip(("light", "dark", "print"), re.findall(r":root \{(.*?)\}", CSS, re.DOTALL), strict=True)
}


def luminance(colour: str) -> float:
    """Source: WCAG 2.2, relative luminance."""
    digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
    parts = [int(digits[place : place + 2], 16) / 255 for place in (0, 2, 4)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(a: str, b: str) -> float:
    light, dark = sorted((luminance(a), luminance(b)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_contrast_is_that_of_the_standard() -> None:
    assert contrast("#000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("scheme", COLOURS)
def test_text_stands_out_from_what_is_behind_it(scheme: str) -> None:
    colours = COLOURS[scheme]
    for ground in ("paper", "sheet", "fail-paper", "warn-paper", "pass-paper"):
        for text in ("ink", "soft", "accent"):
            assert contrast(colours[text], colours[ground]) >= 4.5, (text, ground)
    for status in ("fail", "warn", "pass"):
        for ground in ("paper", "sheet", f"{status}-paper"):
            assert contrast(colours[status], colours[ground]) >= 4.5, (status, ground)
    for mark in range(8):
        assert contrast(colours[f"c{mark}"], colours["sheet"]) >= 3, mark


def test_the_alarm_can_be_read() -> None:
    alarms = re.findall(r"\.verdict\.alarm \{ color: (#\w+); background: (#\w+)", CSS)
    assert len(alarms) == 2
    assert all(contrast(*pair) >= 7 for pair in alarms)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_counts_can_be_read_on_the_deepest_shade_of_a_confusion_matrix(scheme: str) -> None:
    colours = COLOURS[scheme]
    share = max(map(int, re.findall(r"\.s\d \{[^}]*var\(--accent\) (\d+)%", CSS))) / 100

    def mixed(a: str, b: str) -> str:
        pairs = zip(
            (a[place : place + 2] for place in (1, 3, 5)), (b[place : place + 2] for place in (1, 3, 5)), strict=True
        )
        return "#" + "".join(
            f"{round(int(one, 16) * share + int(other, 16) * (1 - share)):02x}" for one, other in pairs
        )

    assert contrast(colours["ink"], mixed(colours["accent"], colours["sheet"])) >= 4.5


def test_no_rule_stands_twice() -> None:
    rules = [line.strip() for line in CSS.splitlines() if line.strip().endswith("}") and len(line) > 40]
    assert len(rules) == len(set(rules))
