"""The command line: the same flows from a terminal."""

from __future__ import annotations

import asyncio
import errno
import io
import json as jsons
import os
import signal
import sys
import traceback
from dataclasses import dataclass
from decimal import Decimal
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn, TypeAlias

from cyclopts import App, CycloptsError, Group, Parameter

from flows.stoppable import STOPPING, Stopped
from tasks.errors import ApprovalNeeded, BadInput, Incomplete, PrefectUnreachable, ShotchainError
from tasks.redaction import redact
from tasks.settings import Settings, parse_usd, resolve_settings

__all__ = ["app", "main"]

app = App(
    name="shotchain",
    help="Storyboards become finished films. Each clip is paid for once.",
    version=lambda: version("shotchain"),
    help_format="plaintext",
)
app.meta.group_parameters = Group("Options")

StoryboardFile: TypeAlias = Annotated[str, Parameter(help="Path or URL of the storyboard (YAML or JSON).")]
Provider: TypeAlias = Annotated[
    Literal["runware", "emulator"],
    Parameter(help="Who generates: Runware (needs RUNWARE_API_KEY), or the free emulator inside."),
]
BaseUrl: TypeAlias = Annotated[str | None, Parameter(help="Another address of the Runware API.")]
Work: TypeAlias = Annotated[str | None, Parameter(help="The clip store: a folder or any fsspec URL.")]
LedgerUrl: TypeAlias = Annotated[str | None, Parameter(help="The ledger: a file or a SQLAlchemy URL.")]
Json: TypeAlias = Annotated[bool, Parameter(negative="", help="Print one JSON object on stdout, logs on stderr.")]


@app.command
def plan(
    storyboard: StoryboardFile,
    /,
    *,
    provider: Provider = "runware",
    base_url: BaseUrl = None,
    work: Work = None,
    json: Json = False,
) -> None:
    """Show what rendering a storyboard would do and cost. Sends nothing, spends nothing."""
    settings = resolve_settings(provider=provider, base_url=base_url, work=work, needs_key=False)
    prepared = asyncio.run(_prepare(storyboard, settings))
    if json:
        _print_json({**prepared.plan.as_dict(), "to_pay_usd": _usd(prepared.to_pay_usd)})
        return
    from flows.display import print_plan

    print_plan(_console(), prepared.plan, prepared.reused)


@app.command
def render(
    storyboard: StoryboardFile,
    /,
    *,
    output: Annotated[
        str | None,
        Parameter(name=["--output", "-o"], help="The film's name (.mp4) or a folder; any fsspec URL."),
    ] = None,
    provider: Provider = "runware",
    base_url: BaseUrl = None,
    budget: Annotated[str | None, Parameter(help='At most so many dollars, such as "12.50".')] = None,
    approve_above: Annotated[str | None, Parameter(help="Ask before spending more than so many dollars.")] = None,
    yes: Annotated[bool, Parameter(name=["--yes", "-y"], negative="", help="Approve, within the budget.")] = False,
    max_in_flight: Annotated[int, Parameter(help="At most so many clips at the provider at once.")] = 8,
    retries: Annotated[int | None, Parameter(help="Further attempts a take after failures that may pass.")] = None,
    work: Work = None,
    ledger: LedgerUrl = None,
    rebuy_lost: Annotated[
        bool, Parameter(negative="", help="Pay again for a paid clip that is gone everywhere.")
    ] = False,
    nsfw: Annotated[
        Literal["keep", "fail"], Parameter(help="What to do with clips that the provider flags as unsafe.")
    ] = "keep",
    pictures: Annotated[
        Literal["inline", "upload"], Parameter(help="How local pictures travel: in each request, or once.")
    ] = "inline",
    json: Json = False,
) -> None:
    """Render a storyboard to a film. Run again after whatever happened: what is paid is not paid again."""
    from tasks.clips.gate import refuse_unpinned
    from tasks.publish.targets import targets_of

    settings = resolve_settings(
        provider=provider,
        base_url=base_url,
        work=work,
        ledger=ledger,
        max_in_flight=max_in_flight,
        retries=retries,
        nsfw=nsfw,
        pictures=pictures,
    )
    parse_usd(budget, "--budget")
    ask_above = parse_usd(approve_above, "--approve-above")
    output = output if output is not None else f"{Path(storyboard.rsplit('/', 1)[-1]).stem}.mp4"
    targets_of(output).check()
    prepared = asyncio.run(_prepare(storyboard, settings))
    refuse_unpinned(prepared.plan)
    approved_plan = None
    if ask_above is not None and not yes and prepared.to_pay_usd > ask_above:
        _ask(prepared)
        # A yes is to this sum for this plan, and to no more.
        approve_above, approved_plan = str(prepared.to_pay_usd), prepared.plan.fingerprint
    _check_places(settings)
    parameters = {
        "storyboard": storyboard,
        "output": output,
        "provider": provider,
        "base_url": base_url,
        "budget_usd": budget,
        "approve_above_usd": approve_above,
        "approved": yes,
        "approved_plan": approved_plan,
        "max_in_flight": max_in_flight,
        "retries": retries,
        "work": work,
        "ledger": ledger,
        "rebuy_lost": rebuy_lost,
        "nsfw": nsfw,
        "pictures": pictures,
    }
    outcome = _run_flow(settings, prepared, parameters)
    if json:
        _print_json(outcome)
        return
    from flows.display import print_outcome

    print_outcome(_console(), outcome)


