"""Two machines that share nothing but addresses make films together, whatever is killed; every take is paid once.

The tests go by the hour of one studio: each begins where the one before has left it, and the last looks at the books.
"""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

from tasks.emulator import EmulatorServer, EmulatorSettings
from tasks.ledger import LIVE, State
from tests.crash.trial import film_frames
from tests.machines.boards import BROKEN, FRAMES, PICTURE, PRICE_USD, TAKES, board, picture
from tests.machines.processes import command, is_alive, run, wait_until
from tests.machines.studio import BUCKET, RERUN_AFTER_S, SILENT_S, UNBEGUN_S, Studio

BATCH = ("dawn", "dusk", "noon", "night", "morning")
LOST = ("warbler", "wagtail", "wren")


def paid_once(studio: Studio, name: str) -> None:
    """Every take of a storyboard is the provider's once, and stored."""
    assert len(studio.tasks(name)) == TAKES
    assert [attempt.state for attempt in studio.attempts_of(name)] == [State.STORED] * TAKES


def test_what_has_a_schedule_is_planned_by_the_server(studio: Studio) -> None:
    wanted = {"deployments": {"name": {"any_": ["recover"]}}, "flow_runs": {"state": {"name": {"any_": ["Scheduled"]}}}}

    wait_until(lambda: bool(studio.ask("flow_runs/filter", wanted)), "runs of recover/recover are planned", 20)


def test_a_run_that_the_api_begins_publishes_its_film(studio: Studio) -> None:
    run_id = studio.render("heron", budget_usd=PRICE_USD, tags={"client": "acme"})
    studio.wait(run_id)

    paid_once(studio, "heron")
    assert studio.film("heron")
    assert studio.table_of(run_id, "shotchain-bill")["data"]


def test_a_batch_on_both_machines_publishes_what_can_be_and_names_what_is_broken(studio: Studio) -> None:
    for name in BATCH:
        studio.put(name, "batch")
    studio.bucket.pipe_file(f"{BUCKET}/batch/broken.yaml", BROKEN.encode())
    told = {"storyboards": f"s3://{BUCKET}/batch", "output": f"s3://{BUCKET}/films", "budget_usd": "6.30"}
    batch = studio.begin("batch/batch", **told)
    studio.wait(batch, "FAILED", 150)

    message = studio.run(batch)["state"]["message"]
    assert "Incomplete: not every film is published: 1 broken, 5 published" in message
    table = studio.table_of(batch, "shotchain-batch")
    assert table["description"] == "6 storyboards: 1 broken, 5 published; $6.30 of $6.30"
    rows = {Path(row["storyboard"]).stem: row for row in table["data"]}
    assert {name: (row["outcome"], row["cost"], row["frames"]) for name, row in rows.items()} == {
        **dict.fromkeys(BATCH, ("published", f"${PRICE_USD}", FRAMES)),
        "broken": ("broken", "$0.00", "–"),
    }
    assert rows["broken"]["error"] == "line 2: 'duration' must be a number of seconds"
    runs = [batch, *[str(child["id"]) for child in studio.children_of(batch)]]
    assert len(runs) == 6
    assert all(any(machine.has_run(run_id) for run_id in runs) for machine in studio.machines)
    for name in BATCH:
        paid_once(studio, name)


def test_a_run_that_needs_approval_spends_after_a_yes_through_the_api(studio: Studio) -> None:
    run_id = studio.render("kestrel", approve_above_usd="1.00")
    studio.wait(run_id, "PAUSED")
    assert studio.tasks("kestrel") == []

    answer = studio.ask(f"flow_runs/{run_id}/resume", {"run_input": {"answer": "approve", "name": "Ann Archer"}})
    assert answer["status"] == "ACCEPT"
    studio.wait(run_id)

    ((said, who, sum_usd),) = studio.approvals(run_id)
    assert (said, who, Decimal(sum_usd)) == ("approved", "Ann Archer", Decimal(PRICE_USD))
    paid_once(studio, "kestrel")


