"""`tidegate campaign promises | advise | slip`: a campaign that runs."""

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from infra.campaigns.notices import append_notices, read_notices, read_orders
from infra.campaigns.running import advice_now, promises_now, slips_now
from infra.cli.campaign.target import moment_of, read_target
from infra.cli.terminal.options import NOT_GIVEN, Connection, Flag, Json
from infra.cli.terminal.output import heading, make_console, make_facts, make_table, note
from infra.wording.format import number, plain_time

Campaign = Annotated[str, Parameter(allow_leading_hyphen=True)]
With = Annotated[Path | None, Parameter(name="--with")]


def promises(
    campaign: Campaign,
    /,
    *,
    more: With = None,
    at: str | None = None,
    publish: Flag = False,
    as_json: Json = False,
    connection: Connection = NOT_GIVEN,
) -> None:
    """Say what may be sold now and from when on it ships: released units, presale, promise date.

    A line may have `waiting_units` (sold, not shipped), `sold_units` (of the campaign), `release`
    (batches with after_hours or at, and units or share; or units_per_hour) and
    `presale_limit_units`; see infra/campaigns/README.md.

    Args:
        campaign: a file, `-`, or the id of a campaign that the running installation knows.
        more: a file with fields that are added.
        at: the moment; by default now.
        publish: write each sku to the compacted topic promises, for the shop's page.
        as_json: one JSON object.
    """
    document = read_target(campaign, connection, more)
    found = promises_now(document, moment_of(at))
    if publish:
        count = asyncio.run(_publish(connection, found))
        note(f"published {count} promises")
    if as_json:
        print(json.dumps(found, ensure_ascii=False, indent=1))
        return
    console = make_console()
    console.print(heading(f"{found['campaign_id']}: promises at {plain_time(found['at'])}"))
    names = ("sellable_units", "presale_units", "waiting_units", "released_units")
    columns = [("sku", False), ("warehouse", False), ("ships by", False)]
    rows = [
        (one["sku"], one["warehouse"], one["promise_date"] or "nothing to sell",
         *(_number(one[name]) for name in names), _next(one))
        for one in found["lines"]
    ]  # fmt: skip
    console.print(
        make_table([*columns, *((_words(n), True) for n in names), ("next release", False)], rows)
    )


async def _publish(connection: Connection, found: Mapping[str, Any]) -> int:
    from infra.campaigns.sending import send_promises

    return await send_promises(connection.settings(), found)


def _next(one: Mapping[str, Any]) -> str:
    if one["next_release_at"] is None:
        return ""
    return f"{_number(one['next_release_units'])} at {plain_time(one['next_release_at'])}"


def advise(
    campaign: Campaign,
    /,
    *,
    more: With = None,
    at: str | None = None,
    as_json: Json = False,
    connection: Connection = NOT_GIVEN,
) -> None:
    """Say what to do now: limits that were reached, ad budget to move, staff, what costs most.

    `thresholds` are rules of people: metric (stock_units, cover_hours, units_per_hour,
    waiting_units by sku; waiting_orders, orders_per_hour, or one of `metrics`), below, above, sku.
    A value at its limit counts. `orders_by_hour` and `orders_per_staff_hour` give the staff.

    Args:
        campaign: a file, `-`, or the id of a campaign that the running installation knows.
        more: a file with fields that are added.
        at: the moment; by default now.
        as_json: one JSON object.
    """
    document = read_target(campaign, connection, more)
    found = advice_now(document, moment_of(at))
    if as_json:
        print(json.dumps(found, ensure_ascii=False, indent=1))
        return
    console = make_console()
    console.print(heading(f"{found['campaign_id']}: {found['hours_left']:g} hours left"))
    tables = {
        "advice": ("kind", "where", "why", "do", "lost_per_hour"),
        "thresholds": ("metric", "sku", "side", "limit", "value"),
        "budget_moves": ("from_sku", "to_sku", "amount", "from_cover_hours", "to_cover_hours"),
    }
    for name, columns in tables.items():
        rows = [tuple(_cell(one[column]) for column in columns) for one in found[name]]
        if rows:
            heads = [(_words(column), False) for column in columns]
            console.print(make_table(heads, rows, title=_words(name)))
    if found["staff"] is not None:
        by_hour = ", ".join(str(count) for count in found["staff"]["by_hour"])
        facts = [("staff by hour", by_hour), ("at a level", found["staff"]["level"])]
        console.print(make_facts(facts))
    if not any(found[name] for name in tables) and found["staff"] is None:
        console.print("nothing to do")


def slip(
    campaign: Campaign,
    /,
    *,
    orders: Path | None = None,
    notices: Path | None = None,
    more: With = None,
    at: str | None = None,
    as_json: Json = False,
    connection: Connection = NOT_GIVEN,
) -> None:
    """List the orders that will be late: new date, whom to tell, what it costs, calls to expect.

    With --notices each customer is written to once: who stands there with the same date, or a later
    one, is not added again.

    Args:
        campaign: a file, `-`, or the id of a campaign that the running installation knows.
        orders: a file of orders that wait, in the order of placing: order_id, sku, units,
            promised_at; by default `orders` of the campaign.
        notices: CSV to which the notices are appended, one for each order and date.
        more: a file with fields that are added.
        at: the moment; by default now.
        as_json: one JSON object.
    """
    document = dict(read_target(campaign, connection, more))
    if orders is not None:
        document["orders"] = read_orders(orders)
    if notices is not None:
        document["noticed"] = [*document.get("noticed", []), *read_notices(notices)]
    found = slips_now(document, moment_of(at))
    if notices is not None:
        note(f"added {append_notices(notices, found)} notices to {notices}")
    if as_json:
        print(json.dumps(found, ensure_ascii=False, indent=1))
        return
    console = make_console()
    text = f"{number(found['late_orders'])} of {number(found['waiting_orders'])} orders are late"
    console.print(heading(f"{found['campaign_id']}: {text}"))
    facts = [("to write to", number(len(found["notices"]))),
             ("compensation", _number(found["compensation_cost"])),
             ("calls to expect", _number(found["expected_calls"]))]  # fmt: skip
    console.print(make_facts(facts))
    names = ("order_id", "sku", "units", "promised_date", "new_date", "is_noticed")
    rows = [tuple(_cell(one[name]) for name in names) for one in found["late"]]
    console.print(make_table([(_words(name), name == "units") for name in names], rows))


def _words(name: str) -> str:
    return name.replace("_", " ")


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return _number(value) if isinstance(value, int | float) else str(value or "")


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return number(value) if float(value).is_integer() else f"{value:,.2f}"
