// The drawer: a card over its board, at the card's own address. Without it, the same link opens the page.
import { say } from "./words.js";
import { settle, toast } from "./toast.js";
import { get, post, refused } from "./net.js";
import { dirty } from "./typing.js";
import { bringBack, bump, numberOf, placeOf, tile, tiles } from "./tiles.js";

const dialog = document.getElementById("over");
const title = document.title;
const home = location.pathname + location.search;
let last;

const drawer = () => document.getElementById("drawer");

/** The id of the card in the drawer, if it is open. */
export const shown = () => (dialog.open ? drawer().dataset.card : undefined);

/** Blocks of the final size, but not before 300 ms: most cards come sooner. */
function waiting() {
  const blocks = document.createElement("div");
  blocks.className = "drawer";
  blocks.id = "drawer";
  blocks.ariaBusy = "true";
  blocks.ariaLabel = say("js-loading");
  blocks.innerHTML = '<div class="drawer-h"></div><div class="drawer-b"><div class="drawer-s"><div class="skel late h"></div><div class="skel late"></div><div class="skel late q"></div></div><div class="rail"><div class="skel late"></div><div class="skel late h"></div></div></div>';
  return blocks;
}

/** Puts a fetched card into the drawer and lets htmx know its forms. */
function fill(html) {
  const template = document.createElement("template");
  template.innerHTML = html;
  const fresh = template.content.querySelector("#drawer");
  if (!fresh) throw new Error("no card in the answer");
  keep();
  drawer().replaceWith(fresh);
  window.htmx.process(fresh);
  bring();
}

/** Opens the card of a tile, or another address of a card. */
export async function open(li, push = true) {
  const card = li.dataset.card;
  const url = li.querySelector(".card-a").href;
  const stepping = dialog.open;
  last = card;
  if (!stepping || drawer().dataset.card !== card) drawer().replaceWith(waiting());
  if (!stepping) {
    dialog.tabIndex = -1;
    dialog.showModal();
    dialog.focus();
    settle();
  }
  if (push) history[stepping ? "replaceState" : "pushState"]({ card }, "", url);
  try {
    const html = await get(url);
    if (last !== card || !dialog.open) return;
    fill(html);
    document.title = `${numberOf(li)} ${li.querySelector("h3").textContent} — Workrun`;
    dialog.ariaLabel = document.title;
    const now = tile(card);
    now?.querySelector(".card.unread")?.classList.remove("unread");
    for (const mark of now?.querySelectorAll(".dot, .dot + .vh") ?? []) mark.remove();
  } catch {
    location.assign(url);
  }
}

/** Closes it; the focus returns to its card, the address to the board's. */
export function close() {
  if (!dialog.open) return;
  if (history.state?.card) history.back();
  else hide();
}

function hide() {
  if (!dialog.open) return;
  const active = document.activeElement;
  if (active instanceof HTMLElement && dialog.contains(active)) active.blur();
  dialog.close();
  document.title = title;
  settle();
  tile(last)?.querySelector(".card-a").focus();
}

/** The previous or next card, in the order of the board. */
export function step(by) {
  const all = tiles();
  const li = all[all.findIndex((one) => one.dataset.card === last) + by];
  if (li) open(li);
}

addEventListener("popstate", (event) => {
  const li = event.state?.card && tile(event.state.card);
  if (li) open(li, false);
  else if (location.pathname + location.search === home) hide();
  else location.reload();
});

dialog.addEventListener("cancel", (event) => {
  event.preventDefault();
  close();
});

dialog.addEventListener("click", (event) => {
  const steps = event.target.closest("[data-steps]");
  if (steps) step(Number(steps.dataset.steps));
  if (event.target === dialog || event.target.closest("[data-closes]")) {
    event.preventDefault();
    close();
  }
});

document.getElementById("board").addEventListener("click", (event) => {
  const link = event.target.closest(".card-a");
  if (!link || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  open(link.closest("[data-card]"));
});

// Archiving and deleting leave the board; a toast brings the card back.
dialog.addEventListener("submit", async (event) => {
  const form = event.target;
  if (!form.matches("[data-leaves]")) return;
  event.preventDefault();
  if (refused()) return;
  const li = tile(drawer().dataset.card);
  const place = li && placeOf(li);
  const answer = await post(form.action).catch(() => undefined);
  if (!answer?.ok) {
    toast(say("js-error"));
    return;
  }
  close();
  // The stream may have been faster.
  if (li?.isConnected) {
    li.remove();
    bump(place.status, -1);
  }
  toast(form.dataset.leaves, li && (() => bringBack(li, place)));
});

// What was typed and not sent outlives every redrawing of the same card, and so does the place scrolled to.
let kept;

function keep(sent) {
  const old = drawer();
  const typed = [...old.querySelectorAll("textarea[id], input[id]")].filter((input) => dirty(input) && input.form !== sent);
  kept = {
    card: old.dataset.card,
    values: typed.map((input) => [input.id, input.value]),
    scrolls: [".drawer-b", ".drawer-s", ".rail"].map((part) => [part, old.querySelector(part)?.scrollTop ?? 0]),
  };
}

function bring() {
  const fresh = drawer();
  if (!kept || kept.card !== fresh.dataset.card) return;
  for (const [id, value] of kept.values) {
    const input = document.getElementById(id);
    if (!input) continue;
    input.value = value;
    const details = input.closest("details.body-d");
    if (details) details.open = true;
  }
  for (const [part, top] of kept.scrolls) {
    const element = fresh.querySelector(part);
    if (element) element.scrollTop = top;
  }
  kept = undefined;
}

document.addEventListener("htmx:beforeSwap", (event) => {
  if (event.detail.target.id === "drawer" && event.detail.shouldSwap) keep(event.detail.requestConfig.elt.closest("form"));
});
document.addEventListener("htmx:afterSwap", (event) => {
  if (event.detail.target.id === "drawer" || event.target.id === "drawer") bring();
});

function typing() {
  return [...drawer().querySelectorAll("textarea, input:not([type=hidden])")].some((input) => dirty(input) || input === document.activeElement);
}

/** Says in the drawer that it shows an older state. */
function tell(actor) {
  const bar = drawer().querySelector("[data-changed]");
  bar.querySelector(".grow").textContent = say("js-drawer-changed", { actor });
  bar.hidden = false;
}

/**
 * Somebody changed a card: if it is the one open here, shows it anew, unless something is being typed; then a bar says so.
 */
export async function changed(card, version, actor) {
  const behind = () => shown() === card && Number(drawer().dataset.version) < version;
  if (!behind()) return;
  if (typing()) {
    tell(actor);
    return;
  }
  try {
    const html = await get(drawer().dataset.href);
    // Somebody may have begun to type meanwhile; a save of theirs may have brought the same.
    if (!behind()) return;
    if (typing()) tell(actor);
    else fill(html);
  } catch {
    // The bar and the banner say enough; the next change tries again.
  }
}