def test_a_run_is_cancelled_within_seconds_and_the_next_one_takes_up_what_it_left(studio: Studio) -> None:
    run_id = studio.render("osprey")
    studio.wait_for_tasks("osprey")
    pid = studio.process_of(run_id)
    began = time.monotonic()
    studio.cancel(run_id)
    wait_until(lambda: not is_alive(pid), "its process has ended", 60)
    stopped_s = time.monotonic() - began
    studio.wait(run_id, "CANCELLED")
    studio.tally.measured.append(
        f"cancelled: the process ended after {stopped_s:.1f} s, the state was there after "
        f"{time.monotonic() - began:.1f} s"
    )

    left = studio.attempts_of("osprey")
    assert len(left) == len(studio.tasks("osprey"))
    assert all(attempt.state in {*LIVE, State.STORED} for attempt in left)
    assert stopped_s < 10

    studio.wait(studio.render_again("osprey"))
    paid_once(studio, "osprey")


def test_a_run_whose_process_is_killed_is_run_again_by_the_server(studio: Studio) -> None:
    run_id = studio.render("plover")
    studio.wait_for_tasks("plover")
    studio.kill(studio.process_of(run_id), "process of a run")
    crashed_s = wait_until(lambda: "Crashed" in studio.states_of(run_id), "it is reported", 30)
    back_s = studio.wait_until_rerun(run_id)
    studio.wait(run_id)

    studio.tally.measured.append(
        f"process killed: reported after {crashed_s:.1f} s, running again {back_s:.1f} s later (rule: {RERUN_AFTER_S} s)"
    )
    assert studio.states_of(run_id).count("AwaitingRetry") == 1
    paid_once(studio, "plover")


def test_a_run_that_a_machine_took_and_never_began_is_planned_anew(studio: Studio) -> None:
    studio.put("curlew")
    run_id = studio.take_and_die("render/render", storyboard=studio.board_of("curlew"), output=studio.film_of("curlew"))
    begun_s = studio.wait_until_planned_anew(run_id)
    studio.wait(run_id)

    studio.tally.measured.append(f"taken and never begun: begun after {begun_s:.1f} s (rule: {UNBEGUN_S} s)")
    assert studio.run(run_id)["run_count"] == 1
    paid_once(studio, "curlew")


def test_a_retry_buys_nothing_of_a_run_that_finished_or_failed_at_its_last_step(studio: Studio) -> None:
    studio.bucket.mkdir("delivery")
    failed = studio.render("sandpiper", output="s3://delivery/sandpiper.mp4")
    studio.wait_for_tasks("sandpiper")
    studio.bucket.rmdir("delivery")
    studio.wait(failed, "FAILED")
    studio.bucket.mkdir("delivery")
    before = studio.books()["counts"]
    (finished,) = [
        str(found["id"])
        for found in studio.ask("flow_runs/filter", {"flow_runs": {"name": {"any_": ["heron"]}}})
        if found["state"]["type"] == "COMPLETED"
    ]
    for run_id in (finished, failed):
        studio.retry(run_id)
    for run_id in (finished, failed):
        wait_until(lambda run_id=run_id: studio.run(run_id)["run_count"] == 2, "it runs again")  # type: ignore[misc]
        studio.wait(run_id)

    assert studio.books()["counts"]["videoInference"] == before["videoInference"]
    assert studio.bucket.exists("delivery/sandpiper.mp4")
    # The delivered film is compared with all the others.
    for end in ("mp4", "manifest.json"):
        studio.bucket.copy(f"delivery/sandpiper.{end}", f"{BUCKET}/films/sandpiper.{end}")
    paid_once(studio, "sandpiper")


def test_a_run_outlives_a_restart_of_the_prefect_server(studio: Studio) -> None:
    run_id = studio.render("swift")
    studio.wait_for_tasks("swift")
    began = time.monotonic()
    studio.restart_server(away_s=3)
    studio.tally.measured.append(f"server restarted: away for {time.monotonic() - began:.1f} s")
    studio.wait(run_id, most_s=120)

    assert studio.film("swift")
    assert studio.run(run_id)["run_count"] == 1
    paid_once(studio, "swift")


