"""The file of standing budgets: what it may say, and how its mistakes are told."""

from __future__ import annotations

from decimal import Decimal
from importlib import resources
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.errors import SettingsError
from tasks.ledger import Period, StandingBudget, read_budgets


def write(folder: Path, text: str) -> Path:
    path = folder / "budgets.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_everything_that_can_be_said(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        """
budgets:
  - name: studio
    limit_usd: "500.00"
    period: month
    timezone: Europe/Berlin
    approve_above_usd: "20"
  - name: acme
    limit_usd: 12.000001
    match: {client: acme, season: 2}
""",
    )
    assert read_budgets(path) == (
        StandingBudget("studio", Decimal(500), Period.MONTH, "Europe/Berlin", {}, Decimal(20)),
        StandingBudget("acme", Decimal("12.000001"), match={"client": "acme", "season": "2"}),
    )
    assert read_budgets(str(path)) == read_budgets(path)


def test_the_nightly_batch_alone_is_limited_by_the_shipped_file_and_the_examples_in_it_can_be_used(
    tmp_path: Path,
) -> None:
    (nightly,) = read_budgets()
    assert (nightly.limit_usd, nightly.period) == (Decimal(25), Period.DAY)
    assert nightly.matches({"deployment": "batch/render-nightly"})
    assert not nightly.matches({"deployment": "batch/batch"})
    assert not nightly.matches({})
    lines = resources.files("configs").joinpath("budgets.yaml").read_text(encoding="utf-8").splitlines()
    examples = lines[lines.index("# budgets:") : lines.index("budgets:")]
    found = read_budgets(write(tmp_path, "\n".join(line.removeprefix("# ") for line in examples)))
    assert [budget.name for budget in found] == ["studio", "acme"]


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "budgets:\n", "budgets: []\n"])
def test_no_budgets(tmp_path: Path, text: str) -> None:
    assert read_budgets(write(tmp_path, text)) == ()


BUDGET = 'budgets:\n  - name: studio\n    limit_usd: "1"\n'


@pytest.mark.parametrize(
    ("text", "line", "said", "accepted"),
    [
        ("budgets: 3\n", 1, "'budgets' is not a list", "a list of budgets"),
        ("- name: studio\n", 1, "not a file of budgets", "budgets: []"),
        ("limits: []\n", 1, "no key 'limits'", "budgets"),
        ("{}\n", 1, "no key 'budgets'", "budgets: []"),
        ("budgets:\n  - studio\n", 2, "keys with values", "name, limit_usd"),
        ('budgets:\n  - limit_usd: "1"\n', 2, "no 'name'", "no other budget"),
        ('budgets:\n  - limit_usd: "1"\n    name: ""\n', 3, "not a name", "no other budget"),
        ("budgets:\n  - name: studio\n", 2, "no 'limit_usd'", "12.50"),
        ("budgets:\n  - name: studio\n    limit_usd: much\n", 3, "'much' is not an amount", "12.50"),
        ("budgets:\n  - name: studio\n    limit_usd: true\n", 3, "limit_usd: True is not", "12.50"),
        ("budgets:\n  - name: studio\n    limit_usd:\n", 3, "limit_usd: None is not", "12.50"),
        ("budgets:\n  - name: studio\n    limit_usd: -1\n", 3, "negative", "12.50"),
        ('budgets:\n  - name: studio\n    limit_usd: "0.0000001"\n', 3, "finer than a micro-dollar", "12.50"),
        ('budgets:\n  - name: studio\n    limit_usd: "inf"\n', 3, "not an amount of money", "12.50"),
        (f"{BUDGET}    approve_above_usd: lots\n", 4, "approve_above_usd: 'lots'", "12.50"),
        (f"{BUDGET}    period: monht\n", 4, "no period 'monht' (did you mean 'month'?)", "day, week, month, forever"),
        (f"{BUDGET}    timezone: CEST now\n", 4, "no time zone 'CEST now'", "Europe/Berlin"),
        (f"{BUDGET}    match: acme\n", 4, "'match' is not tags", "client: acme"),
        (f"{BUDGET}    match:\n      final: yes\n", 5, "the value of tag 'final'", "in quotes"),
        (f"{BUDGET}    mach: {{}}\n", 4, "no key 'mach' here (did you mean 'match'?)", "name, limit_usd, period"),
        (f'{BUDGET}  - name: studio\n    limit_usd: "2"\n', 4, "two budgets are called 'studio'", "no other budget"),
        (f'{BUDGET}    name: "twice"\n', 4, "given twice", ""),
        ("budgets: [\n", 2, "not valid YAML", ""),
    ],
)
def test_a_mistake_is_told_with_its_line(tmp_path: Path, text: str, line: int, said: str, accepted: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(SettingsError) as refused:
        read_budgets(path)
    assert said in refused.value.message
    assert (refused.value.file, refused.value.line) == (str(path), line)
    assert accepted in (refused.value.advice or "")
    assert refused.value.exit_code == 2


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    path = write(tmp_path, "budgets:\n  - name: a\n    limit_usd: x\n    period: y\n  - name: b\n")
    with pytest.raises(SettingsError) as refused:
        read_budgets(path)
    assert [f"{path}:{line}:" in str(refused.value) for line in (3, 4, 5)] == [True] * 3


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    for path in (tmp_path / "none.yaml", tmp_path):
        with pytest.raises(SettingsError, match="cannot be read") as refused:
            read_budgets(path)
        assert "SHOTCHAIN_BUDGETS" in (refused.value.advice or "")
    (tmp_path / "film.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SettingsError, match="not UTF-8"):
        read_budgets(tmp_path / "film.yaml")


words = st.sampled_from(
    ["budgets", "name", "limit_usd", "match", "period", "day", "0.1", "- ", ": ", "\n", "  ", "[", "*a", "'"]
)


@given(st.lists(words, max_size=12).map("".join))
def test_whatever_is_written_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = write(tmp_path_factory.getbasetemp(), text)
    try:
        budgets = read_budgets(path)
    except SettingsError as refused:
        told = refused.message
    else:
        told = "".join(budget.name for budget in budgets) or "none"
    assert told
