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

from tasks.settings.model import (
    DEFAULT_FINISH,
    OFFICIAL_BASE_URL,
    Finish,
    Nsfw,
    OnEmpty,
    Pictures,
    Provider,
    Seam,
    Settings,
    Sign,
    Signing,
    Webhook,
)
from tasks.settings.resolve import resolve_settings
from tasks.settings.values import parse_usd
from tasks.settings.webhook import webhook_secret

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
