// Whether orders leave in time.

import { get } from "../api.js";
import { Pager } from "../pager.js";
import { SalesChart } from "../sales_chart.js";
import { card, el, fill, setText, Table } from "../dom.js";
import * as f from "../format.js";
import { itemLink } from "./items.js";

export const title = "Shipping";
export const parts = ["shipping", "sales"];

export function mount(root, context) {
  const chart = new SalesChart(context, { shipping: true });
  const facts = Object.fromEntries(["backlog", "oldest", "speed", "clear"].map((name) => [name, el("div", { class: "value" }, "–")]));
  const notes = Object.fromEntries(Object.keys(facts).map((name) => [name, el("div", { class: "note" })]));
  const names = { backlog: "Waiting to be shipped", oldest: "Oldest unshipped order", speed: "Shipped an hour", clear: "Backlog is gone in" };
  const shopMs = () => context.now?.shop_ms ?? null;
  const table = new Table({
    caption: "Items that customers wait for, the longest wait first",
    key: (one) => `${one.sku}\u0000${one.warehouse}`,
    empty: "No customer order waits.",
    columns: [
      { title: "Item", class: "name", cell: (one) => ({ text: one.sku, href: itemLink(one.sku, one.warehouse), sub: one.warehouse }) },
      { title: "Waiting", number: true, cell: (one) => f.count(one.backlog_units) },
      { title: "Oldest order", number: true, cell: (one) => ({ text: one.oldest_ms === null ? "–" : f.span((shopMs() - one.oldest_ms) / 60000), sub: one.oldest_ms === null ? null : `since ${f.near(one.oldest_ms, shopMs())}` }) },
      { title: "On hand", number: true, cell: (one) => (one.on_hand_units < 0 ? { text: "0", tags: [{ text: "count this", class: "bad" }], title: `by the record ${f.count(one.on_hand_units)}: more left than was counted` } : f.count(one.on_hand_units)) },
      { title: "Next arrival", number: true, cell: (one) => f.near(one.next_arrival_ms, shopMs()) },
    ],
  });
  const pager = new Pager(context, (offset) => refresh(null, offset));
  const untold = el("p", { class: "empty", hidden: true }, "This shop sends no shipment events. Sales leave the stock when they are placed, or wait for such events, as the catalog says.");
  fill(root,
    el("h1", { class: "visually-hidden" }, "Shipping"),
    untold,
    el("div", { class: "tiles few" }, Object.keys(facts).map((name) => el("div", { class: "tile" }, el("div", { class: "name" }, names[name]), facts[name], notes[name]))),
    chart.card,
    card("Customers wait for", table.element, pager.element));

  async function refresh(changed, offset = pager.offset) {
    const [found] = await Promise.all([get("shipping", pager.query(offset)), changed === null || changed.has("sales") ? chart.refresh() : null]);
    untold.hidden = found.has_dispatches;
    const age = found.oldest_unshipped_ms === null ? null : (shopMs() - found.oldest_unshipped_ms) / 60000;
    const show = (name, value, note) => {
      setText(facts[name], value);
      setText(notes[name], note);
    };
    show("backlog", f.count(found.backlog_units), `units of ${f.count(found.backlog_items)} items`);
    show("oldest", age === null ? "–" : f.span(age), age === null ? "no order waits" : `since ${f.near(found.oldest_unshipped_ms, shopMs())}: ${found.oldest_unshipped_sku}`);
    show("speed", f.count(found.dispatched_units_per_hour), `units in the last hour; ordered: ${f.count(found.ordered_units_per_hour)}`);
    show("clear", found.clear_minutes === null ? "never" : found.backlog_units ? f.span(found.clear_minutes) : "–", found.clear_minutes === null ? "at these speeds it does not shrink" : "if both speeds stay");
    facts.clear.className = `value ${found.clear_minutes === null && found.backlog_units ? "warn" : ""}`;
    pager.update(found);
    table.update(found.items);
  }

  return { refresh, destroy: () => chart.destroy() };
}
