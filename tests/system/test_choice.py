"""Choices are told to whoever listens, and to nobody else."""

from __future__ import annotations

import logging

import pytest

from cxrfeat.system.choice import LOGGER, chose


def test_a_choice_is_told_as_it_stands(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger=LOGGER.name):
        chose("All of it, since 100 % is %s.")
    assert [one.getMessage() for one in caplog.records] == ["All of it, since 100 % is %s."]


def test_nobody_hears_of_it_who_did_not_ask() -> None:
    assert not LOGGER.isEnabledFor(logging.INFO)
