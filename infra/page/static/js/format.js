// Numbers, spans and times as people say them. Unknown is "–", never 0.

export const UNKNOWN = "–";

const whole = new Intl.NumberFormat("en-GB", { maximumFractionDigits: 0 });
const tenths = new Intl.NumberFormat("en-GB", { minimumFractionDigits: 1, maximumFractionDigits: 1 });
const hundredths = new Intl.NumberFormat("en-GB", { minimumFractionDigits: 2, maximumFractionDigits: 2 });

const shortest = new Intl.NumberFormat("en-GB", { maximumFractionDigits: 2 });

const minus = (text) => text.replace("-", "−");
const isKnown = (value) => value !== null && value !== undefined && Number.isFinite(value);

/** 1,204 */
export const count = (value) => (isKnown(value) ? minus(whole.format(value)) : UNKNOWN);

/** 4.2 below ten, 43 above. */
export function rate(value) {
  if (!isKnown(value)) return UNKNOWN;
  return minus(Math.abs(value) < 9.95 && value !== 0 ? tenths.format(value) : whole.format(value));
}

/** A label of an axis: 5, 10, 12.5. */
export const tick = (value) => (isKnown(value) ? minus(shortest.format(value)) : UNKNOWN);

/** An amount: 12.40 EUR */
export const amount = (value, currency) => (isKnown(value) ? `${hundredths.format(value)}${currency ? ` ${currency}` : ""}` : UNKNOWN);

/** A difference: +12.40 EUR */
export function money(value, currency) {
  if (!isKnown(value)) return UNKNOWN;
  const sign = value > 0 ? "+" : value < 0 ? "−" : "±";
  return `${sign}${hundredths.format(Math.abs(value))}${currency ? ` ${currency}` : ""}`;
}

/** +12 % against another value; nothing where there is none. */
export function against(value, other) {
  if (!isKnown(value) || !isKnown(other) || other < 0.05) return null;
  const share = Math.round((100 * (value - other)) / other);
  return `${share > 0 ? "+" : share < 0 ? "−" : "±"}${whole.format(Math.abs(share))} %`;
}

/** Minutes as "43 min", "3 h 10 min", "2 d 4 h", "5 weeks". */
export function span(minutes) {
  if (!isKnown(minutes)) return UNKNOWN;
  if (minutes < 1) return "under 1 min";
  if (minutes < 99.5) return `${Math.round(minutes)} min`;
  const hours = minutes / 60;
  if (hours < 24) return two(Math.floor(hours), "h", Math.round(minutes % 60), "min", 60);
  const days = hours / 24;
  if (days < 14) return two(Math.floor(days), "d", Math.round(hours % 24), "h", 24);
  if (days < 100) return `${Math.round(days)} d`;
  return "over 100 d";
}

function two(large, largeUnit, small, smallUnit, full) {
  if (small === full) return `${large + 1} ${largeUnit}`;
  return small ? `${large} ${largeUnit} ${small} ${smallUnit}` : `${large} ${largeUnit}`;
}

/** Seconds as "0.4 s", "12 s", "3 min". */
export function seconds(value) {
  if (!isKnown(value)) return UNKNOWN;
  if (value < 9.95) return `${tenths.format(value)} s`;
  return value < 99.5 ? `${Math.round(value)} s` : span(value / 60);
}

// The shop's calendar is UTC: its days of sales, reviews and due dates begin and end there. Times of the
// device beside days of the shop would be two calendars on one screen.
const format = (options) => new Intl.DateTimeFormat("en-GB", { hourCycle: "h23", timeZone: "UTC", ...options });
const clockTime = format({ hour: "2-digit", minute: "2-digit" });
const clockSeconds = format({ hour: "2-digit", minute: "2-digit", second: "2-digit" });
const dayTime = format({ day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });
const dayYear = format({ weekday: "short", day: "numeric", month: "short", year: "numeric" });
const dayShort = format({ day: "numeric", month: "short" });
const weekday = format({ weekday: "short", day: "numeric", month: "short" });
const zoned = format({ hour: "2-digit", timeZoneName: "short" });

export const time = (ms) => (isKnown(ms) ? clockTime.format(ms) : UNKNOWN);
export const timeSeconds = (ms) => (isKnown(ms) ? clockSeconds.format(ms) : UNKNOWN);
export const dateTime = (ms) => (isKnown(ms) ? dayTime.format(ms) : UNKNOWN);
export const date = (ms) => (isKnown(ms) ? dayYear.format(ms) : UNKNOWN);
export const shortDate = (ms) => (isKnown(ms) ? dayShort.format(ms) : UNKNOWN);
export const dayName = (ms) => (isKnown(ms) ? weekday.format(ms) : UNKNOWN);

/** The time of day if it is the shop's today, else with the date. */
export function near(ms, shopMs) {
  if (!isKnown(ms)) return UNKNOWN;
  return isKnown(shopMs) && dayShort.format(ms) === dayShort.format(shopMs) && Math.abs(ms - shopMs) < 864e5
    ? clockTime.format(ms)
    : dayTime.format(ms);
}

/** The zone's name: "CET", "UTC". */
export const zone = (ms = Date.now()) => zoned.formatToParts(ms).find((part) => part.type === "timeZoneName")?.value ?? "";

/** What an incident is about, where that is no item: "orders/2" as "orders, partition 2". */
export function subject(text) {
  const input = /^(orders|inputs)\/(\d+)$/.exec(text);
  if (input) return `${input[1] === "inputs" ? "all topics" : input[1]}, partition ${input[2]}`;
  return text === "shop" ? "the shop" : text.replace(/^(campaign|category):/, "$1 ");
}

/** Texts of an axis: one that says the same as the one before is left out. */
export const unique = (texts) => texts.map((text, n) => (n > 0 && text === texts[n - 1] ? "" : text));

/** Numbers of an axis, with as many digits as it takes to tell them apart. */
export function ticks(values) {
  const isExact = (value, digits) => !isKnown(value) || Math.abs(value * 10 ** digits - Math.round(value * 10 ** digits)) < 1e-6;
  for (let digits = 0; digits <= 6; digits += 1) {
    if (!values.every((value) => isExact(value, digits))) continue;
    const shown = new Intl.NumberFormat("en-GB", { maximumFractionDigits: digits });
    const texts = values.map((value) => (isKnown(value) ? minus(shown.format(value)) : ""));
    if (new Set(texts).size === texts.length) return texts;
  }
  return unique(values.map(tick));
}

/** "low_cover" as "low cover". */
export const words = (name) => String(name).replaceAll("_", " ");
