"""Every alert rule, on the real promtool: it fires, it keeps silent, and it knows no data.

A case is what a scrape would bring over the minutes; promtool runs the rules over it. A rule
without its three cases fails the suite, and so does a case whose rule is gone.
"""

import json
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from streams.incidents.kinds import INCIDENT_KINDS, IncidentKind

ROOT = Path(__file__).parents[2]
RULES = ROOT / "grafana" / "rules" / "tidegate.yaml"
ALL_TEAMS = {"marketing", "warehouse", "logistics", "customer_service", "platform"}
SEVERITIES = {"page", "ticket", "info"}
LAYERS = {"demand", "pipeline", "objective", "watchdog"}

Series = dict[str, str]  # series -> promtool's notation of its values, one a step


@dataclass(frozen=True)
class Cases:
    """What lets a rule fire, what does not, and whether it fires where nothing is scraped."""

    fires: Series
    silent: Series
    after: str = "10m"
    step: str = "1m"
    fires_without_data: bool = False


def incidents(alert: str, values: str, acknowledged: str = "no") -> Series:
    """Open incidents of one kind, as a worker tells them: whether taken on or not."""
    name = f'tidegate_incidents_open{{kind="{alert}",acknowledged='
    other = {"no": "yes", "yes": "no"}[acknowledged]
    return {f'{name}"{acknowledged}"}}': values, f'{name}"{other}"}}': "0x60"}


def misses(bad: int, total: int) -> Series:
    """Commits a minute, and how many of them were slower than 2 s."""
    return {
        'tidegate_record_visible_seconds_bucket{le="2.0"}': f"0+{total - bad}x200",
        "tidegate_record_visible_seconds_count": f"0+{total}x200",
    }


def records(bad: int, total: int) -> Series:
    """Records a minute, and how many of them are dead letters; heartbeats do not count."""
    return {
        'tidegate_records_total{topic="orders",outcome="folded"}': f"0+{total - bad}x200",
        'tidegate_records_total{topic="orders",outcome="dead_lettered"}': f"0+{bad}x200",
        'tidegate_records_total{topic="orders",outcome="late"}': "0x200",
        'tidegate_records_total{topic="orders",outcome="heartbeat"}': "0+100000x200",
    }


def retention(margin: str, lag: str) -> Series:
    """Records that retention may delete before unread ones, and how many are unread."""
    place = 'instance="a",topic="orders",partition="1"'
    return {
        f"tidegate_log_margin_records{{{place}}}": margin,
        f"tidegate_consumer_lag_records{{{place}}}": lag,
        'tidegate_consumer_lag_seconds{instance="a",partition="1"}': "600x60",
    }


def short_sales(values: str) -> Series:
    """Sales of a day of items that run short, in one currency."""
    name = 'tidegate_short_sales_per_day{currency="EUR",acknowledged='
    return {f'{name}"no"}}': values, f'{name}"yes"}}': "0x60"}


