"""What flags give, before anything is begun by it."""

from __future__ import annotations

from decimal import Decimal

import pytest

from flows.commands.flags import RunFlags, parse_sum
from tasks.errors import SettingsError


@pytest.mark.parametrize("given", ["", " ", "\t"])
@pytest.mark.parametrize("flag", ["budget", "shot_budget", "approve_above"])
def test_a_sum_whose_variable_is_not_set_is_not_taken_for_no_limit(flag: str, given: str) -> None:
    flags = RunFlags(provider="emulator", **{flag: given})  # type: ignore[arg-type]
    with pytest.raises(SettingsError, match=f"--{flag.replace('_', '-')} is empty") as caught:
        flags.settings()
    assert "leave it out" in str(caught.value)


def test_a_sum_that_is_left_out_is_none() -> None:
    assert parse_sum(None, "--budget") is None
    assert parse_sum(" $12.50 ", "--budget") == Decimal("12.50")
    with pytest.raises(SettingsError, match="--budget 'lots' is not an amount of dollars"):
        parse_sum("lots", "--budget")
