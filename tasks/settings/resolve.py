"""Flags and flow parameters, the environment, and defaults, to the settings of one run."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import get_args

import platformdirs

from tasks.errors import KeyRefused, SettingsError
from tasks.local_path import local_path
from tasks.redaction import fingerprint
from tasks.settings.model import OFFICIAL_BASE_URL, Finish, Seam, Settings, Sign, Signing
from tasks.settings.values import check_address, identity_of, number_in, seconds_in
from tasks.settings.webhook import webhook_in

__all__ = ["resolve_settings"]


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
    check_address(address)
    key = env.get("RUNWARE_API_KEY", "").strip()
    if provider == "emulator" and base_url and identity_of(address, embedded=False) == "runware":
        raise SettingsError(
            "the emulator is not at Runware's own address",
            advice="For the embedded emulator leave --base-url out; to generate for money use --provider runware.",
        )
    if provider == "emulator":
        key = key if base_url and key else "emulator"
    elif needs_key and not key:
        raise KeyRefused(
            "RUNWARE_API_KEY is not set, so nothing can be asked of Runware",
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
        identity=identity_of(address, embedded=embedded),
        base_url=address,
        api_key=key,
        account=fingerprint(key) if key else "",
        work=work,
        ledger=ledger,
        cache=local_path(cache).absolute(),
        emulator_state=_beside_ledger(ledger, data) / "emulator",
        max_in_flight=max_in_flight,
        retries=retries,
        nsfw="fail" if nsfw == "fail" else "keep",
        pictures="upload" if pictures == "upload" else "inline",
        grace_s=seconds_in(env, "SHOTCHAIN_GRACE_S", 120.0),
        deadline_s=seconds_in(env, "SHOTCHAIN_DEADLINE_S", 3600.0),
        lease_s=seconds_in(env, "SHOTCHAIN_LEASE_S", 60.0, least_s=1),
        direct_delivery=_direct_delivery(env),
        delivery_grace_s=number_in(env, "SHOTCHAIN_DELIVERY_GRACE_S", 20.0, most=3600, of="seconds"),
        cache_gb=number_in(env, "SHOTCHAIN_CACHE_GB", 20.0, most=1_000_000, of="gigabytes"),
        budgets=budgets or env.get("SHOTCHAIN_BUDGETS") or None,
        on_empty="pause" if on_empty == "pause" else "fail",
        finish=replace(
            _finish(seam, caption_font, burn_captions=burn_captions, timeline=timeline),
            deliver=tuple(dict.fromkeys(deliver or ())),
            deliverables=deliverables or env.get("SHOTCHAIN_DELIVERABLES") or None,
        ),
        signing=_signing(env, sign),
        webhook=webhook_in(env),
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


def _finish(seam: str, caption_font: str | None, *, burn_captions: bool, timeline: bool) -> Finish:
    for known in get_args(Seam):
        if seam != known:
            continue
        if seam == "lossless" and burn_captions:
            raise SettingsError(
                "captions cannot be burned into pictures that are copied as they are",
                advice="Accepted: seam conform or auto, or captions that are not burned in.",
            )
        return Finish(known, burn_captions, None if caption_font is None else _font(caption_font), timeline)
    raise SettingsError(f"no way '{seam}' to join clips", advice="Accepted: conform, lossless, auto.")


def _font(named: str) -> str:
    font = local_path(named).absolute()
    with suppress(OSError):  # a name that is too long is no file either
        if font.is_file():
            return str(font)
    raise SettingsError(f"there is no font '{named}'", advice="Accepted: a TrueType or OpenType file.")


def _beside_ledger(ledger: str, data: Path) -> Path:
    """The embedded emulator remembers its tasks where the ledger remembers them, so that both tell the same."""
    path = ledger.removeprefix("sqlite:///")
    return data if "://" in path else local_path(path).absolute().parent
