"""Every error that a user can meet, each with its exit code.

A message says what happened, why, and what to do; the command line prints it as it stands and leaves with
`exit_code`. Code that is not for a user's eye raises ordinary Python errors.
"""

from __future__ import annotations

from typing import ClassVar


class CxrFeatError(Exception):
    """Base class of the errors that a user can meet; never raised itself."""

    exit_code: ClassVar[int] = 1


class UsageError(CxrFeatError):
    """Something was asked for that does not exist: an option, a backbone, a head."""

    exit_code: ClassVar[int] = 2


class SpecError(UsageError):
    """A description of what to compute contradicts itself or is out of range."""


class MissingExtraError(UsageError):
    """A feature needs an optional package that is not installed; the message names the extra."""


class InputError(CxrFeatError):
    """The input cannot be used: a missing path, an empty folder, a file of the wrong kind."""

    exit_code: ClassVar[int] = 3


class DivergedError(InputError):
    """Training diverged: its steps were too large for these features."""


class StaleFeaturesError(InputError):
    """The features and what is applied to them were not made the same way."""


class SplitError(InputError):
    """The images cannot be divided as asked."""


class WeightsError(InputError):
    """A network's weights are missing, or are not those of that network."""


class QuarantineError(CxrFeatError):
    """More images than allowed could not be read; the results of the others were written all the same."""

    exit_code: ClassVar[int] = 4


class IntegrityError(CxrFeatError):
    """A stored file is damaged, or is not what it claims to be."""

    exit_code: ClassVar[int] = 5


class LockedError(CxrFeatError):
    """Another process is writing the same file."""

    exit_code: ClassVar[int] = 6


class StorageError(CxrFeatError):
    """The disk is full, read-only, or failing."""

    exit_code: ClassVar[int] = 7


class AuditError(CxrFeatError):
    """An audit check failed, and `strict` was asked for."""

    exit_code: ClassVar[int] = 8


class BadImageError(Exception):
    """One image cannot be used. The pipeline records it and continues, so this never reaches the exit code.

    Attributes:
        stage: Where it failed: `open`, `header` or `decode`.
        reason: One line for the quarantine list; holds no path.
    """

    def __init__(self, stage: str, reason: str) -> None:
        """Keep the stage and the reason, and show both as the message."""
        super().__init__(f"{stage}: {reason}")
        self.stage = stage
        self.reason = reason

    def __reduce__(self) -> tuple[type[BadImageError], tuple[str, str]]:
        """Pickle by both arguments, so that the error survives a process boundary."""
        return BadImageError, (self.stage, self.reason)
