"""Writes the files that provision Grafana: `python -m grafana.build`; a test compares them.

Dashboards come from `grafana.boards`, the Grafana-managed alert rules from `rules/tidegate.yaml`.
"""

import json
import re
import sys
from pathlib import Path
from typing import Any

import yaml
from grafana_foundation_sdk.builders import common, dashboard, prometheus, stat, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common as common_models
from grafana_foundation_sdk.models import dashboard as models
from markdown_it import MarkdownIt

from grafana.boards import BOARDS
from grafana.metrics_table import metrics_table
from grafana.panels import GREEN, Answer, Board, Graph, Steps

HERE = Path(__file__).parent
RULES = HERE / "rules" / "tidegate.yaml"
ALERTING = HERE / "provisioning" / "alerting" / "tidegate.yaml"
TAG = "tidegate"
_DATA_SOURCE = models.DataSourceRef(type_val="prometheus", uid="${datasource}")
_COLUMNS, _ANSWER_HEIGHT, _GRAPH_HEIGHT = 24, 4, 8
PAGE_URL = "http://127.0.0.1:8080"  # of Compose; `python -m grafana.build URL` writes another
_ASKED_LINK = {
    name: re.compile(
        r"\{\{ with query [^}]*\}\}\{\{ label \"" + name + r"\" [^}]*\}\}\{\{ end \}\}"
    )
    for name in ("page_url", "grafana_url")
}
# PromQL rules return nothing while all is well, so no data is "OK" for every rule except these two,
# which must also fire when everything is down.
NO_DATA_FIRES = {"TidegateWatchdog", "TidegateDown"}


# --- dashboards -------------------------------------------------------------------------------


def dashboard_json(board: Board) -> str:
    """Return a dashboard as Grafana imports it."""
    built = _with_panels(_frame(board), board).build()
    return json.dumps(built, cls=JSONEncoder, indent=2, sort_keys=True) + "\n"


def _frame(board: Board) -> dashboard.Dashboard:
    return (
        dashboard.Dashboard(board.title)
        .uid(board.uid)
        .description(board.description)
        .tags([TAG])
        .timezone("browser")
        .refresh("10s")
        .time("now-3h", "now")
        .readonly()
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .with_variable(
            dashboard.DatasourceVariable("datasource").label("Prometheus").type("prometheus")
        )
        .with_variable(dashboard.TextBoxVariable("page").label("Live page").default_value(PAGE_URL))
        .link(
            dashboard.DashboardLink("Tidegate")
            .type(models.DashboardLinkType.DASHBOARDS)
            .tags([TAG])
            .as_dropdown(True)
            .keep_time(True)
        )
        .link(
            dashboard.DashboardLink("Live page")
            .type(models.DashboardLinkType.LINK)
            .url("${page}")
            .target_blank(True)
        )
        .annotation(
            _marks(
                "Incidents", "sum by (kind) (changes(tidegate_incidents_open[1m])) > 0", "orange"
            )
        )
        .annotation(_marks("Campaigns", "sum(changes(tidegate_campaign_items[1m])) > 0", "blue"))
    )


def _marks(name: str, query: str, colour: str) -> dashboard.AnnotationQuery:
    return (
        dashboard.AnnotationQuery()
        .name(name)
        .datasource(_DATA_SOURCE)
        .enable(True)
        .icon_color(colour)
        .expr(query)
    )


