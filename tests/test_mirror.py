"""Every module has a test of its own name in the mirrored folder, or a test that answers for it.

`streams/demand/estimate.py` has `tests/streams/demand/test_estimate.py`. `COVERS` is for modules
that are tested through others.
"""

import ast
import re
from collections.abc import Mapping
from functools import cache
from pathlib import PurePosixPath

import pytest

from tests.test_architecture import PACKAGES, Sources, imported, is_module, tree

# Test -> the modules that it covers beside the one that it is named for.
COVERS = {
    "tests/grafana/test_alertmanager.py": "infra.alertmanager infra.cli.campaign.silence",
    "tests/infra/campaigns/test_document.py": (
        "infra.campaigns.columns infra.campaigns.files infra.campaigns.times"
    ),
    "tests/infra/campaigns/test_routes.py": "infra.campaigns.record",
    "tests/infra/campaigns/test_versions.py": "infra.campaigns.lines",
    "tests/infra/cli/campaign/test_check.py": (
        "infra.campaigns.sending infra.cli.campaign.commands infra.cli.campaign.keeping "
        "infra.cli.campaign.target"
    ),
    "tests/infra/cli/campaign/test_running.py": "infra.campaigns.notices infra.campaigns.running",
    "tests/infra/cli/test_cli.py": (
        "infra.cli.app infra.cli.explain infra.cli.settings "
        "infra.cli.terminal.failures infra.cli.terminal.options infra.cli.terminal.output "
        "infra.cli.terminal.wait infra.cli.worker infra.wording.codes infra.wording.format "
        "infra.wording.orders"
    ),
    "tests/infra/cli/studies/test_item.py": "infra.cli.studies.item_plot",
    "tests/infra/cli/test_classic.py": "infra.cli.terminal.case_file",
    "tests/infra/cli/test_doctor.py": (
        "infra.cli.health.check infra.cli.health.kafka infra.cli.health.redis "
        "infra.cli.health.shards infra.cli.health.workers"
    ),
    "tests/infra/cli/test_dlt.py": "infra.cli.terminal.bad_records infra.wording.records",
    "tests/infra/cli/test_cli_live.py": (
        "infra.cli.export infra.cli.generate infra.cli.pause infra.cli.replay"
    ),
    "tests/infra/cli/test_cli_policy.py": (
        "infra.cli.simulate infra.cli.solve infra.cli.terminal.plotting infra.replay.demand_history"
    ),
    "tests/infra/cli/shop/test_findings.py": "infra.cli.shop.report_page",
    "tests/infra/cli/shop/test_try.py": "infra.cli.shop.shadow infra.cli.shop.try_",
    "tests/infra/cli/shop/test_imports.py": (
        "infra.cli.shop.asking infra.cli.shop.file_flags infra.cli.shop.file_report "
        "infra.cli.shop.template"
    ),
    "tests/infra/connect/shops/test_connectors.py": "infra.connect.shops.payloads",
    "tests/infra/connect/test_files.py": "infra.connect.encodings infra.connect.json_values",
    "tests/infra/connect/guessing/test_guess.py": (
        "infra.connect.guessing.answers infra.connect.guessing.headers "
        "infra.connect.guessing.sample infra.connect.guessing.styles infra.connect.intake"
    ),
    "tests/infra/connect/test_mapping.py": "infra.connect.mapped infra.connect.mapping_text",
    "tests/infra/receiver/test_run.py": (
        "infra.receiver.measures infra.receiver.pump infra.receiver.topics infra.receiver.webhooks"
    ),
    "tests/infra/cli/shop/test_connect.py": "infra.cli.shop.receiving",
    "tests/infra/connect/test_reading.py": "infra.connect.faults infra.connect.lines",
    "tests/infra/connect/test_templates.py": "infra.connect.presets",
    "tests/infra/deliver/test_courier.py": "infra.deliver.edi_files",
    "tests/infra/deliver/test_webhook.py": (
        "infra.deliver.messages infra.deliver.outcome infra.deliver.schedule"
    ),
    "tests/infra/metrics/test_worker.py": "infra.kafka.group_monitor infra.metrics.shop",
    "tests/infra/page/test_api.py": (
        "infra.page.hub infra.page.page infra.page.readers.item infra.page.routes "
        "infra.page.static_files infra.page.views.dead_letters infra.page.views.item "
        "infra.wording.decisions"
    ),
    "tests/infra/page/test_incident_kinds.py": (
        "infra.metrics.open_incidents streams.incidents.kinds"
    ),
    "tests/infra/page/readers/test_snapshot.py": (
        "infra.page.cursor infra.page.readers.decisions infra.page.readers.items "
        "infra.page.readers.items_cache infra.page.readers.pace infra.page.readers.totals "
        "infra.page.snapshot streams.worker.lag streams.worker.shared"
    ),
    "tests/infra/page/test_views.py": (
        "infra.page.contracts infra.page.views.decisions infra.page.views.incidents "
        "infra.page.views.items infra.page.views.now infra.page.views.projection "
        "infra.page.views.sales infra.page.views.sales_rate infra.page.views.shipping"
    ),
    "tests/infra/redis/test_reader.py": ("infra.kafka.topic_reader infra.redis.rows"),
    "tests/infra/redis/test_shard_store.py": (
        "infra.redis.commit_commands infra.redis.keys infra.redis.shard_reading infra.redis.wire"
    ),
    "tests/infra/redis/test_start_check.py": "infra.redis.memory infra.redis.tls_probe",
    "tests/infra/redis/state_files/test_restore.py": (
        "infra.cli.state infra.cli.terminal.progress infra.kafka.group_members "
        "infra.redis.state_files.export infra.redis.state_files.keys "
        "infra.redis.state_files.records"
    ),
    "tests/infra/redis/test_upgrades.py": (
        "infra.redis.codec infra.redis.shard_upgrade streams.shard.checkpoint"
    ),
    "tests/infra/replay/test_replay.py": (
        "infra.replay.faults infra.replay.line_source infra.replay.log_writer "
        "infra.replay.read_ahead"
    ),
    "tests/infra/replay/test_schemas.py": "infra.replay.uci_schema",
    "tests/infra/sale/test_sale.py": (
        "infra.sale.bad_records infra.sale.generate infra.sale.settings infra.sale.telling "
        "infra.sale.truth infra.sale.world"
    ),
    "tests/infra/test_asyncapi.py": (
        "infra.contract_files streams.contracts.alerts streams.contracts.fields "
        "streams.contracts.ids streams.contracts.purchase_orders streams.contracts.topics"
    ),
    "tests/infra/test_settings.py": "infra.redis.options streams.settings",
    "tests/policy/campaigns/test_check.py": (
        "policy.campaigns.actions policy.campaigns.capacity policy.campaigns.case "
        "policy.campaigns.money policy.campaigns.program policy.campaigns.reading "
        "policy.campaigns.reading_capacity policy.campaigns.reading_case "
        "policy.campaigns.supply"
    ),
    "tests/policy/campaigns/test_queue.py": (
        "policy.campaigns.budget policy.campaigns.figures policy.campaigns.release "
        "policy.campaigns.slip policy.campaigns.staff policy.campaigns.thresholds"
    ),
    "tests/policy/classic/cases/test_answer.py": (
        "policy.classic.cases.item_models policy.classic.cases.lot_models "
        "policy.classic.cases.models policy.classic.cases.stock_models"
    ),
    "tests/policy/dual/test_demand.py": "policy.solver.expected_loss",
    "tests/policy/dual/test_solve.py": (
        "policy.dual.evaluation policy.dual.problem policy.dual.terms policy.errors "
        "policy.solver.mixed_plan policy.solver.policy_improvement policy.solver.start_values"
    ),
    "tests/policy/dual_index/test_fit.py": "policy.dual_index.simulation policy.dual_index.table",
    "tests/policy/dual_index/test_projection.py": "policy.dual_index.rule",
    "tests/policy/joint/test_can_order.py": (
        "policy.joint.chain policy.joint.items policy.joint.optimum policy.joint.periodic "
        "policy.joint.simulation"
    ),
    "tests/policy/joint/test_cases.py": "policy.joint.models",
    "tests/policy/solver/test_item.py": (
        "policy.solver.columns policy.solver.demand_days policy.solver.lattice "
        "policy.solver.order_rules policy.solver.policy_evaluation policy.solver.review_tables "
        "policy.solver.service_multiplier policy.solver.target_chain policy.solver.terms"
    ),
    "tests/policy/sourcing/test_solve.py": (
        "policy.sourcing.demand policy.sourcing.exact policy.sourcing.model policy.sourcing.rules"
    ),
    "tests/policy/test_allocation.py": "policy.solver.shadow_prices",
    "tests/policy/test_live_decision.py": (
        "policy.codes policy.gap.rule policy.gap.simulation policy.parameters policy.policy_cache "
        "policy.record policy.review_inputs policy.solver.candidates policy.solver.read_policy "
        "policy.solver.reading_columns"
    ),
    "tests/policy/test_price_breaks.py": "policy.decisions policy.solver.break_orders",
    "tests/policy/studies/item/test_answer.py": (
        "policy.studies.item.result policy.studies.item.rule"
    ),
    "tests/streams/demand/test_exposure.py": "streams.detection.phantom_stock",
    "tests/streams/detection/test_surge.py": "streams.detection.factors",
    "tests/streams/groups/test_stage.py": (
        "streams.groups.members streams.groups.rows streams.groups.whole_incidents "
        "streams.timeline.group_facts"
    ),
    "tests/streams/handover/test_rules.py": "streams.handover.gate",
    "tests/streams/incidents/test_incidents.py": (
        "streams.detection.order_feed streams.incidents.figures streams.incidents.group_incidents "
        "streams.incidents.item_incidents "
        "streams.incidents.records streams.timeline.detectors"
    ),
    "tests/streams/ingest/test_decode.py": (
        "streams.contracts.event_times streams.contracts.events streams.contracts.integers"
    ),
    "tests/streams/ingest/test_order_scanner.py": (
        "streams.contracts.codes streams.ingest.byte_kernels streams.ingest.item_names "
        "streams.state.item_index"
    ),
    "tests/streams/replenishment/test_reviews.py": (
        "streams.replenishment.decision_record streams.replenishment.schedule "
        "streams.timeline.review_step"
    ),
    "tests/streams/shard/test_shard.py": (
        "streams.index_set streams.shard.folding streams.state.commit "
        "streams.state.items streams.state.open_orders streams.state.outbox "
        "streams.timeline.day_end streams.timeline.partition_state streams.timeline.timeline "
        "streams.types"
    ),
    "tests/streams/test_hashing.py": "streams.timestamps",
    "tests/streams/worker/test_order_release.py": "streams.contracts.outgoing",
    "tests/streams/worker/test_worker.py": ("streams.worker.ports streams.worker.shard_task"),
    "tests/streams/timeline/test_updates.py": ("streams.incidents.order_discrepancies"),
    "tests/system/test_control_log.py": "infra.control.log",
    "tests/system/test_credentials.py": ("infra.bootstrap infra.kafka.options streams.worker.app"),
    "tests/system/test_handover.py": "infra.cli.audit",
}
COVERED_BY = {module: test for test, modules in COVERS.items() for module in modules.split()}


