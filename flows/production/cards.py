"""A film's cards: drawn while its clips are generated, so that none waits for them at the end."""

from __future__ import annotations

from contextlib import suppress

from flows.outcome import Made
from flows.production.studio import Studio
from tasks.errors import MediaError
from tasks.handed import Handed
from tasks.media.thread import finish_in_thread
from tasks.plan.model import PlannedCard
from tasks.sequence.shots import Drawn
from tasks.sequence.stills import still_of
from tasks.sequence.task import draw_card

__all__ = ["drawn_card"]


async def drawn_card(studio: Studio, made: Made, card: PlannedCard) -> Handed[Drawn]:
    """Draw a card of the film that is being made, or find it drawn, and note it there.

    Raises:
        MediaError: Its picture is gone or was changed since the plan, or it could not be encoded.
    """
    if card.id not in made.cards:
        finish, picture = Handed(studio.settings.finish), studio.picture(card)
        drawn = await draw_card(Handed(made.plan), Handed(card), picture, finish, studio.conformed)
        made.cards[card.id] = drawn
        made.parts[card.id] = Handed(drawn.value.part)
        with suppress(MediaError):  # the contact sheet goes without it
            still = await finish_in_thread(still_of, made.plan, made.cut(card), drawn.value.part)
            made.stills[card.id] = still
    return made.cards[card.id]
