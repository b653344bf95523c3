"""Dashboards: generated, whole, and made of metrics that exist.

The rules of Grafana's dashboard-linter are kept here as tests, but for those that demand `job` and
`instance` in every query: our metrics carry our prefix, and answers are about the whole shop.
"""

import json
import re
import subprocess
import tomllib
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.version import Version

from grafana.boards import BOARDS
from grafana.build import NO_DATA_FIRES, files
from tests.grafana.test_rules import ROOT, RULES, alerts, rules, runbook_of
from tests.infra.metrics.test_worker import Worker, registry_of, run_of

GENERATED = sorted(files())
METRIC = re.compile(r"\b(?:tidegate|process)_[a-z_]+")
SDK = "grafana-foundation-sdk"
NEWEST_GRAFANA_OF_THE_SDK = (11, 6)  # later releases of the SDK name no Grafana version
NEWEST_SCHEMA_OF_GRAFANA = {(12, 1): 41}  # the `schemaVersion` that it migrates dashboards to
RECORDED = re.compile(r"\btidegate:[a-z_]+:[a-z0-9_]+")


def dashboards() -> list[dict[str, Any]]:
    """Every dashboard as Grafana reads it."""
    return [json.loads(path.read_text()) for path in GENERATED if path.suffix == ".json"]


def panels() -> list[dict[str, Any]]:
    """Every panel that shows something."""
    shown = [panel for board in dashboards() for panel in board["panels"]]
    return [panel for panel in shown if panel["type"] != "row"]


@pytest.fixture(scope="module")
def exposed() -> set[str]:
    """Every metric that a worker with a history exposes, with the series of histograms."""
    names = set()
    for family in registry_of(Worker(run_of(3))).collect():
        suffixes = {
            "counter": ("_total",),
            "histogram": ("_bucket", "_count", "_sum"),
        }.get(family.type, ("",))
        names |= {family.name + suffix for suffix in suffixes}
    return names


@pytest.mark.parametrize("path", GENERATED, ids=lambda path: path.name)
def test_committed_file_is_the_generated_one(path: Path) -> None:
    """What Grafana reads is what the code says: after a change, `python -m grafana.build`."""
    assert path.read_text() == files()[path]


def deployed_grafana() -> tuple[int, ...]:
    """Major and minor of the Grafana that Compose runs."""
    compose = yaml.safe_load((ROOT / "infra" / "deploy" / "compose.yaml").read_text())
    name, _, tag = compose["services"]["grafana"]["image"].partition(":")
    assert name == "grafana/grafana"
    return Version(tag).release[:2]


