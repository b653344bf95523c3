// Elements from data. Text is only ever set as text: nothing from outside can become markup.

/** Return a new element: el("p", {class: "muted"}, "text", otherElement). */
export function el(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (key === "class") made.className = value;
    else made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return made;
}

/** Set an element's text if it is another one. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Replace an element's children. */
export function fill(element, ...children) {
  element.replaceChildren(...children.flat().filter((child) => child !== null && child !== undefined));
}

/**
 * A table that is renewed in place: rows keep their elements, so that focus and selection stay.
 *
 * columns: [{title, number?, wide?, cell: row => text | {text, sub, class, href, title, tags}}]
 */
export class Table {
  constructor({ columns, key, caption, empty }) {
    this.columns = columns;
    this.key = key;
    this.rows = new Map();
    this.body = el("tbody");
    const heads = columns.map((column) =>
      el("th", { scope: "col", class: classes(column) }, column.title || el("span", { class: "visually-hidden" }, column.label || "action")));
    this.table = el("table", {}, el("caption", { class: "visually-hidden" }, caption), el("thead", {}, el("tr", {}, heads)), this.body);
    this.empty = el("p", { class: "empty", hidden: true }, empty);
    this.element = el("div", {}, el("div", { class: "scroll", role: "region", "aria-label": caption, tabindex: "0" }, this.table), this.empty);
  }

  update(rows) {
    const seen = new Set();
    let before = null;
    for (const row of rows) {
      const key = this.key(row);
      seen.add(key);
      if (!this.rows.has(key)) this.rows.set(key, this.make());
      const made = this.rows.get(key);
      this.columns.forEach((column, place) => this.renew(made.cells[place], column, row));
      const wanted = before ? before.nextSibling : this.body.firstChild;
      if (made !== wanted) this.body.insertBefore(made, wanted);
      before = made;
    }
    for (const [key, made] of this.rows) {
      if (!seen.has(key)) {
        made.remove();
        this.rows.delete(key);
      }
    }
    this.empty.hidden = rows.length > 0;
    this.table.hidden = rows.length === 0;
  }

  make() {
    return el("tr", {}, this.columns.map((column) => el("td", { class: classes(column) })));
  }

  renew(cell, column, row) {
    const given = column.cell(row);
    const shown = typeof given === "object" && given !== null ? given : { text: given };
    if (shown.node) {
      if (cell.dataset.shown !== shown.as) {
        cell.dataset.shown = shown.as;
        fill(cell, shown.node());
      }
      return;
    }
    const as = JSON.stringify(shown);
    if (cell.dataset.shown === as) return;
    const focused = cell.contains(document.activeElement);
    cell.dataset.shown = as;
    cell.className = `${classes(column)} ${shown.class || ""}`.trim();
    if (shown.title) cell.title = shown.title;
    else cell.removeAttribute("title");
    const text = String(shown.text ?? "");
    fill(
      cell,
      shown.href ? el("a", { href: shown.href }, text) : text,
      shown.sub ? el("span", { class: "sub" }, ` ${shown.sub}`) : null,
      (shown.tags || []).map((tag) => el("span", { class: `tag ${tag.class || ""}` }, tag.text)),
    );
    if (focused) cell.querySelector("a, button")?.focus();
  }
}

function classes(column) {
  return [column.number ? "number" : "", column.wide ? "wide" : "", column.class || ""].join(" ").trim();
}

/** A card with a heading. */
export function card(title, ...children) {
  const { level = "h2", side = null } = typeof title === "object" ? title : {};
  const text = typeof title === "object" ? title.text : title;
  return el("section", { class: "card" }, el("header", {}, el(level, {}, text), side), ...children);
}

/** Buttons of which one is pressed: choices {value: text}. */
export function choice(label, choices, chosen, onchange) {
  const buttons = Object.entries(choices).map(([value, text]) =>
    el("button", { type: "button", "aria-pressed": String(value === chosen), onclick: () => {
      for (const [other, button] of made) button.setAttribute("aria-pressed", String(other === value));
      onchange(value);
    } }, text));
  const made = Object.keys(choices).map((value, place) => [value, buttons[place]]);
  return el("div", { class: "choice", role: "group", "aria-label": label }, buttons);
}
