// Now: what a wall shows.

import { get } from "../api.js";
import { SalesChart } from "../sales_chart.js";
import { card, el, fill, setText } from "../dom.js";
import * as f from "../format.js";
import { itemsTable } from "./items.js";
import { decisionEntry } from "./decisions.js";
import { groupEntry } from "./incidents.js";

const ITEMS = 10;
const DECISIONS = 5;

export const title = "Now";
export const parts = ["items", "sales", "decisions", "incidents"];

export function mount(root, context) {
  const tiles = {
    units: tile("Units a minute"),
    lines: tile("Order lines a minute"),
    stock: tile("Next to run out", "#/items"),
    shipping: tile("Waiting to be shipped", "#/shipping"),
    incidents: tile("Open incidents", "#/incidents"),
  };
  const chart = new SalesChart(context);
  const items = itemsTable("Items that run out next", { short: true, empty: "No item with a stock count sells." });
  const incidents = el("ul", { class: "feed-list" });
  const decisions = el("ul", { class: "feed-list" });
  const all = (href, text) => el("a", { href }, text);
  fill(root,
    el("h1", { class: "visually-hidden" }, "The shop now"),
    el("div", { class: "tiles" }, Object.values(tiles).map((one) => one.element)),
    el("div", { class: "overview" },
      el("div", { class: "column" }, chart.card, card({ text: "Run out next", side: all("#/items", "all items") }, items.element)),
      el("div", { class: "column" },
        card({ text: "Incidents", side: all("#/incidents", "all incidents") }, incidents),
        card({ text: "Decisions", side: all("#/decisions", "all decisions") }, decisions))));

  async function refresh(changed) {
    const wants = (part) => changed === null || changed.has(part);
    const jobs = [];
    if (wants("items")) jobs.push(get("items", { limit: ITEMS }).then((found) => items.update(found.items.filter(runsOut), context)));
    if (wants("sales")) jobs.push(chart.refresh());
    if (wants("incidents")) jobs.push(get("incidents", { limit: 1 }).then((found) =>
      fill(incidents, found.groups.map((one) => groupEntry(one, context)), nothing(found.groups, "No incident is open."))));
    if (wants("decisions")) jobs.push(get("decisions", { limit: DECISIONS, only: "ordered" }).then((found) =>
      fill(decisions, found.decisions.map((one) => decisionEntry(one, context, true)), nothing(found.decisions, "Nothing was ordered yet. Decisions come at each item's review, once its stock was counted and a day of sales is known."))));
    await Promise.all(jobs);
    tellTiles();
  }

  function tellTiles() {
    const now = context.now;
    if (!now) return;
    tellRate(tiles.units, now.units, now);
    tellRate(tiles.lines, now.lines, now);
    tellStock(tiles.stock, now);
    tellShipping(tiles.shipping, now);
    tellIncidents(tiles.incidents, now);
  }

  return { refresh, tick: tellTiles, destroy: () => chart.destroy() };
}

/** Those that are out come first; what does not sell, or was never counted, does not run out. */
const runsOut = (one) => one.minutes_to_zero !== null || one.minutes_at_speed !== null;

const nothing = (list, text) => (list.length ? [] : [el("li", { class: "empty" }, text)]);

function tile(name, href) {
  const value = el("div", { class: "value" }, "–");
  const notes = el("div", {});
  const element = el(href ? "a" : "div", { class: "tile", href }, el("div", { class: "name" }, name), value, notes);
  return { element, value, notes, said: "" };
}

/** Notes are lists of words; those that stand in lists of their own are set strong. */
function tell(one, value, unit, tone, notes) {
  const said = JSON.stringify([value, unit, tone, notes]);
  if (said === one.said) return;
  one.said = said;
  one.value.className = `value ${tone}`;
  fill(one.value, value, unit ? el("span", { class: "unit" }, unit) : null);
  fill(one.notes, notes.map((words) => el("div", { class: "note" }, words.map((word) => (Array.isArray(word) ? el("b", { class: word[1] ?? "" }, word[0]) : word)))));
}

function tellRate(one, pace, now) {
  const isOld = now.feed === "no_data";
  const notes = isOld ? [["at ", [f.near(now.shop_ms, now.read_ms)], ", not now"]] : [];
  const versus = (name, other) => {
    if (other === null) return;
    const difference = f.against(pace.now, other);
    notes.push([`${name} `, [f.rate(other)], difference ? ` · ${difference}` : ""]);
  };
  versus("plan", pace.plan);
  versus("a week ago", pace.week_ago);
  if (pace.week_ago === null && pace.now !== null) notes.push(["a week ago: not known"]);
  notes.push(["this minute so far ", [f.count(pace.this_minute)]]);
  tell(one, f.rate(pace.now), null, isOld ? "muted" : "", notes.slice(0, 3));
}

/** Stock, backlog and incidents follow from what was decided; before the first time that is nothing. */
function tellUndecided(one, now) {
  tell(one, "–", null, "", [[now.clock === "empty" ? "nothing was read yet" : "nothing is decided yet"]]);
}

function tellStock(one, now) {
  if (now.decided_to_ms === null) return tellUndecided(one, now);
  const counts = ["out already: ", [f.count(now.items_out), now.items_out ? "bad" : ""], " · within a day: ", [f.count(now.items_out_within_day)]];
  const next = now.next_out;
  if (!next) return tell(one, "–", null, "", [["no item with a stock count sells"], counts]);
  return tell(one, f.span(next.minutes), null, next.minutes < 60 ? "warn" : "", [[[next.sku], ` in ${next.warehouse}`], counts]);
}

function tellShipping(one, now) {
  if (now.decided_to_ms === null) return tellUndecided(one, now);
  const age = now.oldest_unshipped_ms === null ? null : (now.shop_ms - now.oldest_unshipped_ms) / 60000;
  const notes = [age === null ? ["no order waits"] : ["oldest order waits ", [f.span(age)]]];
  return tell(one, f.count(now.backlog_units), "units", age !== null && age > 2880 ? "warn" : "", notes);
}

function tellIncidents(one, now) {
  if (now.decided_to_ms === null) return tellUndecided(one, now);
  const notes = [["not acknowledged: ", [f.count(now.unacknowledged)]], ["dead letters: ", [f.count(now.dead_letters)]], ...(now.late_records ? [["too late: ", [f.count(now.late_records)]]] : [])];
  tell(one, f.count(now.incidents), null, now.unacknowledged ? "warn" : "", notes);
}
