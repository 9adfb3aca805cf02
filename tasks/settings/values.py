"""Values as they stand in the environment, in flags and parameters: numbers, dollars, addresses."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from urllib.parse import urlsplit

from tasks.errors import SettingsError
from tasks.redaction import redact
from tasks.settings.model import OFFICIAL_BASE_URL

__all__ = ["check_address", "identity_of", "number_in", "parse_usd", "seconds_in"]

_PORTS = {"http": 80, "https": 443}
_MOST_USD = Decimal(1_000_000_000)


def check_address(address: str, *, what: str = "a base URL", such_as: str = OFFICIAL_BASE_URL) -> None:
    """See that an address can be one of the web; `SettingsError` if not, which says `what` it would be."""
    try:
        parts = urlsplit(address)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        usable = False
    if not usable or not address.isprintable() or " " in address:
        raise SettingsError(f"'{redact(address)}' is not {what}", advice=f"Accepted: an address such as {such_as}.")


def identity_of(address: str, *, embedded: bool) -> str:
    """Who is paid at an address: `emulator` for the one inside, `runware`, or the origin of another server."""
    if embedded:
        return "emulator"
    parts = urlsplit(address)
    # However it is spelled, it is the same provider, and what was paid there is paid.
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    port = "" if parts.port in {None, _PORTS[parts.scheme]} else f":{parts.port}"
    origin = f"{parts.scheme}://{host}{port}"
    return "runware" if f"{origin}{parts.path.rstrip('/')}" == OFFICIAL_BASE_URL else origin


def seconds_in(env: Mapping[str, str], name: str, default: float, *, least_s: int = 0) -> float:
    """Seconds that a variable holds; `SettingsError` if it holds something else."""
    return number_in(env, name, default, least=least_s, most=86_400, of="seconds")


def number_in(env: Mapping[str, str], name: str, default: float, *, most: int, of: str, least: int = 0) -> float:
    """The number that a variable holds, `default` if it is not set; `SettingsError` if it is out of range."""
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
