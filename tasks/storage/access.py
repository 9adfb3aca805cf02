"""Opens the file system of any storage, and tells what it refuses in words of ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal, TypeAlias

from tasks.errors import SettingsError, StorageUnreachable
from tasks.redaction import redact

__all__ = ["Doing", "elsewhere", "on_disk"]

Doing: TypeAlias = Literal["read", "write", "remove"]
"""What is done with a file, for errors."""
_DONE = {"read": "read", "write": "written", "remove": "removed"}
# Which extra of ours brings the package of a protocol.
_EXTRAS = {
    "s3": "s3",
    "s3a": "s3",
    "gs": "gcs",
    "gcs": "gcs",
    "az": "azure",
    "abfs": "azure",
    "abfss": "azure",
    "adl": "azure",
    "sftp": "sftp",
    "ssh": "sftp",
}


@contextmanager
def on_disk(shown: str, doing: Doing) -> Iterator[None]:
    """Tell what the disk of this machine refuses as ours; `shown` is the file for people.

    Raises:
        StorageUnreachable: The disk refuses.
    """
    try:
        yield
    except OSError as error:
        raise StorageUnreachable(
            f"{shown} cannot be {_DONE[doing]}: {error.strerror or error}",
            advice="Free some space or name another place; what is paid is kept." if doing == "write" else None,
        ) from error


@contextmanager
def elsewhere(url: str, shown: str, doing: Doing) -> Iterator[tuple[Any, str]]:
    """The fsspec file system of a URL, and the path in it. Whatever it raises is told as ours.

    Args:
        url: Where the file lies.
        shown: The same for people, secrets masked.
        doing: What is done with it.

    Raises:
        SettingsError: There is no such storage, or the package that speaks to it is missing.
        StorageUnreachable: It does not answer, or refuses.
    """
    import fsspec  # noqa: PLC0415 -- only for what is not local

    try:
        fs, path = fsspec.core.url_to_fs(url)
    except ImportError as error:
        protocol = url.split("://", 1)[0]
        extra = _EXTRAS.get(protocol)
        raise SettingsError(
            f"'{protocol}://' needs a package that is not installed: {error}",
            advice=f"Install it with: pip install 'shotchain[{extra}]'" if extra else None,
        ) from error
    except ValueError as error:
        raise SettingsError(f"'{shown}' is no storage location: {redact(str(error))}") from error
    except Exception as error:  # some connect already here
        raise _refused(shown, doing, error) from error
    try:
        yield fs, path
    except (SettingsError, StorageUnreachable):
        raise
    # Each backend has errors of its own, with no common root.
    except Exception as error:
        raise _refused(shown, doing, error) from error


def _refused(shown: str, doing: Doing, error: Exception) -> StorageUnreachable:
    return StorageUnreachable(
        f"{shown} cannot be {_DONE[doing]}: {redact(str(error)) or type(error).__name__}",
        advice="Check the address and its credentials, then run the same command again.",
    )
