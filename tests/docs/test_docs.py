"""What the documentation says is true of the code as it is."""

from __future__ import annotations

import ast
import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tasks import errors
from tasks.deliver.preset_file import read_presets
from tasks.errors import ShotchainError
from tasks.ledger import ALLOWED
from tasks.plan.build import build_plan
from tasks.plan.catalog import load_catalog
from tasks.plan.model import Plan, usd
from tasks.storyboard.document import (
    AssetDocument,
    CardDocument,
    SafetyDocument,
    ShotDocument,
    StoryboardDocument,
    keys_of,
)
from tasks.storyboard.inputs import inspect_inputs
from tasks.storyboard.read import read_storyboard
from tasks.storyboard.transitions import TransitionKind

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "configs" / "storyboards"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCED = re.compile(r"^```(?P<info>[^\n]*)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)


def page(name: str) -> str:
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


def prose(path: Path) -> str:
    """A page without its code blocks, where brackets are not links and `#` is no heading."""
    return FENCED.sub("", path.read_text(encoding="utf-8"))


def rows(text: str, first: str) -> list[list[str]]:
    """The cells of the table whose first column is called `first`."""
    lines = text.splitlines()
    head = next(number for number, line in enumerate(lines) if line.startswith(f"| {first} |"))
    table = itertools.takewhile(lambda line: line.startswith("|"), lines[head + 2 :])
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table]


def spans(text: str) -> list[str]:
    """What stands in backticks."""
    return re.findall(r"`([^`\n]+)`", text)


# -- links -----------------------------------------------------------------------------------------------------------


def anchors(path: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", prose(path), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.casefold()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_relative_link_leads_somewhere(path: Path) -> None:
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(path)):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (path.parent / name).resolve() if name else path
        if not target.exists() or not target.is_relative_to(ROOT) or (anchor and anchor not in anchors(target)):
            broken.append(link)

    assert broken == []


def test_every_page_of_docs_can_be_reached() -> None:
    linked: set[Path] = set()
    for path in PAGES:
        for link in re.findall(r"\]\(([^)\s#]+)[^)\s]*\)", prose(path)):
            linked.add((path.parent / link).resolve())

    assert [path.name for path in (ROOT / "docs").rglob("*.md") if path not in linked] == []


@pytest.mark.parametrize("path", sorted((ROOT / "docs" / "decisions").glob("*.md")), ids=lambda path: path.stem)
def test_a_decision_is_short_and_says_why_what_and_what_follows(path: Path) -> None:
    text = path.read_text(encoding="utf-8")

    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == ["Context", "Decision", "Consequences"]
    assert text.startswith(f"# {path.name[:4]} ")
    assert len(text.splitlines()) <= 40


# -- docs/architecture.md --------------------------------------------------------------------------------------------


def imports_of(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def rooms() -> dict[str, set[str]]:
    """Each room and the rooms that it may import, as the page says."""
    table = rows(page("architecture.md"), "room")
    names = {Path(spans(row[0])[0]).stem: row[2] for row in table}
    return {name: set() if may == "–" else {part.strip() for part in may.split(",")} for name, may in names.items()}


def files_of(room: str) -> list[Path]:
    folder = ROOT / "tasks" / room
    return sorted(folder.rglob("*.py")) if folder.is_dir() else [folder.with_suffix(".py")]


def test_every_file_and_folder_named_in_the_docs_exists() -> None:
    named = [
        span
        for path in (ROOT / "docs").rglob("*.md")
        for span in spans(prose(path))
        if re.fullmatch(r"(tasks|flows|configs|tests|docs|requirements)/[\w./*-]+", span)
    ]

    assert [span for span in named if not list(ROOT.glob(span))] == []


def test_every_room_is_in_the_architecture() -> None:
    there = {
        path.stem
        for path in (ROOT / "tasks").iterdir()
        if (path.suffix == ".py" or (path / "__init__.py").exists()) and path.name != "__init__.py"
    }

    assert set(rooms()) == there


@pytest.mark.parametrize("room", sorted(rooms()))
def test_a_room_imports_only_what_the_architecture_allows(room: str) -> None:
    used = {
        (path.relative_to(ROOT).as_posix(), name.split(".")[1])
        for path in files_of(room)
        for name in imports_of(path)
        if name.startswith(("tasks.", "flows."))
    }

    assert sorted((path, name) for path, name in used if name not in rooms()[room] | {room}) == []


def test_imports_point_one_way() -> None:
    for name, may_import in rooms().items():
        assert may_import <= set(rooms())
        assert all(name not in rooms()[other] for other in may_import)


def test_prefect_is_in_the_flows_and_in_the_wrappers_alone() -> None:
    users = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "tasks").rglob("*.py")
        if any(name.split(".")[0] == "prefect" for name in imports_of(path))
    }
    section = page("architecture.md").split("\n## Prefect\n")[1].split("\n## ")[0]

    assert users == {span for span in spans(section) if span.endswith("/task.py")}


