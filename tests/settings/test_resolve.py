"""Flags first, then the environment, then what a user would expect."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.errors import KeyRefused, SettingsError
from tasks.redaction import fingerprint
from tasks.settings import OFFICIAL_BASE_URL, parse_usd, resolve_settings

KEY = "rw-5ecret-key"


@pytest.mark.parametrize(
    ("said", "flag", "on_empty"), [("", None, "fail"), ("pause", None, "pause"), ("pause", "fail", "fail")]
)
def test_what_an_empty_budget_does_is_said_by_the_flag_then_by_the_environment(
    said: str, flag: str | None, on_empty: str
) -> None:
    assert resolve({"SHOTCHAIN_ON_EMPTY": said}, on_empty=flag).on_empty == on_empty


def test_no_other_answer_to_an_empty_budget_is_accepted() -> None:
    with pytest.raises(SettingsError, match="on-empty 'borrow'"):
        resolve({"SHOTCHAIN_ON_EMPTY": "borrow"})


@pytest.mark.parametrize(
    ("said", "is_asked"), [(None, False), ("", False), ("off", False), ("on", True), (" ON ", True)]
)
def test_deliveries_are_asked_for_only_if_that_is_said(said: str | None, is_asked: bool) -> None:
    settings = resolve({} if said is None else {"SHOTCHAIN_DIRECT_DELIVERY": said, "SHOTCHAIN_DELIVERY_GRACE_S": "7"})
    assert (settings.direct_delivery, settings.delivery_grace_s) == (is_asked, 20.0 if said is None else 7.0)


@pytest.mark.parametrize(
    "environ",
    [{"SHOTCHAIN_DIRECT_DELIVERY": "auto"}, {"SHOTCHAIN_DELIVERY_GRACE_S": "-1"}],
    ids=lambda it: next(iter(it)),
)
def test_what_is_no_answer_about_deliveries_is_refused(environ: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match="SHOTCHAIN_D"):
        resolve(environ)


def resolve(environ: dict[str, str] | None = None, **flags: Any) -> Any:
    return resolve_settings(environ={"RUNWARE_API_KEY": KEY, **(environ or {})}, **flags)


class TestIdentity:
    @pytest.mark.parametrize(
        "address",
        [
            None,
            OFFICIAL_BASE_URL,
            "https://api.runware.ai/v1/",
            "https://API.Runware.ai/v1",
            "https://api.runware.ai:443/v1",
        ],
    )
    def test_the_official_address_is_runware_however_it_is_spelled(self, address: str | None) -> None:
        assert resolve(base_url=address).identity == "runware"

    @pytest.mark.parametrize(
        ("address", "identity"),
        [
            ("https://api.runware.ai/v2", "https://api.runware.ai"),
            ("http://api.runware.ai/v1", "http://api.runware.ai"),
            ("https://api.runware.ai.evil.test/v1", "https://api.runware.ai.evil.test"),
            ("http://127.0.0.1:8000/v1", "http://127.0.0.1:8000"),
            ("http://[::1]:8000/v1", "http://[::1]:8000"),
            ("http://studio.test:80/v1", "http://studio.test"),
            ("https://ann:pa55@studio.test/v1", "https://studio.test"),
        ],
    )
    def test_any_other_is_its_own(self, address: str, identity: str) -> None:
        assert resolve(base_url=address).identity == identity
        assert resolve({"RUNWARE_BASE_URL": address}).identity == identity
        assert resolve(provider="emulator", base_url=address).identity == identity

    def test_the_embedded_one_is_the_emulator_whatever_the_environment_says(self) -> None:
        settings = resolve({"RUNWARE_BASE_URL": "https://studio.test/v1"}, provider="emulator")
        assert (settings.identity, settings.api_key) == ("emulator", "emulator")

    @pytest.mark.parametrize(
        "address",
        [
            "api.runware.ai/v1",
            "ftp://a/v1",
            "http://",
            "http://a:port/v1",
            "http://a:0/v1",
            "http://[a/v1",
            "http://a b/v1",
            "http://a/\n",
        ],
    )
    def test_what_is_no_address_is_refused(self, address: str) -> None:
        with pytest.raises(SettingsError, match="is not a base URL"):
            resolve(base_url=address)


class TestKey:
    def test_without_one_nothing_can_be_generated(self) -> None:
        for environ in ({}, {"RUNWARE_API_KEY": "  "}):
            with pytest.raises(KeyRefused, match="RUNWARE_API_KEY is not set") as caught:
                resolve_settings(environ=environ)
            assert caught.value.exit_code == 6

    def test_planning_and_the_emulator_need_none(self) -> None:
        assert resolve_settings(environ={}, needs_key=False).account == ""
        assert resolve_settings(environ={}, provider="emulator").api_key == "emulator"

    @pytest.mark.parametrize("key", ["two words", "kéy", "new\nline", "tab\tkey"])
    def test_one_that_cannot_be_sent_is_refused_without_showing_it(self, key: str) -> None:
        with pytest.raises(SettingsError) as caught:
            resolve_settings(environ={"RUNWARE_API_KEY": key})
        assert key not in str(caught.value)

    def test_it_is_trimmed_named_by_its_fingerprint_and_never_shown(self) -> None:
        settings = resolve_settings(environ={"RUNWARE_API_KEY": f" {KEY}\n"})
        assert (settings.api_key, settings.account) == (KEY, fingerprint(KEY))
        assert KEY not in repr(settings)
        assert KEY not in str(settings)


class TestPlaces:
    def test_flags_go_before_the_environment(self) -> None:
        environ = {"SHOTCHAIN_WORK": "s3://a/work", "SHOTCHAIN_LEDGER": "a.db", "SHOTCHAIN_BUDGETS": "a.yaml"}
        settings = resolve(environ)
        assert (settings.work, settings.ledger, settings.budgets) == ("s3://a/work", "a.db", "a.yaml")
        settings = resolve(environ, work="b", ledger="b.db", budgets="b.yaml")
        assert (settings.work, settings.ledger, settings.budgets) == ("b", "b.db", "b.yaml")
        assert resolve().budgets is None

    def test_defaults_are_per_user_and_not_per_folder(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        before = resolve()
        monkeypatch.chdir(tmp_path)
        assert (resolve().work, resolve().ledger, resolve().cache) == (before.work, before.ledger, before.cache)
        assert Path(before.work).is_absolute()

    def test_the_emulator_remembers_beside_the_ledger(self, tmp_path: Path) -> None:
        for ledger in (str(tmp_path / "l.db"), f"sqlite:///{tmp_path / 'l.db'}"):
            assert resolve(ledger=ledger).emulator_state == tmp_path / "emulator"
        assert resolve(ledger="postgresql://db/films").emulator_state.is_absolute()

    def test_passwords_of_places_are_not_shown(self) -> None:
        assert "pa55" not in repr(resolve(work="sftp://ann:pa55@host/work"))


@pytest.mark.parametrize(
    "flags",
    [
        {"provider": "sora"},
        {"max_in_flight": 0},
        {"max_in_flight": 1001},
        {"retries": -1},
        {"retries": 11},
    ],
)
def test_what_is_out_of_range_is_refused(flags: dict[str, Any]) -> None:
    with pytest.raises(SettingsError) as caught:
        resolve(**flags)
    assert caught.value.advice
    assert caught.value.exit_code == 2


def test_times_come_from_the_environment() -> None:
    settings = resolve({"SHOTCHAIN_GRACE_S": "1.5", "SHOTCHAIN_DEADLINE_S": "60"})
    assert (settings.grace_s, settings.deadline_s) == (1.5, 60.0)
    assert (resolve().grace_s, resolve().deadline_s) == (120.0, 3600.0)
    for text in ("-1", "soon", "nan", "inf", "86401"):
        with pytest.raises(SettingsError, match="SHOTCHAIN_GRACE_S"):
            resolve({"SHOTCHAIN_GRACE_S": text})


def test_how_much_the_caches_keep_comes_from_the_environment() -> None:
    assert (resolve().cache_gb, resolve({"SHOTCHAIN_CACHE_GB": "0.5"}).cache_gb) == (20.0, 0.5)
    for text in ("-1", "much", "nan"):
        with pytest.raises(SettingsError, match=f"SHOTCHAIN_CACHE_GB={text} is not a number of gigabytes"):
            resolve({"SHOTCHAIN_CACHE_GB": text})


def test_a_lease_has_time_to_be_renewed() -> None:
    assert (resolve().lease_s, resolve({"SHOTCHAIN_LEASE_S": "5"}).lease_s) == (60.0, 5.0)
    with pytest.raises(SettingsError, match="SHOTCHAIN_LEASE_S=0 ") as caught:
        resolve({"SHOTCHAIN_LEASE_S": "0"})
    assert "1 to 86400" in str(caught.value)


class TestDollars:
    @pytest.mark.parametrize(
        ("text", "amount"),
        [
            ("12.50", "12.50"),
            ("$3", "3"),
            (" 0.000001 ", "0.000001"),
            ("0", "0"),
            ("1e2", "100"),
            ("", None),
            (None, None),
            ("  ", None),
        ],
    )
    def test_amounts(self, text: str | None, amount: str | None) -> None:
        assert parse_usd(text, "budget") == (None if amount is None else Decimal(amount))

    @pytest.mark.parametrize(
        "text", ["-1", "ten", "NaN", "Infinity", "0.0000001", "1e400", "9" * 40, "1e-400", "1,50", "$", "€5"]
    )
    def test_what_is_none(self, text: str) -> None:
        with pytest.raises(SettingsError, match="budget"):
            parse_usd(text, "budget")

    @given(st.decimals(allow_nan=True, allow_infinity=True) | st.text())
    def test_an_amount_or_a_settings_error(self, value: Any) -> None:
        try:
            amount = parse_usd(str(value), "budget")
        except SettingsError:
            return
        assert amount is None or (amount >= 0 and amount == round(amount, 6))


def test_deliverables_are_named_once_and_their_file_is_the_flags_or_the_environments() -> None:
    environ = {"SHOTCHAIN_DELIVERABLES": "studio.yaml"}

    finish = resolve_settings(provider="emulator", deliver=["gif", "h265", "gif"], environ=environ).finish
    assert (finish.deliver, finish.deliverables) == (("gif", "h265"), "studio.yaml")
    assert finish.as_dict()["deliver"] == ["gif", "h265"]
    named = resolve_settings(provider="emulator", deliverables="own.yaml", environ=environ)
    assert named.finish.deliverables == "own.yaml"
    assert resolve_settings(provider="emulator", environ={}).finish.deliver == ()


@pytest.mark.parametrize("named", ["nowhere.ttf", "x" * 300, ""])
def test_a_font_that_is_not_there_is_told(named: str) -> None:
    with pytest.raises(SettingsError, match=f"there is no font '{named}'"):
        resolve_settings(provider="emulator", caption_font=named, environ={})


def test_an_address_for_webhooks_that_is_none_names_its_variable() -> None:
    with pytest.raises(SettingsError, match=r"'hooks' is not an address for SHOTCHAIN_WEBHOOK_URL\n.*example\.com"):
        resolve_settings(provider="emulator", environ={"SHOTCHAIN_WEBHOOK_URL": "hooks"})
