"""What docs/operations.md and docker/ name is there: commands, flags, files, variables."""

from __future__ import annotations

import json
import re
import shlex
import tomllib
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml
from cyclopts import App
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from prefect.cli._app import _app as prefect

from flows.cli import app
from flows.server.automations import MOST_STARTS, REMIND_AFTER_S, RERUN_AFTER_S, SILENT_S
from flows.server.bootstrap import DEFAULT_LIMIT, WORK_POOL
from flows.server.shared import BLOCK, BLOCK_TYPE, LIMIT, VARIABLES
from tasks.ledger import Period, read_budgets

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "docker"
PAGE = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
DOCKERFILE = re.sub(r"\\\n\s*", " ", (DOCKER / "Dockerfile").read_text(encoding="utf-8"))
COMPOSE: dict[str, Any] = yaml.safe_load((DOCKER / "compose.yaml").read_text(encoding="utf-8"))
TEMPLATE: dict[str, Any] = json.loads((DOCKER / "kubernetes" / "base-job-template.json").read_text(encoding="utf-8"))
# Read by boto, by Prefect's start scripts or by the images themselves, not by us.
FOREIGN = re.compile(r"AWS_\w+|POSTGRES_\w+|MINIO_\w+|LEDGER_PASSWORD|SHOTCHAIN_BUCKET")


# -- commands --------------------------------------------------------------------------------------------------------


def shown(program: str, text: str) -> set[str]:
    """The commands of a program that stand in backticks, in indented blocks or in lines of a script."""
    spans = re.findall(rf"`((?:[A-Z_]+=\S+ )*{program} [^`]+)`", text)
    lines = re.findall(rf"^(?: {{4}})?({program} [^#\n]+)", text, re.MULTILINE)
    return {command.strip() for command in (*spans, *lines)}


OURS = sorted({*shown("shotchain", PAGE), *shown("shotchain", (DOCKER / "setup.sh").read_text())})
PREFECTS = sorted({*shown("prefect", PAGE), *shown("prefect", (DOCKER / "setup.sh").read_text())})


def unknown_flags(program: App, command: str, known: tuple[str, ...] = ()) -> list[str]:
    """The flags of a command line that the program does not have; the command must exist."""
    words = shlex.split(command)[1:]
    found, path = program, []
    for name in (word for word in words if not word.startswith("-")):
        if name not in found:
            break
        found = found[name]
        path.append(name)
    assert path, command
    arguments = found.assemble_argument_collection() if found.default_command else []
    flags = {name for argument in arguments for name in argument.names}.union(known)
    return [word for word in words if word.startswith("-") and word not in flags]


@pytest.mark.parametrize("command", OURS)
def test_a_command_of_ours_exists_with_its_flags(command: str) -> None:
    assert unknown_flags(app, command) == []


@pytest.mark.parametrize("command", PREFECTS)
def test_a_command_of_prefect_exists_with_its_flags(command: str) -> None:
    assert unknown_flags(prefect, command, known=("--no-prompt",)) == []


def test_make_has_the_targets_that_are_named() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))

    assert set(re.findall(r"(?:`|^    )make ([a-z-]+)", PAGE, re.MULTILINE)) <= targets


def test_the_page_says_what_bootstrap_does() -> None:
    for name in (WORK_POOL, f"{BLOCK_TYPE}/{BLOCK}", LIMIT, *VARIABLES):
        assert f"`{name}`" in PAGE
    assert f"{DEFAULT_LIMIT} at first" in PAGE
    assert f"after {SILENT_S} s without a heartbeat" in PAGE
    assert f"{RERUN_AFTER_S} s later" in PAGE
    assert MOST_STARTS == 3
    assert "after three starts" in PAGE
    assert f"a reminder every {REMIND_AFTER_S // 3600} hours" in PAGE


# -- deployments -----------------------------------------------------------------------------------------------------


def test_the_page_has_every_deployment_with_its_schedule_and_its_limit() -> None:
    deployments = yaml.safe_load((ROOT / "prefect.yaml").read_text(encoding="utf-8"))["deployments"]
    table = re.findall(r"^\| `(\w+/[\w-]+)` \| [^|]+ \| ([^|]+) \| ([^|]+) \|$", PAGE, re.MULTILINE)
    told = {name: (schedule, limit) for name, schedule, limit in table}

    assert set(told) == {f"{item['entrypoint'].rsplit('.', 1)[-1]}/{item['name']}" for item in deployments}
    for item in deployments:
        schedule, limit = told[f"{item['entrypoint'].rsplit('.', 1)[-1]}/{item['name']}"]
        assert bool(item.get("schedules")) == (schedule != "–"), item["name"]
        assert ("switched off" in schedule) == any(it.get("active") is False for it in item.get("schedules", ()))
        asked = item.get("concurrency_limit")
        way = {"ENQUEUE": "others wait", "CANCEL_NEW": "a second is cancelled"}
        assert limit == (f"{asked['limit']}, {way[asked['collision_strategy']]}" if asked else "any"), item["name"]


