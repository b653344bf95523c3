"""The dashboards: what each answers, with which query. `python -m grafana.build` writes them."""

from grafana.panels import BYTES, PER_SECOND, SECONDS, SHARE, UNITS, Answer, Board, Graph

_OPEN_SURGES = 'sum(tidegate_incidents_open{kind="surge"})'
_ORDERS_PER_MINUTE = "sum(rate(tidegate_orders_total[$__rate_interval])) * 60"
_ORDERS_PER_MINUTE_LAST_WEEK = "sum(rate(tidegate_orders_total[$__rate_interval] offset 1w)) * 60"
_BASELINE_PER_MINUTE = "sum(tidegate_expected_orders_per_day) / 1440"
_LAG = "max(tidegate_consumer_lag_seconds)"
_WATERMARK_DELAY = "time() - min(tidegate_watermark_timestamp_seconds)"
_NEWEST_ORDER_AGE = "time() - max(tidegate_newest_order_timestamp_seconds)"
_OLDEST_ORDER_AGE = "time() - min(tidegate_oldest_open_order_timestamp_seconds)"
_VISIBLE = "sum by (le) (rate(tidegate_record_visible_seconds_bucket[$__rate_interval]))"
_COMMIT = "sum by (le) (rate(tidegate_commit_duration_seconds_bucket[$__rate_interval]))"

OVERVIEW = Board(
    "overview",
    "Tidegate: on call",
    "Does it work, can its numbers be trusted, and does the shop need somebody now.",
    [
        Answer(
            "Workers ready",
            "Workers that own partitions and reach Redis. Fewer than you run: see the pipeline.",
            "sum(tidegate_ready)",
        ),
        Answer(
            "Behind Kafka",
            "Age of the newest record in Redis while others wait. Above a minute an alert fires.",
            _LAG,
            SECONDS,
            [(10, "orange"), (60, "red")],
        ),
        Answer(
            "Newest order",
            "Age of the newest order, by its own time. Old without lag: the order feed is down.",
            _NEWEST_ORDER_AGE,
            SECONDS,
        ),
        Answer(
            "Incidents not acknowledged",
            "Open incidents that nobody acknowledged. The live page gives an action for each.",
            'sum(tidegate_incidents_open{acknowledged="no"})',
            steps=[(1, "orange")],
        ),
        Answer(
            "Freshness misses",
            "Share of commits slower than 2 s in half an hour. The objective allows 0.5 %.",
            "tidegate:freshness_misses:ratio_rate30m",
            SHARE,
            [(0.005, "orange"), (0.01, "red")],
        ),
        Answer(
            "Records not counted",
            "Share of bad or too late records in half an hour. The objective allows 0.1 %.",
            "tidegate:uncounted_records:ratio_rate30m",
            SHARE,
            [(0.001, "orange"), (0.002, "red")],
        ),
    ],
    {
        "Why": [
            Graph(
                "Orders a minute",
                "Distinct orders of an item, against the baseline rate of all items.",
                {"now": _ORDERS_PER_MINUTE, "baseline": _BASELINE_PER_MINUTE},
            ),
            Graph(
                "Incidents by kind",
                "Open incidents, acknowledged or not. A surge of many items at once has one cause.",
                {"{{kind}}": "sum by (kind) (tidegate_incidents_open)"},
            ),
            Graph(
                "Firing alerts",
                "Alerts firing in Prometheus, by severity; the watchdog always fires.",
                {"{{severity}}": 'count by (severity) (ALERTS{alertname=~"Tidegate.*"})'},
            ),
            Graph(
                "Delays",
                "How far behind now: what is stored, and what is decided.",
                {"stored": _LAG, "decided": _WATERMARK_DELAY},
                SECONDS,
            ),
        ]
    },
)

