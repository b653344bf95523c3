// Pictures by uPlot, each with a key that tells values and a table behind it.

import { el, fill, setText } from "./dom.js";
import * as f from "./format.js";

/** The colour of a name in the theme that is shown; a canvas does not know `light-dark()`. */
function paint(name) {
  probe.style.color = `var(${name})`;
  if (!probe.isConnected) document.body.append(probe);
  return getComputedStyle(probe).color;
}
const probe = el("span", { hidden: true });
const family = () => getComputedStyle(document.body).fontFamily;
const fontSize = () => Math.round(parseFloat(getComputedStyle(document.documentElement).fontSize) * 0.78);

/**
 * A picture over time.
 *
 * series: [{name, ink ("--now"), dash?, width?, area?, bars?, format(value), hidden?, band?}]
 * axis: {x(ms) => text, table(ms) => text, last?: word, steps?: seconds between labels, margin?: seconds}
 */
export class Chart {
  constructor({ label, series, axis, height = 240, zeroLine = false, floor = true }) {
    Object.assign(this, { label, series, axis, height, zeroLine, floor });
    this.plotted = null;
    this.data = null;
    this.place = el("div", { class: "plot", role: "img", "aria-label": label });
    this.values = series.map(() => el("b", {}, ""));
    this.at = el("span", {}, "");
    const keys = series.map((one, n) =>
      one.hidden ? null : el("span", {}, el("span", { class: `swatch ink-${one.ink.slice(2)} ${one.dash ? "dashed" : ""} ${one.width === 1.5 ? "thin" : ""}` }), `${one.name} `, this.values[n]));
    this.key = el("div", { class: "key" }, keys.filter(Boolean), this.at);
    this.head = el("tr");
    this.rows = el("tbody");
    this.table = el("details", { class: "behind", ontoggle: () => this.fillTable() },
      el("summary", {}, "Show as a table"),
      el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": `${label}, as a table` },
        el("table", {}, el("caption", { class: "visually-hidden" }, label), el("thead", {}, this.head), this.rows)));
    fill(this.head, el("th", { scope: "col" }, "Time"), series.map((one) => el("th", { scope: "col", class: "number" }, one.name)));
    this.element = el("figure", {}, this.place, this.key, this.table);
    this.watcher = new ResizeObserver(() => this.resize());
    this.watcher.observe(this.place);
    this.repaint = () => this.draw();
    addEventListener("tidegate-theme", this.repaint);
  }

  destroy() {
    this.watcher.disconnect();
    removeEventListener("tidegate-theme", this.repaint);
    this.plotted?.destroy();
  }

  /** times in ms, then the values of each series. */
  update(times, ...values) {
    const said = JSON.stringify([times, values]);
    if (said === this.said) return;
    this.said = said;
    this.data = [times.map((ms) => ms / 1000), ...values];
    if (this.plotted) this.plotted.setData(this.data);
    else this.draw();
    this.tell(times.length - 1);
    this.fillTable();
    this.place.setAttribute("aria-label", `${this.label}. ${this.summary()}`);
  }

  summary() {
    const last = this.data[0].length - 1;
    if (last < 0) return "No data yet.";
    const texts = this.series.map((one, n) => `${one.name}: ${one.format(this.data[n + 1][last])}`);
    return `Newest: ${texts.join(", ")}. A table follows.`;
  }

  resize() {
    const width = Math.floor(this.place.clientWidth);
    if (this.plotted && width > 0 && width !== this.plotted.width) this.plotted.setSize({ width, height: this.tall() });
    else if (!this.plotted && this.data) this.draw();
  }

  tall() {
    return Math.round(this.height * (fontSize() / 12.5));
  }

  draw() {
    const width = Math.floor(this.place.clientWidth);
    if (!this.data || width <= 0 || typeof uPlot === "undefined") return;
    this.plotted?.destroy();
    fill(this.place);
    this.plotted = new uPlot(this.options(width), this.data, this.place);
  }

  options(width) {
    const font = `${fontSize()}px ${family()}`;
    const line = { stroke: paint("--muted"), font, grid: { stroke: paint("--hair"), width: 1 }, ticks: { show: false } };
    const axis = this.axis;
    const floor = this.floor;
    return {
      width,
      height: this.tall(),
      tzDate: (at) => uPlot.tzDate(new Date(at * 1000), "Etc/UTC"), // the shop's calendar
      padding: [8, 22, 0, 0],
      legend: { show: false },
      cursor: { y: false, drag: { x: false, y: false }, points: { size: 6 } },
      scales: { x: { time: true, range: (u, low, high) => [low - (axis.margin ?? 0), high + (axis.margin ?? 0)] }, y: { range: (u, low, high) => limits(low, high, floor) } },
      axes: [
        { ...line, grid: { show: false }, size: 2.4 * fontSize(), space: 5.5 * fontSize(), incrs: axis.steps, values: (u, splits) => f.unique(splits.map((at) => axis.x(at * 1000))) },
        { ...line, size: 4 * fontSize(), values: (u, splits) => f.ticks(splits) },
      ],
      series: [{}, ...this.series.map((one) => this.drawn(one))],
      bands: this.bands(),
      hooks: {
        setCursor: [(u) => this.tell(u.cursor.idx ?? this.data[0].length - 1, u.cursor.idx != null)],
        drawAxes: this.zeroLine ? [drawZero] : [],
      },
    };
  }

  drawn(one) {
    return {
      label: one.name,
      stroke: one.hidden ? "transparent" : paint(one.ink),
      width: one.hidden ? 0 : one.width ?? 2.5,
      dash: one.dash,
      fill: one.area ? paint(`${one.ink}-soft`) : undefined,
      points: { show: one.points ?? false, size: 5, fill: paint(one.ink) },
      spanGaps: false,
      paths: one.bars ? uPlot.paths.bars({ size: [0.6, 60] }) : undefined,
    };
  }

  bands() {
    const of = this.series.findIndex((one) => one.band === "high");
    if (of < 0) return [];
    const low = this.series.findIndex((one) => one.band === "low");
    return [{ series: [of + 1, low + 1], fill: paint(`${this.series[of].ink}-soft`) }];
  }

  tell(place, isPointed = false) {
    if (!this.data || place < 0 || place == null) return;
    this.series.forEach((one, n) => setText(this.values[n], one.format(this.data[n + 1][place])));
    setText(this.at, `${isPointed ? "at" : this.axis.last ?? "newest:"} ${this.axis.table(this.data[0][place] * 1000)}`);
  }

  fillTable() {
    if (!this.table.open || !this.data) return;
    const rows = this.data[0].map((at, place) =>
      el("tr", {}, el("td", {}, this.axis.table(at * 1000)), this.series.map((one, n) => el("td", { class: "number" }, one.format(this.data[n + 1][place])))));
    fill(this.rows, rows.reverse());
  }
}

function limits(low, high, floor) {
  if (low == null || high == null) return [0, 1];
  const least = floor ? 0 : Math.min(0, low);
  const most = Math.max(high, least + 1);
  const air = (most - least) * 0.06;
  return [least < 0 ? least - air : 0, most + air];
}

function drawZero(u) {
  const y = u.valToPos(0, "y", true);
  if (y > u.bbox.top + u.bbox.height) return;
  u.ctx.save();
  u.ctx.strokeStyle = paint("--muted");
  u.ctx.lineWidth = 1;
  u.ctx.beginPath();
  u.ctx.moveTo(u.bbox.left, y);
  u.ctx.lineTo(u.bbox.left + u.bbox.width, y);
  u.ctx.stroke();
  u.ctx.restore();
}