def modules_of(sources: Sources) -> list[str]:
    """Dotted names of the modules that need a test.

    >>> modules_of({"infra/page/hub.py": "", "infra/page/__init__.py": "", "tests/oracle.py": ""})
    ['infra.page.hub']
    """
    paths = (PurePosixPath(path) for path in sources if is_module(path))
    return sorted(dotted(path) for path in paths if path.parts[0] in PACKAGES)


def dotted(path: PurePosixPath) -> str:
    return ".".join(path.with_suffix("").parts)


def own_test(module: str) -> str:
    """Return where the test of its own name is.

    >>> own_test("infra.page.hub")
    'tests/infra/page/test_hub.py'
    """
    *folder, name = module.split(".")
    return "/".join(("tests", *folder, f"test_{name}.py"))


def without_test(sources: Sources, covered_by: Mapping[str, str]) -> list[str]:
    """Modules that have neither a test of their own name nor a row."""
    return [
        f"{module} has no test: write {own_test(module)}, or add it to COVERS in"
        " tests/test_mirror.py, at the test that exercises it"
        for module in modules_of(sources)
        if own_test(module) not in sources and module not in covered_by
    ]


def wrong_rows(sources: Sources, covered_by: Mapping[str, str]) -> list[str]:
    """Rows that are not true, or no longer needed."""
    modules = set(modules_of(sources))
    complaints = []
    for module, test in covered_by.items():
        if module not in modules:
            complaints.append(f"{module} is gone: take it out of COVERS in tests/test_mirror.py")
        elif own_test(module) in sources:
            complaints.append(f"{module} has {own_test(module)}: take it out of COVERS")
        elif test not in sources:
            complaints.append(f"{test}, which should cover {module}, does not exist")
        elif module not in reached(sources, test):
            complaints.append(f"{test} does not reach {module}, which it should cover")
    return complaints