LIVE_SALE = Board(
    "live-sale",
    "Tidegate: live sale",
    "For the people who run the sale: how fast it sells, what runs out, whether dispatch keeps up.",
    [
        Answer(
            "Orders a minute",
            "Distinct orders of an item, now.",
            _ORDERS_PER_MINUTE,
        ),
        Answer(
            "Times the baseline",
            "Orders now, against the baseline rate of all items spread evenly over the day.",
            f"{_ORDERS_PER_MINUTE} / ({_BASELINE_PER_MINUTE})",
            "none",
        ),
        Answer(
            "Items surging",
            "Items whose distinct orders come faster than their own rate and spread explain.",
            _OPEN_SURGES,
            steps=[(1, "orange"), (20, "red")],
        ),
        Answer(
            "Items short",
            "Items that run out before goods can arrive, at their baseline rate.",
            'sum(tidegate_incidents_open{kind="low_cover"})',
            steps=[(1, "orange")],
        ),
        Answer(
            "Backlog",
            "Units that customers ordered and that are not dispatched yet.",
            "sum(tidegate_backlog_units)",
            UNITS,
        ),
        Answer(
            "Oldest open order",
            "Age of the oldest order that is not dispatched. Above two days an alert fires.",
            _OLDEST_ORDER_AGE,
            SECONDS,
            [(86_400, "orange"), (172_800, "red")],
            "none open",
        ),
    ],
    {
        "Demand": [
            Graph(
                "Orders a minute against last week",
                "Compared with the same time a week ago.",
                {"now": _ORDERS_PER_MINUTE, "a week ago": _ORDERS_PER_MINUTE_LAST_WEEK},
            ),
            Graph(
                "Units a minute",
                "Units ordered. Many units in few orders mean bulk orders.",
                {"units": "sum(rate(tidegate_sold_units_total[$__rate_interval])) * 60"},
                UNITS,
            ),
        ],
        "Stock and dispatch": [
            Graph(
                "Items that run out first",
                "Time until the stock is gone at the baseline rate. A click opens the item's page.",
                {"{{sku}} {{warehouse}}": "bottomk(10, tidegate_item_cover_seconds)"},
                SECONDS,
                item_link=True,
            ),
            Graph(
                "Backlog",
                "Ordered and not dispatched. It should fall overnight.",
                {"units": "sum(tidegate_backlog_units)"},
                UNITS,
            ),
        ],
    },
)

REPLENISHMENT = Board(
    "replenishment",
    "Tidegate: replenishment",
    "For buyers: what was decided, what is on its way, what cannot be decided and why.",
    [
        Answer(
            "Decisions in an hour",
            "Reviews of items, with or without an order.",
            "sum(increase(tidegate_reviews_total[1h]))",
        ),
        Answer(
            "Open purchase orders",
            "Proposed and not closed; all of them count as supply.",
            "sum(tidegate_open_purchase_orders)",
        ),
        Answer(
            "Units to come",
            "From both suppliers.",
            "sum(tidegate_on_order_units)",
            UNITS,
        ),
        Answer(
            "Items short",
            "Items that run out before goods can arrive.",
            'sum(tidegate_incidents_open{kind="low_cover"})',
            steps=[(1, "orange")],
        ),
        Answer(
            "Items without known stock",
            "Not ordered: their count is missing or too old. Count the shelf.",
            'sum(tidegate_incidents_open{kind="stale_stock"})',
            steps=[(1, "orange")],
        ),
        Answer(
            "Orders held",
            "Decided but not published: paused, capped, to be approved, or not trusted now.",
            "sum(tidegate_held_orders)",
            steps=[(1, "orange")],
        ),
    ],
    {
        "Decisions": [
            Graph(
                "Reviews",
                "Items are spread over their review period; a step means many came together.",
                {"an hour": "sum(increase(tidegate_reviews_total[1h]))"},
            ),
            Graph(
                "Supply by supplier",
                "Units still to come from the cheap slow and from the dear fast supplier.",
                {"{{supplier_role}}": "sum by (supplier_role) (tidegate_on_order_units)"},
                UNITS,
            ),
        ],
        "What delays orders": [
            Graph(
                "Orders held, by reason",
                "A reason ends with an approval, a resume, or data that is fresh again.",
                {"{{reason}}": "sum by (reason) (tidegate_held_orders)"},
            ),
            Graph(
                "Hand-over open",
                "Partitions whose orders may go out. Fewer than all: lag, Redis, clock or feed.",
                {"partitions": "sum(tidegate_handover_open)"},
            ),
            Graph(
                "Items that run out first",
                "Time until the stock is gone at the baseline rate. A click opens the item's page.",
                {"{{sku}} {{warehouse}}": "bottomk(10, tidegate_item_cover_seconds)"},
                SECONDS,
                item_link=True,
            ),
            Graph(
                "Sales of items that run short",
                "Their baseline demand of a day at lean unit cost. A rise by a fifth calls.",
                {"{{currency}}": "sum by (currency) (tidegate_short_sales_per_day)"},
                UNITS,
            ),
            Graph(
                "Items known",
                "Items seen in any topic, over all partitions.",
                {"items": "sum(tidegate_items)"},
            ),
        ],
    },
)

