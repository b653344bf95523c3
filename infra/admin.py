"""The admin port: /metrics, /livez and /readyz. Loopback by default; it changes nothing."""

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from streams.worker import Worker


def make_admin(worker: Worker, registry: CollectorRegistry) -> web.Application:
    """Return the application.

    Args:
        worker: whose health is told.
        registry: what /metrics shows.
    """

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(
            body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST}
        )

    async def livez(_: web.Request) -> web.Response:
        if worker.is_alive():
            return web.json_response({"status": "ok"})
        stuck = f"records wait and none was read for {worker.stuck_for_s():.0f} s"
        return web.json_response({"status": "stuck", "reasons": [stuck]}, status=503)

    async def readyz(_: web.Request) -> web.Response:
        faults = worker.faults()
        if not faults:
            return web.json_response({"status": "ok", "partitions": sorted(worker.owned)})
        return web.json_response({"status": "not ready", "reasons": faults}, status=503)

    app = web.Application(client_max_size=1024)
    app.router.add_get("/metrics", metrics)
    app.router.add_get("/livez", livez)
    app.router.add_get("/readyz", readyz)
    return app


class AdminServer:
    """The application on its port.

    Args:
        app: what is served.
        host: where it listens.
        port: 0 takes any free one.
    """

    def __init__(self, app: web.Application, host: str, port: int) -> None:
        self._runner = web.AppRunner(app, access_log=None)
        self._host = host
        self._port = port

    async def start(self) -> str:
        """Begin to listen; return the URL."""
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._host, self._port)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        return f"http://{host}:{port}"

    async def stop(self) -> None:
        """Stop listening."""
        await self._runner.cleanup()
