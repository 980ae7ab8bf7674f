// Single keys on the board. They are silent while one writes, in menus and dialogs, and can be switched off.
import { settle } from "./toast.js";
import { composing, writing } from "./typing.js";
import { archive, board, columns, tiles } from "./tiles.js";
import { shown, step } from "./drawer.js";
import { menuOpen, openMenu } from "./cardmenu.js";

const OFF = "workrun.keys.off";
const toggle = document.getElementById("keys-on");
toggle.checked = !localStorage.getItem(OFF);
toggle.addEventListener("change", () => (toggle.checked ? localStorage.removeItem(OFF) : localStorage.setItem(OFF, "1")));

const current = () => document.activeElement?.closest?.("[data-card]");
const focus = (li) => li?.querySelector(".card-a").focus();

/** Walks within a column, or to the same height of the next column that has cards. */
function walk(across, down) {
  const li = current();
  if (!li) return focus(tiles()[0]);
  const col = li.closest(".col");
  const here = tiles(col);
  const at = here.indexOf(li);
  if (down) return focus(here[at + down]);
  const all = columns();
  for (let next = all.indexOf(col) + across; all[next]; next += across) {
    const there = tiles(all[next]);
    if (there.length) return focus(there[Math.min(at, there.length - 1)]);
  }
}

/** Opens the composer of the column at hand. */
export function compose() {
  const details = (current()?.closest(".col") ?? board).querySelector(".composer-d");
  if (!details) return;
  details.open = true;
  details.querySelector("textarea").focus();
}

function help() {
  document.getElementById("keys").showModal();
  settle();
}

const onBoard = {
  ArrowLeft: () => walk(-1, 0), h: () => walk(-1, 0),
  ArrowRight: () => walk(1, 0), l: () => walk(1, 0),
  ArrowUp: () => walk(0, -1), k: () => walk(0, -1),
  ArrowDown: () => walk(0, 1), j: () => walk(0, 1),
  n: compose,
  m: () => openMenu(current()),
  e: () => archive(current()),
  "/": () => document.getElementById("search").focus(),
  "?": help,
};
const inDrawer = { "[": () => step(-1), "]": () => step(1) };

document.addEventListener("keydown", (event) => {
  if (composing(event) || event.ctrlKey || event.metaKey || event.altKey || writing(event.target) || menuOpen()) return;
  const single = event.key.length === 1;
  if (single && !toggle.checked) return;
  const dialog = document.querySelector("dialog:modal");
  const table = shown() ? inDrawer : dialog ? {} : onBoard;
  // Arrows scroll, as everywhere, unless a card has the focus.
  if (event.key.startsWith("Arrow") && !current()) return;
  const act = table[single ? event.key.toLowerCase() : event.key];
  if (!act) return;
  event.preventDefault();
  act();
});

document.addEventListener("click", (event) => {
  if (event.target.closest?.("[data-compose]")) compose();
});

