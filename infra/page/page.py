"""The page of one worker: reader, hub, API and static files, put together."""

import time
from collections.abc import Callable
from typing import Any

from aiohttp import web

from infra.page.api import Api, Log
from infra.page.hub import Hub
from infra.page.readers.decisions import DecisionsReader
from infra.page.readers.item import ItemReader
from infra.page.readers.items import ItemsReader
from infra.page.readers.snapshot import PageReader, connect
from infra.page.static_files import add_missing, add_site
from infra.redis.keys import Keys
from infra.redis.tls_probe import explain_failure


class Page:
    """What is added to the admin port.

    Args:
        redis_url: where everything is read.
        keys: names in Redis.
        log: the audit log, where people's word on incidents is kept.
        clock: wall-clock seconds.
        grafana_url: where the dashboards are; None means that the page links to none.
        redis_options: of the client, as for TLS.
    """

    def __init__(
        self,
        redis_url: str,
        keys: Keys,
        log: Log,
        clock: Callable[[], float] = time.time,
        *,
        grafana_url: str | None = None,
        **redis_options: Any,
    ) -> None:
        self._grafana_url = grafana_url
        self._redis = connect(redis_url, **redis_options)
        reader = PageReader(self._redis, keys, lambda now_ms: log.state.acknowledged(now_ms), clock)
        self._hub = Hub(
            reader,
            lambda: ItemsReader(self._redis, keys, time.monotonic),
            explain=lambda error: explain_failure(error, redis_url),
        )
        older = DecisionsReader(self._redis, keys)
        self._api = Api(self._hub, log, ItemReader(self._redis, keys), older)

    def add_to(self, app: web.Application) -> None:
        """Add the routes; listeners are let go when the application shuts down."""
        add_site(app, self._grafana_url)
        self._api.add_to(app)
        add_missing(app)
        app.on_shutdown.append(self._close)

    async def _close(self, _: web.Application) -> None:
        await self._hub.close()
        self._redis.close()
