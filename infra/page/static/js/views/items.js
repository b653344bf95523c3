// Items, by default the one that runs out first on top.

import { get } from "../api.js";
import { Pager } from "../pager.js";
import { card, choice, el, fill, Table } from "../dom.js";
import * as f from "../format.js";

export const title = "Items";
export const parts = ["items"];

export const itemLink = (sku, warehouse) => `#/item?${new URLSearchParams({ sku, warehouse })}`;

const TAG_CLASS = { high: "bad", medium: "warn", low: "" };

export function itemsTable(caption, { short = false, empty = "No item matches." } = {}) {
  let shopMs = null;
  let decidedMs = null;
  const columns = [
    { title: "Item", class: "name", cell: (one) => ({ text: one.sku, href: itemLink(one.sku, one.warehouse), sub: one.warehouse, tags: one.incidents.map(({ label, severity }) => ({ text: label, class: TAG_CLASS[severity] })) }) },
    { title: "Runs out in", number: true, cell: runsOut },
    { title: "Units an hour", number: true, cell: (one) => ({ text: f.rate(one.speed_units_per_hour), sub: short ? null : basis(one), title: BASIS[one.speed_basis] }) },
    { title: "Available", number: true, cell: (one) => ({ text: f.count(one.available_units), class: one.available_units !== null && one.available_units <= 0 ? "bad" : "", title: one.available_units === null ? "never counted" : "on hand less what customers wait for; 0 if they wait for more" }) },
    { title: "On order", number: true, wide: true, cell: (one) => f.count(one.on_order_units) },
    { title: "Next arrival", number: true, wide: true, cell: (one) => arrival(one.next_arrival_ms, shopMs, decidedMs) },
    { title: "Promise", wide: true, cell: (one) => ({ text: promise(one, shopMs), class: one.promise === "no_date" ? "bad" : "" }) },
  ];
  const table = new Table({ columns, caption, key: (one) => `${one.sku}\u0000${one.warehouse}`, empty });
  return {
    element: table.element,
    update: (rows, context) => {
      shopMs = context.now?.shop_ms ?? null;
      decidedMs = context.now?.decided_to_ms ?? null;
      table.update(rows);
    },
  };
}

const BASIS = {
  last_hour: "sold in the last hour, clearly above the baseline",
  baseline: "estimated for this hour of the day, with the campaigns that run",
  unknown: "no day has closed yet",
};

function basis(one) {
  return one.speed_basis === "last_hour" ? "last hour" : null;
}

function runsOut(one) {
  const [minutes, hasty] = [one.minutes_to_zero, one.minutes_at_speed];
  if (minutes !== null && minutes <= 0) return { text: "out", class: "strong bad" };
  const least = Math.min(minutes ?? Infinity, hasty ?? Infinity);
  return {
    text: minutes === null ? "–" : f.span(minutes),
    sub: hasty !== null && hasty <= least ? `${f.span(hasty)} at this speed` : null,
    title: minutes !== null ? "at its current rate, by the hours of the week" : one.available_units === null ? "the stock was never counted" : "nothing sells by the estimate",
    class: least < 240 ? "strong warn" : least < 1440 ? "strong" : "",
  };
}

/** Overdue is what should have come before the time up to which arrivals are known. */
function arrival(ms, shopMs, decidedMs) {
  if (ms === null) return "–";
  const isLate = decidedMs !== null && ms < decidedMs;
  return { text: f.near(ms, shopMs), class: isLate ? "warn" : "", sub: isLate ? "overdue" : null };
}

export function promise(one, shopMs) {
  return { from_stock: "from stock", next_arrival: `from ${f.near(one.promise_ms, shopMs)}`, no_date: "no date", unknown: "–" }[one.promise];
}

export function mount(root, context) {
  const asked = { sort: "minutes_to_zero", only: "all", query: "", ...context.query };
  const table = itemsTable("Items");
  const search = el("input", { type: "search", id: "search", placeholder: "SKU, warehouse, category", value: asked.query, maxlength: "200" });
  const pager = new Pager(context, (offset) => refresh(null, offset));
  const sorts = el("select", { id: "sort" }, Object.entries({
    minutes_to_zero: "runs out first", speed: "sells fastest", stock: "least available", backlog: "most waiting", sku: "name",
  }).map(([value, text]) => el("option", { value, selected: value === asked.sort }, text)));
  fill(root, card({ text: "Items", level: "h1", side: el("span", { class: "muted" }, "updated as they sell") },
    el("div", { class: "bar" },
      el("label", { for: "search" }, "Find "), search,
      choice("Which items", { all: "all", incidents: "with incidents", out: "out of stock" }, asked.only, (only) => ask({ only })),
      el("span", { class: "grow" }),
      el("span", { class: "labelled" }, el("label", { for: "sort" }, "Sort by "), sorts)),
    table.element, pager.element));
  let waiting = 0;
  search.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => ask({ query: search.value.trim() }), 200);
  });
  sorts.addEventListener("change", () => ask({ sort: sorts.value }));

  function ask(change) {
    Object.assign(asked, change);
    context.note({ sort: asked.sort, only: asked.only, query: asked.query });
    refresh(null, 0).catch(context.failed);
  }

  async function refresh(_, offset = pager.offset) {
    const found = await get("items", { sort: asked.sort, only: asked.only, query: asked.query, ...pager.query(offset) });
    pager.update(found);
    table.update(found.items, context);
  }

  return { refresh, destroy: () => clearTimeout(waiting) };
}
