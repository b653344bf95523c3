// What changes something: taking an incident on, pausing and resuming orders. Each asks first.

import { get, post, token } from "./api.js";
import { el, fill } from "./dom.js";
import * as f from "./format.js";

const WHO = "tidegate-who";
const WHY = "tidegate-why-order"; // whoever answers forty orders has one reason for most of them

const field = (label, input, hint) => el("div", { class: "field" }, el("label", { for: input.id }, label), input, hint ? el("span", { class: "muted" }, hint) : null);
const text = (id, more = {}) => el("input", { id, name: id, autocomplete: "off", maxlength: "80", ...more });

/** Show a dialog with a form; `act` gets its values and may throw, `confirm` must be ticked first. */
function ask({ title, intro, fields, confirm, action, danger, act }) {
  const problem = el("p", { class: "bad", role: "alert" });
  const go = el("button", { type: "submit", class: danger ? "danger" : "primary" }, action);
  const dialog = el("dialog", { "aria-labelledby": "dialog-title" });
  const place = el("div", {}, tokenField());
  const form = el("form", { method: "dialog" },
    el("h2", { id: "dialog-title" }, title), intro, fields, place, confirm ?? null, problem,
    el("div", { class: "actions" }, el("button", { type: "button", onclick: () => dialog.close() }, "Cancel"), go));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const values = Object.fromEntries(new FormData(form));
    if (values.token) token.set(values.token.trim());
    if (values.who) sessionStorage.setItem(WHO, values.who);
    go.disabled = true;
    try {
      await act(values);
      dialog.close();
    } catch (error) {
      if (error.status === 401 || error.status === 403) {
        token.set("");
        fill(place, tokenField());
      }
      problem.textContent = explained(error);
      go.disabled = false;
    }
  });
  dialog.addEventListener("close", () => dialog.remove());
  dialog.append(form);
  document.body.append(dialog);
  dialog.showModal();
  form.querySelector("input:not([value]), input[value='']")?.focus();
}

function explained(error) {
  if (error.status === 401) return "The token is not right, or there is none. It is in the file operator.token beside the state of `tidegate up`, or your operators have it.";
  if (error.status === 403) return `Not allowed: ${error.message}`;
  return `That did not work: ${error.message}`;
}

function tokenField() {
  if (token.get()) return el("p", { class: "muted" }, "With the operator's token of this session. ", el("button", { type: "button", class: "small", onclick: (event) => {
    token.set("");
    event.target.parentElement.replaceWith(tokenField());
  } }, "Use another"));
  return field("Operator's token", text("token", { type: "password", required: true, maxlength: "4096" }), "Kept in this tab only, until it is closed.");
}

const whoField = () => field("Who you are", text("who", { required: true, value: sessionStorage.getItem(WHO) || "" }));

/** Take an incident on. */
export function acknowledge(incident, context) {
  ask({
    title: "Acknowledge this incident",
    intro: el("div", { class: "stack" },
      el("p", {}, el("b", {}, incident.summary), ". ", incident.action),
      el("p", { class: "muted" }, "It pages nobody until it is resolved, for at most 24 h. Your name is shown here and in the audit log.")),
    fields: [whoField(), field("Note (may be empty)", text("note", { maxlength: "200" }))],
    action: "Acknowledge",
    act: async ({ who, note }) => {
      await post("incidents/acknowledge", { incident_id: incident.incident_id, who, note: note || "" });
      await context.refresh(null);
    },
  });
}

// --- a word about one order ---

const WORDS = {
  approve: { title: "Approve this order", action: "Approve", intro: "It leaves within about two seconds. If it leaves later than decided, its date moves." },
  change: { title: "Change this order", action: "Change", intro: "One that waits leaves as its next version, and waits for approval if it needs that." },
  reject: { title: "Reject this order", action: "Reject", danger: true, intro: "One that waits never leaves, and none of it counts as supply any more." },
};

