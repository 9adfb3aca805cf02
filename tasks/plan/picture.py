"""The graph of a plan as a picture: Mermaid, which Git forges and many viewers draw."""

from __future__ import annotations

from tasks.plan.estimate import Estimate, ShotEstimate
from tasks.plan.model import Plan, PlannedShot, number, usd

__all__ = ["draw"]

_STYLES = (
    "classDef reused fill:#e6f4ea,stroke:#34a853,color:#202124",
    "classDef generated fill:#fef7e0,stroke:#f9ab00,color:#202124",
    "classDef critical stroke-width:3px",
)
# What a quoted label cannot hold as it is.
_ENTITIES = {ord(character): f"#{ord(character)};" for character in '"#&<>`\\;|[]{}()\n\r\t'}


def draw(plan: Plan, estimate: Estimate) -> str:
    """A flowchart: a box a shot, an arrow from each shot to those that take a frame or the clip of it.

    Boxes say what a shot generates and costs; those on the critical path have a thick frame.
    """
    names = {shot.id: f"s{index}" for index, shot in enumerate(plan.shots)}
    by_id = {item.id: item for item in estimate.shots}
    lines = ["flowchart LR"]
    lines += [f'  {names[shot.id]}["{_label(shot, by_id[shot.id])}"]' for shot in plan.shots]
    lines += [
        f"  {names[need]} --> {names[shot.id]}" for shot in plan.shots for need in shot.depends_on if need in names
    ]
    lines += [f"  {style}" for style in _STYLES]
    classes = {
        "reused": [shot.id for shot in estimate.shots if shot.generated == 0],
        "generated": [shot.id for shot in estimate.shots if shot.generated > 0],
        "critical": [] if estimate.schedule is None else estimate.schedule.critical_path,
    }
    lines += [f"  class {','.join(names[shot] for shot in shots)} {name}" for name, shots in classes.items() if shots]
    return "\n".join(lines) + "\n"


def _label(shot: PlannedShot, told: ShotEstimate) -> str:
    what = [shot.id.translate(_ENTITIES), f"{shot.mode.replace('_', ' ')}, {number(shot.generate_s)} s"]
    if told.generated:
        takes = f"{told.generated} × " if told.generated > 1 else ""
        what.append(f"{takes}${usd(told.price_usd)}")
    else:
        what.append("reused" if told.reused else "shared")
    if told.span is not None and told.generated:
        what.append(f"{number(told.span.begins_s)}–{number(told.span.ends_s)} s")
    return "<br/>".join(what)