CASES = {
    "TidegateBroadSurge": Cases(
        {**incidents("surge", "0x20"), **incidents("broad_surge", "1x20")},
        {**incidents("surge", "30x20"), **incidents("broad_surge", "0x20")},
    ),
    "TidegateItemSurge": Cases(incidents("surge", "1x20"), incidents("surge", "0x20")),
    "TidegatePlanShortfall": Cases(
        incidents("plan_shortfall", "3x20"), incidents("plan_shortfall", "3x3 0x20")
    ),
    "TidegatePhantomStock": Cases(
        incidents("phantom_stock", "2x60"), incidents("phantom_stock", "2x5 0x60"), after="30m"
    ),
    "TidegateLowCover": Cases(incidents("low_cover", "3x20"), incidents("low_cover", "3x3 0x20")),
    "TidegateLowCoverMoney": Cases(
        short_sales("100x30 130x30"),
        short_sales("100x30 110x30"),
        after="42m",
    ),
    "TidegateBacklogAge": Cases(
        {"tidegate_oldest_open_order_timestamp_seconds": "0x200"},
        {"tidegate_oldest_open_order_timestamp_seconds": "0+1800x200"},
        after="50h",
        step="30m",
    ),
    "TidegateLateSupplier": Cases(
        {'tidegate_late_purchase_orders{supplier_role="lean",acknowledged="no"}': "2x60"},
        {'tidegate_late_purchase_orders{supplier_role="lean",acknowledged="no"}': "0x60"},
        after="30m",
    ),
    "TidegateStockUnknown": Cases(
        incidents("stale_stock", "5x60"), incidents("stale_stock", "0x60"), after="30m"
    ),
    "TidegateWatchdog": Cases({}, {}, fires_without_data=True),
    "TidegateDown": Cases(
        {'up{job="tidegate",instance="a"}': "0x20"},
        {'up{job="tidegate",instance="a"}': "0x20", 'up{job="tidegate",instance="b"}': "1x20"},
        fires_without_data=True,
    ),
    "TidegateNotReady": Cases(
        {'tidegate_ready{instance="a"}': "0x20"}, {'tidegate_ready{instance="a"}': "0 1x20"}
    ),
    "TidegateRedisDown": Cases({"tidegate_redis_up": "1 0x20"}, {"tidegate_redis_up": "1x20"}),
    "TidegateConsumerLag": Cases(
        {'tidegate_consumer_lag_seconds{partition="1"}': "120x20"},
        {'tidegate_consumer_lag_seconds{partition="1"}': "0 90 0x20"},
    ),
    "TidegateWatermarkStuck": Cases(
        {'tidegate_watermark_timestamp_seconds{partition="1"}': "0x60"},
        {'tidegate_watermark_timestamp_seconds{partition="1"}': "0+60x60"},
        after="30m",
    ),
    "TidegateStaleInput": Cases(incidents("stale_input", "1x20"), incidents("stale_input", "0x20")),
    "TidegateDeadLetters": Cases(
        {
            'tidegate_records_total{topic="orders",outcome="dead_lettered"}': "0 0 3x20",
            **incidents("dead_letters", "1x20"),
        },
        {'tidegate_records_total{topic="orders",outcome="dead_lettered"}': "3x60"},
    ),
    "TidegateLogChanged": Cases(incidents("log_changed", "1x20"), incidents("log_changed", "0x20")),
    "TidegateRecordsLost": Cases(
        incidents("records_lost", "1x20"), incidents("records_lost", "0x20")
    ),
    "TidegateRetentionNear": Cases(
        retention("50000-1000x60", "9x60"), retention("50000x60", "9x60"), after="40m"
    ),
    "TidegateHandoverHeld": Cases(
        {'tidegate_held_orders{reason="paused"}': "2x60"},
        {'tidegate_held_orders{reason="paused"}': "2x5 0x60"},
        after="30m",
    ),
    "TidegateOutboxStuck": Cases(
        {"tidegate_outbox_records": "5000x60"},
        {"tidegate_outbox_records": "5000 5000 0 5000x60"},
        after="12m",
    ),
    "TidegateWorkerLost": Cases(
        {'up{job="tidegate",instance="a"}': "1x60", 'up{job="tidegate",instance="b"}': "1x9 0x50"},
        {'up{job="tidegate",instance="a"}': "1x60", 'up{job="tidegate",instance="b"}': "1x60"},
        after="30m",
    ),
    "TidegateRestartLoop": Cases(
        {'tidegate_start_timestamp_seconds{instance="a"}': "0x5 300x5 600x5 900x5"},
        {'tidegate_start_timestamp_seconds{instance="a"}': "0x5 300x15"},
        after="20m",
    ),
    "TidegateRedisMemory": Cases(
        {"tidegate_redis_memory_used_ratio": "0.85x60"},
        {"tidegate_redis_memory_used_ratio": "0.75x60"},
        after="30m",
    ),
    "TidegateRedisMemoryFull": Cases(
        {"tidegate_redis_memory_used_ratio": "0.97x60"},
        {"tidegate_redis_memory_used_ratio": "0.9x60"},
    ),
    "TidegateHandoverSlow": Cases(
        {"tidegate_oldest_unpublished_seconds": "0+60x60"},
        {"tidegate_oldest_unpublished_seconds": "0 60 0x60"},
    ),
    "TidegateOpenFiles": Cases(
        {
            'process_open_fds{job="tidegate"}': "900x60",
            'process_max_fds{job="tidegate"}': "1024x60",
        },
        {
            'process_open_fds{job="tidegate"}': "90x60",
            'process_max_fds{job="tidegate"}': "1024x60",
        },
        after="30m",
    ),
    "TidegateFreshnessBudgetSale": Cases(misses(5, 100), misses(0, 100), after="1h"),
    "TidegateFreshnessBudgetMonth": Cases(misses(1, 100), misses(1, 1000), after="90h", step="30m"),
    "TidegateCompletenessBudgetSale": Cases(records(5, 1000), records(1, 1000), after="1h"),
    "TidegateCompletenessBudgetMonth": Cases(
        records(2, 1000), records(0, 1000), after="90h", step="30m"
    ),
}


