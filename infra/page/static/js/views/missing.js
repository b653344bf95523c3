// An address that no part of the page has.

import { card, el, fill } from "../dom.js";

export const title = "No such page";
export const parts = [];

export function mount(root) {
  const asked = location.hash.replace(/^#\/?/, "").split("?")[0];
  const links = [...document.querySelectorAll("nav a")].flatMap((link) => [el("a", { href: link.getAttribute("href") }, link.firstChild.textContent), " · "]);
  fill(root, card({ text: "No such page", level: "h1" },
    el("p", {}, `This page has no part called "${asked}". The link is old, or a letter is wrong. There are: `, links.slice(0, -1))));
  return { refresh: async () => {}, destroy: () => {} };
}
