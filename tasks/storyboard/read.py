"""Read a storyboard, from a local path, from any storage, or from text at hand."""

from __future__ import annotations

import re
from pathlib import Path

import fsspec
import httpx

from tasks.errors import StorageUnreachable, StoryboardError
from tasks.redaction import redact
from tasks.storyboard.check import check_document
from tasks.storyboard.json_lines import parse_json
from tasks.storyboard.located import Located, refused
from tasks.storyboard.model import Storyboard
from tasks.storyboard.resolve import resolve
from tasks.storyboard.uris import has_scheme, local_path, scheme_of
from tasks.storyboard.yaml_lines import parse_yaml

__all__ = ["MAX_BYTES", "is_typed", "load_text", "name_of", "parse_text", "read_storyboard", "speaks_json"]

MAX_BYTES = 2_000_000
"""Size that a storyboard file may have. Pictures belong beside it, not in it."""

_ACCEPTED_FILE = "a storyboard in YAML or JSON"
_TYPED = "storyboard"


def read_storyboard(source: str | Path, *, text: str | None = None) -> Storyboard:
    """Read a storyboard, check it and resolve everything that it refers to.

    Args:
        source: A local path, or the URI of a file in any storage (`s3://…`, `https://…`, `memory://…`).
            Relative paths in the storyboard start from its folder. Or the storyboard itself, as it is typed into a
            form (see `is_typed`), which has no folder: paths in it are absolute.
        text: The storyboard itself, if it is already at hand; `source` then only says what paths are relative
            to and what to call the file in messages, and need not exist.

    Raises:
        StoryboardError: There is no such file, or the storyboard has mistakes: all are told, in file order.
        StorageUnreachable: The file cannot be read for a reason that is not in the storyboard.
    """
    where = str(source)
    typed = text is None and isinstance(source, str) and is_typed(source)
    if typed:
        text, where = where, _TYPED
    file = redact(where)
    if text is None:
        text = load_text(where)
    elif len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise refused(file, None, f"the storyboard is larger than {MAX_BYTES // 1_000_000} MB")
    located = parse_text(text, where)
    checked = check_document(located, file)
    storyboard, problems = resolve(checked, where, file, has_folder=not typed)
    found = list(dict.fromkeys((*checked.problems, *problems)))
    if storyboard is None or found:
        raise StoryboardError(sorted(found, key=lambda problem: problem.line or 0))
    return storyboard


def is_typed(source: str) -> bool:
    """Whether a source is the storyboard itself, and not where it is: it has lines, or begins with a brace."""
    return "\n" in source.strip() or source.lstrip().startswith("{")


def name_of(source: str) -> str:
    """What a storyboard is called before it is read: its file's name without suffix, or the title that is typed in."""
    if is_typed(source):
        try:
            data = parse_text(source, _TYPED).data
        except StoryboardError:
            return _TYPED  # reading it will say what is wrong
        title = data.get("title") if isinstance(data, dict) else None
        return " ".join(title.split()) or _TYPED if isinstance(title, str) else _TYPED
    name = (source.partition("?")[0] if has_scheme(source) else source).rstrip("/").rsplit("/", 1)[-1]
    return name.rsplit(".", 1)[0] or name or _TYPED


def load_text(source: str) -> str:
    """The text of a storyboard as it is written, a byte order mark included.

    Raises:
        StoryboardError: There is no such file, it is too large, or no text.
        StorageUnreachable: It cannot be read for a reason that is not in it.
    """
    file = redact(source)
    return _decode(_load(source, file), file)


def parse_text(text: str, source: str) -> Located:
    """The plain data of a storyboard's text; `source` is where it was read from.

    Raises:
        StoryboardError: It is neither YAML nor JSON.
    """
    file = redact(source)
    text = text.removeprefix("\ufeff")
    suffix = _suffix(source)
    if suffix == ".json":
        return parse_json(text, file)
    if not text.lstrip().startswith("{"):
        return parse_yaml(text, file)
    # Braces may be either language. JSON may indent with tabs, which YAML refuses; YAML may leave out quotes.
    try:
        return parse_json(text, file)
    except StoryboardError as not_json:
        try:
            return parse_yaml(text, file)
        except StoryboardError:
            if suffix in {".yaml", ".yml"}:
                raise
            raise not_json from None