def test_the_automation_that_is_shown_starts_a_batch() -> None:
    from prefect.events.actions import RunDeployment
    from prefect.events.schemas.automations import AutomationCore, EventTrigger
    from prefect.server.utilities.user_templates import validate_user_template
    from prefect.utilities.callables import parameter_schema

    from flows.batch import batch

    (shown,) = re.findall(r"^```yaml automation\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    automation = AutomationCore.model_validate(yaml.safe_load(shown))
    (action,) = automation.actions
    assert isinstance(automation.trigger, EventTrigger)
    assert isinstance(action, RunDeployment)
    assert all(name in PAGE.split("```sh")[1].split("```")[0] for name in automation.trigger.expect)
    schema = parameter_schema(batch.fn).model_dump()
    given = action.parameters or {}
    assert set(schema["required"]) <= set(given) <= set(schema["properties"])
    for value in given.values():
        if isinstance(value, dict):
            validate_user_template(value["template"])


def test_what_limits_the_nightly_batch_is_what_the_page_says(tmp_path: Path) -> None:
    deployments = yaml.safe_load((ROOT / "prefect.yaml").read_text(encoding="utf-8"))["deployments"]
    (nightly,) = (item["parameters"] for item in deployments if item["name"] == "render-nightly")
    tags = {"deployment": "batch/render-nightly"}
    (shipped,) = (budget for budget in read_budgets() if budget.matches(tags))

    assert (nightly["budget_usd"], shipped.period) == ("25.00", Period.DAY)
    assert shipped.limit_usd == Decimal(nightly["budget_usd"])
    # A file of the studio's own goes before the shipped one only where the deployment names none.
    assert "budgets" not in nightly
    assert '`"25.00"` for each run' in PAGE
    assert f"`{shipped.name}`\n  of `configs/budgets.yaml`, which ships: $25.00 a day" in PAGE

    examples = re.findall(r"^```yaml\n(budgets:\n.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    matched = set()
    for number, text in enumerate(examples):
        (tmp_path / f"{number}.yaml").write_text(text)
        (budget,) = read_budgets(tmp_path / f"{number}.yaml")
        matched |= {name for name in ("batch/batch", "batch/render-nightly") if budget.matches({"deployment": name})}
    assert matched == {"batch/batch", "batch/render-nightly"}


# -- environment -----------------------------------------------------------------------------------------------------


def read_by_us() -> set[str]:
    text = "".join(
        path.read_text(encoding="utf-8") for folder in ("flows", "tasks") for path in (ROOT / folder).rglob("*.py")
    )
    return set(re.findall(r"\b(?:SHOTCHAIN|RUNWARE)_[A-Z0-9_]+\b", text))


def environment_of(service: str) -> dict[str, str]:
    environment: dict[str, str] = COMPOSE["services"][service].get("environment", {})
    return environment


def set_in_the_image() -> set[str]:
    env = next(line for line in DOCKERFILE.splitlines() if line.startswith("ENV PATH"))
    return set(re.findall(r"(\w+)=", env)) - {"PATH", "PYTHONUNBUFFERED"}


def test_every_variable_that_is_set_is_read_by_somebody() -> None:
    from prefect import settings

    known = {*read_by_us(), "DO_NOT_TRACK"}
    names = {name for service in COMPOSE["services"] for name in environment_of(service)} | set_in_the_image()
    names |= set(re.findall(r"`((?:SHOTCHAIN|PREFECT|RUNWARE)_[A-Z0-9_]+)", PAGE))

    unknown = {name for name in names if name not in known and not FOREIGN.fullmatch(name)}

    assert {name for name in unknown if not hasattr(settings, name)} == set()


def test_the_example_has_every_variable_of_compose_and_no_other() -> None:
    asked = set(re.findall(r"\$\{(\w+)", (DOCKER / "compose.yaml").read_text()))
    given = set(re.findall(r"^(?:# )?([A-Z_]+)=", (DOCKER / ".env.example").read_text(), re.MULTILINE))

    assert asked == given


def test_the_example_holds_no_secret_and_the_real_one_stays_here() -> None:
    for line in (DOCKER / ".env.example").read_text().splitlines():
        if re.match(r"\w*(KEY|PASSWORD|USER)=", line):
            assert line.endswith("="), line
    assert {".env", "settings.env"} <= set((DOCKER / ".gitignore").read_text().splitlines())


# -- compose ---------------------------------------------------------------------------------------------------------


def test_services_wait_for_services_that_can_tell_their_health() -> None:
    for name, service in COMPOSE["services"].items():
        for other, how in service.get("depends_on", {}).items():
            needed = COMPOSE["services"][other]
            if how["condition"] == "service_healthy":
                assert "test" in needed["healthcheck"], (name, other)
            else:
                assert needed["restart"] == "no", (name, other)


def test_what_services_mount_and_build_from_exists() -> None:
    for service in COMPOSE["services"].values():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert (DOCKER / source).exists() if source.startswith(".") else source in COMPOSE["volumes"]
        if "build" in service:
            context = DOCKER / service["build"]["context"]
            assert (context / service["build"]["dockerfile"]).is_file()


def test_no_port_is_open_to_the_world_and_no_password_has_a_default() -> None:
    text = (DOCKER / "compose.yaml").read_text()

    assert all(
        port.startswith("127.0.0.1:") for service in COMPOSE["services"].values() for port in service.get("ports", [])
    )
    for name in ("RUNWARE_API_KEY", "POSTGRES_PASSWORD", "LEDGER_PASSWORD", "STORE_PASSWORD"):
        assert set(re.findall(rf"\$\{{{name}([^}}]*)", text)) == {":?set it in docker/.env"}


def test_images_are_pinned() -> None:
    images = [service["image"] for service in COMPOSE["services"].values()]

    assert all(re.search(r":\S+", image) and not image.endswith(":latest") for image in images)


def test_ledger_and_prefect_have_databases_of_their_own() -> None:
    sql = (DOCKER / "postgres" / "10-ledger.sql").read_text()

    assert "CREATE DATABASE shotchain" in sql
    assert environment_of("worker")["SHOTCHAIN_LEDGER"].endswith("@postgres/shotchain")
    assert environment_of("server")["PREFECT_API_DATABASE_CONNECTION_URL"].endswith("@postgres/prefect")


# -- the image -------------------------------------------------------------------------------------------------------


def test_the_image_copies_what_is_there_and_what_is_not_left_out() -> None:
    kept = {line[1:] for line in (DOCKER / "Dockerfile.dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = {
        word
        for line in DOCKERFILE.splitlines()
        if line.startswith("COPY ") and "--from" not in line
        for word in line.split()[1:-1]
    }

    assert copied == kept
    assert all((ROOT / name).exists() for name in copied)
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert set(packages["packages"]) <= copied


def test_the_image_runs_as_nobody_in_particular_and_tells_its_health() -> None:
    last = DOCKERFILE[DOCKERFILE.rindex("\nFROM ") :]

    assert re.search(r"^USER (\d+):\1$", last, re.MULTILINE)
    assert re.search(r"^HEALTHCHECK ", last, re.MULTILINE)
    assert re.search(
        r'^CMD \["prefect", "worker", "start", "--pool", "shotchain", "--with-healthcheck"\]$', last, re.MULTILINE
    )


def locked(path: Path) -> dict[str, str]:
    blocks = re.split(r"\n(?=\w)", path.read_text(encoding="utf-8").strip())
    return {canonicalize_name(re.split(r"==|\[", block)[0]): block for block in blocks}


@pytest.mark.parametrize("name", ["requirements.txt", "build-requirements.txt"])
def test_the_image_has_the_versions_that_the_tests_ran_with(name: str) -> None:
    tested = locked(ROOT / "requirements" / "dev.txt")

    assert [package for package, block in locked(DOCKER / name).items() if tested.get(package) != block] == []


@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13"])
def test_the_image_can_be_made_for_each_python(version: str) -> None:
    """A package that is locked for some versions of Python only is locked for the others as well."""
    here = {"python_version": version, "python_full_version": f"{version}.9"}

    def there(text: str) -> set[str]:
        found = (Requirement(line.strip()) for line in re.findall(r"^(\w[^\\\n]*==[^\\\n]+)", text, re.MULTILINE))
        return {f"{it.name}{it.specifier}" for it in found if it.marker is None or it.marker.evaluate(here)}

    image = there((DOCKER / "requirements.txt").read_text(encoding="utf-8"))
    names = set(locked(DOCKER / "requirements.txt"))
    tested = there((ROOT / "requirements" / "dev.txt").read_text(encoding="utf-8"))
    assert image
    assert {item for item in tested if canonicalize_name(item.partition("==")[0]) in names} == image


def test_the_image_has_all_that_shotchain_needs() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    there = locked(DOCKER / "requirements.txt")

    for text in [*project["dependencies"], *extras["s3"], *extras["postgres"], *extras["provenance"]]:
        assert canonicalize_name(Requirement(text).name) in there


# -- kubernetes ------------------------------------------------------------------------------------------------------


def test_a_server_takes_the_job_template_and_every_placeholder_is_a_variable() -> None:
    from prefect.server.schemas.actions import validate_base_job_template

    validate_base_job_template(TEMPLATE)
    used = set(re.findall(r"\{\{ (\w+) \}\}", json.dumps(TEMPLATE["job_configuration"])))

    assert used == set(TEMPLATE["variables"]["properties"])


def test_a_job_has_all_that_prefects_own_template_has() -> None:
    import prefect

    views = Path(prefect.__file__).parent / "server" / "api" / "collections_data" / "views"
    workers = json.loads((views / "aggregate-worker-metadata.json").read_text())
    theirs = workers["prefect-kubernetes"]["kubernetes"]["default_base_job_configuration"]["job_configuration"]
    ours = TEMPLATE["job_configuration"]

    assert set(theirs) - set(ours) == {"cluster_config"}  # the worker runs in the cluster
    container = ours["job_manifest"]["spec"]["template"]["spec"]["containers"][0]
    assert (container["args"], container["env"], container["image"]) == ("{{ command }}", "{{ env }}", "{{ image }}")
    assert ours["job_manifest"]["spec"]["backoffLimit"] == 0  # trying again is the automation's business