/** Approve, change or reject a purchase order. */
export function answerOrder(verb, order, context) {
  const word = WORDS[verb];
  ask({
    title: word.title,
    intro: el("div", { class: "stack" },
      el("p", {}, el("b", {}, `${f.count(order.quantity)} of ${order.sku} from ${order.supplier}`), ` (${order.po_id}). ${word.intro}`),
      order.hold ? null : el("p", { class: "warn" }, "It has left already: tell the supplier, who does not know of this.")),
    fields: [
      whoField(),
      field("Why", text("why", { required: true, maxlength: "200", value: sessionStorage.getItem(WHY) || "" })),
      ...(verb === "change" ? [
        field("Units", text("quantity", { type: "number", min: "1", max: "1000000", step: "1", value: String(order.quantity) })),
        field("Due on (empty: as it was)", text("expected_at", { type: "date" })),
      ] : []),
    ],
    action: word.action,
    danger: word.danger,
    act: async ({ who, why, quantity, expected_at }) => {
      const changed = verb === "change" ? { quantity: quantity ? Number(quantity) : null, expected_at: expected_at || null } : {};
      sessionStorage.setItem(WHY, why);
      await post(`purchase-orders/${verb}`, { po_id: order.po_id, who, why, ...changed });
      await context.refresh(null);
    },
  });
}

/** Approve or reject many purchase orders by one word; what could not be said is listed. */
export function answerOrders(verdict, orders, context) {
  const isApproval = verdict === "approved";
  ask({
    title: `${isApproval ? "Approve" : "Reject"} ${f.count(orders.length)} ${orders.length === 1 ? "order" : "orders"}`,
    intro: el("div", { class: "stack" },
      el("p", {}, el("b", {}, sums(orders)), isApproval ? ". They leave within about two seconds each." : ". None of them leaves, and none counts as supply any more."),
      el("ul", { class: "feed-list" }, orders.slice(0, 12).map((one) => el("li", {}, `${f.count(one.quantity)} of ${one.sku} from ${one.supplier}: ${f.amount(one.amount, one.currency)}`))),
      orders.length > 12 ? el("p", { class: "muted" }, `and ${f.count(orders.length - 12)} more that the list shows`) : null),
    fields: [
      whoField(),
      field("Why", text("why", { required: true, maxlength: "200", value: sessionStorage.getItem(WHY) || "" })),
    ],
    action: isApproval ? "Approve all" : "Reject all",
    danger: !isApproval,
    act: async ({ who, why }) => {
      sessionStorage.setItem(WHY, why);
      const said = await post("purchase-orders/bulk", { verdict, po_ids: orders.map((one) => one.po_id), who, why });
      await context.refresh(null);
      if (said.refused.length) throw new Error(`${f.count(said.answers.length)} done; not ${said.refused.map((one) => `${one.po_id} (${one.field} must be ${one.rule})`).join(", ")}`);
    },
  });
}

/** Sums of money by currency: they are never added up across two. */
export function sums(orders) {
  const by = new Map();
  for (const one of orders) by.set(one.currency, (by.get(one.currency) ?? 0) + (one.amount ?? 0));
  return [...by].map(([currency, value]) => f.amount(value, currency)).join(" and ");
}

// --- pausing orders ---

/** The button in the header; it stays away where the worker cannot pause. */
export class Ordering {
  constructor(button, context) {
    this.button = button;
    this.context = context;
    this.holds = [];
    this.isThere = true;
    button.addEventListener("click", () => this.open());
  }

  async refresh() {
    if (!this.isThere) return;
    try {
      const found = await get("holds");
      this.holds = found.holds;
      this.waiting = found.orders_total;
      this.button.hidden = false;
    } catch (error) {
      this.isThere = error.status !== 404;
      // A pause goes to Kafka, so it works while Redis is away; what is paused stays as last known.
      if (this.isThere && error.status !== 401) this.button.hidden = false;
      return;
    }
    this.button.textContent = this.holds.length ? `Ordering paused (${this.holds.length})` : "Pause ordering";
    this.button.className = this.holds.length ? "halted" : "quiet";
  }