@app.command
def emulator(
    *,
    port: Annotated[int, Parameter(help="Port on this machine; 0 for any free one.")] = 8787,
    latency: Annotated[
        float | None, Parameter(help="Seconds from acceptance to result; without it 2, or 0 if instant.")
    ] = None,
    seed: Annotated[int, Parameter(help="Decides the pictures.")] = 0,
    state: Annotated[Path | None, Parameter(help="Folder in which tasks outlive the server.")] = None,
    frames_per_second: Annotated[int, Parameter(help="Rate of the clips.")] = 24,
    extra_frame: Annotated[bool, Parameter(help="Whether a 5 s clip has 121 frames rather than 120.")] = True,
    instant: Annotated[
        bool, Parameter(negative="", help="Results at once, from shared clips that do not show what was asked for.")
    ] = False,
    faults: Annotated[Path | None, Parameter(help="A fault plan: what goes wrong, and when (YAML or JSON).")] = None,
) -> None:
    """Serve the Runware API on this machine, with placeholder clips: develop without a key, for free."""
    from tasks.emulator.server import serve
    from tasks.emulator.settings import EmulatorSettings

    settings = EmulatorSettings(
        port=port,
        latency_s=latency,
        seed=seed,
        state_dir=state,
        frames_per_second=frames_per_second,
        extra_frame=extra_frame,
        instant=instant,
        faults=faults,
    )
    number = serve(settings, lambda url: print(f"Runware emulator: {url} (end with Ctrl-C)", flush=True))  # noqa: T201
    if number is not None:
        sys.exit(128 + number)


@app.command
def ledger(
    *,
    ledger: LedgerUrl = None,
    run: Annotated[str | None, Parameter(help="Only the attempts of this run.")] = None,
    shot: Annotated[str | None, Parameter(help="Only the attempts at this shot.")] = None,
    json: Json = False,
) -> None:
    """List every attempt that was ever made, and what it cost."""
    from flows.accounts import attempts_as_dict, print_attempts
    from tasks.ledger import open_ledger

    settings = resolve_settings(ledger=ledger, needs_key=False)
    with open_ledger(settings.ledger) as opened:
        attempts = opened.attempts(run_id=run, shot=shot)
        if json:
            _print_json(attempts_as_dict(attempts))
        else:
            print_attempts(_console(), attempts)


@app.command
def settle(
    task_uuid: Annotated[str, Parameter(help="The attempt, as `shotchain ledger` lists it.")],
    /,
    *,
    charged: Annotated[bool, Parameter(negative="--not-charged", help="Whether the provider took money for it.")],
    cost: Annotated[str | None, Parameter(help="What it took, if not the price that is held.")] = None,
    ledger: LedgerUrl = None,
) -> None:
    """Say what became of an attempt whose outcome nobody could tell, so that its money is no longer held."""
    from flows.accounts import print_attempts
    from tasks.ledger import open_ledger
    from tasks.problems import Charged

    settings = resolve_settings(ledger=ledger, needs_key=False)
    cost_usd = parse_usd(cost, "--cost")
    with open_ledger(settings.ledger) as opened:
        if opened.attempt(task_uuid) is None:
            raise BadInput(f"the ledger knows no attempt {task_uuid}", advice="`shotchain ledger` lists them.")
        answer = Charged.YES if charged else Charged.NO
        settled = opened.settle(task_uuid, charged=answer, cost_usd=cost_usd)
        attempt = settled or opened.attempt(task_uuid)
        if settled is None:
            raise BadInput("nothing about this attempt is unknown", task_uuid=task_uuid)
        print_attempts(_console(), [attempt] if attempt else [])


@app.command
def schema() -> None:
    """Print the JSON Schema of storyboards, for editors."""
    from tasks.storyboard.schema import storyboard_schema

    _print_json(storyboard_schema())


@dataclass(frozen=True)
class _Prepared:
    """A storyboard, planned, and held against the clip store."""

    plan: Any
    reused: set[str]
    to_pay_usd: Decimal


async def _prepare(storyboard: str, settings: Settings) -> _Prepared:
    from tasks.clips.store import ClipStore
    from tasks.plan.build import build_plan
    from tasks.storyboard.inputs import inspect_inputs
    from tasks.storyboard.read import read_storyboard

    board = read_storyboard(storyboard)
    planned = build_plan(board, await inspect_inputs(board, settings.cache), settings.identity)
    reused = await ClipStore(settings.work, settings.cache).has(planned.content_keys)
    return _Prepared(planned, reused, planned.to_pay_usd(reused))


