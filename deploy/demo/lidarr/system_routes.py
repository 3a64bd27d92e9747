"""The API of the system itself: identity, folders, profiles, health and registered webhooks."""

import shutil

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from deploy.demo.lidarr import notifications as webhooks
from deploy.demo.lidarr.answers import answering, flag, internal_error, not_found, object_of, violations
from deploy.demo.lidarr.library import METADATA_PROFILES, QUALITY_PROFILES
from deploy.demo.lidarr.notifications import Notification
from deploy.demo.lidarr.resources import Json, stamp, violation
from deploy.demo.lidarr.state import Lidarr

VERSION = "2.14.5.4836"


class SystemRoutes:
    """Routes over the settings of a pretended Lidarr."""

    def __init__(self, lidarr: Lidarr) -> None:
        self._lidarr = lidarr
        self._webhooks = lidarr.notifications

    def routes(self) -> list[Route]:
        """The routes, below `/api/v1`."""
        return [
            Route("/system/status", answering(self._status)),
            Route("/health", answering(self._health)),
            Route("/rootfolder", answering(self._root_folders)),
            Route("/qualityprofile", answering(self._quality_profiles)),
            Route("/metadataprofile", answering(self._metadata_profiles)),
            Route("/notification", answering(self._notifications)),
            Route("/notification", answering(self._register), methods=["POST"]),
            Route("/notification/schema", answering(self._schema)),
            Route("/notification/test", answering(self._test), methods=["POST"]),
            Route("/notification/{id:int}", answering(self._notification)),
            Route("/notification/{id:int}", answering(self._update), methods=["PUT"]),
            Route("/notification/{id:int}", answering(self._unregister), methods=["DELETE"]),
        ]

    async def _status(self, _request: Request) -> Response:
        identity = {"appName": "Lidarr", "instanceName": "Lidarr", "version": VERSION, "branch": "master"}
        more = {"urlBase": "", "databaseType": "sqLite", "isProduction": True, "mode": "console", "isLinux": True}
        return JSONResponse(identity | more | {"startTime": stamp(self._lidarr.started)})

    async def _health(self, _request: Request) -> Response:
        return JSONResponse([*self._client_health(), *self._webhook_health()])

    def _client_health(self) -> list[Json]:
        if self._lidarr.downloads.client_is_up:
            return []
        text = "Unable to communicate with qbit. Connection refused"
        return [{"id": 2, "source": "DownloadClientCheck", "type": "error", "message": text, "wikiUrl": ""}]

    def _webhook_health(self) -> list[Json]:
        failing = self._webhooks.failing()
        if not failing:
            return []
        names = ", ".join(str(row.resource["name"]) for row in failing)
        everybody = len(failing) == len(self._webhooks.rows)
        told = {"id": 1, "source": "NotificationStatusCheck", "type": "error" if everybody else "warning"}
        text = "All notifications are unavailable due to failures"
        text = text if everybody else f"Notifications unavailable due to failures: {names}"
        return [told | {"message": text, "wikiUrl": ""}]

    async def _root_folders(self, _request: Request) -> Response:
        root = self._lidarr.library.root
        disk = shutil.disk_usage(root)
        defaults = {"defaultQualityProfileId": 1, "defaultMetadataProfileId": 1, "defaultMonitorOption": "all"}
        more = {"defaultNewItemMonitorOption": "all", "defaultTags": [], "accessible": True}
        told = {"id": 1, "name": "Music", "path": str(root), "freeSpace": disk.free, "totalSpace": disk.total}
        return JSONResponse([told | defaults | more])

    async def _quality_profiles(self, _request: Request) -> Response:
        return JSONResponse([{"id": key, "name": name, "items": []} for key, name in QUALITY_PROFILES.items()])

    async def _metadata_profiles(self, _request: Request) -> Response:
        return JSONResponse([{"id": key, "name": name} for key, name in METADATA_PROFILES.items()])

    async def _schema(self, _request: Request) -> Response:
        return JSONResponse(webhooks.schema())

    async def _notifications(self, _request: Request) -> Response:
        return JSONResponse([row.shown() for row in self._webhooks.rows.values()])

    async def _notification(self, request: Request) -> Response:
        return JSONResponse(self._stored(request).shown())

    async def _register(self, request: Request) -> Response:
        body = await object_of(request)
        self._check(body)
        await self._try(body)
        row = self._webhooks.add(body)
        return JSONResponse(row.shown(), 201, headers={"Location": f"/api/v1/notification/{row.id}"})

    async def _update(self, request: Request) -> Response:
        row = self._stored(request)
        body = webhooks.with_kept_secrets(await object_of(request), row)
        self._check(body, own=row)
        if not webhooks.same(body, row.resource) and not flag(request, "forceSave", default=False):
            await self._try(body, stored=row)
        row.resource = body
        return JSONResponse(row.shown(), 202)

    async def _unregister(self, request: Request) -> Response:
        del self._webhooks.rows[self._stored(request).id]
        return JSONResponse({})

    async def _test(self, request: Request) -> Response:
        body = await object_of(request)
        row = self._webhooks.rows.get(body.get("id") or 0)
        await self._try(webhooks.with_kept_secrets(body, row) if row else body, stored=row)
        return JSONResponse({})

    def _check(self, body: Json, own: Notification | None = None) -> None:
        name = str(body.get("name") or "")
        if not name:
            raise violations(violation("Name", "'Name' must not be empty.", name, "NotEmptyValidator"))
        if self._webhooks.named(name) not in (None, own):
            raise violations(violation("Name", "Should be unique", name, "PredicateValidator"))
        if body.get("implementation") != "Webhook" or body.get("configContract") != "WebhookSettings":
            raise internal_error("Unknown implementation")
        if not webhooks.setting(body, "url"):
            raise violations(violation("Url", "'Url' must not be empty.", "", "NotEmptyValidator"))

    async def _try(self, body: Json, stored: Notification | None = None) -> None:
        try:
            await self._webhooks.test(body, stored)
        except webhooks.WebhookRefusedError as error:
            entry = violation("Url", f"Unable to post to webhook: {error}", webhooks.setting(body, "url"), "")
            more = {"isWarning": False, "infoLink": "", "detailedDescription": str(error)}
            raise violations(entry | more) from error
        except webhooks.WebhookUnreachableError as error:
            raise internal_error(f"Unable to post to webhook: {error}") from error

    def _stored(self, request: Request) -> Notification:
        row = self._webhooks.rows.get(request.path_params["id"])
        if row is None:
            raise not_found("Notification")
        return row
