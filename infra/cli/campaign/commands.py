"""`tidegate campaign`: the group of commands."""

from cyclopts import App

from infra.cli.campaign.check import check
from infra.cli.campaign.keeping import approve, close, list_campaigns, save, send, show, start
from infra.cli.campaign.report import report
from infra.cli.campaign.running import advise, promises, slip
from infra.cli.campaign.silence import silence

campaign = App(
    name="campaign",
    help="""Check campaigns before they start, keep them with their versions, silence their alerts.

A campaign that is kept goes from draft to checked, approved, live and closed. Its ad budget is
approved once the check passed, or somebody overrode it by name.""",
)
for command in (
    check,
    save,
    show,
    approve,
    start,
    close,
    send,
    promises,
    advise,
    slip,
    report,
    silence,
):
    campaign.command(command)
campaign.command(list_campaigns, name="list")
