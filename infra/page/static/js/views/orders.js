// Open purchase orders, and the three words that a person can say about one.

import { get } from "../api.js";
import { card, choice, el, fill, setText, Table } from "../dom.js";
import * as f from "../format.js";
import { answerOrder, answerOrders, sums } from "../operator.js";
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

const MOST_AT_ONCE = 500;
const VERBS = { a: "approve", e: "change", x: "reject" };

/** Whether a person's word lets an order go. */
const needsWord = (one) => ["approver", "whoever held it"].includes(one.must_act) && !["approved", "rejected"].includes(one.answer);

export function mount(root, context) {
  const asked = { only: "waiting", find: "", ...context.query };
  let shown = [];
  const counts = el("p", { class: "muted", role: "status" });
  const all = el("button", { type: "button", class: "primary", hidden: true, onclick: () => answerOrders("approved", forWord(), context) });
  const find = el("input", { type: "search", "aria-label": "Supplier, item or order", placeholder: "Supplier, item or order", value: asked.find, oninput: () => {
    asked.find = find.value;
    context.note(asked);
    refresh().catch(context.failed);
  } });
  const forWord = () => shown.filter(needsWord).slice(0, MOST_AT_ONCE);
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
      { title: "Since", number: true, wide: true, cell: (one) => (one.hold && one.waiting_since ? f.dateTime(Date.parse(one.waiting_since)) : "–") },
      { title: "Order", class: "wrap", wide: true, cell: (one) => one.po_id },
      { title: "", label: "Your word", cell: (one) => ({ as: `${one.po_id} ${one.hold} ${one.answer} ${one.quantity} ${one.due_at}`, node: () => orderButtons(one, context) }) },
    ],
  });
  fill(root, card({ text: "Purchase orders", level: "h1" },
    el("div", { class: "bar" }, choice("Which orders", { waiting: "that wait", all: "all open" }, asked.only, (only) => {
      asked.only = only;
      context.note(asked);
      refresh().catch(context.failed);
    }), find, all),
    counts, table.element,
    el("p", { class: "muted" }, "Keys: ", el("kbd", {}, "j"), " ", el("kbd", {}, "k"), " choose a row, ", el("kbd", {}, "a"), " approve, ", el("kbd", {}, "e"), " change, ", el("kbd", {}, "x"), " reject it; ", el("kbd", {}, "Shift+A"), " approve all that the list shows. On the command line: ", el("kbd", {}, "tidegate orders list"), ", ", el("kbd", {}, "tidegate orders approve ORDER --who NAME --why REASON"))));

  async function refresh() {
    const found = await get("purchase-orders");
    const words = asked.find.toLowerCase().split(/\s+/).filter(Boolean);
    const fits = (one) => words.every((word) => `${one.supplier} ${one.sku} ${one.warehouse} ${one.po_id}`.toLowerCase().includes(word));
    shown = found.orders.filter((one) => fits(one) && (asked.only === "all" || (one.hold && one.answer !== "rejected")));
    const due = forWord();
    all.hidden = due.length < 2;
    setText(all, `Approve all ${f.count(due.length)} shown (${sums(due)})`);
    setText(counts, `${f.count(found.orders_total)} open, ${f.count(found.waiting_total)} of them wait${found.orders_total > found.orders.length ? `; the first ${f.count(found.orders.length)} are shown` : ""}`);
    table.empty.textContent = asked.only === "all" ? "No purchase order is open." : "No purchase order waits.";
    table.update(shown);
  }

  /** Keys of a buyer: a row is chosen by the focus on its first button. */
  function onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea, dialog")) return;
    const rows = [...table.body.querySelectorAll("tr")];
    const at = rows.findIndex((row) => row.contains(document.activeElement));
    if (event.key === "j" || event.key === "k") rows[Math.min(Math.max(at + (event.key === "j" ? 1 : -1), 0), rows.length - 1)]?.querySelector(".words button")?.focus();
    else if (event.key === "A" && forWord().length) answerOrders("approved", forWord(), context);
    else if (at >= 0 && event.key in VERBS && (event.key !== "a" || shown[at].hold)) answerOrder(VERBS[event.key], shown[at], context);
    else return;
    event.preventDefault();
  }
  document.addEventListener("keydown", onKey);

  return { refresh, destroy: () => document.removeEventListener("keydown", onKey) };
}
