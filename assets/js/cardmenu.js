// The menu of a card: one popover for all tiles. "Move to" does everything that dragging does.
import { say } from "./words.js";
import { board, archive, columns, move, nameOf, statusOf } from "./tiles.js";
import { open } from "./drawer.js";

const menu = document.getElementById("card-menu");
let subject;
let opener;

/** Elements made the short way: entry("移す", run, icon). */
function entry(text, run, icon, tail) {
  const button = document.createElement("button");
  button.type = "button";
  button.role = "menuitem";
  button.tabIndex = -1;
  if (icon) button.append(icon);
  button.append(Object.assign(document.createElement("span"), { className: "grow", textContent: text }));
  if (tail) button.append(tail);
  button.addEventListener("click", () => {
    menu.hidePopover();
    run();
  });
  return button;
}

function tail(tag, text) {
  return Object.assign(document.createElement(tag), { className: tag === "kbd" ? "push" : "push faint", textContent: text });
}

function fill(li) {
  const here = statusOf(li);
  const heading = Object.assign(document.createElement("p"), { className: "menu-h", textContent: say("js-move-to") });
  const moves = columns().map((col, at) => {
    const status = col.dataset.status;
    const icon = col.querySelector(".col-h .i").cloneNode(true);
    const mark = status === here ? tail("span", say("js-here")) : at < 9 && tail("kbd", String(at + 1));
    return entry(nameOf(col), () => status !== here && move(li, status), icon, mark);
  });
  const sprite = (name) => {
    const icon = columns()[0].querySelector(".col-h .i").cloneNode(true);
    icon.setAttribute("class", "i");
    const use = icon.querySelector("use");
    use.setAttribute("href", use.getAttribute("href").replace(/#.*/, `#${name}`));
    return icon;
  };
  menu.replaceChildren(
    heading,
    ...moves,
    document.createElement("hr"),
    entry(say("js-open"), () => open(li), sprite("right")),
    entry(say("js-archive"), () => archive(li), sprite("box"), tail("kbd", "E")),
  );
}

/** Opens the menu of a tile beside its button. */
export function openMenu(li) {
  const button = li?.querySelector(".card-m");
  if (!button) return;
  subject = li;
  opener = document.activeElement;
  fill(li);
  menu.showPopover();
  button.ariaExpanded = "true";
  const at = button.getBoundingClientRect();
  const size = menu.getBoundingClientRect();
  menu.style.left = `${Math.max(8, Math.min(at.right - size.width, innerWidth - size.width - 8))}px`;
  menu.style.top = `${at.bottom + 4 + size.height > innerHeight ? Math.max(8, at.top - 4 - size.height) : at.bottom + 4}px`;
  menu.querySelector("button")?.focus();
}

/** Is the menu open, so that nothing should move beneath it? */
export const menuOpen = () => menu.matches(":popover-open");

board.addEventListener("click", (event) => {
  const button = event.target.closest(".card-m");
  if (button) openMenu(button.closest("[data-card]"));
});

menu.addEventListener("toggle", (event) => {
  if (event.newState !== "closed") return;
  subject?.querySelector(".card-m")?.removeAttribute("aria-expanded");
  if (menu.contains(document.activeElement) || document.activeElement === document.body) {
    (opener?.isConnected ? opener : subject?.querySelector(".card-a"))?.focus({ preventScroll: true });
  }
  document.dispatchEvent(new CustomEvent("board:free"));
});

menu.addEventListener("keydown", (event) => {
  const entries = [...menu.querySelectorAll("button")];
  const at = entries.indexOf(document.activeElement);
  const steps = { ArrowDown: 1, ArrowUp: -1, j: 1, k: -1 };
  if (event.key in steps) {
    entries[(at + steps[event.key] + entries.length) % entries.length].focus();
  } else if (/^[1-9]$/.test(event.key) && columns()[event.key - 1]) {
    entries[event.key - 1].click();
  } else if (event.key === "e") {
    entries[entries.length - 1].click();
  } else if (event.key === "Tab") {
    menu.hidePopover();
    return;
  } else {
    return;
  }
  event.preventDefault();
  event.stopPropagation();
});
