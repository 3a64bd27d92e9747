"""Asking those who know the album, before anybody is asked for its files."""

from datetime import timedelta

from libs.telemetry.logger import get_logger
from services.acquisition.domain.album import Album
from services.acquisition.domain.knowledge import Knower, KnowledgeAway
from services.acquisition.domain.soulseek_plan import INQUIRY_DELAYS, SoulseekPlan
from services.acquisition.domain.step import NOW

log = get_logger()


async def inquire(knower: Knower, album: Album, plan: SoulseekPlan) -> tuple[SoulseekPlan, timedelta]:
    """The plan with what is known of the album, and how long to wait before it is asked again: not at all once it is.

    Whoever stays away is given up: offers can be compared with each other, too.
    """
    try:
        return plan.informed(await knower.knowledge(album)), NOW
    except KnowledgeAway as error:
        plan, delay = plan.uninformed()
        log.warning("acquisition.knowledge_away", why=error.message, given_up=delay is None)
        if delay is None:
            return plan.informed(None), NOW
        return plan, max(delay, min(error.retry_after or NOW, INQUIRY_DELAYS[-1]))
