// The frame: which view is shown, what the stream tells, and how fresh it is.

import { follow, get } from "./api.js";
import { el, fill, setText } from "./dom.js";
import * as f from "./format.js";
import { askToken, Ordering } from "./operator.js";
import * as deadLetters from "./views/dead_letters.js";
import * as decisions from "./views/decisions.js";
import * as incidents from "./views/incidents.js";
import * as item from "./views/item.js";
import * as items from "./views/items.js";
import * as orders from "./views/orders.js";
import * as missing from "./views/missing.js";
import * as overview from "./views/overview.js";
import * as shipping from "./views/shipping.js";

const VIEWS = { overview, items, item, shipping, decisions, orders, incidents, "dead-letters": deadLetters, missing };
const KEYS = { 1: "#/", 2: "#/items", 3: "#/shipping", 4: "#/decisions", 5: "#/orders", 6: "#/incidents", 7: "#/dead-letters" };
const HOLDS_EVERY_MS = 5_000;
const STALE_AFTER_MS = 3_500;

const byId = (id) => document.getElementById(id);
const main = byId("main");
const banner = byId("banner");
const state = { name: "", view: null, mounted: null, seen: null, heardAt: 0, away: null, busy: null };

const context = {
  now: null,
  query: {},
  /** Renew what is shown: the parts that changed, or all of it. */
  refresh: (changed) => refresh(changed),
  failed: (error) => fail(error),
  /** Keep the question in the address, without a new entry in the history. */
  note: (query) => {
    const given = Object.entries(query).filter(([, value]) => value);
    const path = location.hash.split("?")[0] || "#/";
    history.replaceState(null, "", given.length ? `${path}?${new URLSearchParams(given)}` : path);
  },
  remember: (name, value) => sessionStorage.setItem(`tidegate-${name}`, value),
  remembered: (name) => sessionStorage.getItem(`tidegate-${name}`),
};

// --- views ---

