// Pages of a long list.

import { el, setText } from "./dom.js";
import { count } from "./format.js";

const LIMIT = 50;

export class Pager {
  constructor(context, go) {
    this.offset = 0;
    this.total = 0;
    this.said = el("span", { class: "muted", role: "status" });
    const button = (text, step) => el("button", { type: "button", class: "small", onclick: () => go(Math.max(0, this.offset + step)).catch(context.failed) }, text);
    this.before = button("Before", -LIMIT);
    this.after = button("After", LIMIT);
    this.element = el("div", { class: "pager" }, this.said, this.before, this.after);
  }

  query(offset) {
    return { limit: LIMIT, offset };
  }

  update({ total, offset }) {
    this.offset = offset;
    this.total = total;
    const last = Math.min(offset + LIMIT, total);
    setText(this.said, total ? `${count(offset + 1)} to ${count(last)} of ${count(total)}` : "");
    this.before.hidden = this.after.hidden = total <= LIMIT;
    this.before.disabled = offset === 0;
    this.after.disabled = last >= total;
  }
}
