"""The part of the HTTP API that shows campaigns that are kept."""

from typing import Annotated, Any, Protocol

import msgspec
from aiohttp import web

from infra.admin.access import Refusal
from infra.campaigns.record import CampaignRow, record_of, records_of
from infra.campaigns.versions import document_of
from infra.control.entries import AuditState
from infra.control.routes import answer_json
from streams.contracts.fields import described

PATH = "/api/v1/campaigns"


class Campaigns(msgspec.Struct, frozen=True):
    """The answer of `GET /api/v1/campaigns`."""

    campaigns: Annotated[list[CampaignRow], described("The campaigns that are kept, by id.")]


class CampaignPage(msgspec.Struct, frozen=True):
    """The answer of `GET /api/v1/campaigns/{campaign_id}`."""

    campaign: Annotated[CampaignRow, described("The campaign as it stands.")]
    document: Annotated[
        dict[str, Any], described("Its document, as for `tidegate campaign check`.")
    ]


class Log(Protocol):
    """The audit log, as `infra.control.log.ControlLog`."""

    state: AuditState


def add_campaign_routes(app: web.Application, log: Log) -> None:
    """Add the routes.

    Args:
        app: stands behind `infra.admin.access.make_guard`.
        log: where campaigns are kept.
    """

    async def listed(_: web.Request) -> web.Response:
        return answer_json(Campaigns(records_of(log.state.campaigns)))

    async def one(request: web.Request) -> web.Response:
        campaign_id = request.match_info["campaign_id"]
        kept = log.state.campaigns.get(campaign_id)
        if not kept:
            raise Refusal(404, "campaign_id", "the id of a campaign that is kept", campaign_id)
        return answer_json(CampaignPage(record_of(kept), document_of(kept)))

    app.router.add_get(PATH, listed)
    app.router.add_get(f"{PATH}/{{campaign_id}}", one)
