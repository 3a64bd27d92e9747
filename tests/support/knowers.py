"""Those who know albums, for tests that are about something else."""

from services.acquisition.domain.album import Album
from services.acquisition.domain.knowledge import Knowledge


class KnowsNothing:
    """Implements `domain.knowledge.Knower` for a suite without MusicBrainz and Lidarr."""

    async def knowledge(self, album: Album) -> Knowledge | None:
        """Nothing."""
        return None
