"""Presigned addresses: whoever knows one may put one object, for a while, and needs no key. So each is a secret."""

from __future__ import annotations

import ipaddress
import uuid
from collections.abc import Mapping
from enum import IntEnum
from http.client import HTTPException
from types import MappingProxyType
from typing import Any, Final
from urllib.error import HTTPError
from urllib.parse import parse_qsl, urlsplit
from urllib.request import Request, urlopen

from tasks.errors import SettingsError, StorageUnreachable
from tasks.redaction import redact
from tasks.storage import Location

__all__ = ["LONGEST_S", "Reach", "can_sign", "reach_of", "secrets_of", "try_upload", "upload_address"]

LONGEST_S: Final = 7 * 86_400
"""Seconds for which signatures (version 4) hold at most."""

_PROBE: Final = b"shotchain"
_PROBE_S: Final = 60.0

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


def secrets_of(address: str) -> tuple[str, ...]:
    """What of such an address must not be shown: all of it, and what makes it good, however the rest is spelled."""
    query = parse_qsl(urlsplit(address).query)
    return (address, *(value for name, value in query if name.lower().endswith(("signature", "security-token"))))


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


def try_upload(folder: Location) -> None:
    """Put a few bytes into `folder` as somebody else would, and take them away again. Blocks.

    A clock that is wrong, or a rule of the bucket, shows in this before anybody is paid to find out.

    Raises:
        SettingsError: This kind of storage, or what the credentials are, gives no address; or the store refuses it.
        StorageUnreachable: The storage does not answer, or nothing is there afterwards.
    """
    probe = folder.child(f".{uuid.uuid4().hex}.part")  # a name that `gc` knows, should it stay
    address = upload_address(probe, _PROBE_S)
    # Not by httpx, which writes each address that it is given into its log.
    headers = {"Content-Type": "application/octet-stream"}
    request = Request(address, _PROBE, headers, method="PUT")  # noqa: S310  # as it was signed: of a store on the network
    try:
        urlopen(request, timeout=_PROBE_S).close()  # noqa: S310
    except HTTPError as error:
        raise SettingsError(
            f"{folder.shown} takes nothing by an address that is signed here (HTTP {error.code})",
            advice="Check the clock of this machine, and what its credentials and the rules of the bucket allow.",
        ) from error
    except (OSError, HTTPException) as error:
        why = str(redact(str(error), *secrets_of(address))) or type(error).__name__
        raise StorageUnreachable(f"nothing can be put to {probe.shown} by an address: {why}") from error
    try:
        if probe.size() != len(_PROBE):
            raise StorageUnreachable(f"what was put to {probe.shown} by an address is not there")
    finally:
        probe.remove()


def _signer(fs: Any) -> Any:
    """The same file system, to sign with."""
    if not hasattr(fs, "config_kwargs"):
        return fs
    # An old signature of S3 (version 2, still the default for addresses) covers the content type, and it is not known
    # with which the provider puts. One of version 4 is of one region, so that of the bucket is looked up.
    config = {"signature_version": "s3v4", **fs.config_kwargs}
    return type(fs)(**{**fs.storage_options, "config_kwargs": config, "cache_regions": True})
