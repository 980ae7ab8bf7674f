// Toasts: what happened, for eight seconds, with the way back. They wait while pointed at or focused.
import { say } from "./words.js";

const LIFE = 8000;

/** The place for toasts. Outside an open modal dialog nothing can be pressed, so they move into it. */
function host() {
  const toasts = document.getElementById("toasts") ?? document.body.appendChild(Object.assign(document.createElement("div"), { id: "toasts", className: "toasts", role: "status" }));
  const dialogs = document.querySelectorAll("dialog:modal");
  const home = dialogs[dialogs.length - 1] ?? document.body;
  if (toasts.parentElement !== home) home.append(toasts);
  return toasts;
}

/** Brings the toasts back in sight after a dialog opened or closed. */
export function settle() {
  if (document.getElementById("toasts")?.childElementCount) host();
}

function expire(toast) {
  let timer = setTimeout(() => toast.remove(), LIFE);
  const wait = () => clearTimeout(timer);
  const resume = () => {
    wait();
    timer = setTimeout(() => toast.remove(), LIFE / 2);
  };
  toast.addEventListener("pointerenter", wait);
  toast.addEventListener("focusin", wait);
  toast.addEventListener("pointerleave", resume);
  toast.addEventListener("focusout", resume);
}

/** Says `text`; with `undo`, offers to take it back. */
export function toast(text, undo) {
  const element = document.createElement("div");
  element.className = "toast";
  element.append(text);
  if (undo) {
    const button = document.createElement("button");
    button.className = "btn small";
    button.textContent = say("js-undo");
    button.addEventListener("click", () => {
      element.remove();
      undo();
    });
    element.append(button);
  }
  const toasts = host();
  while (toasts.childElementCount > 1) toasts.firstElementChild.remove();
  toasts.append(element);
  expire(element);
}

/** Gives the toasts that came with the page their end. */
export function endings() {
  for (const element of document.querySelectorAll("#toasts > .toast")) expire(element);
}
