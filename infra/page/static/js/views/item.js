// One item: demand with its estimate, the stock as it will be, orders, and why the last decision is so.

import { ApiError, get } from "../api.js";
import { Chart } from "../chart.js";
import { card, el, fill, Table } from "../dom.js";
import * as f from "../format.js";
import { ordered } from "./decisions.js";
import { orderButtons, waitsFor } from "./orders.js";
import { incidentEntry } from "./incidents.js";
import { itemLink, promise } from "./items.js";

export const title = "Item";
export const parts = ["items", "decisions", "incidents"];

const SPLITS = { nothing: "Order nothing", lean_only: "Lean only", flexible_only: "Flexible only", both: "Both" };
const DAY_MS = 864e5;
const DAYS = [1, 2, 7, 14, 28].map((days) => days * 86_400);

export function mount(root, context) {
  const charts = { stock: stockChart(), demand: demandChart() };
  const places = Object.fromEntries(["head", "facts", "stock", "demand", "orders", "why", "incidents"].map((name) => [name, el("div")]));
  const orders = ordersTable(context);
  const costs = costsTable();
  fill(places.stock, charts.stock.element);
  fill(places.demand, charts.demand.element);
  fill(root,
    places.head,
    places.incidents,
    el("div", { class: "overview" }, card({ text: "Projected stock", side: el("span", { class: "muted" }, "if demand stays as estimated") }, places.stock), card("Stock and supply", places.facts)),
    el("div", { class: "overview" }, card({ text: "Demand, units a day", side: el("span", { class: "muted" }, "days of the shop, UTC") }, places.demand), card("On order", orders.element)),
    card("Why the newest decision", places.why));

  async function refresh() {
    let found;
    try {
      found = await get("item", context.query);
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 404) throw error;
      fill(root, card({ text: "No such item", level: "h1" }, el("p", {}, `The shop has no item ${context.query.sku}. `, el("a", { href: "#/items" }, "All items"))));
      return;
    }
    const shopMs = context.now?.shop_ms;
    document.title = `${found.item.sku} · Tidegate`;
    fill(places.head, heading(found));
    fill(places.incidents, found.incidents.length ? card("Incidents", el("ul", { class: "feed-list" }, found.incidents.map((one) => incidentEntry(one, context)))) : []);
    fill(places.facts, facts(found, shopMs));
    tellStock(charts.stock, places.stock, found);
    tellDemand(charts.demand, places.demand, found);
    orders.update(await withHolds(found.orders));
    fill(places.why, why(found, context, costs));
  }

  return { refresh, destroy: () => Object.values(charts).forEach((chart) => chart.destroy()) };
}

function heading(found) {
  const others = found.others.flatMap((warehouse) => [" ", el("a", { href: itemLink(found.item.sku, warehouse) }, warehouse)]);
  return el("div", { class: "bar" },
    el("h1", {}, found.item.sku, el("span", { class: "muted" }, ` in ${found.item.warehouse}`)),
    others.length ? el("span", { class: "muted" }, "also in", others) : null,
    el("span", { class: "grow" }),
    el("span", { class: "muted" }, found.as_of_ms === null ? "" : `decided up to ${f.dateTime(found.as_of_ms)}`));
}

function facts(found, shopMs) {
  const one = found.item;
  const minutes = one.minutes_to_zero;
  const rows = [
    ["Runs out in", minutes === null ? "–" : minutes <= 0 ? "out now" : f.span(minutes)],
    ["Speed", `${f.rate(one.speed_units_per_hour)} units an hour (${one.speed_basis === "last_hour" ? "the last hour" : "estimate"}); sold in the last hour: ${f.count(one.sold_last_hour_units)}`],
    ["On hand", found.on_hand_units === null ? "never counted" : found.on_hand_units < 0 ? el("span", { class: "bad" }, `0 units: count this. By the record ${f.count(found.on_hand_units)}, because more left than was counted at ${f.near(found.counted_ms, shopMs)}`) : `${f.count(found.on_hand_units)} units, counted ${f.near(found.counted_ms, shopMs)}`],
    ["Customers wait for", `${f.count(one.backlog_units)} units`],
    ["On order", one.on_order_units ? `${f.count(one.on_order_units)} units, next ${f.near(one.next_arrival_ms, shopMs)}` : "nothing"],
    ["Promise", promise(one, shopMs)],
    ["Demand", found.estimate === null ? "not known: no day has closed since the first sale" : `${f.rate(found.estimate.level)} units a day; nine days of ten between ${f.count(found.estimate.low)} and ${f.count(found.estimate.high)}; learned from ${f.count(found.estimate.observed_days)} days`],
    ["Next review", found.next_review_ms === null ? (found.is_in_catalog ? "–" : "none: not in the catalog") : f.near(found.next_review_ms, shopMs)],
  ];
  return el("dl", { class: "facts" }, rows.flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]));
}

// --- pictures ---

function stockChart() {
  return new Chart({
    label: "Projected stock with arrivals",
    height: 240,
    floor: false,
    zeroLine: true,
    axis: { x: f.shortDate, table: f.dateTime, last: "at the end,", steps: DAYS },
    series: [
      { name: "expected", ink: "--now", format: f.count },
      { name: "at most", ink: "--now", hidden: true, band: "high", format: f.count },
      { name: "at least", ink: "--now", hidden: true, band: "low", format: f.count },
    ],
  });
}