def pinned_sdk() -> Version:
    """The SDK of `pyproject.toml`; its release is the Grafana that it was generated for."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    pins = map(Requirement, project["optional-dependencies"]["dev"])
    (pin,) = (pin for pin in pins if pin.name == SDK)
    (only,) = pin.specifier
    assert only.operator == "=="
    return Version(only.version)


def test_sdk_is_the_one_for_the_deployed_grafana() -> None:
    """Same major and minor; where the SDK has no such build, the newest before it."""
    pinned = pinned_sdk()
    assert pinned.release[:2] == min(deployed_grafana(), NEWEST_GRAFANA_OF_THE_SDK)
    assert Version(version(SDK)) == pinned
    assert f"\n{SDK}=={pinned} " in (ROOT / "requirements-dev.lock").read_text()


def test_deployed_grafana_knows_the_schema_of_the_dashboards() -> None:
    """It would read a newer schema without knowing it; a new Grafana needs a line in the table."""
    newest = NEWEST_SCHEMA_OF_GRAFANA[deployed_grafana()]
    assert {board["schemaVersion"] for board in dashboards()} == {newest}


def test_no_dashboard_is_left_over() -> None:
    """Every file in the folder is generated, so that none is changed by hand."""
    there = set((ROOT / "grafana" / "dashboards").glob("*"))
    assert there == {path for path in GENERATED if path.suffix == ".json"}


def _queries() -> list[str]:
    shown = [query for board in BOARDS for query in board.queries()]
    marks = [mark["expr"] for board in dashboards() for mark in board["annotations"]["list"]]
    runbooks = [
        query
        for page in sorted((ROOT / "grafana" / "runbooks").glob("*.md"))
        for query in re.findall(r"```promql\n(.*?)\n```", page.read_text(), re.DOTALL)
    ]
    return [*shown, *marks, *runbooks, *(rule["expr"] for rule in rules())]


@pytest.mark.parametrize("query", sorted(set(_queries())))
def test_query_names_only_what_exists(query: str, exposed: set[str]) -> None:
    """A metric that was renamed would leave a panel, an alert or a runbook empty for ever."""
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    assert set(METRIC.findall(query)) <= exposed
    assert set(RECORDED.findall(query)) <= recorded


def parses(promtool: str, directory: Path, queries: list[str]) -> str:
    """Return what Prometheus' own parser says against queries; nothing where it takes them all.

    A rules file is the one form in which promtool parses queries without a server.
    """
    path = directory / "queries.json"
    rules = [
        {"record": f"query:{number}", "expr": query.replace("$__rate_interval", "1m")}
        for number, query in enumerate(queries)
    ]
    path.write_text(json.dumps({"groups": [{"name": "queries", "rules": rules}]}))
    done = subprocess.run([promtool, "check", "rules", path], capture_output=True, text=True)
    return "" if done.returncode == 0 else done.stdout + done.stderr


def test_every_query_is_promql(promtool: str, tmp_path: Path) -> None:
    """Panels, annotations, rules and runbooks: Grafana shows a fault for what does not parse."""
    assert parses(promtool, tmp_path, sorted(set(_queries()))) == ""


def test_query_that_is_no_promql_is_found(promtool: str, tmp_path: Path) -> None:
    """The check above can fail: an offset stands behind a selector, not behind an expression."""
    assert "offset" in parses(promtool, tmp_path, ["(sum(rate(up[1m])) * 60) offset 1w"])


@pytest.mark.parametrize("board", dashboards(), ids=lambda board: board["uid"])
def test_dashboard_can_be_provisioned_anywhere(board: dict[str, Any]) -> None:
    """Its data source is chosen, it leads to the others and to the live page, and marks events."""
    names = {variable["name"]: variable["type"] for variable in board["templating"]["list"]}
    assert names["datasource"] == "datasource"
    assert board["description"].endswith(".")
    assert board["tags"] == ["tidegate"]
    assert {link["title"] for link in board["links"]} == {"Tidegate", "Live page"}
    assert {mark["name"] for mark in board["annotations"]["list"]} == {"Incidents", "Campaigns"}
    ids = [panel["id"] for panel in board["panels"]]
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("panel", panels(), ids=lambda panel: panel["title"])
def test_panel_explains_itself(panel: dict[str, Any]) -> None:
    """Title, description, unit and data source; rates over the interval that Grafana chooses."""
    assert panel["title"]
    assert panel["description"].endswith(".")
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert panel["fieldConfig"]["defaults"]["noValue"]
    assert panel["datasource"]["uid"] == "${datasource}"
    for target in panel["targets"]:
        assert target["datasource"]["uid"] == "${datasource}"
        for window in re.findall(r"\brate\([^\[]*\[([^\]]+)\]", target["expr"]):
            assert window == "$__rate_interval"


def test_panels_do_not_overlap() -> None:
    """Each cell of the grid holds one panel."""
    for board in dashboards():
        taken: set[tuple[int, int]] = set()
        for panel in board["panels"]:
            place = panel["gridPos"]
            cells = {
                (x, y)
                for x in range(place["x"], place["x"] + place["w"])
                for y in range(place["y"], place["y"] + place["h"])
            }
            assert not taken & cells, f"{board['uid']}: {panel['title']}"
            assert max(x for x, _ in cells) < 24
            taken |= cells


def test_links_of_alerts_lead_somewhere() -> None:
    """The dashboard that an alert names exists."""
    boards = {f"/d/{board.uid}" for board in BOARDS}
    links = {alert["annotations"]["dashboard_url"].rpartition("}}")[2] for alert in alerts()}
    assert links <= boards


def test_grafana_managed_copy_agrees_with_the_rules() -> None:
    """Same names, expressions, times and labels; what absence means is chosen for each."""
    path = next(path for path in GENERATED if path.suffix == ".yaml")
    copies = [
        rule for group in yaml.safe_load(path.read_text())["groups"] for rule in group["rules"]
    ]
    assert [copy["title"] for copy in copies] == [alert["alert"] for alert in alerts()]
    for copy, alert in zip(copies, alerts(), strict=True):
        assert copy["data"][0]["model"]["expr"] == alert["expr"].strip()
        assert copy["for"] == alert.get("for", "0s")
        assert copy["labels"] == alert["labels"]
        assert copy["annotations"].keys() == alert["annotations"].keys()
        assert copy["noDataState"] == ("Alerting" if alert["alert"] in NO_DATA_FIRES else "OK")
        assert len(copy["uid"]) <= 40
    assert RULES.is_file()


@pytest.mark.parametrize("page", sorted((ROOT / "grafana" / "runbooks").glob("*.md")), ids=str)
def test_runbook_answers_the_five_questions(page: Path) -> None:
    """What it means, how to see it, what to do first, when to escalate, how to know it is over."""
    text = page.read_text()
    headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert headings == [
        "What it means",
        "How to see it",
        "What to do first",
        "When to escalate",
        "How to know that it is over",
    ]
    assert text.startswith(f"# {page.stem}\n")
    assert "```promql" in text


def test_table_of_metrics_is_whole(exposed: set[str]) -> None:
    """Every metric that a worker with a history exposes stands in the table, and no other."""
    text = (ROOT / "grafana" / "METRICS.md").read_text()
    listed = set(re.findall(r"^\| `(\w+)`", text, re.MULTILINE))
    assert listed == {re.sub(r"_(bucket|count|sum)$", "", name) for name in exposed}


def test_every_runbook_belongs_to_an_alert() -> None:
    """No page is left over."""
    named = {runbook_of(alert) for alert in alerts()}
    assert {page.stem for page in (ROOT / "grafana" / "runbooks").glob("*.md")} == named
