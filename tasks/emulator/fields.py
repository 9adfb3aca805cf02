"""Reading one JSON object's fields by type, with errors that name the field by its dotted path."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from tasks.emulator.errors import WireError, invalid, missing

__all__ = ["Fields", "is_http_url", "is_uuid4", "read_uuid4"]

_UUID4 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", re.IGNORECASE)


def is_uuid4(text: str) -> bool:
    """Whether `text` is a UUID of version 4, in its usual spelling."""
    return _UUID4.fullmatch(text) is not None


def is_http_url(text: str) -> bool:
    """Whether `text` is an absolute http or https URI with a host."""
    if re.search(r"[\s\x00-\x1f]", text):
        return False
    try:
        parts = urlsplit(text)
        port_is_fine = parts.port is None or parts.port > 0
    except ValueError:
        return False
    return parts.scheme.lower() in {"http", "https"} and bool(parts.hostname) and port_is_fine


def read_uuid4(task: dict[str, Any], name: str = "taskUUID") -> str:
    """The UUID in field `name`, in lower case.

    Raises:
        WireError: It is missing or not a UUID v4.
    """
    value = Fields(task).text(name, required=True)
    if not is_uuid4(value):
        raise invalid(name, f"'{name}' must be a UUID v4.", f"invalid{name[0].upper()}{name[1:]}", type="string")
    return value.lower()


class Fields:
    """The fields of one JSON object.

    Args:
        values: The object.
        path: Its dotted path in the task, empty for the task itself.
    """

    def __init__(self, values: dict[str, Any], path: str = "") -> None:
        self.values = values
        self.path = path

    def name_of(self, name: str) -> str:
        """Dotted path of a field."""
        return f"{self.path}.{name}" if self.path else name

    def has(self, name: str) -> bool:
        """Whether the field was sent at all."""
        return name in self.values

    def only(self, known: frozenset[str]) -> None:
        """Refuse fields that are not known.

        Raises:
            WireError: `unsupportedParameter`, with what is supported.
        """
        for name in self.values:
            if name not in known:
                path = self.name_of(name)
                raise WireError(
                    "unsupportedParameter",
                    f"'{path}' is not supported by this model.",
                    path,
                    allowedValues=sorted(known),
                )

    def _typed(self, name: str, kind: type | tuple[type, ...], wire_type: str) -> Any:
        if name not in self.values:
            return None
        value = self.values[name]
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            path = self.name_of(name)
            raise invalid(path, f"'{path}' must be of type {wire_type}.", type=wire_type)
        return value

    def text(self, name: str, *, required: bool = False, code: str = "missingParameter") -> str:
        """A string; an optional one that is not there is the empty string.

        Raises:
            WireError: Not a string, or required and missing, or empty (unless its length has a rule).
        """
        value = self._typed(name, str, "string")
        path = self.name_of(name)
        if value is None:
            if required:
                raise WireError(code, f"'{path}' is required.", path, type="string")
            return ""
        if not value and name != "positivePrompt":
            raise missing(path, f"'{path}' is empty.", type="string")
        return str(value)

    def choice(self, name: str, allowed: Sequence[str], default: str) -> str:
        """One of `allowed`, as spelled there.

        Raises:
            WireError: Not a string, or another one.
        """
        value = self._typed(name, str, "string")
        if value is None:
            return default
        if value not in allowed:
            path = self.name_of(name)
            raise invalid(path, f"'{path}' is '{value}'.", type="string", allowedValues=list(allowed))
        return str(value)

    def integer(self, name: str, least: int | None, most: int | None) -> int | None:
        """An integer within bounds, None if not there.

        Raises:
            WireError: Not an integer (5.0 and true are not), or out of bounds.
        """
        value = self._typed(name, int, "integer")
        if value is None:
            return None
        if (least is not None and value < least) or (most is not None and value > most):
            path = self.name_of(name)
            bounds: dict[str, Any] = {key: bound for key, bound in (("min", least), ("max", most)) if bound is not None}
            text = " and ".join(f"{'at least' if key == 'min' else 'at most'} {bound}" for key, bound in bounds.items())
            raise invalid(path, f"'{path}' is {value}; it must be {text}.", type="integer", **bounds)
        return int(value)

    def boolean(self, name: str) -> bool:
        """A boolean, False if not there.

        Raises:
            WireError: Not a boolean.
        """
        return bool(self._typed(name, bool, "boolean"))

    def uri(self, name: str) -> str | None:
        """An http or https URI, None if not there.

        Raises:
            WireError: Not such a URI.
        """
        value = self._typed(name, str, "string")
        if value is None:
            return None
        if not is_http_url(value):
            path = self.name_of(name)
            raise invalid(path, f"'{path}' must be an absolute http or https URI.", type="string")
        return str(value)

    def object(self, name: str) -> Fields:
        """A nested object, an empty one if not there.

        Raises:
            WireError: Not an object.
        """
        return Fields(self._typed(name, dict, "object") or {}, self.name_of(name))

    def array(self, name: str) -> list[Any]:
        """An array, an empty one only if not there.

        Raises:
            WireError: Not an array, or one without items.
        """
        value = self._typed(name, list, "array")
        if value is None:
            return []
        if not value:
            path = self.name_of(name)
            raise WireError("arrayTooSmall", f"'{path}' has no items.", path, type="array", min=1)
        return list(value)