def rules() -> list[dict[str, Any]]:
    """Every rule of the file."""
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def alerts() -> list[dict[str, Any]]:
    """Every alert of the file."""
    return [rule for rule in rules() if "alert" in rule]


def promtool_test(
    name: str, series: Series, *, fires: bool, labels: str = 'acknowledged!="yes"'
) -> dict[str, Any]:
    """One unit test in promtool's own form: whether an alert with such labels fires."""
    shown = [{"series": key, "values": values} for key, values in series.items()]
    chosen = f'alertname="{name}",alertstate="firing",{labels}'
    firing = f"min(count(ALERTS{{{chosen}}}) or vector(0))"
    return {
        "interval": CASES[name].step,
        "input_series": shown,
        "promql_expr_test": [
            {
                "expr": f"{firing} > bool 0",
                "eval_time": CASES[name].after,
                "exp_samples": [{"labels": "{}", "value": int(fires)}],
            }
        ],
    }


def runbook_of(alert: dict[str, Any]) -> str:
    """The name of the runbook that an alert links to, as the page serves it."""
    path = alert["annotations"]["runbook_url"].rpartition("}}")[2]
    assert path.startswith("/static/runbooks/")
    return Path(path).stem


OF_INCIDENTS = re.compile(
    r"tidegate_incidents_open|tidegate_late_purchase_orders|tidegate_short_sales_per_day"
)


LABELS_OF = {alert["alert"]: alert["labels"] for alert in alerts()}


def of_incidents() -> list[str]:
    """The alerts that tell of incidents, which people take on."""
    return [alert["alert"] for alert in alerts() if OF_INCIDENTS.search(alert["expr"])]


@pytest.mark.parametrize("name", of_incidents())
def test_who_took_an_incident_on_is_not_called_again(
    name: str, promtool: str, tmp_path: Path
) -> None:
    """The same fault, taken on: what still fires says so, and Alertmanager sends it to nobody."""
    cases = CASES[name]
    taken = {swapped(key): values for key, values in cases.fires.items()}
    assert taken != cases.fires
    tests = [promtool_test(name, taken, fires=False)]
    if LABELS_OF[name].get("mutes") or name == "TidegateDeadLetters":
        tests.append(promtool_test(name, taken, fires=True, labels='acknowledged="yes"'))
    run_promtool(promtool, tmp_path, name, cases.step, tests)


def swapped(series: str) -> str:
    """The same series of incidents that somebody has taken on, or the other way round."""
    other = {"no": "yes", "yes": "no"}
    return re.sub(
        r'acknowledged="(\w+)"', lambda found: f'acknowledged="{other[found[1]]}"', series
    )


@pytest.mark.parametrize("name", CASES)
def test_alert_fires_keeps_silent_and_knows_no_data(
    name: str, promtool: str, tmp_path: Path
) -> None:
    """Three runs of promtool in one: the fault, no fault, and nothing scraped at all."""
    cases = CASES[name]
    tests = [
        promtool_test(name, cases.fires, fires=True),
        promtool_test(name, {}, fires=cases.fires_without_data),
    ]
    if name != "TidegateWatchdog":
        tests.append(promtool_test(name, cases.silent, fires=False))
    run_promtool(promtool, tmp_path, name, cases.step, tests)


