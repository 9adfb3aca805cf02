"""Presigned addresses: whoever knows one may put one object, for a while, and needs no key. So each is a secret."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from enum import IntEnum
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import urlsplit

from tasks.errors import SettingsError
from tasks.storage import Location

__all__ = ["LONGEST_S", "Reach", "can_sign", "reach_of", "upload_address"]

LONGEST_S: Final = 7 * 86_400
"""Seconds for which signatures (version 4) hold at most."""

# Each file system of fsspec calls what it signs for by a name of its own. That of Azure signs for reading alone.
_PUT: Final[Mapping[str, Mapping[str, str]]] = MappingProxyType(
    {
        "s3": {"client_method": "put_object"},
        "s3a": {"client_method": "put_object"},
        "gs": {"method": "PUT", "version": "v4"},
        "gcs": {"method": "PUT", "version": "v4"},
    }
)


class Reach(IntEnum):
    """From where an address leads to what it names; a larger one from wherever a smaller one does."""

    MACHINE = 0  # from this machine
    NETWORK = 1  # from machines beside it
    ANYWHERE = 2


def reach_of(address: str) -> Reach:
    """From where a URL can be reached, by its host alone: asks nobody.

    A name without a dot is one of a network's own, such as that of a container.
    """
    host = (urlsplit(address).hostname or "").lower()
    try:
        number = ipaddress.ip_address(host)
    except ValueError:
        if host == "localhost" or host.endswith(".localhost"):
            return Reach.MACHINE
        is_own = "." not in host or host.endswith((".local", ".internal", ".lan"))
        return Reach.NETWORK if is_own else Reach.ANYWHERE
    if number.is_loopback:
        return Reach.MACHINE
    return Reach.ANYWHERE if number.is_global else Reach.NETWORK


def can_sign(location: Location) -> bool:
    """Whether `location` lies on a kind of storage that gives such addresses. Asks nobody."""
    return location.protocol in _PUT


def upload_address(location: Location, valid_s: float) -> str:
    """An address to which anybody may PUT the object of `location`, under whatever content type. Blocks.

    Args:
        location: The object; nothing has to be there.
        valid_s: For how many seconds from now an upload may begin.

    Raises:
        SettingsError: This kind of storage, or what the credentials are, gives no such address.
        StorageUnreachable: The storage does not answer.
    """
    words = _PUT.get(location.protocol)
    if words is None:
        kind = "a folder of this machine" if location.local is not None else f"'{location.protocol}://'"
        raise SettingsError(f"{kind} gives no address to put clips to", advice="Accepted: s3://… and gs://….")
    with location.filesystem("write") as (fs, path):
        try:
            signed = _signer(fs).sign(path, int(min(valid_s, LONGEST_S)), **words)
        except (NotImplementedError, ImportError, AttributeError) as error:
            # Credentials that have no private key, or a package that is missing, cannot sign.
            raise SettingsError(f"{location.shown} cannot be signed for: {error}") from error
    return str(signed)


def _signer(fs: Any) -> Any:
    """The same file system, to sign with."""
    if not hasattr(fs, "config_kwargs"):
        return fs
    # An old signature of S3 (version 2, still the default for addresses) covers the content type, and it is not known
    # with which the provider puts. One of version 4 is of one region, so that of the bucket is looked up.
    config = {"signature_version": "s3v4", **fs.config_kwargs}
    return type(fs)(**{**fs.storage_options, "config_kwargs": config, "cache_regions": True})
