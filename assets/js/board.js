// The board: dragging, adding, searching. Keys, the drawer, the menu of a card and live changes have modules of their own.
import { say } from "./words.js";
import { get, post, refused } from "./net.js";
import { composing } from "./typing.js";
import { append, board, bump, columns, editable, list, made, placeOf, settleMove, tile, tiles } from "./tiles.js";
import { hold, live, release } from "./live.js";
import "./drawer.js";
import "./cardmenu.js";
import "./keys.js";

const still = matchMedia("(prefers-reduced-motion: reduce)").matches;

// Dragging. On touch it starts from a long press, so that scrolling never moves a card.
function draggable(cards) {
  if (!editable() || !window.Sortable) return;
  let origin;
  window.Sortable.create(cards, {
    group: "cards",
    draggable: "[data-card]",
    filter: ".card-m",
    preventOnFilter: false,
    animation: still ? 0 : 150,
    delay: 300,
    delayOnTouchOnly: true,
    touchStartThreshold: 6,
    emptyInsertThreshold: 48,
    fallbackTolerance: 4,
    scrollSensitivity: 60,
    onStart({ item }) {
      hold();
      origin = placeOf(item);
    },
    async onEnd({ item }) {
      const more = item.parentElement.querySelector(".more");
      if (more) more.parentElement.append(more);
      const settled = settleMove(item, origin);
      release();
      await settled;
    },
  });
}

/** Gives every column what only a script can do; again after the board was loaded anew. */
function furnish() {
  for (const col of columns()) draggable(list(col));
  watchColumns();
  search();
}

// A long press is a drag here, not the browser's menu for links.
let touching = false;
board.addEventListener("pointerdown", (event) => (touching = event.pointerType === "touch"));
board.addEventListener("contextmenu", (event) => {
  if (touching && event.target.closest(".card")) event.preventDefault();
});

// The composer: Enter adds and stays for the next one.
document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (!form.matches(".composer")) return;
  event.preventDefault();
  const title = form.elements.title;
  const text = title.value.trim();
  if (!text || refused() || form.ariaBusy === "true") return;
  form.ariaBusy = "true";
  const error = form.querySelector(".error");
  error.hidden = true;
  try {
    const answer = await post(form.action, { title: text, status: form.elements.status.value });
    if (!answer.ok) throw new Error(answer.headers.get("content-type")?.startsWith("text/plain") ? await answer.text() : "");
    const li = made(await answer.text());
    if (li && !tile(li.dataset.card)) {
      append(li, form.closest(".col"));
      bump(form.elements.status.value, 1);
    }
    title.value = "";
    tile(li?.dataset.card)?.scrollIntoView({ block: "nearest" });
  } catch (failure) {
    error.textContent = failure.message && !(failure instanceof TypeError) ? failure.message : say("js-not-saved");
    error.hidden = false;
  } finally {
    form.ariaBusy = null;
    title.focus();
  }
});

document.addEventListener("keydown", (event) => {
  const form = event.target.closest?.(".composer");
  if (!form || composing(event)) return;
  if (event.key === "Enter" && !event.shiftKey && event.target.matches("textarea")) {
    event.preventDefault();
    form.requestSubmit();
  } else if (event.key === "Escape") {
    event.stopPropagation();
    form.reset();
    form.closest("details").querySelector("summary").focus();
  }
});

document.addEventListener("reset", (event) => {
  if (event.target.matches(".composer")) event.target.closest("details").open = false;
});

document.addEventListener("toggle", (event) => {
  if (!event.target.matches?.(".composer-d[open]")) return;
  for (const other of document.querySelectorAll(".composer-d[open]")) {
    if (other !== event.target && !other.querySelector("textarea").value) other.open = false;
  }
  event.target.querySelector("textarea").focus();
  event.target.scrollIntoView({ block: "nearest" });
}, true);

// The rest of a long column.
board.addEventListener("click", async (event) => {
  const link = event.target.closest(".more a");
  if (!link || event.metaKey || event.ctrlKey) return;
  event.preventDefault();
  const item = link.closest(".more");
  if (item.ariaBusy === "true") return;
  item.ariaBusy = "true";
  try {
    const template = document.createElement("template");
    template.innerHTML = await get(link.href);
    for (const li of template.content.querySelectorAll("[data-card]")) tile(li.dataset.card)?.remove();
    const first = template.content.querySelector("[data-card]");
    item.replaceWith(template.content);
    first?.querySelector(".card-a").focus({ preventScroll: true });
    search();
  } catch {
    item.ariaBusy = null;
    location.assign(link.href.replace(/\/columns\/.*/, "/list"));
  }
});

// Searching narrows what is shown while one types; Enter searches everything, as a list.
const field = document.getElementById("search");
const fold = (text) => text.normalize("NFKC").toLowerCase();

function search() {
  const wanted = fold(field.value.trim());
  for (const li of board.querySelectorAll("[data-card]")) {
    li.hidden = Boolean(wanted) && !fold(li.textContent).includes(wanted);
  }
}

field.addEventListener("input", search);
field.addEventListener("keydown", (event) => {
  if (composing(event)) return;
  if (event.key === "Escape") {
    event.stopPropagation();
    field.value = "";
    search();
    field.blur();
  } else if (event.key === "ArrowDown") {
    event.preventDefault();
    tiles()[0]?.querySelector(".card-a").focus();
  }
});

// On a phone, the row above the columns says which one is in sight, and jumps.
const seen = new IntersectionObserver((entries) => {
  for (const entry of entries) {
    if (!entry.isIntersecting) continue;
    for (const link of document.querySelectorAll(".jump a")) {
      const here = link.hash === `#${entry.target.id}`;
      link.toggleAttribute("aria-current", here);
      if (here) {
        link.ariaCurrent = "true";
        const row = link.parentElement;
        row.scrollTo({ left: link.offsetLeft - row.offsetLeft - 16, behavior: still ? "auto" : "smooth" });
      }
    }
  }
}, { root: board, threshold: 0.6 });

function watchColumns() {
  seen.disconnect();
  for (const col of columns()) seen.observe(col);
}

document.querySelector(".jump")?.addEventListener("click", (event) => {
  const link = event.target.closest("a");
  if (!link) return;
  event.preventDefault();
  document.querySelector(link.hash)?.scrollIntoView({ inline: "start", block: "nearest", behavior: still ? "auto" : "smooth" });
});

document.addEventListener("board:changed", search);
document.addEventListener("board:loaded", furnish);
furnish();
live();
