"""How paths and addresses in a storyboard are understood."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from tasks.storyboard.uris import Base, check_uri, decode_data_uri, local_path, looks_like_path, scheme_of


@pytest.mark.parametrize(
    ("text", "scheme"),
    [
        ("https://x/y", "https"),
        ("HTTPS://x/y", "https"),
        ("data:,x", "data"),
        ("s3://b/k", "s3"),
        ("a/b.png", None),
        ("C:/a.png", None),
        ("hero", None),
        ("a b://c", None),
    ],
)
def test_schemes(text: str, scheme: str | None) -> None:
    assert scheme_of(text) == scheme


@pytest.mark.parametrize(
    ("text", "expected"),
    [("a/b", True), ("b.PNG", True), ("b.mp4", True), ("hero", False), ("v1.2", False), ("png", False)],
)
def test_what_is_meant_as_a_path(text: str, expected: bool) -> None:
    assert looks_like_path(text) is expected


@pytest.mark.parametrize(
    ("source", "path", "uri"),
    [
        ("s3://bucket/boards/film.yaml", "a.png", "s3://bucket/boards/a.png"),
        ("s3://bucket/boards/film.yaml", "../../../a.png", "s3://bucket/a.png"),
        ("s3://bucket/film.yaml", "./p/a.png", "s3://bucket/p/a.png"),
        ("https://host/b/film.yaml?x=/y/z#/q", "a.png", "https://host/b/a.png"),
        ("memory:///b/film.yaml", "a.png", "memory:///b/a.png"),
    ],
)
def test_paths_beside_a_remote_storyboard(source: str, path: str, uri: str) -> None:
    assert Base.of(source).uri(path) == uri


def test_one_file_has_one_uri(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "a b.png").write_bytes(b"x")
    (tmp_path / "link").symlink_to("real")
    base = Base.of(tmp_path / "film.yaml")

    uris = {base.uri(path) for path in ("real/a b.png", "link/a b.png", "./real/../real/a b.png")}
    uris.add(base.uri(str(tmp_path / "real" / "a b.png")))

    (uri,) = uris
    assert uri.endswith("/real/a%20b.png")
    assert local_path(uri) == tmp_path / "real" / "a b.png"


@pytest.mark.parametrize("uri", ["file://host/a.png", "file:///a%00.png", "file://", "file://[x/a.png"])
def test_file_uris_that_name_no_local_file(uri: str) -> None:
    with pytest.raises(ValueError, match=r"file URI|IPv6"):
        local_path(uri)


@pytest.mark.parametrize(
    ("uri", "media_type", "data"),
    [
        ("data:image/png;base64," + base64.b64encode(b"abc").decode(), "image/png", b"abc"),
        ("DATA:Image/PNG;base64,YW Jj", "image/png", b"abc"),
        ("data:,a%20b", "text/plain", b"a b"),
    ],
)
def test_data_uris(uri: str, media_type: str, data: bytes) -> None:
    assert decode_data_uri(uri) == (media_type, data)


@pytest.mark.parametrize("uri", ["data:image/png;base64", "data:image/png;base64,!", "data:,", "data:"])
def test_data_uris_without_data(uri: str) -> None:
    with pytest.raises(ValueError, match="data URI"):
        decode_data_uri(uri)


@pytest.mark.parametrize("uri", ["https://host:1/a", "s3://bucket/key", "file:///a.png", "data:,x"])
def test_well_formed_uris(uri: str) -> None:
    check_uri(uri)


@pytest.mark.parametrize("uri", ["https://", "http:///a", "https://host:99999/a", "https://[x/a", "s3://", "data:x"])
def test_malformed_uris(uri: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        check_uri(uri)
