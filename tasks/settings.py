"""Where things are and how hard to try: flags and flow parameters first, then the environment, then defaults.

    RUNWARE_API_KEY     the provider's key
    RUNWARE_BASE_URL    the provider's address, version path included
    SHOTCHAIN_WORK      the clip store: a folder or any fsspec URL
    SHOTCHAIN_LEDGER    the ledger: a file or a SQLAlchemy URL
    SHOTCHAIN_BUDGETS   the file of standing budgets
    SHOTCHAIN_CACHE     local folder for what can be made again
    SHOTCHAIN_CACHE_GB  how many gigabytes of it are kept from run to run
    SHOTCHAIN_WEBHOOK_URL     where `shotchain webhook` is reached from outside; unset, results are asked for
    SHOTCHAIN_WEBHOOK_SECRET  what its addresses are made unguessable with; the same on every machine
    SHOTCHAIN_WEBHOOK_NET_S   how often results are asked for all the same, in seconds
    SHOTCHAIN_DIRECT_DELIVERY   on: the provider puts clips into the store itself; off: they are downloaded
    SHOTCHAIN_DELIVERY_GRACE_S  how long one is waited for once its result is known, in seconds
    SHOTCHAIN_ON_EMPTY  what a run does whose money runs out midway: fail, or pause for a raise
    SHOTCHAIN_SIGN      whether films are signed: auto (where there is a certificate), required, or off
    SHOTCHAIN_C2PA_CERTIFICATE   what films are signed with, and its chain: a PEM file, or the PEM itself
    SHOTCHAIN_C2PA_KEY           its private key, likewise
    SHOTCHAIN_C2PA_KEY_PASSWORD  what an encrypted key is opened with
    SHOTCHAIN_C2PA_ALGORITHM     es256, es384, es512, ps256, ps384, ps512 or ed25519; unset, what suits the key
    SHOTCHAIN_C2PA_TIMESTAMPS    address of a timestamp authority; unset, nobody is asked for the time
    SHOTCHAIN_C2PA_TRUST         the root certificates that `shotchain verify` trusts, like the certificate
    SHOTCHAIN_DELIVERABLES    the file of one's own presets of deliverables

Defaults are per user, not per folder, so that the same shot is paid once wherever it is rendered from.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias, get_args
from urllib.parse import urlsplit

import platformdirs

from tasks.errors import KeyRefused, SettingsError
from tasks.redaction import fingerprint, redact

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
    "parse_usd",
    "resolve_settings",
    "webhook_secret",
]

OFFICIAL_BASE_URL = "https://api.runware.ai/v1"
_PORTS = {"http": 80, "https": 443}
_SHORTEST_SECRET = 32
_MOST_USD = Decimal(1_000_000_000)

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


def resolve_settings(
    *,
    provider: str = "runware",
    base_url: str | None = None,
    work: str | None = None,
    ledger: str | None = None,
    budgets: str | None = None,
    max_in_flight: int = 8,
    retries: int | None = None,
    nsfw: str = "keep",
    pictures: str = "inline",
    on_empty: str | None = None,
    seam: str = "conform",
    burn_captions: bool = False,
    caption_font: str | None = None,
    timeline: bool = False,
    sign: str | None = None,
    deliver: Sequence[str] | None = None,
    deliverables: str | None = None,
    needs_key: bool = True,
    environ: Mapping[str, str] | None = None,
) -> Settings:
    """Settle the settings of one run.

    Args:
        provider: `runware`, or `emulator` for the one that runs inside.
        base_url: Another address of the Runware API.
        work: The clip store.
        ledger: The ledger.
        budgets: The file of standing budgets.
        max_in_flight: At most so many clips at the provider at once.
        retries: At most so many further attempts a take; None leaves it to the storyboard.
        nsfw: What to do with a clip that the provider flags: `keep` it, with a warning, or `fail` its shot.
        pictures: How local pictures travel: `inline` in each request, or `upload`ed once and named by UUID.
        on_empty: What a run does whose money runs out midway: `fail`, or `pause` and ask for a raise.
        seam: How clips are joined: `conform`, `lossless` or `auto`; see `Finish`.
        burn_captions: Whether captions are drawn into the pictures.
        caption_font: File of the font for that and for cards; None for the built-in one.
        timeline: Whether timelines for editors, and clips, are published, too.
        sign: Whether films are signed: `auto`, `required` or `off`; see `Signing`.
        deliver: Names of the presets by which other files are made of the film.
        deliverables: The file of presets of one's own.
        needs_key: Whether anything will be sent; planning needs no key.
        environ: The environment; the process's own if not given.

    Raises:
        SettingsError: Something cannot be used.
        KeyRefused: A key is needed and there is none.
    """
    env = os.environ if environ is None else environ
    if provider not in {"runware", "emulator"}:
        raise SettingsError(f"no provider '{provider}'", advice="Accepted: runware, emulator.")
    if not 1 <= max_in_flight <= 1000:
        raise SettingsError(f"max-in-flight {max_in_flight} is out of range", advice="Accepted: 1 to 1000.")
    if retries is not None and not 0 <= retries <= 10:
        raise SettingsError(f"retries {retries} is out of range", advice="Accepted: 0 to 10.")
    if nsfw not in {"keep", "fail"}:
        raise SettingsError(f"no way '{nsfw}' to treat flagged clips", advice="Accepted: keep, fail.")
    if pictures not in {"inline", "upload"}:
        raise SettingsError(f"pictures cannot travel '{pictures}'", advice="Accepted: inline, upload.")
    on_empty = on_empty or env.get("SHOTCHAIN_ON_EMPTY", "").strip() or "fail"
    if on_empty not in {"fail", "pause"}:
        raise SettingsError(f"on-empty '{on_empty}' is no answer to an empty budget", advice="Accepted: fail, pause.")
    embedded = provider == "emulator" and not base_url
    address = base_url or (None if embedded else env.get("RUNWARE_BASE_URL")) or OFFICIAL_BASE_URL
    _check_address(address)
    key = env.get("RUNWARE_API_KEY", "").strip()
    if provider == "emulator" and base_url and _identity(address, embedded=False) == "runware":
        raise SettingsError(
            "the emulator is not at Runware's own address",
            advice="For the embedded emulator leave --base-url out; to generate for money use --provider runware.",
        )
    if provider == "emulator":
        key = key if base_url and key else "emulator"
    elif needs_key and not key:
        raise KeyRefused(
            "RUNWARE_API_KEY is not set, so nothing can be generated at Runware",
            advice="Set it to your key, or try everything for free with --provider emulator.",
        )
    if not (key.isascii() and key.isprintable()) or " " in key:
        raise SettingsError(
            "RUNWARE_API_KEY holds characters that no key has", advice="Copy it again from my.runware.ai."
        )
    data = Path(platformdirs.user_data_dir("shotchain"))
    work = work or env.get("SHOTCHAIN_WORK") or str(data / "work")
    ledger = ledger or env.get("SHOTCHAIN_LEDGER") or str(data / "ledger.db")
    cache = env.get("SHOTCHAIN_CACHE") or platformdirs.user_cache_dir("shotchain")
    return Settings(
        provider="emulator" if provider == "emulator" else "runware",
        identity=_identity(address, embedded=embedded),
        base_url=address,
        api_key=key,
        account=fingerprint(key) if key else "",
        work=work,
        ledger=ledger,
        cache=Path(cache).expanduser().absolute(),
        emulator_state=_beside_ledger(ledger, data) / "emulator",
        max_in_flight=max_in_flight,
        retries=retries,
        nsfw="fail" if nsfw == "fail" else "keep",
        pictures="upload" if pictures == "upload" else "inline",
        grace_s=_seconds(env, "SHOTCHAIN_GRACE_S", 120.0),
        deadline_s=_seconds(env, "SHOTCHAIN_DEADLINE_S", 3600.0),
        lease_s=_seconds(env, "SHOTCHAIN_LEASE_S", 60.0, least_s=1),
        direct_delivery=_direct_delivery(env),
        delivery_grace_s=_number(env, "SHOTCHAIN_DELIVERY_GRACE_S", 20.0, most=3600, of="seconds"),
        cache_gb=_number(env, "SHOTCHAIN_CACHE_GB", 20.0, most=1_000_000, of="gigabytes"),
        budgets=budgets or env.get("SHOTCHAIN_BUDGETS") or None,
        on_empty="pause" if on_empty == "pause" else "fail",
        finish=replace(
            _finish(seam, caption_font, burn_captions=burn_captions, timeline=timeline),
            deliver=tuple(dict.fromkeys(deliver or ())),
            deliverables=deliverables or env.get("SHOTCHAIN_DELIVERABLES") or None,
        ),
        signing=_signing(env, sign),
        webhook=_webhook(env),
    )


def _signing(env: Mapping[str, str], sign: str | None) -> Signing:
    wanted = sign or env.get("SHOTCHAIN_SIGN", "").strip() or "auto"
    given = {
        name: env.get(f"SHOTCHAIN_C2PA_{variable}", "").strip() or None
        for name, variable in (
            ("certificate", "CERTIFICATE"),
            ("key", "KEY"),
            ("password", "KEY_PASSWORD"),
            ("algorithm", "ALGORITHM"),
            ("timestamps", "TIMESTAMPS"),
            ("trust", "TRUST"),
        )
    }
    for known in get_args(Sign):
        if wanted == known:
            return Signing(known, **given)
    raise SettingsError(f"no way '{wanted}' to sign films", advice="Accepted: auto, required, off.")


def _direct_delivery(env: Mapping[str, str]) -> bool:
    said = env.get("SHOTCHAIN_DIRECT_DELIVERY", "").strip().lower() or "off"
    if said not in {"on", "off"}:
        raise SettingsError(f"SHOTCHAIN_DIRECT_DELIVERY={said} is no answer", advice="Accepted: on, off.")
    return said == "on"


def _webhook(env: Mapping[str, str]) -> Webhook | None:
    url = env.get("SHOTCHAIN_WEBHOOK_URL", "").strip()
    if not url:
        return None
    _check_address(url)
    net_s = _number(env, "SHOTCHAIN_WEBHOOK_NET_S", 60.0, least=1, most=3600, of="seconds")
    return Webhook(url.rstrip("/"), webhook_secret(env), net_s)


def webhook_secret(env: Mapping[str, str]) -> str:
    """What the addresses of webhooks are made unguessable with.

    Raises:
        SettingsError: There is none, or one that could be guessed.
    """
    secret = env.get("SHOTCHAIN_WEBHOOK_SECRET", "").strip()
    if len(secret) < _SHORTEST_SECRET:
        raise SettingsError(
            "SHOTCHAIN_WEBHOOK_SECRET is " + ("too short" if secret else "not set"),
            advice=f"Set it to {_SHORTEST_SECRET} random characters or more, the same on every machine.",
        )
    return secret


def _finish(seam: str, caption_font: str | None, *, burn_captions: bool, timeline: bool) -> Finish:
    for known in get_args(Seam):
        if seam != known:
            continue
        if seam == "lossless" and burn_captions:
            raise SettingsError(
                "captions cannot be burned into pictures that are copied as they are",
                advice="Accepted: seam conform or auto, or captions that are not burned in.",
            )
        font = None if caption_font is None else Path(caption_font).expanduser().absolute()
        if font is not None and not font.is_file():
            raise SettingsError(f"there is no font '{caption_font}'", advice="Accepted: a TrueType or OpenType file.")
        return Finish(known, burn_captions, None if font is None else str(font), timeline)
    raise SettingsError(f"no way '{seam}' to join clips", advice="Accepted: conform, lossless, auto.")


def _beside_ledger(ledger: str, data: Path) -> Path:
    """The embedded emulator remembers its tasks where the ledger remembers them, so that both tell the same."""
    path = ledger.removeprefix("sqlite:///")
    return data if "://" in path else Path(path).expanduser().absolute().parent


def _check_address(address: str) -> None:
    try:
        parts = urlsplit(address)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        usable = False
    if not usable or not address.isprintable() or " " in address:
        raise SettingsError(
            f"'{redact(address)}' is not a base URL", advice=f"Accepted: an address such as {OFFICIAL_BASE_URL}."
        )


def _identity(address: str, *, embedded: bool) -> str:
    if embedded:
        return "emulator"
    parts = urlsplit(address)
    # However it is spelled, it is the same provider, and what was paid there is paid.
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    port = "" if parts.port in {None, _PORTS[parts.scheme]} else f":{parts.port}"
    origin = f"{parts.scheme}://{host}{port}"
    return "runware" if f"{origin}{parts.path.rstrip('/')}" == OFFICIAL_BASE_URL else origin


def _seconds(env: Mapping[str, str], name: str, default: float, *, least_s: int = 0) -> float:
    return _number(env, name, default, least=least_s, most=86_400, of="seconds")


def _number(env: Mapping[str, str], name: str, default: float, *, most: int, of: str, least: int = 0) -> float:
    text = env.get(name)
    if not text:
        return default
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not least <= number <= most:
        raise SettingsError(f"{name}={text} is not a number of {of}", advice=f"Accepted: {least} to {most}.")
    return number


def parse_usd(text: str | None, name: str) -> Decimal | None:
    """Dollars from a flag or a parameter, exact to the micro-dollar; None and '' mean none.

    Raises:
        SettingsError: Not an amount of dollars.
    """
    if text is None or not str(text).strip():
        return None
    try:
        amount = Decimal(str(text).strip().removeprefix("$"))
    except InvalidOperation:
        amount = Decimal("NaN")
    exact = amount.is_finite() and 0 <= amount <= _MOST_USD and amount == amount.quantize(Decimal("0.000001"))
    if not exact:
        raise SettingsError(f"{name} '{text}' is not an amount of dollars", advice='Accepted: such as "12.50".')
    return amount