# -- docs/reliability.md ---------------------------------------------------------------------------------------------


def test_the_state_table_is_the_one_of_the_ledger() -> None:
    table = {spans(row[0])[0]: set(spans(row[2])) for row in rows(page("reliability.md"), "state")}

    assert table == {str(state): {str(item) for item in following} for state, following in ALLOWED.items()}


def test_the_exit_codes_are_those_of_the_errors() -> None:
    told = {int(row[0]) for row in rows(page("reliability.md"), "code")}

    assert told == {0, 130, 143} | {kind.exit_code for kind in error_classes().values()}


# -- the tree of errors ----------------------------------------------------------------------------------------------


def error_classes() -> dict[str, type[ShotchainError]]:
    return {
        name: kind
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, ShotchainError) and not name.startswith("_")
    }


def error_tree() -> dict[str, tuple[str, list[str]]]:
    """Name -> parent and the words behind it, as the docstring of the module draws it."""
    tree: dict[str, tuple[str, list[str]]] = {}
    above: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        drawn = re.fullmatch(r"    ((?:[│ ]   )*(?:[├└]── )?)([A-Z]\w+) +(.+)", line)
        if drawn:
            depth = len(drawn[1]) // 4
            above = [*above[:depth], drawn[2]]
            tree[drawn[2]] = (above[-2] if depth else "Exception", drawn[3].split())
    return tree


def test_the_error_tree_lists_every_class_in_its_place() -> None:
    assert {name: parent for name, (parent, _) in error_tree().items()} == {
        name: kind.__bases__[0].__name__ for name, kind in error_classes().items()
    }


def test_the_error_tree_tells_exit_codes_transience_and_money() -> None:
    drawn = {name: words for name, (_, words) in error_tree().items() if words[0].isdecimal()}
    assert set(error_classes()) - set(drawn) == {"ShotchainError"}  # the row that names the columns

    for name, kind in error_classes().items():
        if name in drawn:
            code, transient, charged = drawn[name][:3]
            assert (name, int(code), transient) == (name, kind.exit_code, "yes" if kind.transient else "no")
            assert (name, charged) in {(name, str(kind.charged)), ("Incomplete", "see")}


# -- docs/storyboard.md ----------------------------------------------------------------------------------------------


def examples() -> list[Any]:
    """Each storyboard of the page, with what it is said to plan as."""
    pattern = re.compile(
        FENCED.pattern + r"\n\nPlans as (?P<frames>\d+) frames for \$(?P<cost>[\d.]+)\.$", FENCED.flags
    )
    found = [match for match in pattern.finditer(page("storyboard.md")) if match["info"] == "yaml storyboard"]
    return [
        pytest.param(match["body"], int(match["frames"]), match["cost"], id=f"example-{number}")
        for number, match in enumerate(found, start=1)
    ]