def _ask(prepared: _Prepared) -> None:
    """Ask a person whether the sum may be spent.

    Raises:
        ApprovalNeeded: Nobody can be asked, or the answer is no.
    """
    from rich.text import Text

    from flows.display import print_plan

    price = _usd(prepared.to_pay_usd)
    if sys.stdin.isatty() and sys.stderr.isatty():
        console = _console(stderr=True)
        print_plan(console, prepared.plan, prepared.reused)
        if console.input(Text(f"Spend up to ${price}? [y/N] ")).strip().lower() in {"y", "yes"}:
            return
        raise ApprovalNeeded(f"spending ${price} was not approved", cost_usd=prepared.to_pay_usd)
    raise ApprovalNeeded(
        f"spending ${price} needs approval, and there is nobody to ask",
        advice="Approve with --yes, or raise --approve-above. Nothing was spent.",
        cost_usd=prepared.to_pay_usd,
    )


def _check_places(settings: Settings) -> None:
    """Find out that the ledger or the store cannot be used before a server is started for the run."""
    from tasks.clips.store import ClipStore
    from tasks.ledger import open_ledger

    ClipStore(settings.work, settings.cache).check()
    open_ledger(settings.ledger).close()


def _run_flow(settings: Settings, prepared: _Prepared, parameters: dict[str, Any]) -> dict[str, Any]:
    import httpx

    from flows.display import watching
    from flows.server import prefect_session
    from flows.stoppable import run_stoppable
    from tasks.progress import watch

    console = _console(stderr=True)
    with prefect_session(settings.cache), watching(console, prepared.plan) as observe:
        from flows.render import render as render_flow

        async def run() -> dict[str, Any]:
            watch(observe)
            outcome: dict[str, Any] = await render_flow(**parameters)
            return outcome

        try:
            return run_stoppable(run)
        except httpx.TransportError as error:
            # Our own requests have errors of their own, so this is Prefect's.
            raise PrefectUnreachable(
                f"the Prefect server went away during the run: {error}",
                advice="What is paid is kept, and a film that was published is whole. Run the same command again.",
            ) from error


def _console(*, stderr: bool = False) -> Any:
    from flows.display import console_on

    return console_on(stderr=stderr)


def _usd(amount: Decimal) -> str:
    from tasks.plan.model import usd

    return usd(amount)


def _print_json(value: Any) -> None:
    sys.stdout.write(jsons.dumps(value, indent=2, ensure_ascii=False) + "\n")


def _terminate(number: int, _: object) -> None:
    raise Stopped(number)


def main() -> None:
    """Run a command; every ending has its exit code and its one clear message."""
    # A caller may have closed them; then what is said goes nowhere.
    sys.stdout = sys.stdout or io.StringIO()
    sys.stderr = sys.stderr or io.StringIO()
    try:
        for number in STOPPING:
            if signal.getsignal(number) is not signal.SIG_IGN:  # as `nohup` and `&` leave it
                signal.signal(number, _terminate)
        app(exit_on_error=False, print_error=True, result_action="return_value")
        sys.stdout.flush()
    except CycloptsError as error:
        _finish(2, {"type": "UsageError", "message": str(error)})
    except ShotchainError as error:
        from flows.display import print_error

        print_error(_console(stderr=True), error)
        _finish(error.exit_code, error.as_dict(), error.summary if isinstance(error, Incomplete) else {})
    except (KeyboardInterrupt, Stopped) as error:
        code = error.exit_code if isinstance(error, Stopped) else 130
        sys.stderr.write("\nstopped. What is paid is kept; run the same command again to go on.\n")
        _finish(code, {"type": "Stopped", "message": "stopped by a signal"})
    except Exception as error:  # noqa: BLE001 -- the last line of defence: no traceback in a user's face
        if isinstance(error, OSError) and error.errno in {errno.EPIPE, errno.ENOSPC, errno.EBADF}:
            # Whoever read our output is gone, or has no room for it. Not even flushing at exit would help.
            sys.stderr.write(f"the output could not be written: {error.strerror}\n")
            os._exit(6)
        _report_bug()
        _finish(1, {"type": "InternalError", "message": f"{type(error).__name__}: {error}"})


def _finish(code: int, error: dict[str, Any], summary: dict[str, Any] | None = None) -> NoReturn:
    if "--json" in sys.argv[1:]:
        try:
            _print_json({**(summary or {}), "error": redact(error)})
            sys.stdout.flush()
        except OSError:
            os._exit(code)  # whoever read our output is gone
    sys.exit(code)


def _report_bug() -> None:
    """An error that shotchain did not foresee: the traceback goes to a file, not to the user's face."""
    import tempfile

    with tempfile.NamedTemporaryFile(
        "w", prefix="shotchain-crash-", suffix=".txt", delete=False, encoding="utf-8"
    ) as file:
        file.write(redact(traceback.format_exc()))
    kind, error = sys.exc_info()[:2]
    sys.stderr.write(
        f"internal error: {kind.__name__ if kind else ''}: {redact(str(error))}\n"
        f"    This is a bug of shotchain. What is paid is kept. Details: {file.name}\n"
    )


if __name__ == "__main__":
    main()