LATER = {
    "one more item": ("TidegateLowCover", incidents("low_cover", "3x180 4x60"), "190m", True),
    "as many for hours": ("TidegateLowCover", incidents("low_cover", "3x240"), "190m", False),
    "a worker that was away": (
        "TidegateLowCover",
        incidents("low_cover", "3x180 1x5 3x60"),
        "200m",
        False,
    ),
    "a rise that fired before": (
        "TidegateLowCover",
        incidents("low_cover", "3x60 4x180"),
        "3h",
        False,
    ),
    "as much money for hours": ("TidegateLowCoverMoney", short_sales("100x240"), "3h", False),
    "the first money": ("TidegateLowCoverMoney", short_sales("0x180 100x60"), "190m", True),
    "a budget after minutes": ("TidegateCompletenessBudgetSale", records(50, 100), "15m", False),
    "a month after minutes": ("TidegateCompletenessBudgetMonth", records(50, 100), "3h", False),
    "commits after minutes": ("TidegateFreshnessBudgetSale", misses(50, 100), "15m", False),
    "a month of commits after hours": (
        "TidegateFreshnessBudgetMonth",
        misses(50, 100),
        "3h",
        False,
    ),
}


@pytest.mark.parametrize("what", LATER)
def test_alert_after_a_while(what: str, promtool: str, tmp_path: Path) -> None:
    """What lasts calls once, not for ever; a budget of hours is not judged after minutes."""
    name, series, after, fires = LATER[what]
    test = {**promtool_test(name, series, fires=fires), "interval": "1m"}
    test["promql_expr_test"][0]["eval_time"] = after
    run_promtool(promtool, tmp_path, name, "1m", [test])


TEXTS = {
    "TidegateItemSurge": (
        incidents("surge", "{}x60"),
        ("1 item sells much faster", "3 items sell much faster"),
    ),
    "TidegateLowCover": (
        incidents("low_cover", "{}x60"),
        ("1 item runs out before", "3 items run out before"),
    ),
    "TidegateStockUnknown": (
        incidents("stale_stock", "{}x60"),
        ("1 item is not ordered", "3 items are not ordered"),
    ),
    "TidegateHandoverHeld": (
        {'tidegate_held_orders{reason="paused"}': "{}x60"},
        ("1 purchase order waits for", "3 purchase orders wait for"),
    ),
    "TidegateDeadLetters": (
        {'tidegate_records_total{topic="orders",outcome="dead_lettered"}': "0x12 {}x60"},
        ("1 bad record on orders", "3 bad records on orders"),
    ),
}


@pytest.mark.parametrize("name", TEXTS)
def test_counts_are_whole_and_agree_with_their_noun(
    name: str, promtool: str, tmp_path: Path
) -> None:
    """As Prometheus writes them: promtool shows the texts of an alert that was not expected."""
    series, expected = TEXTS[name]
    for count, text in zip((1, 3), expected, strict=True):
        shown = [{"series": key, "values": one.format(count)} for key, one in series.items()]
        test = {
            "interval": "1m",
            "input_series": shown,
            "alert_rule_test": [{"alertname": name, "eval_time": "18m", "exp_alerts": []}],
        }
        path = tmp_path / "texts.json"
        path.write_text(json.dumps({"rule_files": [rules_of(name, tmp_path)], "tests": [test]}))
        done = subprocess.run(
            [promtool, "test", "rules", str(path)], capture_output=True, text=True
        )
        assert f'summary="{text}' in done.stdout + done.stderr


def test_links_are_those_that_people_reach(promtool: str, tmp_path: Path) -> None:
    """They begin with the addresses of the settings, also while no worker is up any more."""
    labels = 'page_url="https://tide.example",grafana_url="https://g.example"'
    series = {**incidents("surge", "0 0 1x60"), f"tidegate_links_info{{{labels}}}": "1x3"}
    shown = [{"series": key, "values": values} for key, values in series.items()]
    test = {
        "interval": "1m",
        "input_series": shown,
        "alert_rule_test": [
            {"alertname": "TidegateItemSurge", "eval_time": "50m", "exp_alerts": []}
        ],
    }
    path = tmp_path / "links.json"
    path.write_text(
        json.dumps({"rule_files": [rules_of("TidegateItemSurge", tmp_path)], "tests": [test]})
    )
    done = subprocess.run([promtool, "test", "rules", str(path)], capture_output=True, text=True)
    told = done.stdout + done.stderr
    assert 'runbook_url="https://tide.example/static/runbooks/TidegateItemSurge.html"' in told
    assert 'dashboard_url="https://g.example/d/tidegate-live-sale"' in told


@pytest.mark.parametrize("alert", alerts(), ids=lambda alert: alert["alert"])
def test_counts_have_no_fractions(alert: dict[str, Any]) -> None:
    """`humanize` writes 1.234k, and 3.158 of a rate: no count of things."""
    assert "humanize }}" not in alert["annotations"]["summary"]


