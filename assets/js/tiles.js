// Tiles and columns: finding, placing and moving them. The one module that changes where a tile stands.
import { say } from "./words.js";
import { toast } from "./toast.js";
import { post, refused } from "./net.js";

export const board = document.getElementById("board");

/** May this reader move cards? */
export const editable = () => board.hasAttribute("data-editable");

export const columns = () => [...board.querySelectorAll(".col")];
export const column = (status) => document.getElementById(`column-${status}`);
export const list = (col) => col.querySelector(".cards");
export const tile = (id) => document.getElementById(`card-${id}`);
export const tiles = (within = board) => [...within.querySelectorAll("[data-card]:not([hidden])")];
export const statusOf = (li) => li.closest(".col").dataset.status;
export const nameOf = (col) => col.querySelector("h2").textContent;
export const numberOf = (li) => li.querySelector(".card-n > span:last-child").textContent;
export const urlOf = (li) => `${board.dataset.org}/cards/${li.dataset.card}`;

/** The tile that `html` describes. It has its true height at once: others are measured against it before it is drawn. */
export function made(html) {
  const template = document.createElement("template");
  template.innerHTML = html;
  const li = template.content.querySelector("[data-card]");
  li?.querySelector(".card").classList.add("made");
  return li;
}

/** Where a tile stands: its column, and the card before it. */
export function placeOf(li) {
  let before = li.previousElementSibling;
  while (before && !before.dataset.card) before = before.previousElementSibling;
  return { status: statusOf(li), after: before?.dataset.card ?? "" };
}

/**
 * Puts a tile into a column behind the card `after` (at the top if empty). Returns false, and takes the tile away, if that
 * card is beyond what is shown.
 */
export function put(li, status, after) {
  const col = column(status);
  if (!col) {
    li.remove();
    return false;
  }
  const cards = list(col);
  const before = after && tile(after);
  if (before && before.closest(".col") === col) {
    before.after(li);
  } else if (!after) {
    cards.prepend(li);
  } else if (cards.querySelector(".more")) {
    li.remove();
    return false;
  } else {
    cards.append(li);
  }
  return true;
}

/** Puts a tile last among those shown. */
export function append(li, col) {
  const more = list(col).querySelector(".more");
  if (more) more.before(li);
  else list(col).append(li);
}

/** Writes a column's number wherever it stands, and the board's. */
export function count(status, n) {
  for (const element of document.querySelectorAll(`[data-count="${status}"]`)) element.textContent = n;
  const total = columns().reduce((sum, col) => sum + Number(col.querySelector("[data-count]").textContent), 0);
  for (const element of document.querySelectorAll("[data-total]")) element.textContent = total;
}

/** Adds to a column's number. */
export function bump(status, step) {
  const shown = column(status)?.querySelector("[data-count]");
  if (shown) count(status, Math.max(0, Number(shown.textContent) + step));
}

/** Writes down that a tile went from `from` to `to`, numbers included. */
function moved(from, to) {
  if (from !== to) {
    bump(from, -1);
    bump(to, 1);
  }
}

/**
 * Tells the appliance where a tile now stands; it came from `origin`. If that is refused, the tile goes back.
 * A move into another column can be undone.
 */
export async function settleMove(li, origin) {
  const now = placeOf(li);
  if (now.status === origin.status && now.after === origin.after) return;
  moved(origin.status, now.status);
  const told = refused();
  const answer = told ? undefined : await post(`${urlOf(li)}/position`, now).catch(() => undefined);
  const current = tile(li.dataset.card) ?? li;
  if (!answer?.ok) {
    put(current, origin.status, origin.after);
    moved(now.status, origin.status);
    if (!told) toast(say("js-not-moved"));
    return;
  }
  if (now.status !== origin.status) {
    const name = nameOf(column(now.status));
    toast(say("js-moved-to", { number: numberOf(current), status: name }), () => move(tile(li.dataset.card), origin.status, origin.after));
  }
}

/** Moves a tile and keeps the focus on it. */
export function move(li, status, after = "") {
  if (!li || !editable()) return;
  const origin = placeOf(li);
  const focused = li.contains(document.activeElement);
  put(li, status, after);
  if (focused) li.querySelector(".card-a").focus();
  li.scrollIntoView({ block: "nearest", inline: "nearest" });
  return settleMove(li, origin);
}

/** Archives a card, with the way back. */
export async function archive(li) {
  if (!li || !editable() || refused()) return;
  const origin = placeOf(li);
  const next = neighbour(li);
  const answer = await post(`${urlOf(li)}/archive`).catch(() => undefined);
  if (!answer?.ok) {
    toast(say("js-error"));
    return;
  }
  if (li.isConnected) {
    li.remove();
    bump(origin.status, -1);
  }
  next?.querySelector(".card-a").focus();
  toast(say("js-archived", { number: numberOf(li) }), () => bringBack(li, origin));
}

/** Takes a card out of archive or trash again, to the place where it stood. */
export async function bringBack(li, origin) {
  const answer = await post(`${urlOf(li)}/restoration`).catch(() => undefined);
  if (!answer?.ok) {
    toast(say("js-error"));
    return;
  }
  // A restored card comes on top of its column. If its neighbour has gone, it stays there.
  if (origin.after) await post(`${urlOf(li)}/position`, origin).catch(() => undefined);
  if (!tile(li.dataset.card) && put(li, origin.status, origin.after)) bump(origin.status, 1);
}

/** The tile that takes the focus when this one goes. */
export function neighbour(li) {
  const all = tiles(li.closest(".col"));
  const at = all.indexOf(li);
  return all[at + 1] ?? all[at - 1];
}