def reached(sources: Sources, test: str) -> set[str]:
    """Everything that a test imports or runs as a command, and what that imports."""
    seen: set[str] = set()
    waiting = [test]
    while waiting:
        path = waiting.pop()
        for name in (*imports_of(path, sources[path]), *commands_of(path, sources[path])):
            for path in (f"{name.replace('.', '/')}.py", f"{name.replace('.', '/')}/__init__.py"):
                if path in sources and name not in seen:
                    seen.add(name)
                    waiting.append(path)
    return seen


@cache
def imports_of(path: str, text: str) -> tuple[str, ...]:
    return tuple(imported(ast.parse(text), path))


def commands_of(path: str, text: str) -> list[str]:
    """Return the modules of commands, which the command line loads by their names.

    >>> commands_of("tests/test_a.py", 'run(["state", "export"])')
    ['infra.cli.state', 'infra.cli.export']
    """
    quoted = re.findall(r'"(\w+)"', text) if path.startswith("tests/") else []
    return [f"infra.cli.{name}" for name in quoted]


def test_every_module_has_a_test():
    """A new module brings a test of its name, or a row."""
    assert without_test(tree(), COVERED_BY) == []


@pytest.mark.slow
def test_every_row_is_true():
    """A test that is said to cover a module exists and reaches it."""
    assert wrong_rows(tree(), COVERED_BY) == []