def test_what_a_lost_machine_was_at_is_finished_by_the_other(studio: Studio) -> None:
    for name in LOST:
        studio.put(name, "lost")
    told = {"storyboards": f"s3://{BUCKET}/lost", "output": f"s3://{BUCKET}/films", "budget_usd": "3.78"}
    batch = studio.begin("batch/batch", **told)
    for name in LOST:
        studio.wait_for_tasks(name)
    lost = studio.machine_of(batch)
    (other,) = [machine for machine in studio.machines if machine is not lost]
    renders = [str(child["id"]) for child in studio.children_of(batch)]
    gone = [batch, *[run_id for run_id in renders if lost.has_run(run_id) and studio.state(run_id) == "RUNNING"]]
    studio.lose(lost)
    crashed_s = [studio.wait_until_missed(run_id) for run_id in gone]
    back_s = [studio.wait_until_rerun(run_id) for run_id in gone]
    studio.wait(batch, most_s=150)

    studio.tally.measured.append(
        f"machine lost with {len(gone)} of {1 + len(LOST)} runs: missed after {sum(crashed_s):.1f} s (rule: {SILENT_S} "
        f"s), all begun again {sum(back_s):.1f} s later (rule: {RERUN_AFTER_S} s)"
    )
    assert all(other.has_run(run_id) for run_id in gone)
    assert studio.table_of(batch, "shotchain-batch")["description"] == "3 storyboards: 3 published; $3.78 of $3.78"
    for name in LOST:
        paid_once(studio, name)


def test_the_books_say_the_same_and_each_film_is_as_if_nothing_had_happened(
    studio: Studio, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    books, attempts = studio.books(), studio.attempts()
    requests = Counter(
        json.dumps({name: value for name, value in task["request"].items() if name != "taskUUID"}, sort_keys=True)
        for task in books["tasks"]
    )
    assert set(requests.values()) == {1}
    # What a run was stopped before sending was given back.
    attempts = [attempt for attempt in attempts if attempt.state is not State.RELEASED]
    assert {attempt.task_uuid for attempt in attempts} == {task["taskUUID"] for task in books["tasks"]}
    assert len(books["tasks"]) == books["counts"]["videoInference"] == TAKES * len(studio.boards)
    assert {attempt.state for attempt in attempts} == {State.STORED}
    spent_usd = sum((attempt.totals.spent_usd for attempt in attempts), Decimal(0))
    assert spent_usd == Decimal(books["total_usd"]) == Decimal(PRICE_USD) * len(studio.boards)

    alone = rendered_undisturbed(studio.boards, tmp_path)
    different = []
    for name in studio.boards:
        film = tmp_path / f"{name}.mp4"
        film.write_bytes(studio.film(name))
        frames = film_frames(film)
        assert len(frames) == FRAMES
        if film.read_bytes() != alone[name].read_bytes():
            different.append(name)
            assert frames == film_frames(alone[name]), name
    runs = studio.ask("flow_runs/filter", {"flow_runs": {"tags": {"all_": ["shotchain"]}}, "limit": 200})
    tally, starts = studio.tally, sum(each["run_count"] for each in runs)
    equal = len(studio.boards) - len(different)
    told = [
        f"{time.monotonic() - tally.began_s:.0f} s; {len(runs)} runs, {starts} starts",
        f"kills: {dict(tally.kills)}; restarts of the Prefect server: {tally.restarts}",
        f"{len(books['tasks'])} submissions, each charged once: ${books['total_usd']} in the books, ${spent_usd} here",
        f"{len(studio.boards)} films of {FRAMES} frames; as undisturbed byte for byte: {equal}, by frames: {len(different)}",
        *tally.measured,
    ]
    record_property("machines", told)


def rendered_undisturbed(names: list[str], folder: Path) -> dict[str, Path]:
    """The films of the same storyboards, made in one go on one machine, at a provider of its own."""
    boards = folder / "boards"
    (boards / PICTURE).parent.mkdir(parents=True)
    (boards / PICTURE).write_bytes(picture())
    for name in names:
        (boards / f"{name}.yaml").write_text(board(name), encoding="utf-8")
    with EmulatorServer(EmulatorSettings(latency_s=0.0, frames_per_second=1)) as emulator:
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder / "home"),
            "SHOTCHAIN_CACHE": str(folder / "cache"),
            "RUNWARE_API_KEY": "key",
            "RUNWARE_BASE_URL": emulator.base_url,
        }
        run([command("shotchain"), "batch", str(boards), "--output", str(folder / "alone")], environment, folder)
    return {name: folder / "alone" / f"{name}.mp4" for name in names}
