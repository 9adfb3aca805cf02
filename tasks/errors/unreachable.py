"""Something outside does not answer, or does not let us in."""

from __future__ import annotations

from tasks.errors.base import ShotchainError

__all__ = [
    "CircuitOpen",
    "KeyRefused",
    "NoCredit",
    "PrefectUnreachable",
    "ProviderUnreachable",
    "StorageUnreachable",
    "UnpinnedInput",
    "Unreachable",
]


class Unreachable(ShotchainError):
    """Something outside does not answer or does not let us in. Nothing was spent by the failing step."""

    exit_code = 6
    transient = True


class StorageUnreachable(Unreachable):
    """A storage location cannot be read or written."""


class PrefectUnreachable(Unreachable):
    """No Prefect server could be reached or started."""


class ProviderUnreachable(Unreachable):
    """The provider could not be connected to: surely nothing was accepted."""


class KeyRefused(Unreachable):
    """The provider does not accept the API key, or none was given."""

    transient = False


class NoCredit(Unreachable):
    """The provider account has no money left."""

    transient = False


class CircuitOpen(Unreachable):
    """Too many generations failed in a row, so this run submits no more."""


class UnpinnedInput(Unreachable):
    """An input cannot be read, so what would be paid for is not known."""

    transient = False
