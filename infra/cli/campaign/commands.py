"""`tidegate campaign`: the group of commands."""

from cyclopts import App

from infra.cli.campaign.check import check
from infra.cli.campaign.silence import silence

campaign = App(
    name="campaign",
    help="Check a campaign before it is approved; silence the surge alerts of planned ones.",
)
campaign.command(check)
campaign.command(silence)
