// Open incidents: one action each, who has to act, and whether somebody does.

import { get } from "../api.js";
import { Pager } from "../pager.js";
import { card, el, fill } from "../dom.js";
import * as f from "../format.js";
import { acknowledge } from "../operator.js";
import { itemLink } from "./items.js";

export const title = "Incidents";
export const parts = ["incidents"];

const SHOWN = {
  factor: (value) => `${f.rate(value)} times the baseline`,
  orders_today: (value) => `${f.count(value)} orders today`,
  baseline_orders_per_day: (value) => `baseline ${f.rate(value)} a day`,
  minutes_to_zero: (value) => (value ? `lasts ${f.span(value)}` : "nothing left"),
  available_units: (value) => `${f.count(value)} available`,
  outstanding_units: (value) => `${f.count(value)} units still to come`,
  silent_seconds: (value) => `silent for ${f.seconds(value)}`,
  dead_letters: (value) => `${f.count(value)} records`,
  supplier: (value) => `supplier ${value}`,
};

function figures(one) {
  const given = Object.entries(one.figures).filter(([name, value]) => name in SHOWN && value !== null);
  return given.length ? `when raised: ${given.map(([name, value]) => SHOWN[name](value)).join(" · ")}` : "";
}

const runbook = (one) => (one?.runbook ? [" · ", el("a", { href: one.runbook }, "runbook")] : []);

/** The order that an incident is about, behind its item. */
const order = (one) => (one.subject === `${one.sku}@${one.warehouse}` ? "" : `, ${one.subject}`);

export function incidentEntry(one, context) {
  const taken = one.acknowledged;
  const subject = one.sku === null ? f.subject(one.subject) : one.sku;
  const rest = one.sku === null ? "" : ` ${one.warehouse}${order(one)}`;
  return el("li", { class: `incident ${one.severity} ${taken ? "taken" : ""}` },
    el("div", { class: "line" },
      el("span", { class: "what" },
        one.sku === null ? subject : el("a", { href: itemLink(one.sku, one.warehouse) }, subject), rest,
        el("span", { class: `tag ${taken ? "" : one.severity === "high" ? "bad" : "warn"}` }, f.words(one.kind))),
      el("span", { class: "when" }, `since ${f.near(one.started_ms, context.now?.shop_ms)}`)),
    el("div", { class: "do" }, one.action),
    el("div", { class: "line" },
      el("span", { class: "more" }, [figures(one), `for ${one.team}`].filter(Boolean).join(" · "), runbook(one)),
      taken
        ? el("span", { class: "when" }, `acknowledged by ${taken.who} at ${f.time(taken.acknowledged_ms)}, until ${f.dateTime(taken.holds_until_ms)}`)
        : el("button", { type: "button", class: "small", "aria-label": `Acknowledge: ${one.summary}`, onclick: () => acknowledge(one, context) }, "Acknowledge")),
    taken?.note ? el("div", { class: "more" }, `${taken.who}: ${taken.note}`) : null);
}

/** All incidents of one kind: one line to act on. */
export function groupEntry(group, context) {
  const items = new Map(); // an item with several late orders is named once
  for (const one of group.newest) {
    const name = one.sku === null ? one.subject : `${one.sku}@${one.warehouse}`;
    items.set(name, [...(items.get(name) ?? []), one]);
  }
  const newest = [...items.values()].flatMap(([one, ...same]) => (one.sku === null ? [f.subject(one.subject), ", "] : [el("a", { href: itemLink(one.sku, one.warehouse) }, one.sku), ` ${one.warehouse}${same.length ? ` (${1 + same.length} of them)` : ""}, `]));
  newest.push(newest.pop().replace(/, $/, ""));
  const more = group.total - group.newest.length;
  return el("li", { class: `incident ${group.severity} ${group.unacknowledged ? "" : "taken"}` },
    el("div", { class: "line" },
      el("span", { class: "what" }, `${f.count(group.total)} × ${f.words(group.kind)}`, el("span", { class: "tag" }, group.team)),
      el("span", { class: "when" }, `newest ${f.near(group.newest_ms, context.now?.shop_ms)}`)),
    el("div", { class: "do" }, group.action_total < group.total ? `${f.count(group.action_total)} of them: ` : "", group.action, runbook(group.newest[0])),
    el("div", { class: "more" }, newest, more > 0 ? ` and ${f.count(more)} more` : "", group.unacknowledged < group.total ? ` · ${f.count(group.total - group.unacknowledged)} acknowledged` : ""));
}

export function mount(root, context) {
  const counts = el("p", { class: "muted" });
  const list = el("ul", { class: "feed-list" });
  const pager = new Pager(context, (offset) => refresh(null, offset));
  fill(root, card({ text: "Open incidents", level: "h1" }, counts, list, pager.element));

  async function refresh(_, offset = pager.offset) {
    const found = await get("incidents", pager.query(offset));
    pager.update(found);
    const unread = found.open > found.total ? [`${f.count(found.total)} of ${f.count(found.open)} open incidents are listed`] : [];
    counts.textContent = [...found.groups.map((group) => `${f.words(group.kind)}: ${f.count(group.total)}`), ...unread].join(" · ");
    fill(list, found.incidents.map((one) => incidentEntry(one, context)),
      found.incidents.length ? [] : el("li", { class: "empty" }, "No incident is open."));
  }

  return { refresh, destroy: () => {} };
}
