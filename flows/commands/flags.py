"""The flags that several commands have."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any, Literal, TypeAlias

from cyclopts import Parameter

from tasks.errors import SettingsError
from tasks.settings import Settings, parse_usd, resolve_settings

__all__ = [
    "BaseUrl",
    "Budgets",
    "FinishFlags",
    "Json",
    "LedgerUrl",
    "OnEmpty",
    "Output",
    "Provider",
    "Retries",
    "RunFlags",
    "StoryboardFile",
    "Tags",
    "Work",
    "parse_sum",
    "parse_tags",
]

StoryboardFile: TypeAlias = Annotated[str, Parameter(help="Path or URL of the storyboard (YAML or JSON).")]
Output: TypeAlias = Annotated[
    str | None,
    Parameter(
        name=["--output", "-o"],
        help="The film's name (.mp4) or a folder; any fsspec URL. By default the storyboard's name, in this folder.",
    ),
]
Provider: TypeAlias = Annotated[
    Literal["runware", "emulator"],
    Parameter(help="Who generates: Runware (needs RUNWARE_API_KEY), or the free emulator inside."),
]
BaseUrl: TypeAlias = Annotated[
    str | None, Parameter(help="Another address of the Runware API; by default RUNWARE_BASE_URL, else its own.")
]
Work: TypeAlias = Annotated[
    str | None,
    Parameter(help="The clip store: a folder or any fsspec URL; by default SHOTCHAIN_WORK, else in your data folder."),
]
LedgerUrl: TypeAlias = Annotated[
    str | None,
    Parameter(help="The ledger: a file or a SQLAlchemy URL; by default SHOTCHAIN_LEDGER, else in your data folder."),
]
Budgets: TypeAlias = Annotated[
    str | None,
    Parameter(help="The file of standing budgets (YAML); by default SHOTCHAIN_BUDGETS, else the one that ships."),
]
Tags: TypeAlias = Annotated[
    list[str] | None, Parameter(name="--tag", negative="", help="NAME=VALUE, which standing budgets match; repeatable.")
]
OnEmpty: TypeAlias = Annotated[
    Literal["fail", "pause"] | None,
    Parameter(
        help="Where money runs out midway: fail with the sum to finish, or ask for a raise; "
        "by default SHOTCHAIN_ON_EMPTY, else fail."
    ),
]
Retries: TypeAlias = Annotated[
    int | None,
    Parameter(help="Further attempts a take after failures that may pass; by default the storyboard's, else 2."),
]
Json: TypeAlias = Annotated[bool, Parameter(negative="", help="Print one JSON object on stdout, logs on stderr.")]


@Parameter(name="*")
@dataclass(frozen=True)
class FinishFlags:
    """What every command has that makes films of clips."""

    seam: Annotated[
        Literal["conform", "lossless", "auto"],
        Parameter(help="Encode all clips to one layout, copy them, or copy them where that is safe."),
    ] = "conform"
    burn_captions: Annotated[bool, Parameter(negative="", help="Draw captions into the pictures, too.")] = False
    caption_font: Annotated[
        str | None, Parameter(help="File of the font for that and for cards, for letters that the built-in one lacks.")
    ] = None

    timeline: Annotated[
        bool, Parameter(negative="", help="Publish timelines for editors, too, with the clips that they show.")
    ] = False
    sign: Annotated[
        Literal["auto", "required", "off"] | None,
        Parameter(help="Sign films (C2PA) where a certificate is configured (by default), in any case, or never."),
    ] = None
    deliver: Annotated[
        list[str] | None, Parameter(negative="", help="Make this of the film, too, such as h265; repeatable.")
    ] = None
    deliverables: Annotated[
        str | None, Parameter(help="A file of deliverables of your own (YAML); by default SHOTCHAIN_DELIVERABLES.")
    ] = None

    def parameters(self) -> dict[str, Any]:
        """The same as parameters of the flow, and of `resolve_settings`."""
        return {
            "seam": self.seam,
            "burn_captions": self.burn_captions,
            "caption_font": self.caption_font,
            "timeline": self.timeline,
            "sign": self.sign,
            "deliver": list(self.deliver or ()),
            "deliverables": self.deliverables,
        }


@Parameter(name="*")
@dataclass(frozen=True)
class RunFlags:
    """What every command has that may pay for clips."""

    provider: Provider = "runware"
    base_url: BaseUrl = None
    budget: Annotated[str | None, Parameter(help='At most so many dollars, such as "12.50".')] = None
    shot_budget: Annotated[str | None, Parameter(help="At most so many dollars for any one shot.")] = None
    budgets: Budgets = None
    tag: Tags = None
    approve_above: Annotated[str | None, Parameter(help="Ask before spending more than so many dollars.")] = None
    yes: Annotated[bool, Parameter(name=["--yes", "-y"], negative="", help="Approve, within the budget.")] = False
    max_in_flight: Annotated[int, Parameter(help="At most so many clips at the provider at once.")] = 8
    retries: Retries = None
    work: Work = None
    ledger: LedgerUrl = None
    rebuy_lost: Annotated[bool, Parameter(negative="", help="Pay again for a paid clip that is gone everywhere.")] = (
        False
    )
    nsfw: Annotated[
        Literal["keep", "fail"], Parameter(help="What to do with clips that the provider flags as unsafe.")
    ] = "keep"
    pictures: Annotated[
        Literal["inline", "upload"], Parameter(help="How local pictures travel: in each request, or once.")
    ] = "inline"

    def settings(self, finish: FinishFlags | None = None) -> Settings:
        """The settings of the run.

        Raises:
            SettingsError: A flag or an environment variable cannot be used.
        """
        parse_sum(self.budget, "--budget")
        parse_sum(self.shot_budget, "--shot-budget")
        parse_tags(self.tag)
        parse_sum(self.approve_above, "--approve-above")
        return resolve_settings(
            provider=self.provider,
            base_url=self.base_url,
            work=self.work,
            ledger=self.ledger,
            budgets=self.budgets,
            max_in_flight=self.max_in_flight,
            retries=self.retries,
            nsfw=self.nsfw,
            pictures=self.pictures,
            **(finish.parameters() if finish else {}),
        )

    def parameters(self) -> dict[str, Any]:
        """The same as parameters of the flow."""
        return {
            "provider": self.provider,
            "base_url": self.base_url,
            "budget_usd": self.budget,
            "shot_budget_usd": self.shot_budget,
            "budgets": self.budgets,
            "tags": parse_tags(self.tag),
            "approve_above_usd": self.approve_above,
            "approved": self.yes,
            "max_in_flight": self.max_in_flight,
            "retries": self.retries,
            "work": self.work,
            "ledger": self.ledger,
            "rebuy_lost": self.rebuy_lost,
            "nsfw": self.nsfw,
            "pictures": self.pictures,
        }


def parse_sum(given: str | None, flag: str) -> Decimal | None:
    """Dollars of a flag; None where it is left out.

    Raises:
        SettingsError: It is no amount, or empty: in a script whose variable is not set, that must not mean no limit.
    """
    if given is not None and not given.strip():
        raise SettingsError(f"{flag} is empty", advice='Accepted: such as "12.50"; without a limit, leave it out.')
    return parse_usd(given, flag)


def parse_tags(given: list[str] | None) -> dict[str, str]:
    """Tags from `NAME=VALUE`, later ones winning.

    Raises:
        SettingsError: One is written otherwise.
    """
    tags = {}
    for text in given or ():
        name, equals, value = text.partition("=")
        if not (name.strip() and equals and value.strip()):
            raise SettingsError(f"--tag '{text}' is no tag", advice="Accepted: NAME=VALUE, such as client=acme.")
        tags[name.strip()] = value.strip()
    return tags