SUPPLIERS = Board(
    "suppliers",
    "Tidegate: suppliers",
    "For logistics: what each supplier has still to deliver, and what is late.",
    [
        Answer(
            "Late orders, lean",
            "Orders of the cheap slow supplier past their due date, without goods or a new date.",
            'sum(tidegate_late_purchase_orders{supplier_role="lean"})',
            steps=[(1, "orange"), (10, "red")],
        ),
        Answer(
            "Late orders, flexible",
            "Orders of the dear fast supplier past their due date.",
            'sum(tidegate_late_purchase_orders{supplier_role="flexible"})',
            steps=[(1, "orange"), (10, "red")],
        ),
        Answer(
            "To come, lean",
            "Units outstanding.",
            'sum(tidegate_on_order_units{supplier_role="lean"})',
            UNITS,
        ),
        Answer(
            "To come, flexible",
            "Units outstanding.",
            'sum(tidegate_on_order_units{supplier_role="flexible"})',
            UNITS,
        ),
    ],
    {
        "Over time": [
            Graph(
                "Late purchase orders",
                "Past their due date; an order that got a new date no longer counts.",
                {"{{supplier_role}}": "sum by (supplier_role) (tidegate_late_purchase_orders)"},
            ),
            Graph(
                "Units to come",
                "What each supplier has still to deliver.",
                {"{{supplier_role}}": "sum by (supplier_role) (tidegate_on_order_units)"},
                UNITS,
            ),
            Graph(
                "Shipment events",
                "Dispatches, arrivals and notices a second. Zero means that the feed is down.",
                {
                    "a second": "sum(rate(tidegate_records_total"
                    '{topic="shipments",outcome="folded"}[$__rate_interval]))'
                },
                PER_SECOND,
            ),
        ]
    },
)