def speaks_json(text: str, source: str) -> bool:
    """Whether `parse_text` takes a text that it can parse for JSON, rather than for YAML."""
    text = text.removeprefix("\ufeff")
    if _suffix(source) == ".json":
        return True
    if not text.lstrip().startswith("{"):
        return False
    try:
        parse_json(text, source)
    except StoryboardError:
        return False
    return True


def _suffix(source: str) -> str:
    return Path(source.partition("?")[0] if has_scheme(source) else source).suffix.casefold()


def _decode(data: bytes, file: str) -> str:
    if len(data) > MAX_BYTES:
        raise refused(file, None, f"the file is larger than {MAX_BYTES // 1_000_000} MB", accepted=_ACCEPTED_FILE)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise refused(file, line, "the file is not UTF-8 text", "a file saved as UTF-8") from None


def _load(where: str, file: str) -> bytes:
    """At most one byte more than a storyboard may have."""
    if scheme_of(where) in {"http", "https"}:
        return _load_web(where, file)
    try:
        path = local_path(where) if has_scheme(where) else Path(where)
    except ValueError as error:
        raise refused(file, None, str(error)) from None
    return _load_local(path, file) if path is not None else _load_storage(where, file)


def _load_local(path: Path, file: str) -> bytes:
    try:
        with path.open("rb") as opened:
            return opened.read(MAX_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError, ValueError):
        raise refused(file, None, "there is no such file", accepted=_ACCEPTED_FILE) from None
    except IsADirectoryError:
        raise refused(file, None, "this is a folder, not a storyboard", accepted=_ACCEPTED_FILE) from None
    except OSError as error:
        raise StorageUnreachable(f"the storyboard cannot be read: {error.strerror}", file=file) from error


def _load_web(where: str, file: str) -> bytes:
    try:
        timeout = httpx.Timeout(30, connect=5)
        with httpx.stream("GET", where, follow_redirects=True, timeout=timeout) as answer:
            if answer.status_code in {404, 410}:
                raise refused(file, None, "there is no such file", accepted=_ACCEPTED_FILE)
            answer.raise_for_status()
            data = bytearray()
            for chunk in answer.iter_bytes():
                data += chunk
                if len(data) > MAX_BYTES:
                    break
            return bytes(data)
    except httpx.HTTPStatusError as error:
        message = f"the storyboard cannot be read: the server answers {error.response.status_code}"
        raise StorageUnreachable(message, file=file) from None
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, OverflowError) as error:
        raise StorageUnreachable(f"the storyboard cannot be read: {redact(str(error))}", file=file) from None


def _load_storage(where: str, file: str) -> bytes:
    try:
        with fsspec.open(where, "rb") as opened:
            data: bytes = opened.read(MAX_BYTES + 1)
            return data
    except FileNotFoundError:
        raise refused(file, None, "there is no such file", accepted=_ACCEPTED_FILE) from None
    except IsADirectoryError:
        raise refused(file, None, "this is a folder, not a storyboard", accepted=_ACCEPTED_FILE) from None
    except ImportError as error:
        advice = f"Install what reads {scheme_of(where)}:// (the extras are s3, gcs, azure and sftp)."
        message = f"the storyboard cannot be read: {redact(str(error))}"
        raise StorageUnreachable(message, advice=advice, file=file) from None
    except Exception as error:  # noqa: BLE001 - each storage raises what it likes
        said = re.sub(r"\s+", " ", redact(str(error))) or type(error).__name__
        raise StorageUnreachable(f"the storyboard cannot be read: {said}", file=file) from None
