"""The command line: the same flows from a terminal. Each command is a module of `flows.commands`."""

from __future__ import annotations

import errno
import io
import os
import signal
import sys
import traceback
from importlib.metadata import version
from typing import Any, NoReturn

from cyclopts import App, CycloptsError, Group

from flows.commands.batch import batch
from flows.commands.bootstrap import bootstrap
from flows.commands.emulator import emulator
from flows.commands.ledger import ledger
from flows.commands.output import console, print_json
from flows.commands.plan import plan
from flows.commands.recover import recover
from flows.commands.render import render
from flows.commands.retake import retake
from flows.commands.schema import schema
from flows.commands.settle import settle
from flows.commands.stoppable import STOPPING, Stopped
from flows.commands.store import store
from flows.commands.takes import takes
from flows.commands.verify import verify
from flows.commands.webhook import webhook
from tasks.errors import Incomplete, ShotchainError
from tasks.redaction import redact

__all__ = ["app", "main"]

app = App(
    name="shotchain",
    help="Storyboards become finished films. Each clip is paid for once.",
    version=lambda: version("shotchain"),
    help_format="plaintext",
)
app.meta.group_parameters = Group("Options")
# Their modules import what they need when they are called, so that none waits for another's.
for command in (
    plan,
    render,
    batch,
    takes,
    retake,
    recover,
    emulator,
    webhook,
    ledger,
    settle,
    schema,
    bootstrap,
    verify,
):
    app.command(command)
app.command(store)


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

        print_error(console(stderr=True), error)
        _finish(error.exit_code, error.as_dict(), error.summary if isinstance(error, Incomplete) else {})
    except (KeyboardInterrupt, Stopped) as error:
        code = error.exit_code if isinstance(error, Stopped) else 130
        left = error.left if isinstance(error, Stopped) else ""
        is_stuck = isinstance(error, Stopped) and error.is_stuck
        told = [
            part for part in ("stopped.", left, "What is paid is kept; run the same command again to go on.") if part
        ]
        sys.stderr.write(f"\n{' '.join(told)}\n")
        _finish(code, {"type": "Stopped", "message": " ".join(["stopped by a signal.", *told[1:]])}, is_stuck=is_stuck)
    except Exception as error:  # noqa: BLE001 -- the last line of defence: no traceback in a user's face
        if isinstance(error, OSError) and error.errno in {errno.EPIPE, errno.ENOSPC, errno.EBADF}:
            # Whoever read our output is gone, or has no room for it. Not even flushing at exit would help.
            sys.stderr.write(f"the output could not be written: {error.strerror}\n")
            os._exit(6)
        _report_bug()
        _finish(1, {"type": "InternalError", "message": f"{type(error).__name__}: {error}"})


def _finish(
    code: int, error: dict[str, Any], summary: dict[str, Any] | None = None, *, is_stuck: bool = False
) -> NoReturn:
    if _is_json():
        try:
            print_json({**(summary or {}), "error": redact(error)})
            sys.stdout.flush()
        except OSError:
            os._exit(code)  # whoever read our output is gone
    if is_stuck:
        # A thread that uploads to a slow storage would be waited for. All that it does can be done again.
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def _is_json() -> bool:
    """Whether one JSON object was asked for, however the flag was written; also where the command never began."""
    said = [word.partition("=") for word in sys.argv[1:] if word.partition("=")[0] == "--json"]
    return bool(said) and said[-1][2].lower() not in {"false", "no", "0", "off"}


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
