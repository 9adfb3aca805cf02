"""Webhooks: the address at which the provider reports one task.

The provider signs nothing; what it can carry back is the address that it was given. So each task has one of its own,
with a token that only holders of the secret can make, and a report that comes to another address is nobody's.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Final

__all__ = ["TOKEN", "address_of", "is_genuine"]

TOKEN: Final = "token"  # noqa: S105 -- the name of a parameter
"""The parameter of an address that has the token; redaction knows it by this name."""


def address_of(base_url: str, secret: str, task_uuid: str) -> str:
    """The address at which a task is to be reported."""
    return f"{base_url}/{task_uuid}?{TOKEN}={_token_of(secret, task_uuid)}"


def is_genuine(secret: str, task_uuid: str, token: str) -> bool:
    """Whether a token is that of the task's own address."""
    return hmac.compare_digest(token.encode(), _token_of(secret, task_uuid).encode())


def _token_of(secret: str, task_uuid: str) -> str:
    return hmac.new(secret.encode(), f"shotchain webhook {task_uuid}".encode(), hashlib.sha256).hexdigest()
