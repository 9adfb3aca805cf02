"""Addresses that are good for one object: whoever has one puts it, with a plain request and no key."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import fsspec
import httpx
import pytest

from tasks.errors import SettingsError
from tasks.presigned import LONGEST_S, Reach, can_sign, reach_of, upload_address
from tasks.storage import locate
from tests.buckets import Bucket, counted_bucket


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    with counted_bucket(monkeypatch) as bucket:
        yield bucket


@pytest.mark.parametrize("headers", [{}, {"Content-Type": "video/mp4"}, {"Content-Type": "application/octet-stream"}])
def test_whoever_has_it_puts_the_object(bucket: Bucket, headers: dict[str, str]) -> None:
    address = upload_address(locate("s3://films/à b/clips/incoming/x+1"), 60)
    httpx.put(address, content=b"clip", headers=headers).raise_for_status()
    assert bucket.fs.cat_file("films/à b/clips/incoming/x+1") == b"clip"


def test_it_binds_nobody_to_a_content_type_and_ends(bucket: Bucket) -> None:
    """A server that checks signatures would refuse a type that is in them; botocore's default has it in."""
    for asked_s, holds_s in ((60.0, 60), (10.0 * LONGEST_S, LONGEST_S)):
        query = parse_qs(urlsplit(upload_address(locate("s3://films/x"), asked_s)).query)
        assert query["X-Amz-Algorithm"] == ["AWS4-HMAC-SHA256"]
        assert query["X-Amz-SignedHeaders"] == ["host"]
        assert query["X-Amz-Expires"] == [str(holds_s)]
    assert not bucket.uploads()


def test_what_the_user_has_configured_is_signed_with(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(fsspec.config.conf, "s3", {"key": "another", "secret": "pa55", "endpoint_url": bucket.url})
    query = parse_qs(urlsplit(upload_address(locate("s3://films/x"), 60)).query)
    assert query["X-Amz-Credential"][0].startswith("another/")


@pytest.mark.parametrize("place", ["clips", "memory://clips", "sftp://host/clips", "az://films/clips"])
def test_other_storage_gives_none(place: str, tmp_path: Path) -> None:
    location = locate(place if "://" in place else str(tmp_path / place))
    assert not can_sign(location)
    with pytest.raises(SettingsError, match="gives no address") as caught:
        upload_address(location, 60)
    assert caught.value.advice == "Accepted: s3://… and gs://…."


@pytest.mark.parametrize(
    ("address", "reach"),
    [
        ("http://127.0.0.1:9000/films/a?b=c", Reach.MACHINE),
        ("http://[::1]:9000/films", Reach.MACHINE),
        ("http://LOCALHOST/films", Reach.MACHINE),
        ("http://minio:9000/films", Reach.NETWORK),
        ("http://10.0.0.7:9000/films", Reach.NETWORK),
        ("http://192.168.1.5/films", Reach.NETWORK),
        ("http://store.studio.internal/films", Reach.NETWORK),
        ("https://films.s3.eu-central-1.amazonaws.com/a", Reach.ANYWHERE),
        ("https://8.8.8.8/a", Reach.ANYWHERE),
        ("https://127.0.0.1.example.com/a", Reach.ANYWHERE),
        ("https://api.runware.ai/v1", Reach.ANYWHERE),
    ],
)
def test_from_where_it_can_be_reached_is_told_by_its_host(address: str, reach: Reach) -> None:
    assert reach_of(address) is reach
