// Records that were not counted: bad ones, and those that came too late.

import { get } from "../api.js";
import { Pager } from "../pager.js";
import { card, el, fill, Table } from "../dom.js";
import * as f from "../format.js";

export const title = "Dead letters";
export const parts = ["dead_letters"];

export function mount(root, context) {
  const counts = el("p", { class: "muted" });
  const late = el("p", { class: "muted" });
  const table = new Table({
    caption: "The newest dead letters and late records",
    key: (one) => `${one.topic}/${one.partition}/${one.offset}`,
    empty: "There are no dead letters and no late records.",
    columns: [
      { title: "Written", class: "when", cell: (one) => f.dateTime(one.written_ms) },
      { title: "Topic", cell: (one) => ({ text: one.topic, sub: `partition ${one.partition}, offset ${one.offset}` }) },
      { title: "What is wrong", class: "wrap", cell: (one) => ({ text: f.words(one.code), class: "strong wrap", sub: one.message }) },
      { title: "What to do", class: "wrap", wide: true, cell: (one) => ({ text: one.advice, class: "wrap" }) },
      { title: "Key", class: "wrap record-key", wide: true, cell: (one) => one.key ?? "–" },
      { title: "Value, its beginning", class: "wrap", wide: true, cell: (one) => ({ text: one.value ?? "–", class: "muted wrap" }) },
    ],
  });
  const pager = new Pager(context, (offset) => refresh(null, offset));
  fill(root, card({ text: "Dead letters", level: "h1" }, counts, late, table.element, pager.element,
    el("p", { class: "muted" }, "Fix the cause, then send dead letters back: ", el("kbd", {}, "tidegate dlt replay"), "; all of them: ", el("kbd", {}, "tidegate dlt list"))));

  async function refresh(_, offset = pager.offset) {
    const found = await get("dead-letters", pager.query(offset));
    counts.textContent = listed("Dead letters", found.by_topic);
    late.textContent = listed("Too late to be counted", found.late_by_topic);
    pager.update(found);
    table.update(found.dead_letters);
  }

  return { refresh, destroy: () => {} };
}

function listed(what, byTopic) {
  const parts = Object.entries(byTopic).map(([topic, count]) => `${topic}: ${f.count(count)}`);
  return parts.length ? `${what} since the beginning: ${parts.join(" · ")}` : "";
}