async def planned(text: str, cache: Path) -> Plan:
    nothing_out_there = httpx.MockTransport(lambda _: httpx.Response(404))
    storyboard = read_storyboard(EXAMPLES / "example.yaml", text=text)
    facts = await inspect_inputs(storyboard, cache, transport=nothing_out_there)
    return build_plan(storyboard, facts, "emulator")


@pytest.mark.parametrize(("text", "frames", "cost_usd"), examples())
async def test_an_example_plans_as_it_says(text: str, frames: int, cost_usd: str, tmp_path: Path) -> None:
    plan = await planned(text, tmp_path)

    assert (plan.frames, usd(plan.cost_usd)) == (frames, cost_usd)


def test_no_example_goes_untested() -> None:
    blocks = [match for match in FENCED.finditer(page("storyboard.md")) if match["info"].startswith("yaml")]

    assert len(blocks) == len(examples()) > 0


def test_every_transition_is_named() -> None:
    section = page("storyboard.md").partition("## Transitions")[2].partition("\n## ")[0]

    assert {str(kind) for kind in TransitionKind} - {"cut"} <= set(spans(section))


def test_every_key_of_a_storyboard_is_explained() -> None:
    text = page("storyboard.md")
    film = {spans(row[0])[0] for row in rows(text, "key")}
    shot = {spans(row[0])[0] for row in rows(text[text.index("## A shot") :], "key")}

    assert film == set(keys_of(StoryboardDocument))
    assert shot == set(keys_of(ShotDocument))
    assert {*keys_of(AssetDocument), *keys_of(CardDocument), *keys_of(SafetyDocument)} <= set(spans(text))


def test_models_sizes_and_prices_are_those_of_the_catalog() -> None:
    text = page("storyboard.md")
    for spec in load_catalog().values():
        assert {spec.id, *spec.sizes} <= set(spans(text))
        assert all(f"${rate}" in text for rate in spec.rates_usd_per_s.values())
    modes = {row[0].replace(" ", "_"): row[2] for row in rows(text, "mode")}
    standard = load_catalog()["klingai:kling@o1-standard"]

    assert set(modes) == {str(mode) for mode in standard.modes}
    for mode, rules in standard.modes.items():
        lengths = [int(word) for word in re.findall(r"\d+", modes[mode])]
        ends = [rules.choices_s[0], rules.choices_s[-1]] if rules.choices_s else []
        assert lengths == ends


# -- docs/deliverables.md --------------------------------------------------------------------------------------------


def test_the_presets_are_those_that_ship() -> None:
    text, shipped = page("deliverables.md"), read_presets()
    tables = rows(text, "preset"), rows(text[text.index("## How long it takes") :], "preset")

    assert all([spans(row[0])[0] for row in table] == list(shipped) for table in tables)
    for row in tables[0]:
        preset = shipped[spans(row[0])[0]]
        assert spans(row[1]) == [f".{preset.suffix}"]
        assert preset.quality is None or row[3].split()[-1] == str(preset.quality)
        if preset.size is not None:
            assert row[4] == f"{preset.size.width}x{preset.size.height}, `{preset.size.fit}`"


def test_a_preset_has_the_keys_that_are_explained(tmp_path: Path) -> None:
    text = page("deliverables.md")
    explained = {spans(row[0])[0] for row in rows(text, "key")}
    (tmp_path / "bad.yaml").write_text("presets: {a: {container: gif, other: 1}}", encoding="utf-8")

    with pytest.raises(errors.SettingsError) as caught:
        read_presets(tmp_path / "bad.yaml")
    assert set(str(caught.value.advice).removeprefix("accepted: ").split(", ")) == explained
    (example,) = [block["body"] for block in FENCED.finditer(text) if block["info"] == "yaml"]
    (tmp_path / "own.yaml").write_text(example, encoding="utf-8")
    assert {"banner", "story", "review"} <= set(read_presets(tmp_path / "own.yaml"))
