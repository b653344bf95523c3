"""Mapping files: what they may say, and where a mistake is."""

from pathlib import Path

import pytest

from infra.connect.mapped import Mapper
from infra.connect.mapping import parse_mapping
from infra.connect.mapping_text import MappingError, mapping_text

GOOD = """source = "shop"

[read]
decimal = ","

[[emit]]
to = "orders"
kind = "placed"
when = 'channel != `"test"`'
each = "items[?article != 'SHIPPING']"

[emit.fields]
event_id = { join = ["o", "$.no", "/l", "@.pos"] }
order_id = "$.no"
sku = "@.article"
quantity = { path = "@.qty" }
price = { path = "@.cents", scale = 2 }
occurred_at = { path = "$.at", unit = "s" }
currency = { path = "$.cur", lookup = { E = "EUR", "*" = "USD" } }
warehouse = { const = "main" }
"""
ORDER = {
    **{"no": 7, "at": 1794355401, "cur": "E"},
    "items": [
        {"pos": 1, "article": "lamp", "qty": "3.0", "cents": 1250},
        {"pos": 2, "article": "SHIPPING", "qty": "1", "cents": 490},
    ],
}


def test_a_record_gives_an_event_for_each_line():
    """Conditions, lists, paths, constants, units, scales and tables of values."""
    mapper = Mapper(parse_mapping(GOOD.replace('decimal = ","', 'decimal = "."')))
    (made,) = mapper.make(ORDER)
    assert not made.faults
    assert made.fields == {
        **{"event_id": "o7/l1", "order_id": "7", "sku": "lamp", "quantity": 3, "price": 12.5},
        **{"occurred_at": 1794355401000, "currency": "EUR", "warehouse": "main"},
    }
    assert list(mapper.make({**ORDER, "channel": "test"})) == []


@pytest.mark.parametrize(
    ("old", "new", "line", "field"),
    [
        ('to = "orders"', 'to = "order"', 7, "to"),
        ('kind = "placed"', 'kind = "bought"', 8, "kind"),
        ("quantity = {", "quantty = {", 16, "quantty"),
        ('path = "@.qty"', 'pat = "@.qty"', 16, "quantity"),
        ('unit = "s"', 'unit = "h"', 18, "occurred_at"),
        ('sku = "@.article"\n', "", 12, "fields"),
        ('each = "items[?article', 'each = "items[?(article', 10, "each"),
        ('decimal = ","', 'decimal = ";"', 4, "decimal"),
        ('decimal = ","', 'timezone = "Mars"', 4, "timezone"),
        ('{ const = "main" }', '{ const = "main", path = "$.w" }', 20, "warehouse"),
        ('{ const = "main" }', "3", 20, "warehouse"),
    ],
)
def test_a_mistake_is_named_with_its_line_and_field(old, new, line, field):
    """Whoever writes a mapping by hand finds the mistake without searching."""
    with pytest.raises(MappingError) as error:
        parse_mapping(GOOD.replace(old, new), "shop.toml")
    assert f"shop.toml, line {line}: {field}" in str(error.value)


def test_what_is_no_toml_is_named_with_its_line():
    """The parser's own words name the line."""
    with pytest.raises(MappingError, match="line 2"):
        parse_mapping("source = 'a'\nread = = 1\n", "shop.toml")


def test_a_mapping_reads_back_as_it_was_written():
    """What was found out is saved, and is the same when it is used again."""
    mapping = parse_mapping(GOOD)
    assert parse_mapping(mapping_text(mapping.document, "a comment")).document == mapping.document


def test_products_are_made_of_fields_above_them():
    """A default that depends on another field is written in the mapping itself."""
    text = """[[emit]]
to = "catalog"
kind = "item"
[emit.fields]
sku = { column = "sku" }
_cost = { column = "cost", as = "number" }
_price = { column = "price", as = "number" }
_half = { times = ["_price", 0.5] }
unit_cost_lean = { either = ["_cost", "_half"] }
unit_cost_flexible = { times = ["unit_cost_lean", 1.3] }
lead_time_days_lean = { column = "days", empty = 7 }
lead_time_days_flexible = { const = 1 }
review_period_days = { const = 7 }
holding_cost_per_unit_day = { times = ["unit_cost_lean", 0.001] }
backorder_cost_per_unit_day = { times = ["holding_cost_per_unit_day", 19] }
"""
    mapper = Mapper(parse_mapping(text))
    (made,) = mapper.make({"sku": "a", "cost": "", "price": "10", "days": ""})
    assert made.fields["unit_cost_lean"] == 5
    assert made.fields["lead_time_days_lean"] == 7
    assert "_half" not in made.fields
    (made,) = mapper.make({"sku": "a", "cost": "4", "price": "10"})
    assert made.fields["unit_cost_flexible"] == pytest.approx(5.2)
    swapped = text.replace('["unit_cost_lean", 1.3]', '["holding_cost_per_unit_day", 1.3]')
    with pytest.raises(MappingError, match="line 10: unit_cost_flexible"):
        parse_mapping(swapped)


def test_mappings_of_the_readme_are_good(request):
    """Every example in the README is checked as a user's file would be."""
    readme = Path(request.config.rootpath, "infra/connect/README.md").read_text()
    blocks = [part.partition("```")[0] for part in readme.split("```toml\n")[1:]]
    mappings = [block for block in blocks if "[[emit]]" in block]
    assert len(mappings) >= 5
    for block in mappings:
        parse_mapping(block, "README.md")
