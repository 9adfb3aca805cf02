"""What goes wrong while files travel: a clip is paid for once, however often it is fetched; an upload costs nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tasks.errors import ClipDamaged, ProviderUnreachable, RequestRejected
from tasks.storyboard.model import ClipOf, Shot
from tests.clips.house import plan_of
from tests.faults.conftest import NewTrial
from tests.faults.trial import ALWAYS, Case, Trial, fault

IMPATIENT = {"patience_s": 0.25}
SET_ASIDE = "a damaged download was kept aside: .*damaged-"

DOWNLOADS = [
    *(
        Case(
            f"a file that cannot be had ({status}), twice",
            [fault("status", call="download", status=status, times=2)],
            sent="submit=1 download=3",
        )
        for status in (500, 503)
    ),
    *(
        Case(
            f"a file that is said to be gone ({status})",
            [fault("status", call="download", status=status)],
            sent="submit=1 poll=2 download=2",
        )
        for status in (403, 404, 410)
    ),
    Case(
        "a file that can never be had",
        [fault("status", call="download", status=500, times=ALWAYS)],
        states="succeeded",
        sent="submit=1 download=5",
        error=ProviderUnreachable,
        says="could not be downloaded in 5 tries: HTTP 500",
        advises="It is paid for and will be fetched by the next run of the same command",
    ),
    Case(
        "an error that is sent in its place",
        [fault("status", call="download", accept=True)],
        sent="submit=1 download=2",
    ),
    Case("a line that is cut at once", [fault("drop_request", call="download")], sent="submit=1 download=2"),
    Case(
        "a line on which nothing ever comes",
        [fault("drop_request", call="download", times=ALWAYS)],
        states="succeeded",
        sent="submit=1 download=5",
        error=ProviderUnreachable,
        advises="It is paid for",
    ),
    Case("a file that comes late", [fault("hang", call="download", after_s=0.1)]),
    Case(
        "a file that comes after nobody waits for it any more",
        [fault("hang", call="download", after_s=0.5)],
        sent="submit=1 download=2",
        options=IMPATIENT,
    ),
    Case("a file that trickles", [fault("drip", call="download", over_s=0.3)], options=IMPATIENT),
    *(
        Case(
            f"a line that is cut after {keep:.0%} of the file",
            [fault("truncate", announce_whole=True, keep=keep)],
            sent="submit=1 download=2",
        )
        for keep in (0, 0.5, 0.99)
    ),
    *(
        Case(
            f"a file that is whole by its length and has only {keep:.0%} of itself",
            [fault("truncate", keep=keep)],
            sent="submit=1 download=2",
            aside=1,
            told=SET_ASIDE,
        )
        for keep in (0, 0.02, 0.5, 0.99)
    ),
    Case("a file with zeros in its middle", [fault("corrupt")], sent="submit=1 download=2", aside=1, told=SET_ASIDE),
    Case("a file of zeros", [fault("corrupt", share=1)], sent="submit=1 download=2", aside=1, told=SET_ASIDE),
    Case("a web page", [fault("not_a_video")], sent="submit=1 download=2", aside=1, told=SET_ASIDE),
    Case(
        "a file that comes damaged however often it is fetched",
        [fault("corrupt", times=ALWAYS)],
        states="succeeded",
        sent="submit=1 download=3",
        error=ClipDamaged,
        says="the paid clip cannot be decoded, however often it is fetched",
        advises=r"It is kept aside in the clip store\. Run again to fetch it again, or pay \$0\.42 once more",
        aside=3,
    ),
    Case(
        "three ways to break a file, one after another",
        [fault("truncate"), fault("not_a_video", skip=0), fault("drop_request", call="download")],
        sent="submit=1 download=4",
        aside=2,
    ),
]

BOTH_USD = "1.05"
UPLOADS = [
    *(
        Case(
            f"an upload that fails ({status}), twice",
            [fault("status", call="upload", status=status, times=2)],
            sent="submit=2 upload=3",
        )
        for status in (500, 503)
    ),
    Case(
        "an upload that arrives, and its answer is an error",
        [fault("status", call="upload", status=500, accept=True)],
        sent="submit=2 upload=2",
    ),
    Case("an upload that gets lost", [fault("drop_request", call="upload")], sent="submit=2 upload=2"),
    Case("an upload whose answer gets lost", [fault("drop_reply", call="upload")], sent="submit=2 upload=2"),
    Case("an upload whose answer comes late", [fault("hang", call="upload", after_s=0.1)], sent="submit=2 upload=1"),
    Case(
        "an upload whose answer comes too late",
        [fault("hang", call="upload", after_s=0.5)],
        sent="submit=2 upload=2",
        options=IMPATIENT,
    ),
    Case(
        "an upload whose answer trickles",
        [fault("drip", call="upload", over_s=0.3)],
        sent="submit=2 upload=1",
        options=IMPATIENT,
    ),
    Case("an upload with an empty list of errors", [fault("empty_errors", call="upload")], sent="submit=2 upload=1"),
]
REFUSED_UPLOADS = [
    Case(
        "an upload that is refused",
        [fault("refuse", call="upload", message="Too large.")],
        sent="submit=1 upload=1",
        error=RequestRejected,
        says=r"rejected the request: invalidParameter: Too large\.",
    ),
    Case(
        "an upload that gets lost each time",
        [fault("drop_request", call="upload", times=ALWAYS)],
        sent="submit=1 upload=4",
        error=ProviderUnreachable,
        says="the upload of .* failed",
    ),
]


@pytest.fixture
def upload(new_trial: NewTrial) -> Trial:
    """A trial of two shots: the second is guided by the clip of the first, which has to be uploaded."""
    first = Shot(id="a", prompt="A tram climbs through autumn trees")
    second = Shot(id="b", prompt="A ferry moves like it", reference_videos=(ClipOf("a"),))
    return new_trial(plan_of((first, second), "emulator"))


@pytest.mark.thorough
@pytest.mark.parametrize("case", DOWNLOADS, ids=lambda case: case.name)
async def test_what_a_fault_of_downloads_costs_and_leaves(case: Case, trial: Trial) -> None:
    await case.check(trial)


@pytest.mark.thorough
@pytest.mark.parametrize("case", UPLOADS, ids=lambda case: case.name)
async def test_what_a_fault_of_uploads_costs_and_leaves(case: Case, upload: Trial) -> None:
    both = replace(case, states="stored stored", books_usd=BOTH_USD, next_usd=BOTH_USD, clips=2)
    await both.check(upload)


@pytest.mark.thorough
@pytest.mark.parametrize("case", REFUSED_UPLOADS, ids=lambda case: case.name)
async def test_what_cannot_be_uploaded_is_not_paid_for(case: Case, upload: Trial) -> None:
    first_only = replace(case, states="stored released", shot="b", clips=1, next_usd=BOTH_USD)
    await first_only.check(upload)
