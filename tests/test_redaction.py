"""Secrets are masked, and nothing else is."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.redaction import MASK, fingerprint, redact

KEY = "rw-5ecret/key+0123"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Authorization: Bearer abc123def456", "Authorization: Bearer ***"),
        ('{"Authorization": "Bearer abcdefghij"}', '{"Authorization": "Bearer ***"}'),
        ("authorization=Basic dXNlcjpwYXNz", "authorization=Basic ***"),
        ("sent with bearer sk-0123456789", "sent with bearer ***"),
        ("https://host/v.mp4?X-Amz-Signature=abc&a=1", "https://host/v.mp4?X-Amz-Signature=***&a=1"),
        ("https://host/v?sig=abc%2F&sv=2020", "https://host/v?sig=***&sv=2020"),
        ("https://host/v?X-Amz-Security-Token=abc", "https://host/v?X-Amz-Security-Token=***"),
        ("https://host/v?a=1\\u0026X-Amz-Signature=abc", "https://host/v?a=1\\u0026X-Amz-Signature=***"),
        ("https://host/v?a=1&amp;X-Goog-Signature=abc", "https://host/v?a=1&amp;X-Goog-Signature=***"),
        ("https%3A//host/v%3Fa%3D1%26X-Amz-Signature%3Dabc", "https%3A//host/v%3Fa%3D1%26X-Amz-Signature%3D***"),
        ("https://host/v?a=1&#38;X-Amz-Signature=abc", "https://host/v?a=1&#38;X-Amz-Signature=***"),
        ("https://host/v?a=1\\x26X-Amz-Signature\\x3dabc", "https://host/v?a=1\\x26X-Amz-Signature\\x3d***"),
        ("https://host/v?a=1;X-Amz-Signature=abc", "https://host/v?a=1;X-Amz-Signature=***"),
        ("https://host/v?apikey=abc 'next'", "https://host/v?apikey=*** 'next'"),
        ("postgresql+psycopg://ann:pa55@db:5432/films", "postgresql+psycopg://ann:***@db:5432/films"),
        ("sftp://ann:p@ss@host/films", "sftp://ann:***@host/films"),
        ("sftp://ann@host/films", "sftp://ann@host/films"),
        ("http://host:8000/a@b", "http://host:8000/a@b"),
    ],
)
def test_secrets_that_show_themselves_are_masked(text: str, shown: str) -> None:
    assert redact(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "A ring bearer walks down the aisle",
        "the torch bearer: a girl, 1960s",
        "the key light is warm; a token falls",
        "why? a monkey=fun",
        "0:42 into the film",
        "data:image/png;base64,short",
    ],
)
def test_prompts_stay_as_they_are(text: str) -> None:
    assert redact(text) == text


def test_pictures_are_shortened() -> None:
    assert redact("data:image/png;base64," + "A" * 500 + "==") == "data:image/png;base64,…"


@pytest.mark.parametrize("spelled", [KEY, "rw-5ecret%2Fkey%2B0123"])
def test_a_given_secret_is_masked_wherever_it_stands(spelled: str) -> None:
    value = {"a": [f"x{spelled}y", (spelled, 1, None)], "b": {"c": spelled}}
    assert redact(value, KEY) == {"a": [f"x{MASK}y", [MASK, 1, None]], "b": {"c": MASK}}


def test_a_secret_within_a_secret_leaves_no_rest() -> None:
    assert redact("abcd-efgh", "abcd", "abcd-efgh") == MASK


def test_values_under_names_of_secrets_are_masked() -> None:
    value = {"apiKey": "a", "Authorization": "b", "password": "c", "api_key": "", "title": "d", "taskUUID": "e"}
    assert redact(value) == {
        "apiKey": MASK,
        "Authorization": MASK,
        "password": MASK,
        "api_key": "",
        "title": "d",
        "taskUUID": "e",
    }


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=10,
)


@given(JSON, st.text(alphabet="abcXYZ019-_", min_size=8, max_size=20))
def test_no_given_secret_survives_in_any_text(value: Any, secret: str) -> None:
    shown = redact([value, f"before {secret} after", {"note": f"{secret}{secret}"}], secret)
    assert secret not in repr(shown)


@given(JSON)
def test_masking_twice_is_masking_once(value: Any) -> None:
    assert redact(redact(value, KEY), KEY) == redact(value, KEY)


def test_a_fingerprint_names_a_key_and_does_not_tell_it() -> None:
    assert fingerprint(KEY) == fingerprint(KEY)
    assert fingerprint(KEY) != fingerprint(KEY + "4")
    assert len(fingerprint(KEY)) == 16
    assert KEY not in fingerprint(KEY)
