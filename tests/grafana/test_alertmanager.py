"""Who hears of what, on the real Alertmanager: one cause is one notice, to the right people."""

import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from infra.alertmanager import Alertmanager, AlertmanagerError, Matcher, Silence
from infra.cli.campaign.silence import SURGE_ALERTS, campaign_silence
from streams.contracts.events import CampaignPlanned
from streams.timestamps import rfc3339
from tests.grafana.alertmanager_server import CONFIG, AlertmanagerServer, Receivers
from tests.grafana.test_rules import alerts, of_incidents
from tests.programs import program

LABELS = {alert["alert"]: {"alertname": alert["alert"], **alert["labels"]} for alert in alerts()}
_QUIET_SECONDS = 3.0  # several times what a notice takes to come

RECEIVERS = {
    "TidegateBroadSurge": "marketing-page",
    "TidegateItemSurge": "marketing",
    "TidegateLowCover": "warehouse",
    "TidegateStockUnknown": "warehouse",
    "TidegateLateSupplier": "logistics",
    "TidegateBacklogAge": "logistics,customer-service",
    "TidegateWatchdog": "watchdog",
    "TidegateDown": "platform-page",
    "TidegateStaleInput": "platform-page",
    "TidegateDeadLetters": "platform",
    "TidegateFreshnessBudgetSale": "platform-page",
    "TidegateFreshnessBudgetMonth": "platform",
}


@pytest.mark.parametrize("alert", RECEIVERS)
def test_alert_reaches_the_team_that_can_act(alert: str) -> None:
    """Asked of Alertmanager's own tool, with the labels that the rules give."""
    assert routed(LABELS[alert]) == RECEIVERS[alert]


