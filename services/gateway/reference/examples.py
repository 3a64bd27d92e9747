"""Bodies to begin with, by the names of their schemas; a test holds each against its schema."""

from collections.abc import Mapping

_ALBUM = {
    "artist": "Boards of Canada",
    "title": "Geogaddi",
    "releaseGroupMbid": "f8bd16f1-2d2b-3d1c-9b1c-2a4d1b3d8d0e",
}

EXAMPLES: Mapping[str, object] = {
    "lockgroove.acquisition.v1.Acquisition": {"album": _ALBUM, "source": "SOULSEEK"},
    "lockgroove.acquisition.v1.Acquisition.Patch": {"priority": 5},
    "lockgroove.acquisition.v1.Batch": {"title": "The whole shelf", "albums": [{"album": _ALBUM}]},
    "lockgroove.acquisition.v1.Search": {"query": "boards of canada geogaddi"},
    "lockgroove.acquisition.v1.SetKillSwitchRequest": {"enabled": True, "reason": "The disk is being replaced."},
    "lockgroove.acquisition.v1.AcquireLeaseRequest": {"lease": "library/scan", "holder": "scanner-1", "ttl": "30s"},
    "lockgroove.acquisition.v1.BlockPeerRequest": {"peer": "somebody", "duration": "86400s", "reason": "Sends junk."},
    "lockgroove.config.v1.Settings.Patch": {
        "lidarr": {"url": "http://lidarr:8686", "apiKey": "0123456789abcdef0123456789abcdef"},
        "gateway": {"corsOrigins": "https://music.example.org"},
    },
    "lockgroove.config.v1.Key": {"title": "The kitchen's player", "scopes": ["READ", "REQUEST"]},
    "lockgroove.webhooks.v1.Source": {
        "displayName": "Player",
        "verification": {"headerToken": {"header": "X-Player-Secret"}},
        "secret": "a-secret-of-the-player",
    },
    "lockgroove.webhooks.v1.StartReplayRequest": {"filter": 'state = "DEAD"', "dryRun": True},
}