def _with_panels(built: dashboard.Dashboard, board: Board) -> dashboard.Dashboard:
    width = _COLUMNS // max(4, len(board.answers))
    for place, answer in enumerate(board.answers):
        built.with_panel(
            _answer(answer).grid_pos(_at(place * width, 0, width, _ANSWER_HEIGHT)).id(place + 1)
        )
    top, number = _ANSWER_HEIGHT, len(board.answers) + 1
    for title, graphs in board.causes.items():
        built.with_row(dashboard.Row(title).grid_pos(_at(0, top, _COLUMNS, 1)).id(number))
        top, number = top + 1, number + 1
        for place, graph in enumerate(graphs):
            corner = (place % 2 * 12, top + place // 2 * _GRAPH_HEIGHT)
            built.with_panel(_graph(graph).grid_pos(_at(*corner, 12, _GRAPH_HEIGHT)).id(number))
            number += 1
        top += (len(graphs) + 1) // 2 * _GRAPH_HEIGHT
    return built


def _at(x: int, y: int, width: int, height: int) -> models.GridPos:
    return models.GridPos(x=x, y=y, w=width, h=height)


def _answer(answer: Answer) -> stat.Panel:
    return (
        stat.Panel()
        .title(answer.question)
        .description(answer.explanation)
        .datasource(_DATA_SOURCE)
        .unit(answer.unit)
        .no_value(answer.empty)
        .thresholds(_thresholds(answer.steps))
        .color_mode(common_models.BigValueColorMode.VALUE)
        .graph_mode(common_models.BigValueGraphMode.AREA)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .with_target(_target("A", answer.query, ""))
    )


def _graph(graph: Graph) -> timeseries.Panel:
    panel = (
        timeseries.Panel()
        .title(graph.title)
        .description(graph.explanation)
        .datasource(_DATA_SOURCE)
        .unit(graph.unit)
        .min(0)
        .line_width(2)
        .fill_opacity(8)
        .no_value("no data")
        .show_points(common_models.VisibilityMode.NEVER)
        .legend(
            common.VizLegendOptions()
            .display_mode(common_models.LegendDisplayMode.LIST)
            .placement(common_models.LegendPlacement.BOTTOM)
        )
        .tooltip(common.VizTooltipOptions().mode(common_models.TooltipDisplayMode.MULTI))
    )
    for place, (legend, query) in enumerate(graph.queries.items()):
        panel.with_target(_target(chr(ord("A") + place), query, legend))
    if graph.item_link:
        labels = ("sku", "warehouse")
        asked = "&".join(f"{name}=${{__field.labels.{name}:percentencode}}" for name in labels)
        url = "${page}/#/item?" + asked
        panel.data_links(
            [dashboard.DashboardLink("Item's page").type(models.DashboardLinkType.LINK).url(url)]
        )
    return panel


def _target(ref: str, query: str, legend: str) -> prometheus.Dataquery:
    target = prometheus.Dataquery().ref_id(ref).expr(query).datasource(_DATA_SOURCE)
    return target.legend_format(legend) if legend else target


def _thresholds(steps: Steps) -> dashboard.ThresholdsConfig:
    chosen = [models.Threshold(value=None, color=GREEN)]
    chosen += [models.Threshold(value=float(value), color=colour) for value, colour in steps]
    return dashboard.ThresholdsConfig().mode(models.ThresholdsMode.ABSOLUTE).steps(chosen)


# --- alert rules ------------------------------------------------------------------------------


def alerting_yaml() -> str:
    """Return the Grafana-managed copy of the alert rules.

    Recorded series stay Prometheus's: the copy reads them.
    """
    groups = yaml.safe_load(RULES.read_text())["groups"]
    copies = [_group(group) for group in groups]
    note = "# Generated from rules/tidegate.yaml by `python -m grafana.build`; do not edit.\n"
    return note + yaml.safe_dump({"apiVersion": 1, "groups": copies}, sort_keys=False, width=100)


def _group(group: dict[str, Any]) -> dict[str, Any]:
    return {
        "orgId": 1,
        "name": group["name"],
        "folder": "Tidegate",
        "interval": group["interval"],
        "rules": [_rule(rule) for rule in group["rules"] if "alert" in rule],
    }


def _rule(rule: dict[str, Any]) -> dict[str, Any]:
    fires = rule["alert"] in NO_DATA_FIRES
    return {
        "uid": f"tidegate-{rule['alert'].removeprefix('Tidegate').lower()}",
        "title": rule["alert"],
        "condition": "B",
        "for": rule.get("for", "0s"),
        "noDataState": "Alerting" if fires else "OK",
        "execErrState": "Error",
        "labels": rule["labels"],
        "annotations": {name: _grafana_template(t) for name, t in rule["annotations"].items()},
        "data": [_query(rule["expr"]), _is_there()],
    }


def _grafana_template(text: str) -> str:
    """Prometheus's `$value` is the value of the query A in Grafana, whose texts ask nothing."""
    text = text.replace("$value", "$values.A.Value")
    text = _ASKED_LINK["page_url"].sub(PAGE_URL, text)
    return _ASKED_LINK["grafana_url"].sub("{{ externalURL }}", text)


def _query(expression: str) -> dict[str, Any]:
    model = {"refId": "A", "expr": expression.strip(), "instant": True, "range": False}
    return {
        "refId": "A",
        "relativeTimeRange": {"from": 600, "to": 0},
        "datasourceUid": "prometheus",
        "model": model,
    }


def _is_there() -> dict[str, Any]:
    """A PromQL rule fires where it returns anything: the value itself means nothing."""
    model = {
        "refId": "B",
        "type": "math",
        "expression": "is_number($A) || is_nan($A) || is_inf($A)",
        "datasource": {"type": "__expr__", "uid": "__expr__"},
    }
    return {"refId": "B", "datasourceUid": "__expr__", "model": model}


# --- runbooks ---------------------------------------------------------------------------------

PAGES = HERE.parent / "infra" / "page" / "static" / "runbooks"
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{name} · Tidegate</title>
<link rel="stylesheet" href="/static/style.css">
</head>
<body>
<main>
<p><a href="/">Tidegate</a> · <a href="/#/incidents">Incidents</a></p>
<article class="card runbook">
{text}</article>
</main>
</body>
</html>
"""


def runbook_page(name: str, text: str) -> str:
    """Return a runbook as the page serves it: it has to be readable where only a browser is."""
    return _PAGE.format(name=name, text=MarkdownIt("commonmark", {"html": False}).render(text))


# --- writing ----------------------------------------------------------------------------------


def files() -> dict[Path, str]:
    """Return everything that is generated: path -> text."""
    boards = {HERE / "dashboards" / f"{board.name}.json": dashboard_json(board) for board in BOARDS}
    pages = {
        PAGES / f"{name}.html": runbook_page(name, path.read_text())
        for path in sorted((HERE / "runbooks").glob("*.md"))
        for name in [path.stem]
    }
    return {**boards, **pages, ALERTING: alerting_yaml(), HERE / "METRICS.md": metrics_table()}


if __name__ == "__main__":
    PAGE_URL = sys.argv[1].rstrip("/") if sys.argv[1:] else PAGE_URL
    PAGES.mkdir(exist_ok=True)
    for path, text in files().items():
        path.write_text(text)
        print(f"wrote {path.relative_to(HERE.parent)}")