def test_no_module_has_two_rows():
    """One test answers for a module."""
    rows = [module for modules in COVERS.values() for module in modules.split()]
    assert len(rows) == len(COVERED_BY)


def test_a_module_without_a_test_is_seen():
    """The complaint says where the test, or the row, belongs."""
    (complaint,) = without_test({"streams/demand/season.py": ""}, {})
    assert "tests/streams/demand/test_season.py" in complaint
    assert "tests/test_mirror.py" in complaint
    assert (
        without_test(
            {"streams/demand/season.py": "", "tests/streams/demand/test_season.py": ""}, {}
        )
        == []
    )


@pytest.mark.parametrize(
    ("sources", "complaint"),
    [
        ({}, "is gone"),
        ({"policy/a.py": ""}, "does not exist"),
        ({"policy/a.py": "", "tests/test_b.py": "import policy.b"}, "does not reach"),
        ({"policy/a.py": "", "tests/test_b.py": "", "tests/policy/test_a.py": ""}, "take it out"),
    ],
)
def test_a_row_that_is_not_true_is_seen(sources, complaint):
    """Modules and tests move; the rows follow."""
    (seen,) = wrong_rows(sources, {"policy.a": "tests/test_b.py"})
    assert complaint in seen


def test_a_test_may_reach_a_module_through_others():
    """What a module imports is reached by the tests of that module."""
    sources = {"policy/a.py": "", "policy/b.py": "from policy import a"}
    covered_by = {"policy.a": "tests/policy/test_b.py"}
    assert wrong_rows({**sources, "tests/policy/test_b.py": "import policy.b"}, covered_by) == []
