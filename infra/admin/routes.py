"""The admin port: metrics, liveness and readiness; other modules add their routes to it."""

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from infra.admin.access import BODY_BYTES, Access, Role, make_guard
from streams.worker.worker import Worker

_LOCAL = Access("127.0.0.1")


def make_admin(
    worker: Worker, registry: CollectorRegistry, access: Access = _LOCAL
) -> web.Application:
    """Return the application; every route of it stands behind the guard of `infra.admin.access`.

    Args:
        worker: whose health is shown.
        registry: what /metrics shows.
        access: who may call.
    """

    def may_know_why(request: web.Request) -> bool:
        role = access.role_of(request.headers.get("Authorization"))
        return access.is_local or role >= Role.VIEWER

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(
            body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST}
        )

    async def livez(request: web.Request) -> web.Response:
        if worker.is_alive():
            return web.json_response({"status": "ok"})
        answer: dict[str, object] = {"status": "stuck"}
        if may_know_why(request):
            seconds = worker.progress.stuck_for_s()
            answer["reasons"] = [f"records wait and none was read for {seconds:.0f} s"]
        return web.json_response(answer, status=503)

    async def readyz(request: web.Request) -> web.Response:
        faults = worker.faults()
        answer: dict[str, object] = {"status": "not ready" if faults else "ok"}
        if may_know_why(request):
            answer |= {"reasons": faults} if faults else {"partitions": sorted(worker.tasks)}
            answer["handover"] = worker.holds()
        return web.json_response(answer, status=503 if faults else 200)

    app = web.Application(client_max_size=BODY_BYTES, middlewares=[make_guard(access)])
    app.router.add_get("/metrics", metrics)
    app.router.add_get("/livez", livez)
    app.router.add_get("/readyz", readyz)
    return app
