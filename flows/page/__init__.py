"""What the page of a run shows in Prefect's UI: plan, graph, progress, shots, pictures, the film, and plain words.

Nothing here can fail a run or hold it up: what cannot be shown is noted once in the run's log, and the run goes on.
Where nobody could look, outside a flow run or on the private server of one command, nothing is written at all.
"""

from __future__ import annotations

from flows.page.before import introduce, leave_plan
from flows.page.run import RunPage, open_page, page_of_run
from flows.page.writer import Artifacts, Rows, write_to

__all__ = ["Artifacts", "Rows", "RunPage", "introduce", "leave_plan", "open_page", "page_of_run", "write_to"]
