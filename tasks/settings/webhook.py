"""Where the provider reports results to, and the secret in its addresses."""

from __future__ import annotations

from collections.abc import Mapping

from tasks.errors import SettingsError
from tasks.settings.model import Webhook
from tasks.settings.values import check_address, number_in

__all__ = ["webhook_in", "webhook_secret"]

_SHORTEST_SECRET = 32


def webhook_in(env: Mapping[str, str]) -> Webhook | None:
    """Where results are reported to; None if nowhere. `SettingsError` if that cannot be used."""
    url = env.get("SHOTCHAIN_WEBHOOK_URL", "").strip()
    if not url:
        return None
    check_address(url, what="an address for SHOTCHAIN_WEBHOOK_URL", such_as="https://films.example.com/hooks")
    net_s = number_in(env, "SHOTCHAIN_WEBHOOK_NET_S", 60.0, least=1, most=3600, of="seconds")
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
