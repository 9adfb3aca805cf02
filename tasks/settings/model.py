"""What is set for a run, once it is settled. Nothing is read here."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

from tasks.redaction import redact

__all__ = [
    "DEFAULT_FINISH",
    "OFFICIAL_BASE_URL",
    "Finish",
    "Nsfw",
    "OnEmpty",
    "Pictures",
    "Provider",
    "Seam",
    "Settings",
    "Sign",
    "Signing",
    "Webhook",
]

OFFICIAL_BASE_URL = "https://api.runware.ai/v1"

Provider: TypeAlias = Literal["runware", "emulator"]
Nsfw: TypeAlias = Literal["keep", "fail"]
Pictures: TypeAlias = Literal["inline", "upload"]
OnEmpty: TypeAlias = Literal["fail", "pause"]
Seam: TypeAlias = Literal["conform", "lossless", "auto"]
Sign: TypeAlias = Literal["auto", "required", "off"]


@dataclass(frozen=True, slots=True)
class Finish:
    """How clips become a film, as far as the storyboard does not say it.

    `seam` is how they are joined: all encoded to one layout (`conform`), copied but for the few frames at each seam
    (`lossless`), or copied where that is safe (`auto`). `burn_captions` draws captions into the pictures, in the font
    of the file `caption_font` if that is given, as cards are. With `timeline`, timelines for editors go beside the
    film, and the clips that they refer to. `deliver` names the presets of what else is made of the film, each as it is
    or as the file `deliverables` has it.
    """

    seam: Seam = "conform"
    burn_captions: bool = False
    caption_font: str | None = None
    timeline: bool = False
    deliver: tuple[str, ...] = ()
    deliverables: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready fields; the font by its file's name, since it may lie elsewhere on another machine."""
        font = None if self.caption_font is None else Path(self.caption_font).name
        return {
            "seam": self.seam,
            "burn_captions": self.burn_captions,
            "caption_font": font,
            "timeline": self.timeline,
            "deliver": list(self.deliver),
        }


DEFAULT_FINISH: Final = Finish()


@dataclass(frozen=True, slots=True)
class Webhook:
    """Where the provider reports results to, and how often they are asked for all the same."""

    url: str
    secret: str = field(repr=False)
    net_s: float = 60.0


@dataclass(frozen=True, slots=True)
class Signing:
    """Whether films are signed, and with what.

    `certificate`, `key` and `trust` are each the path of a PEM file, or the PEM itself. Nothing is read here: what
    cannot be used is found by `tasks.provenance`, for those that sign.
    """

    sign: Sign = "auto"
    certificate: str | None = field(default=None, repr=False)
    key: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    algorithm: str | None = None
    timestamps: str | None = field(default=None, repr=False)
    trust: str | None = field(default=None, repr=False)

    @property
    def is_configured(self) -> bool:
        """Whether there is something to sign with, or half of it."""
        return self.certificate is not None or self.key is not None

    @property
    def is_wanted(self) -> bool:
        """Whether a film is to be signed."""
        return self.sign == "required" or (self.sign == "auto" and self.is_configured)


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything a run needs to know beside the storyboard.

    `identity` names who is paid: `runware` only for the official address, `emulator` for the embedded one, the origin
    of any other. `grace_s` is how long a lost submission is given to show up before it may be sent again, `deadline_s`
    how long one result is waited for, `lease_s` how long a run that has fallen silent is taken for alive. With
    `direct_delivery` the provider puts clips into the store itself where that can be, and each is waited for
    `delivery_grace_s` after its result. `cache_gb` is what the local caches may hold when a run begins, in gigabytes
    (10⁹ bytes). `budgets` is the file of standing budgets; None for the shipped one.
    """

    provider: Provider
    identity: str
    base_url: str
    api_key: str
    account: str
    work: str
    ledger: str
    cache: Path
    emulator_state: Path
    max_in_flight: int = 8
    retries: int | None = None
    nsfw: Nsfw = "keep"
    pictures: Pictures = "inline"
    grace_s: float = 120.0
    deadline_s: float = 3600.0
    lease_s: float = 60.0
    direct_delivery: bool = False
    delivery_grace_s: float = 20.0
    cache_gb: float = 20.0
    budgets: str | None = None
    on_empty: OnEmpty = "fail"
    finish: Finish = DEFAULT_FINISH
    signing: Signing = Signing()
    webhook: Webhook | None = None

    def __repr__(self) -> str:
        return f"Settings(provider={self.provider!r}, base_url={redact(self.base_url)!r}, work={redact(self.work)!r})"
