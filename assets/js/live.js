// Live changes: one stream of the board's events, resumed after the last one seen, applied without disturbing anybody.
import { say } from "./words.js";
import { toast } from "./toast.js";
import { connection } from "./net.js";
import { board, count, made, neighbour, numberOf, put, tile } from "./tiles.js";
import { changed, shown } from "./drawer.js";
import { menuOpen } from "./cardmenu.js";

const RING = 6000;
const BANNER = 2000;
const LONGEST = 30000;
const NOTES = {
  moved: "js-moved",
  created: "js-created",
  received: "js-created",
  commented: "js-commented",
  assigned: "js-assigned",
  unassigned: "js-assigned",
  labelled: "js-labelled",
  unlabelled: "js-labelled",
  restored: "js-restored",
};

let seq = Number(board.dataset.seq);
let source;
let delay = 1000;
let banner;
let retry;

// While a card is in the hand, or the pointer is down, or a menu is open, changes wait in line.
let dragging = false;
let pressed = false;
const line = [];

export function hold() {
  dragging = true;
}

export function release() {
  dragging = false;
  drain();
}

function drain() {
  while (line.length && !dragging && !pressed && !menuOpen()) apply(line.shift());
}

board.addEventListener("pointerdown", () => (pressed = true));
for (const end of ["pointerup", "pointercancel"]) {
  addEventListener(end, () => {
    pressed = false;
    // After the click that this may be.
    setTimeout(drain);
  });
}
document.addEventListener("board:free", drain);

/** The tile that must stay where it is on the screen: the one pointed at, else the one with the focus. */
function anchor() {
  const li = board.querySelector("[data-card]:hover") ?? document.activeElement?.closest?.("#board [data-card]");
  return li && { id: li.dataset.card, top: li.getBoundingClientRect().top };
}

function steady(before) {
  const li = before && tile(before.id);
  const cards = li?.closest(".cards");
  if (cards) cards.scrollTop += li.getBoundingClientRect().top - before.top;
}

/** Rings a tile and says who did what. */
function ring(li, verb, actor) {
  const card = li.querySelector(".card");
  const icon = document.querySelector(".col-h .i").cloneNode(true);
  icon.setAttribute("class", "i");
  const use = icon.querySelector("use");
  use.setAttribute("href", use.getAttribute("href").replace(/#.*/, verb === "moved" ? "#move" : verb === "commented" ? "#talk" : "#pen"));
  const note = document.createElement("p");
  note.className = "live-n";
  note.role = "status";
  note.append(icon, say(NOTES[verb] ?? "js-changed", { actor }));
  card.prepend(note);
  card.classList.add("live");
  setTimeout(() => {
    card.classList.remove("live");
    note.remove();
  }, RING);
}

function applyCard(change, message) {
  const old = tile(change.id);
  if (change.status === null) {
    if (!old) return;
    const focused = old.contains(document.activeElement);
    const next = neighbour(old);
    old.remove();
    if (focused) next?.querySelector(".card-a").focus({ preventScroll: true });
    if (!message.mine && (focused || shown() === change.id)) toast(say("js-removed", { actor: message.actor, number: numberOf(old) }));
    return;
  }
  const fresh = made(change.html);
  if (!fresh) return;
  // A push tells the state that it was made from. What stands here may be ahead of it, by a move of one's own that was
  // made meanwhile: the card would jump back, and forth again with the next push.
  if (old && Number(fresh.dataset.version) <= Number(old.dataset.version)) return;
  const focused = old?.contains(document.activeElement);
  const before = anchor();
  const self = before?.id === change.id && old?.closest(".col")?.dataset.status !== change.status;
  old?.remove();
  if (put(fresh, change.status, change.after)) {
    if (focused) fresh.querySelector(".card-a").focus({ preventScroll: true });
    if (!message.mine) ring(fresh, message.verb, message.actor);
  }
  if (!self) steady(before);
  changed(change.id, Number(fresh.dataset.version), message.actor);
}

function apply(message) {
  for (const change of message.cards) applyCard(change, message);
  for (const column of message.columns ?? []) count(column.id, column.count);
  board.dataset.seq = message.seq;
  document.dispatchEvent(new CustomEvent("board:changed"));
}

/** Too much was missed, or the history is another: the board is loaded anew. */
async function reload() {
  const text = await fetch(board.dataset.url, { cache: "no-store" }).then((answer) => (answer.ok ? answer.text() : Promise.reject(answer.status)));
  const fresh = new DOMParser().parseFromString(text, "text/html");
  const next = fresh.getElementById("board");
  if (!next) {
    location.reload();
    return;
  }
  const focused = document.activeElement?.closest?.("[data-card]")?.dataset.card;
  const scrolls = [...board.querySelectorAll(".col")].map((col) => [col.id, col.querySelector(".cards").scrollTop]);
  line.length = 0;
  board.replaceChildren(...next.childNodes);
  Object.assign(board.dataset, next.dataset);
  const jump = fresh.querySelector(".jump");
  if (jump) document.querySelector(".jump")?.replaceChildren(...jump.childNodes);
  for (const [id, top] of scrolls) {
    const cards = document.getElementById(id)?.querySelector(".cards");
    if (cards) cards.scrollTop = top;
  }
  tile(focused)?.querySelector(".card-a").focus({ preventScroll: true });
  seq = Number(board.dataset.seq);
  document.dispatchEvent(new CustomEvent("board:loaded"));
  if (shown()) changed(shown(), Infinity, "");
  toast(say("js-reloaded"));
}

function lost() {
  source?.close();
  source = undefined;
  banner ??= setTimeout(() => connection(false), BANNER);
  clearTimeout(retry);
  retry = setTimeout(live, delay * (0.75 + Math.random() / 2));
  delay = Math.min(LONGEST, delay * 2);
}

/** Opens the stream after the last event seen; when it breaks, tries again later and later. */
export function live() {
  clearTimeout(retry);
  source?.close();
  const { url, epoch } = board.dataset;
  source = new EventSource(`${url}/live?after=${seq}&epoch=${encodeURIComponent(epoch)}`);
  source.addEventListener("open", () => {
    delay = 1000;
    clearTimeout(banner);
    banner = undefined;
    if (connection(true)) toast(say("js-back"));
  });
  source.addEventListener("change", (event) => {
    const message = JSON.parse(event.data);
    if (message.seq <= seq) return;
    seq = message.seq;
    line.push(message);
    drain();
  });
  source.addEventListener("reset", async () => {
    source.close();
    try {
      await reload();
      live();
    } catch {
      lost();
    }
  });
  source.addEventListener("error", lost);
}

addEventListener("online", () => {
  delay = 1000;
  live();
});
// A page that is put aside keeps no stream; one that comes back catches up.
addEventListener("pagehide", () => source?.close());
addEventListener("pageshow", (event) => {
  if (event.persisted) live();
});