PIPELINE = Board(
    "pipeline",
    "Tidegate: pipeline",
    "For platform engineers: from Kafka to Redis and out again.",
    [
        Answer(
            "Shards owned", "Partitions with a worker, over all workers.", "sum(tidegate_shards)"
        ),
        Answer(
            "Redis answers",
            "1 means that Redis answered every worker's last request.",
            "min(tidegate_redis_up)",
            steps=[(0, "red"), (1, "green")],
        ),
        Answer(
            "Records a second",
            "Read and folded, heartbeats left out.",
            'sum(rate(tidegate_records_total{outcome!~"heartbeat|folded_late"}[$__rate_interval]))',
            PER_SECOND,
        ),
        Answer(
            "Lag",
            "Records in Kafka that are not in Redis yet.",
            "sum(tidegate_consumer_lag_records)",
            UNITS,
        ),
        Answer(
            "Visible after, p99",
            "From written to Kafka until readable in Redis.",
            f"histogram_quantile(0.99, {_VISIBLE})",
            SECONDS,
            [(1, "orange"), (2, "red")],
        ),
        Answer(
            "Last commit",
            "Time since the last commit. Above some seconds during a sale: look at Redis.",
            "time() - max(tidegate_last_commit_timestamp_seconds)",
            SECONDS,
            [(30, "orange"), (120, "red")],
        ),
    ],
    {
        "Reading": [
            Graph(
                "Records by outcome",
                "What became of each record; each has exactly one outcome.",
                {
                    "{{outcome}}": "sum by (outcome) "
                    '(rate(tidegate_records_total{outcome!="folded_late"}[$__rate_interval]))'
                },
                PER_SECOND,
            ),
            Graph(
                "Lag by topic",
                "Records that wait. If all topics rise together, a worker is down.",
                {"{{topic}}": "sum by (topic) (tidegate_consumer_lag_records)"},
            ),
            Graph(
                "Age of the newest event",
                "By topic; heartbeats count. The oldest one limits the watermark.",
                {"{{topic}}": "time() - min by (topic) (tidegate_newest_event_timestamp_seconds)"},
                SECONDS,
            ),
            Graph(
                "Watermark delay",
                "How far decisions are behind now, by partition.",
                {
                    "{{partition}}": "time() - min by (partition) "
                    "(tidegate_watermark_timestamp_seconds)"
                },
                SECONDS,
            ),
        ],
        "Storing and writing": [
            Graph(
                "Commits",
                "From the start of a commit until Redis has answered.",
                {
                    "p50": f"histogram_quantile(0.5, {_COMMIT})",
                    "p99": f"histogram_quantile(0.99, {_COMMIT})",
                },
                SECONDS,
            ),
            Graph(
                "Visible after",
                "From written to Kafka until readable in Redis.",
                {
                    "p50": f"histogram_quantile(0.5, {_VISIBLE})",
                    "p99": f"histogram_quantile(0.99, {_VISIBLE})",
                },
                SECONDS,
            ),
            Graph(
                "Outbox and pending",
                "Stored but not in Kafka yet; read but not decided yet.",
                {
                    "outbox": "sum(tidegate_outbox_records)",
                    "pending": "sum(tidegate_pending_events)",
                },
            ),
            Graph(
                "Waits for Kafka",
                "How long the oldest record has waited that nothing holds. Above a minute an alert "
                "fires.",
                {"{{instance}}": "tidegate_oldest_unpublished_seconds"},
                SECONDS,
            ),
            Graph(
                "Memory of Redis",
                "Share of its limit; at 1 it refuses writes. 0 means that it has no limit.",
                {"used": "max(tidegate_redis_memory_used_ratio)"},
                SHARE,
            ),
            Graph(
                "Memory of workers",
                "Resident memory. It should rise with the number of items and then stay.",
                {"{{instance}}": "process_resident_memory_bytes"},
                BYTES,
            ),
            Graph(
                "Processor of workers",
                "Cores in use. A worker decides on one; near 1 for long: add workers.",
                {"{{instance}}": "rate(process_cpu_seconds_total[$__rate_interval])"},
            ),
            Graph(
                "Retries",
                "Times that something outside failed and was tried again.",
                {
                    "{{operation}}": "sum by (operation) "
                    "(rate(tidegate_retries_total[$__rate_interval]))"
                },
                PER_SECOND,
            ),
            Graph(
                "Memory of event ids",
                "How far back a duplicate is recognised, in event time, by topic.",
                {"{{topic}}": "min by (topic) (tidegate_dedupe_horizon_seconds)"},
                SECONDS,
            ),
            Graph(
                "Up for",
                "Time since each worker's start.",
                {"{{instance}}": "time() - tidegate_start_timestamp_seconds"},
                SECONDS,
            ),
            Graph(
                "Rebalances in an hour",
                "Partitions changed owner. Many: workers come and go, or miss their timeout.",
                {"{{instance}}": "sum by (instance) (increase(tidegate_rebalances_total[1h]))"},
            ),
        ],
    },
)

BOARDS = (OVERVIEW, LIVE_SALE, REPLENISHMENT, SUPPLIERS, PIPELINE)