function route() {
  const [path, query = ""] = location.hash.replace(/^#\/?/, "").split("?");
  const name = path === "" ? "overview" : Object.hasOwn(VIEWS, path) ? path : "missing";
  context.query = Object.fromEntries(new URLSearchParams(query));
  state.mounted?.destroy();
  state.name = name;
  state.view = VIEWS[name];
  for (const link of document.querySelectorAll("nav a")) {
    const isHere = link.dataset.view === (name === "item" ? "items" : name);
    if (isHere) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
    if (isHere) link.scrollIntoView({ block: "nearest", inline: "center" });
  }
  document.title = `${state.view.title} · Tidegate`;
  fill(main);
  state.mounted = state.view.mount(main, context);
  scrollTo(0, 0);
  refresh(null);
}

/** One at a time; what changes meanwhile is asked for afterwards. */
async function refresh(changed) {
  if (state.busy) {
    state.busy.next = changed === null || state.busy.next === null ? null : new Set([...(state.busy.next ?? []), ...changed]);
    return;
  }
  const busy = { next: undefined };
  state.busy = busy;
  const mounted = state.mounted;
  try {
    context.now ??= await get("now");
    await mounted.refresh(changed);
    state.failure = null;
  } catch (error) {
    if (mounted === state.mounted) fail(error);
  } finally {
    state.busy = null;
  }
  if (mounted !== state.mounted) refresh(null);
  else if (busy.next !== undefined) refresh(busy.next);
}

function fail(error) {
  state.failure = error;
  if (error.status === 401) askToken(context);
  tellState();
}

// --- what the stream tells ---

function hear(name, value) {
  if (name === "away") {
    state.away = value;
    tellState();
    return;
  }
  const before = context.now?.versions ?? {};
  const isBack = state.away !== null || performance.now() - state.heardAt > STALE_AFTER_MS;
  context.now = value;
  state.away = null;
  state.lost = null;
  state.heardAt = performance.now();
  const changed = new Set(Object.keys(value.versions).filter((part) => value.versions[part] !== before[part]));
  const wanted = isBack || state.failure ? null : new Set(state.view.parts.filter((part) => changed.has(part)));
  if (wanted === null || wanted.size) refresh(wanted);
  state.mounted?.tick?.();
  badge("nav-incidents", value.unacknowledged, true);
  badge("nav-dead-letters", value.dead_letters + value.late_records, false);
  tellState();
}

function badge(id, count, isAlarm) {
  const place = byId(id);
  place.hidden = !count;
  place.classList.toggle("alarm", isAlarm && count > 0);
  setText(place, f.count(count));
}

function lose(error) {
  state.lost = error;
  if (error.status === 401) askToken(context);
  tellState();
}

// --- how fresh it is ---

const FEEDS = {
  selling: ["good", "Selling"],
  no_sales: ["", "No sales in the last five minutes; the data is complete"],
  silent: ["bad", "No orders, although orders were expected"],
  no_data: ["bad", "No data: sales since then are not known"],
  never: ["", "No order was read yet"],
};

function tellState() {
  tellBanner();
  const now = context.now;
  if (!now) return;
  const [tone, text] = FEEDS[now.feed];
  const isReplay = now.clock === "replay";
  const parts = [el("span", { class: `feed ${tone}` }, text)];
  if (now.clock === "empty") {
    parts.push(el("span", { class: "muted" }, "waiting for the first events"));
  } else {
    parts.push(el("span", {}, el("span", { class: "muted" }, isReplay ? "replay, event time " : "shop time "), el("b", {}, `${f.date(now.shop_ms)} ${f.timeSeconds(now.shop_ms)} ${f.zone(now.shop_ms)}`)));
    parts.push(pair("updated", `${f.timeSeconds(now.read_ms)}`));
    if (now.lag_seconds !== null) parts.push(pair("lag", f.seconds(now.lag_seconds), now.lag_seconds > 10 ? "warn" : ""));
    const decided = now.decided_to_ms === null ? "nothing yet" : `${f.seconds(now.watermark_delay_seconds)} behind`;
    parts.push(pair("decided", decided, now.watermark_delay_seconds > 300 && !isReplay ? "warn" : ""));
    if (isReplay && now.changed_ms !== null) parts.push(pair("last change", age(now.changed_ms)));
    const partial = now.partitions.some((one) => Object.keys(one.history_from).length);
    if (partial) parts.push(el("span", { class: "warn" }, "history is not complete: topics had lost their beginning"));
  }
  const said = parts.map((part) => part.textContent).join("|") + tone;
  if (said === state.said) return;
  state.said = said;
  fill(byId("status"), parts);
}

const pair = (name, value, tone = "") => el("span", { class: tone }, el("span", { class: tone ? "" : "muted" }, `${name} `), el("b", {}, value));

function age(ms) {
  return `${f.seconds(Math.max(0, (Date.now() - ms) / 1000))} ago`;
}

function tellBanner() {
  const dataMs = context.now?.read_ms ?? state.away?.data_read_ms;
  const old = dataMs ? ` What is shown is ${f.seconds((Date.now() - dataMs) / 1000)} old.` : "";
  let text = "";
  let isBad = true;
  if (state.lost && performance.now() - state.heardAt > STALE_AFTER_MS) {
    text = `No connection to this worker; trying again.${old}`;
  } else if (state.away) {
    text = `The worker is here, but Redis does not answer; trying again.${old}`;
  } else if (state.failure && state.failure.status !== 401) {
    text = `A part of the page could not be read: ${state.failure.message}`;
    isBad = false;
  }
  banner.hidden = !text;
  banner.className = `banner ${isBad ? "bad" : ""}`;
  setText(banner, text);
  main.classList.toggle("stale", Boolean(text) && isBad);
}

// --- keys, theme, help ---

function isTyping(event) {
  return event.target.closest("input, select, textarea, dialog") !== null;
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event)) return;
  if (event.key in KEYS) location.hash = KEYS[event.key];
  else if (event.key === "t") cycleTheme();
  else if (event.key === "?") showHelp();
  else if (event.key === "/") {
    event.preventDefault();
    if (state.name !== "items") location.hash = "#/items";
    setTimeout(() => byId("search")?.focus(), 0);
  }
});

function cycleTheme() {
  const root = document.documentElement;
  const isDark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = isDark ? "light" : "dark";
  try {
    localStorage.setItem("tidegate-theme", root.dataset.theme);
  } catch {
    // Not kept, then.
  }
  dispatchEvent(new Event("tidegate-theme"));
}

function showHelp() {
  const keys = [["1 … 7", "the parts of the page"], ["/", "find an item"], ["t", "light or dark"], ["?", "this list"], ["Esc", "close a dialog"]];
  const dialog = el("dialog", { "aria-labelledby": "dialog-title" },
    el("div", { class: "stack" },
      el("h2", { id: "dialog-title" }, "Keys"),
      el("dl", { class: "facts" }, keys.flatMap(([key, what]) => [el("dt", {}, el("kbd", {}, key)), el("dd", {}, what)])),
      el("div", { class: "actions" }, el("button", { type: "button", class: "primary", onclick: () => dialog.close() }, "Close"))));
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}

// --- start ---

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => dispatchEvent(new Event("tidegate-theme")));
byId("theme").addEventListener("click", cycleTheme);
byId("help").addEventListener("click", showHelp);
setText(byId("zone"), "All times are UTC, the calendar of the shop's days, reviews and due dates.");
addEventListener("hashchange", route);
const ordering = new Ordering(byId("ordering"), context);
route();
ordering.refresh();
setInterval(() => ordering.refresh(), HOLDS_EVERY_MS);
setInterval(tellState, 1000);
follow({ event: hear, lost: lose });
