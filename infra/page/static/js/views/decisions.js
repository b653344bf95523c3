// Decisions as they happen: why, how much from whom, and what the other splits would have cost.

import { get } from "../api.js";
import { card, choice, el, fill } from "../dom.js";
import * as f from "../format.js";
import { itemLink } from "./items.js";

export const title = "Decisions";
export const parts = ["decisions"];

const SPLITS = { nothing: "nothing", lean_only: "lean only", flexible_only: "flexible only", both: "both" };

export function ordered(one) {
  const parts = [];
  if (one.lean_units) parts.push(`${f.count(one.lean_units)} lean`);
  if (one.flexible_units) parts.push(`${f.count(one.flexible_units)} flexible`);
  return parts.length ? `order ${parts.join(" + ")}` : "order nothing";
}

export function otherSplits(one) {
  const others = one.splits.filter((split) => !split.is_chosen && split.more_than_chosen !== null);
  if (!others.length) return null;
  return `Instead: ${others.map((split) => `${SPLITS[split.split]} ${f.money(split.more_than_chosen, one.currency)}`).join(", ")}`;
}

export function decisionEntry(one, context, short = false) {
  const others = otherSplits(one);
  return el("li", {},
    el("div", { class: "line" },
      el("span", { class: "what" }, el("a", { href: itemLink(one.sku, one.warehouse) }, one.sku), ` ${one.warehouse}: ${ordered(one)}`,
        one.occasion === "surge" ? el("span", { class: "tag warn" }, "surge review") : null),
      el("span", { class: "when" }, f.near(one.decided_ms, context.now?.shop_ms))),
    el("div", { class: "more" }, one.reason_text, short || !one.po_ids.length ? null : ` ${one.po_ids.join(", ")}`),
    others ? el("div", { class: "more" }, others) : null);
}

export function mount(root, context) {
  const asked = { only: "ordered", before: "", ...context.query };
  const list = el("ul", { class: "feed-list" });
  const button = (text, go) => el("button", { type: "button", class: "small", onclick: go }, text);
  const said = el("span", { class: "muted", role: "status" });
  const newest = button("Newest", () => ask({ before: "" }));
  const older = button("Older", () => ask({ before: following }));
  let following = null;
  fill(root, card({ text: "Decisions", level: "h1" },
    el("div", { class: "bar" },
      choice("Which decisions", { ordered: "that order", all: "all" }, asked.only, (only) => ask({ only, before: "" })),
      el("span", { class: "muted" }, "Expected costs, compared with the chosen split; only the differences have a meaning.")),
    list, el("div", { class: "pager" }, said, newest, older)));

  function ask(change) {
    Object.assign(asked, change);
    context.note(asked);
    refresh().then(() => scrollTo(0, 0)).catch(context.failed);
  }

  async function refresh() {
    const found = await get("decisions", asked);
    following = found.next;
    newest.hidden = !asked.before;
    older.hidden = following === null;
    const count = found.decisions.length;
    said.textContent = count ? `${count} ${asked.before ? "older ones" : "newest ones"}` : "";
    fill(list, found.decisions.map((one) => decisionEntry(one, context)), count ? [] : el("li", { class: "empty" }, nothing()));
  }

  function nothing() {
    if (following !== null) return "No order among these; older decisions may have some.";
    if (asked.before) return "That was the oldest one.";
    return "No decision yet. An item is decided at its review, once it has a catalog line and a stock count.";
  }

  return { refresh, destroy: () => {} };
}