def routed(labels: dict[str, str]) -> str:
    """The receivers of an alert, as amtool says."""
    done = subprocess.run(
        [
            *(program("amtool"), "config", "routes", "test", f"--config.file={CONFIG}"),
            *(f"{name}={value}" for name, value in labels.items()),
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


@pytest.mark.parametrize("alert", of_incidents())
def test_alert_that_somebody_has_taken_on_reaches_nobody(alert: str) -> None:
    """Whatever its team and severity."""
    assert routed({**LABELS[alert], "acknowledged": "yes"}) == "nobody"
    assert routed({**LABELS[alert], "acknowledged": "no"}) != "nobody"


@pytest.fixture
def receivers() -> Iterator[Receivers]:
    """They note what they get."""
    with Receivers() as started:
        yield started


@pytest.fixture
def alertmanager(tmp_path: Path, receivers: Receivers) -> Iterator[AlertmanagerServer]:
    """The real one."""
    with AlertmanagerServer(
        tmp_path / "alertmanager", program("prometheus-alertmanager"), receivers
    ) as server:
        yield server


def wait_for(holds: Callable[[], object], what: str) -> None:
    """Return when it holds; fail, saying what was waited for, after a minute."""
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline, f"not within a minute: {what}"
        time.sleep(0.05)


def item_surges(count: int) -> list[dict[str, str]]:
    """As a push client would tell them: one alert an item."""
    return [{**LABELS["TidegateItemSurge"], "sku": f"sku-{n}"} for n in range(count)]


@pytest.mark.system
def test_five_thousand_items_that_surge_are_one_notice(
    alertmanager: AlertmanagerServer, receivers: Receivers
) -> None:
    """Grouped by what they are, whatever the number of items."""
    alertmanager.tell(item_surges(5_000))
    wait_for(lambda: receivers.of("marketing"), "the notice")
    time.sleep(_QUIET_SECONDS)
    (notice,) = receivers.of("marketing")
    assert len(notice["alerts"]) + notice["truncatedAlerts"] == 5_000


@pytest.mark.system
def test_broad_surge_is_one_page_and_mutes_its_items(
    alertmanager: AlertmanagerServer, receivers: Receivers
) -> None:
    """One page and one mail to marketing; the items say nothing."""
    alertmanager.tell([LABELS["TidegateBroadSurge"], *item_surges(5_000)])
    wait_for(lambda: receivers.of("marketing-page") and receivers.mails, "the page")
    time.sleep(_QUIET_SECONDS)
    assert len(receivers.of("marketing-page")) == 1
    assert receivers.of("marketing") == []
    (mail,) = receivers.mails
    assert mail[0] == ["marketing@example.org"]
    assert "TidegateBroadSurge" in mail[1]


@pytest.mark.system
def test_stale_pipeline_mutes_what_it_says_about_demand(
    alertmanager: AlertmanagerServer, receivers: Receivers
) -> None:
    """Cover computed on orders that do not come is nothing to wake a warehouse for."""
    alertmanager.tell([LABELS["TidegateStaleInput"], LABELS["TidegateLowCover"]])
    wait_for(lambda: receivers.of("platform-page"), "the page to platform")
    time.sleep(_QUIET_SECONDS)
    assert receivers.of("warehouse") == []


@pytest.mark.system
def test_stale_pipeline_that_somebody_has_taken_on_calls_nobody_and_still_mutes(
    alertmanager: AlertmanagerServer, receivers: Receivers
) -> None:
    """Whoever has it is not called again, and the warehouse is not called for what follows."""
    taken = {**LABELS["TidegateStaleInput"], "acknowledged": "yes"}
    alertmanager.tell([taken, LABELS["TidegateLowCover"], LABELS["TidegateDeadLetters"]])
    wait_for(lambda: receivers.of("platform"), "what has another cause is told")
    time.sleep(_QUIET_SECONDS)
    assert receivers.of("platform-page") == []
    assert receivers.of("warehouse") == []


CAUSES = {
    "TidegateDeadLetters": ("CompletenessBudgetSale", "CompletenessBudgetMonth"),
    "TidegateRedisMemoryFull": ("RedisMemory",),
    "TidegateLowCoverMoney": ("LowCover",),
    "TidegateOutboxStuck": ("HandoverSlow",),
    "TidegateFreshnessBudgetSale": ("FreshnessBudgetMonth",),
}
CAUSES_OF_BUDGETS = {
    "TidegateConsumerLag": ("FreshnessBudgetSale", "FreshnessBudgetMonth"),
    "TidegateCompletenessBudgetSale": ("CompletenessBudgetMonth",),
}


def heard(receivers: Receivers) -> set[str]:
    """The alerts that somebody heard of."""
    return {one["labels"]["alertname"] for _, body in receivers.notices for one in body["alerts"]}


@pytest.mark.system
@pytest.mark.parametrize("causes", [CAUSES, CAUSES_OF_BUDGETS], ids=["faults", "budgets"])
def test_one_cause_is_one_notice(
    causes: dict[str, tuple[str, ...]], alertmanager: AlertmanagerServer, receivers: Receivers
) -> None:
    """Whoever hears of the cause does not hear of what follows from it."""
    following = [f"Tidegate{name}" for names in causes.values() for name in names]
    alertmanager.tell([LABELS[name] for name in (*causes, *following)])
    wait_for(lambda: heard(receivers) >= causes.keys(), "the notices of the causes")
    time.sleep(_QUIET_SECONDS)
    assert heard(receivers) == causes.keys()


@pytest.mark.system
def test_bad_records_that_somebody_acknowledged_still_mute_the_budgets(
    alertmanager: AlertmanagerServer, receivers: Receivers
) -> None:
    """Nobody is called for what is known already."""
    taken = {**LABELS["TidegateDeadLetters"], "acknowledged": "yes"}
    alertmanager.tell([taken, LABELS["TidegateCompletenessBudgetSale"]])
    alertmanager.tell([LABELS["TidegateNotReady"]])
    wait_for(lambda: receivers.of("platform-page"), "what has another cause")
    time.sleep(_QUIET_SECONDS)
    assert heard(receivers) == {"TidegateNotReady"}


@pytest.mark.system
def test_planned_campaign_silences_surges_and_nothing_else(
    alertmanager: AlertmanagerServer, receivers: Receivers
) -> None:
    """While it runs no surge is told; low cover is. The same silence once more is the same one."""
    now_ms = int(time.time() * 1000)
    line = CampaignPlanned(
        event_id="1",
        occurred_at=now_ms,
        sku="lamp",
        campaign_id="spring",
        starts_at=rfc3339(now_ms - 60_000),
        ends_at=rfc3339(now_ms + 600_000),
        expected_units=10,
    )
    client = Alertmanager(alertmanager.url)
    wished = campaign_silence("spring", [line], "ann")
    silence_id = client.silence(wished)
    assert client.silence(wished) == silence_id
    (silence,) = client.silences()
    assert silence["createdBy"] == "ann"
    alertmanager.tell([*item_surges(3), LABELS["TidegateLowCover"]])
    wait_for(lambda: receivers.of("warehouse"), "low cover is told")
    time.sleep(_QUIET_SECONDS)
    assert receivers.of("marketing") == []


@pytest.mark.system
def test_silence_that_is_refused_says_why(alertmanager: AlertmanagerServer) -> None:
    """Alertmanager's own words reach the person who asked."""
    over = Silence(
        [Matcher("alertname", SURGE_ALERTS, isRegex=True)],
        "2020-01-01T00:00:00Z",
        "2020-01-02T00:00:00Z",
        "ann",
        "campaign of last year",
    )
    with pytest.raises(AlertmanagerError, match="in the past"):
        Alertmanager(alertmanager.url).silence(over)


def test_alertmanager_that_is_away_is_named() -> None:
    """The address that was tried stands in the message."""
    with pytest.raises(AlertmanagerError, match=r"does not answer at http://127\.0\.0\.1:9"):
        Alertmanager("http://127.0.0.1:9").silences()
    with pytest.raises(ValueError, match="alertmanager must begin with"):
        Alertmanager("ftp://x")
