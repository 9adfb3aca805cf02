"""Every error that shotchain raises on purpose.

    ShotchainError                  exit  transient  may have cost money
    ├── BadInput                    2     no         no
    │   ├── StoryboardError         2     no         no    one or more mistakes in a storyboard, with file and line
    │   ├── SettingsError           2     no         no    a flag, a parameter or an environment variable
    │   └── LedgerTooNew            2     no         no
    ├── OverBudget                  3     no         no
    ├── ApprovalNeeded              4     no         no
    ├── Incomplete                  5     no         see its shots
    ├── NeedFailed                  5     no         no    a shot was not begun, since one that it needs failed
    ├── Unreachable                 6     yes        no    the provider, a storage or Prefect does not answer
    │   ├── StorageUnreachable      6     yes        no
    │   ├── PrefectUnreachable      6     yes        no
    │   ├── ProviderUnreachable     6     yes        no    surely nothing was accepted
    │   ├── KeyRefused              6     no         no
    │   ├── NoCredit                6     no         no
    │   ├── CircuitOpen             6     yes        no    failure upon failure: this run submits no more
    │   └── UnpinnedInput           6     no         no    an input that cannot be read cannot be paid for
    ├── ProviderError               5     no         unknown   a code that we do not know
    │   ├── RequestRejected         5     no         no
    │   ├── ContentRefused          5     no         no    unless the provider says otherwise
    │   ├── RateLimited             5     yes        no
    │   ├── ProviderTimeout         5     yes        unknown
    │   ├── ProviderFailed          5     yes        unknown
    │   ├── OutcomeUnknown          5     no         unknown   a request left and nobody can tell what became of it
    │   ├── ResultGone              5     no         yes   the result's address expired; a fresh one can be asked for
    │   └── ClipLost                5     no         yes   paid for, and gone from the store and from the provider
    ├── MediaError                  5     no         no    ffmpeg or a decoder refused a file
    │   └── ClipDamaged             5     no         yes
    ├── NotSigned                   5     no         no    a film that has to be signed could not be
    ├── LedgerError                 1     no         no
    └── FilmWrong                   1     no         no    the finished film failed its own check

`transient` says whether doing the same again may help. `charged` says whether money may have been spent by what
failed. Catch `ShotchainError` at the edge; everything else that escapes is a bug of ours (exit 1).
"""

from __future__ import annotations

from tasks.errors.base import BadInput, LedgerError, LedgerTooNew, SettingsError, ShotchainError, StoryboardError
from tasks.errors.media import ClipDamaged, FilmWrong, MediaError, NotSigned
from tasks.errors.outcome import ApprovalNeeded, Incomplete, NeedFailed, OverBudget
from tasks.errors.provider import (
    ClipLost,
    ContentRefused,
    OutcomeUnknown,
    ProviderError,
    ProviderFailed,
    ProviderTimeout,
    RateLimited,
    RequestRejected,
    ResultGone,
)
from tasks.errors.unreachable import (
    CircuitOpen,
    KeyRefused,
    NoCredit,
    PrefectUnreachable,
    ProviderUnreachable,
    StorageUnreachable,
    UnpinnedInput,
    Unreachable,
)
from tasks.problems import Charged, Problem, usd

__all__ = [
    "ApprovalNeeded",
    "BadInput",
    "Charged",
    "CircuitOpen",
    "ClipDamaged",
    "ClipLost",
    "ContentRefused",
    "FilmWrong",
    "Incomplete",
    "KeyRefused",
    "LedgerError",
    "LedgerTooNew",
    "MediaError",
    "NeedFailed",
    "NoCredit",
    "NotSigned",
    "OutcomeUnknown",
    "OverBudget",
    "PrefectUnreachable",
    "Problem",
    "ProviderError",
    "ProviderFailed",
    "ProviderTimeout",
    "ProviderUnreachable",
    "RateLimited",
    "RequestRejected",
    "ResultGone",
    "SettingsError",
    "ShotchainError",
    "StorageUnreachable",
    "StoryboardError",
    "UnpinnedInput",
    "Unreachable",
    "usd",
]