  open() {
    if (this.holds.length) this.showHolds();
    else this.askPause();
  }

  showHolds() {
    const dialog = el("dialog", { "aria-labelledby": "dialog-title" });
    const close = () => dialog.close();
    const list = el("ul", { class: "feed-list" }, this.holds.map((hold) => el("li", {},
      el("div", { class: "line" }, el("span", { class: "what" }, scope(hold)), el("button", { type: "button", class: "small", onclick: () => {
        close();
        this.askResume(hold);
      } }, "Resume")),
      el("div", { class: "more" }, `${hold.who}: ${hold.why} · since ${f.dateTime(Date.parse(hold.since))}`))));
    fill(dialog, el("div", { class: "stack" },
      el("h2", { id: "dialog-title" }, "Ordering is paused"),
      el("p", {}, `Decisions continue; no purchase order is published. Held: ${f.count(this.waiting)}.`),
      list,
      el("div", { class: "actions" }, el("button", { type: "button", onclick: close }, "Close"), el("button", { type: "button", class: "danger", onclick: () => {
        close();
        this.askPause();
      } }, "Pause more"))));
    dialog.addEventListener("close", () => dialog.remove());
    document.body.append(dialog);
    dialog.showModal();
  }

  askPause() {
    const anyway = el("div", { class: "stack" });
    ask({
      title: "Pause ordering",
      intro: el("p", {}, "From now on no purchase order is published. Decisions continue and their orders are held. Leave the three fields empty to pause everything."),
      fields: [
        whoField(),
        field("Why", text("why", { required: true, maxlength: "200" })),
        field("Only this supplier (may be empty)", text("supplier")),
        field("Only this SKU (may be empty)", text("sku", { maxlength: "512" })),
        field("Only this SKU's warehouse (may be empty)", text("warehouse")),
      ],
      confirm: el("div", { class: "stack" },
        el("label", { class: "check" }, el("input", { type: "checkbox", name: "sure", required: true }), "Yes, orders shall wait until somebody resumes them"),
        anyway),
      action: "Pause",
      danger: true,
      act: async ({ who, why, supplier, sku, warehouse, ...more }) => {
        const only = Object.fromEntries(Object.entries({ supplier, sku, warehouse }).filter(([, value]) => value));
        try {
          await post("pause", { who, why, ...only, anyway: "anyway" in more });
        } catch (error) {
          if (error.status === 404) offerAnyway(anyway);
          throw error;
        }
        await this.refresh();
      },
    });
  }

  askResume(hold) {
    ask({
      title: "Resume ordering",
      intro: el("p", {}, `${scope(hold)}: held orders are published, unless something else holds them.`),
      fields: [whoField(), field("Why", text("why", { required: true, maxlength: "200" }))],
      action: "Resume",
      act: async ({ who, why }) => {
        await post("resume", { who, why, hold_id: hold.hold_id });
        await this.refresh();
      },
    });
  }
}

/** Let a name be paused that the shop does not know: it may come to know it. */
function offerAnyway(place) {
  fill(place, el("label", { class: "check" }, el("input", { type: "checkbox", name: "anyway" }), "Pause it anyway, although the shop does not know it yet"));
}

function scope(hold) {
  const parts = ["supplier", "sku", "warehouse"].filter((name) => hold[name]).map((name) => `${name} ${hold[name]}`);
  return parts.length ? parts.join(", ") : "Everything";
}

/** Ask for a token to look with, where looking needs one. */
export function askToken(context) {
  if (document.querySelector("dialog")) return;
  ask({
    title: "This worker asks for a token",
    intro: el("p", {}, "It listens beyond this machine, so reading needs a token too."),
    fields: [],
    action: "Look",
    act: async () => {
      await get("now");
      await context.refresh(null);
    },
  });
}