function tellStock(chart, place, found) {
  if (!found.projection.length) {
    fill(place, el("p", { class: "empty" }, found.on_hand_units === null ? "The stock was never counted: there is nothing to project." : "Demand is not known yet: no day has closed since the first sale."));
    return;
  }
  if (!place.contains(chart.element)) fill(place, chart.element);
  const projection = found.projection;
  chart.update(projection.map((one) => one.at_ms), projection.map((one) => one.units), projection.map((one) => one.high), projection.map((one) => one.low));
}

function demandChart() {
  return new Chart({
    label: "Units sold a day with the estimate",
    height: 240,
    axis: { x: f.shortDate, table: (ms) => new Date(ms).toISOString().slice(0, 10), steps: DAYS, margin: 43_200 },
    series: [
      { name: "sold", ink: "--now", bars: true, area: true, width: 1.5, format: f.count },
      { name: "estimate", ink: "--plan", dash: [7, 5], width: 2, format: f.rate },
      { name: "nine of ten below", ink: "--plan", hidden: true, band: "high", format: f.rate },
      { name: "and above", ink: "--plan", hidden: true, band: "low", format: f.rate },
    ],
  });
}

function tellDemand(chart, place, found) {
  if (!found.days.length) {
    fill(place, el("p", { class: "empty" }, "Nothing was sold in the days that are kept."));
    return;
  }
  if (!place.contains(chart.element)) fill(place, chart.element);
  const sold = new Map(found.days.map((day) => [Date.parse(`${day.day}T00:00:00Z`), day.units]));
  const times = [];
  const last = Math.max(...sold.keys());
  for (let ms = Math.min(...sold.keys()); ms <= last; ms += DAY_MS) times.push(ms);
  const level = (name) => times.map(() => found.estimate?.[name] ?? null);
  chart.update(times, times.map((ms) => sold.get(ms) ?? 0), level("level"), level("high"), level("low"));
}

// --- tables ---

/** Return orders with why each has not left; the dialog says whether the supplier knows of it. */
async function withHolds(orders) {
  if (!orders.length) return orders;
  const found = await get("purchase-orders");
  const known = new Map(found.orders.map((one) => [one.po_id, one]));
  return orders.map((one) => ({ ...one, hold: known.get(one.po_id)?.hold ?? null, answer: known.get(one.po_id)?.answer ?? null, answer_quantity: known.get(one.po_id)?.answer_quantity }));
}

function ordersTable(context) {
  const shopMs = () => context.now?.shop_ms;
  return new Table({
    caption: "Open purchase orders",
    key: (one) => one.po_id,
    empty: "Nothing is on order.",
    columns: [
      { title: "Order", class: "name", cell: (one) => ({ text: `${f.count(one.outstanding)} of ${f.count(one.quantity)}`, sub: one.po_id, tags: one.is_late ? [{ text: "late", class: "bad" }] : [] }) },
      { title: "From", cell: (one) => ({ text: one.supplier, sub: [one.supplier === one.role ? "" : one.role, f.words(one.state), one.hold ? `waits for ${waitsFor(one).text}` : ""].filter(Boolean).join(", ") }) },
      { title: "Due", number: true, cell: (one) => f.near(one.due_ms, shopMs()) },
      { title: "", label: "Your word", cell: (one) => ({ as: `${one.po_id} ${one.hold} ${one.answer} ${one.state} ${one.quantity}`, node: () => orderButtons({ ...one, sku: context.query.sku }, context) }) },
    ],
  });
}

function costsTable() {
  return new Table({
    caption: "The possible splits, and their expected cost compared with the chosen one",
    key: (one) => one.split,
    empty: "No split was computed.",
    columns: [
      { title: "Split", class: "name", cell: (one) => ({ text: SPLITS[one.split], tags: one.is_chosen ? [{ text: "chosen" }] : [] }) },
      { title: "Expected cost", number: true, cell: (one) => (one.is_chosen ? "–" : one.more_than_chosen === null ? "ruled out" : f.money(one.more_than_chosen, one.currency)) },
    ],
  });
}

function why(found, context, costs) {
  const explanation = found.explanation;
  if (explanation === null) return el("p", { class: "empty" }, found.is_in_catalog ? "Not reviewed yet; the next review decides." : "Never reviewed: it has no catalog line with its costs and suppliers.");
  costs.update(explanation.decision.splits.map((one) => ({ ...one, currency: explanation.decision.currency })));
  return el("div", { class: "pair" },
    el("div", { class: "stack" },
      el("p", {}, el("b", {}, `${ordered(explanation.decision)[0].toUpperCase()}${ordered(explanation.decision).slice(1)}`), ` at ${f.dateTime(explanation.decision.decided_ms)}, ${explanation.decision.occasion} review. ${explanation.decision.reason_text}`),
      el("p", { class: explanation.is_same === false ? "bad" : "muted" }, explanation.again),
      explanation.decision.splits.some((one) => one.more_than_chosen !== null) ? costs.element : null),
    el("dl", { class: "facts" }, explanation.facts.flatMap((fact) => [el("dt", {}, fact.name), el("dd", {}, fact.value)])));
}