def rules_of(name: str, tmp_path: Path) -> str:
    """A file with one alert and what is recorded for it: the others would be computed in vain."""
    groups = yaml.safe_load(RULES.read_text())["groups"]
    (expr,) = (alert["expr"] for alert in alerts() if alert["alert"] == name)
    for group in groups:
        group["rules"] = [
            rule
            for rule in group["rules"]
            if rule.get("alert") == name or rule.get("record", "none") in expr
        ]
    path = tmp_path / "rules.json"
    path.write_text(json.dumps({"groups": [group for group in groups if group["rules"]]}))
    return str(path)


def run_promtool(
    promtool: str, tmp_path: Path, name: str, step: str, tests: list[dict[str, Any]]
) -> None:
    """Run unit tests of one alert, and fail as promtool does."""
    path, rules_path = tmp_path / "test.json", rules_of(name, tmp_path)
    path.write_text(
        json.dumps({"rule_files": [rules_path], "evaluation_interval": step, "tests": tests})
    )
    done = subprocess.run([promtool, "test", "rules", str(path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_promtool_complains_of_a_wrong_expectation(promtool: str, tmp_path: Path) -> None:
    """The check above can fail: it is told that a surge does not fire, and objects."""
    cases = CASES["TidegateItemSurge"]
    wrong = promtool_test("TidegateItemSurge", cases.fires, fires=False)
    path = tmp_path / "test.json"
    path.write_text(
        json.dumps({"rule_files": [rules_of("TidegateItemSurge", tmp_path)], "tests": [wrong]})
    )
    done = subprocess.run([promtool, "test", "rules", str(path)], capture_output=True, text=True)
    assert done.returncode != 0


def test_every_alert_has_its_cases() -> None:
    """A new alert needs its three cases, a removed one leaves none behind."""
    assert {alert["alert"] for alert in alerts()} == CASES.keys()


def test_rules_are_whole(promtool: str) -> None:
    """Prometheus takes the file as it is."""
    subprocess.run([promtool, "check", "rules", str(RULES)], check=True, capture_output=True)


@pytest.mark.parametrize("alert", alerts(), ids=lambda alert: alert["alert"])
def test_alert_says_who_what_and_where_to_look(alert: dict[str, Any]) -> None:
    """Severity, team and layer from closed sets; summary, description, runbook and dashboard."""
    labels, annotations = alert["labels"], alert["annotations"]
    assert labels["severity"] in SEVERITIES
    assert labels["team"] in ALL_TEAMS
    assert labels["layer"] in LAYERS
    assert annotations["summary"]
    assert annotations["description"].endswith(".")
    assert (ROOT / "grafana" / "runbooks" / f"{runbook_of(alert)}.md").is_file()
    assert "/d/tidegate-" in annotations["dashboard_url"]


@pytest.mark.parametrize("row", INCIDENT_KINDS.values(), ids=lambda row: row.kind)
def test_a_kind_calls_its_team_by_its_rule_and_has_its_runbook(row: IncidentKind) -> None:
    """The rule that a kind names is there, for the same team, and no other rule asks for it."""
    asking = {
        alert["alert"]: alert["labels"]["team"]
        for alert in alerts()
        if f'kind="{row.kind}"' in alert["expr"] and "acknowledged=" not in alert["expr"]
    }
    if row.rule is None:
        assert asking == {}
        return
    (rule,) = [alert for alert in alerts() if alert["alert"] == row.rule]
    assert rule["labels"]["team"] == row.team
    assert asking in ({}, {row.rule: row.team})
    assert runbook_of(rule) == row.rule


@pytest.mark.parametrize(
    ("margin", "lag"),
    [("50000-1000x60", "0x60"), ("5000000-1000x60", "9x60"), ("100+500x60", "9x60")],
    ids=["all is read", "far away", "reading is faster"],
)
def test_retention_is_no_alert_while_it_cannot_reach_what_is_unread(
    margin: str, lag: str, promtool: str, tmp_path: Path
) -> None:
    """Deleting what was read is what retention is for."""
    test = promtool_test("TidegateRetentionNear", retention(margin, lag), fires=False)
    run_promtool(promtool, tmp_path, "TidegateRetentionNear", "1m", [test])
