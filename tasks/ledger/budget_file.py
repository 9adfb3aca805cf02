"""The file of standing budgets, `configs/budgets.yaml` or another: read, and every mistake told with its line."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from importlib import resources
from pathlib import Path
from typing import NoReturn

from tasks.errors import Problem, SettingsError, StoryboardError
from tasks.ledger.limits import StandingBudget
from tasks.ledger.money import to_micro
from tasks.ledger.periods import Period, zone
from tasks.local_path import local_path
from tasks.storyboard.check import nearest
from tasks.storyboard.located import KeyPath, Located
from tasks.storyboard.yaml_lines import parse_yaml

__all__ = ["read_budget_file"]

_KEYS = ("name", "limit_usd", "period", "timezone", "match", "approve_above_usd")
_AMOUNT = 'an amount of dollars, such as "12.50"'


def read_budget_file(path: str | Path | None = None) -> tuple[StandingBudget, ...]:
    """The standing budgets of a YAML file; without `path`, of the one that is shipped.

    Raises:
        SettingsError: The file cannot be read, or there is a mistake in it; with file, line and what would do.
    """
    if path is None:
        shipped = resources.files("configs").joinpath("budgets.yaml")
        return _File("configs/budgets.yaml", shipped.read_text(encoding="utf-8")).budgets()
    file = local_path(path)
    try:
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise SettingsError(f"{file} is not UTF-8 text", file=str(file)) from error
    except OSError as error:
        said = error.strerror or str(error)
        raise SettingsError(
            f"the budgets cannot be read: {said}",
            file=str(file),
            advice="Name another file with --budgets or SHOTCHAIN_BUDGETS.",
        ) from error
    return _File(str(file), text).budgets()


class _File:
    def __init__(self, file: str, text: str) -> None:
        self._file = file
        self._text = text
        self._lines: dict[KeyPath, int] = {}
        self._problems: list[Problem] = []

    def budgets(self) -> tuple[StandingBudget, ...]:
        located = self._parsed()
        self._lines = located.lines
        self._problems = list(located.problems)
        found: list[StandingBudget] = []
        if isinstance(located.data, dict):
            self._refuse_unknown(located.data, (), ("budgets",))
            items = located.data.get("budgets")
            if isinstance(items, list):
                made = (self._budget(item, ("budgets", index)) for index, item in enumerate(items))
                found = [budget for budget in made if budget is not None]
            elif items is not None:
                self._note(("budgets",), "'budgets' is not a list", "a list of budgets, each with name and limit_usd")
            elif "budgets" not in located.data:
                self._note((), "there is no key 'budgets'", "budgets: []")
        elif located.data is not None:  # a file of comments alone has none
            self._note((), "this is not a file of budgets", "budgets: []")
        self._refuse_twins(found)
        if self._problems:
            self._fail(self._problems)
        return tuple(found)

    def _parsed(self) -> Located:
        try:
            return parse_yaml(self._text, self._file)
        except StoryboardError as error:
            self._fail(list(error.problems))

    def _budget(self, item: object, path: KeyPath) -> StandingBudget | None:
        if not isinstance(item, dict):
            self._note(path, "a budget is keys with values", ", ".join(_KEYS))
            return None
        before = len(self._problems)
        self._refuse_unknown(item, path, _KEYS)
        name = self._name(item, path)
        limit_usd = self._amount(item, path, "limit_usd")
        if "limit_usd" not in item:
            self._note(path, "this budget has no 'limit_usd'", _AMOUNT)
        approve_above_usd = self._amount(item, path, "approve_above_usd")
        period = self._period(item.get("period"), (*path, "period"))
        timezone = self._timezone(item.get("timezone"), (*path, "timezone"))
        match = self._match(item.get("match"), (*path, "match"))
        if len(self._problems) > before or limit_usd is None:
            return None
        return StandingBudget(name, limit_usd, period, timezone, match, approve_above_usd)

    def _name(self, item: Mapping[str, object], path: KeyPath) -> str:
        name = item.get("name")
        if isinstance(name, str) and name.strip():
            return name.strip()
        if "name" in item:
            self._note((*path, "name"), "this is not a name", "a text that no other budget is called by")
        else:
            self._note(path, "this budget has no 'name'", "a text that no other budget is called by")
        return ""

    def _amount(self, item: Mapping[str, object], path: KeyPath, key: str) -> Decimal | None:
        value = item.get(key)
        if value is None and (key not in item or key != "limit_usd"):
            return None
        try:
            # ArithmeticError is what Decimal raises; a number without quotes was read exactly.
            if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
                raise ValueError(f"{value!r} is not an amount")  # noqa: TRY004, TRY301  # told below
            amount_usd = Decimal(value.strip().removeprefix("$")) if isinstance(value, str) else Decimal(value)
            to_micro(amount_usd)
        except (ValueError, ArithmeticError) as error:
            said = str(error) if isinstance(error, ValueError) else f"'{value}' is not an amount"
            self._note((*path, key), f"{key}: {said}", _AMOUNT)
            return None
        return amount_usd

    def _period(self, value: object, path: KeyPath) -> Period:
        if value is None:
            return Period.FOREVER
        if isinstance(value, str) and value in set(Period):
            return Period(value)
        meant = nearest(str(value), list(Period))
        hint = f" (did you mean '{meant}'?)" if meant else ""
        self._note(path, f"no period '{value}'{hint}", ", ".join(Period))
        return Period.FOREVER

    def _timezone(self, value: object, path: KeyPath) -> str:
        if value is None:
            return "UTC"
        try:
            zone(str(value))
        except ValueError as error:
            self._note(path, str(error), "an IANA name, such as UTC, Europe/Berlin or America/New_York")
            return "UTC"
        return str(value)

    def _match(self, value: object, path: KeyPath) -> dict[str, str]:
        accepted = "tags with the value that a run must have, such as 'client: acme'"
        if value is None:
            return {}
        if not isinstance(value, dict):
            self._note(path, "'match' is not tags with values", accepted)
            return {}
        tags: dict[str, str] = {}
        for tag, wanted in value.items():
            if isinstance(wanted, bool) or not isinstance(wanted, str | int | Decimal) or wanted == "":
                self._note(
                    (*path, tag), f"the value of tag '{tag}' is not text", "a text; in quotes if it is yes or no"
                )
            tags[tag] = str(wanted)
        return tags

    def _refuse_unknown(self, data: Mapping[str, object], path: KeyPath, keys: tuple[str, ...]) -> None:
        for key in data:
            if key not in keys:
                meant = nearest(key, keys)
                hint = f" (did you mean '{meant}'?)" if meant else ""
                self._note((*path, key), f"there is no key '{key}' here{hint}", ", ".join(keys))

    def _refuse_twins(self, found: list[StandingBudget]) -> None:
        seen: set[str] = set()
        for index, budget in enumerate(found):
            if budget.name in seen:
                path: KeyPath = ("budgets", index)
                self._note(path, f"two budgets are called '{budget.name}'", "a name that no other budget has")
            seen.add(budget.name)

    def _note(self, path: KeyPath, message: str, accepted: str) -> None:
        while path not in self._lines and path:
            path = path[:-1]
        self._problems.append(Problem(message, file=self._file, line=self._lines.get(path), accepted=accepted))

    def _fail(self, problems: list[Problem]) -> NoReturn:
        first, *others = sorted(problems, key=lambda problem: problem.line or 0)
        accepted = [f"accepted: {first.accepted}"] if first.accepted else []
        raise SettingsError(
            first.message,
            file=first.file,
            line=first.line,
            advice="\n".join([*accepted, *map(str, others)]) or None,
        )
