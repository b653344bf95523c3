// Units a minute against the plan and the week before, over an hour, a day or a week.

import { get } from "./api.js";
import { Chart } from "./chart.js";
import { choice, el, fill, setText } from "./dom.js";
import * as f from "./format.js";

const SPANS = { hour: "1 h", day: "24 h", week: "7 d" };

export class SalesChart {
  constructor(context, { shipping = false } = {}) {
    this.context = context;
    this.shipping = shipping;
    this.chosen = context.remembered("span") ?? null;
    this.span = null;
    this.chart = new Chart({
      label: shipping ? "Units ordered and shipped a minute" : "Units sold a minute, planned and a week before",
      height: 250,
      axis: { x: (ms) => this.axisText(ms), table: f.dateTime },
      series: shipping ? SHIPPING : SELLING,
    });
    this.empty = el("p", { class: "empty" }, "No order was read yet.");
    this.hint = el("span", { class: "muted" });
    this.spans = el("span");
    const title = el("h2", {}, shipping ? "Ordered and shipped, units a minute" : "Units a minute");
    this.card = el("section", { class: "card" }, el("header", {}, title, this.hint, this.spans), this.empty, this.chart.element);
  }

  async refresh() {
    const span = this.chosen ?? (this.context.now?.clock === "replay" ? "day" : "hour");
    if (span !== this.span) fill(this.spans, choice("How far back", SPANS, span, (other) => this.choose(other)));
    this.span = span;
    const sales = await get("sales", { span: this.span });
    this.empty.hidden = sales.from_ms.length > 0;
    this.chart.element.hidden = sales.from_ms.length === 0;
    setText(this.hint, { hour: "means of the last five minutes", day: "means of 15 minutes", week: "means of an hour" }[sales.span]);
    const lines = this.shipping
      ? [sales.units, sales.dispatched_units]
      : [sales.units, sales.plan_units, sales.week_ago_units];
    this.chart.update(sales.from_ms, ...lines);
  }

  choose(span) {
    this.chosen = this.span = span;
    this.context.remember("span", span);
    this.refresh().catch(this.context.failed);
  }

  axisText(ms) {
    return this.span === "week" ? f.dayName(ms) : f.time(ms);
  }

  destroy() {
    this.chart.destroy();
  }
}

const SELLING = [
  { name: "sold", ink: "--now", area: true, format: f.rate },
  { name: "plan", ink: "--plan", dash: [7, 5], width: 2, format: f.rate },
  { name: "a week ago", ink: "--before", width: 1.5, format: f.rate },
];
const SHIPPING = [
  { name: "ordered", ink: "--now", area: true, format: f.rate },
  { name: "shipped", ink: "--good", width: 2, format: f.rate },
];
