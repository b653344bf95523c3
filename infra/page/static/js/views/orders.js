// Open purchase orders, and the three words that a person can say about one.

import { get } from "../api.js";
import { card, choice, el, fill, setText, Table } from "../dom.js";
import * as f from "../format.js";
import { answerOrder } from "../operator.js";
import { itemLink } from "./items.js";

export const title = "Orders";
export const parts = ["decisions", "items"];

const HOLDS = {
  paused: "ordering is paused",
  control_away: "the audit log cannot be read",
  store_away: "Redis does not answer",
  clock: "clock and logs disagree",
  lag: "events wait to be read",
  log_changed: "a topic is not the one that was read",
  starting: "its worker has just begun",
  stale_stock: "the stock is too old",
  held: "somebody's word about it",
  cap_units: "more units than a day may have",
  cap_amount: "more money than a day may have",
  approval: "approval",
};

/** Why an order has not left; what a person said of it stands there until its log goes on. */
export function waitsFor(one) {
  if (!one.hold) return "–";
  if (one.answer === "rejected") return { text: "nothing: rejected, it never leaves", tags: [{ text: "closed when its log goes on" }] };
  if (one.answer === "changed") return { text: `its log to go on: changed to ${f.count(one.answer_quantity)} units`, tags: [{ text: "changed" }] };
  return { text: HOLDS[one.hold] ?? f.words(one.hold), tags: [{ text: one.hold === "approval" ? "your word" : "held", class: "warn" }] };
}

/** The buttons of one order; Approve only while it has not left. */
export function orderButtons(one, context) {
  const button = (text, verb) => el("button", { type: "button", class: "small", "aria-label": `${text} ${one.po_id}`, onclick: () => answerOrder(verb, one, context) }, text);
  return el("div", { class: "words" }, one.hold ? button("Approve", "approve") : null, button("Change", "change"), button("Reject", "reject"));
}

export function mount(root, context) {
  const asked = { only: "waiting", ...context.query };
  const counts = el("p", { class: "muted", role: "status" });
  const table = new Table({
    caption: "Open purchase orders",
    key: (one) => one.po_id,
    empty: "No purchase order waits.",
    columns: [
      { title: "Item", class: "name", cell: (one) => ({ text: one.sku, href: itemLink(one.sku, one.warehouse), sub: one.warehouse }) },
      { title: "Units", number: true, cell: (one) => ({ text: f.count(one.quantity), sub: one.outstanding === one.quantity ? "" : `${f.count(one.outstanding)} to come` }) },
      { title: "Amount", number: true, cell: (one) => (one.amount === null ? "–" : f.amount(one.amount, one.currency)) },
      { title: "From", cell: (one) => ({ text: one.supplier, sub: f.words(one.state) }) },
      { title: "Due", number: true, cell: (one) => f.near(Date.parse(one.due_at), context.now?.shop_ms) },
      { title: "Waits for", class: "wrap", cell: waitsFor },
      { title: "Order", class: "wrap", wide: true, cell: (one) => one.po_id },
      { title: "", label: "Your word", cell: (one) => ({ as: `${one.po_id} ${one.hold} ${one.answer} ${one.quantity} ${one.due_at}`, node: () => orderButtons(one, context) }) },
    ],
  });
  fill(root, card({ text: "Purchase orders", level: "h1" },
    el("div", { class: "bar" }, choice("Which orders", { waiting: "that wait", all: "all open" }, asked.only, (only) => {
      asked.only = only;
      context.note(asked);
      refresh().catch(context.failed);
    })),
    counts, table.element,
    el("p", { class: "muted" }, "On the command line: ", el("kbd", {}, "tidegate orders list"), ", ", el("kbd", {}, "tidegate orders approve ORDER --who NAME --why REASON"))));

  async function refresh() {
    const found = await get("purchase-orders");
    const shown = asked.only === "all" ? found.orders : found.orders.filter((one) => one.hold && one.answer !== "rejected");
    setText(counts, `${f.count(found.orders_total)} open, ${f.count(found.waiting_total)} of them wait${found.orders_total > found.orders.length ? `; the first ${f.count(found.orders.length)} are shown` : ""}`);
    table.empty.textContent = asked.only === "all" ? "No purchase order is open." : "No purchase order waits.";
    table.update(shown);
  }

  return { refresh, destroy: () => {} };
}
