// Menus made of <details class="drop">: one is open at a time; a click elsewhere or Esc closes it.
import { settle } from "./toast.js";

const opened = () => document.querySelectorAll("details.drop[open]");

document.addEventListener("click", (event) => {
  for (const details of opened()) {
    if (!details.contains(event.target)) details.open = false;
  }
  const opener = event.target.closest?.("[data-opens]");
  if (opener) {
    opener.closest("details.drop")?.removeAttribute("open");
    document.getElementById(opener.dataset.opens)?.showModal();
    settle();
  }
});

// Toasts follow into a dialog, and out again.
document.addEventListener("close", settle, true);

document.addEventListener("keydown", (event) => {
  const details = document.activeElement?.closest("details.drop[open]") ?? opened()[0];
  if (!details) return;
  if (event.key === "Escape") {
    event.preventDefault();
    event.stopImmediatePropagation();
    details.open = false;
    details.querySelector("summary").focus();
  } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    if (!details.contains(document.activeElement) || document.activeElement.matches("input")) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    const entries = [...details.querySelectorAll(".menu :is(a, button)")];
    const step = event.key === "ArrowDown" ? 1 : -1;
    const at = entries.indexOf(document.activeElement);
    entries[(at + step + entries.length) % entries.length]?.focus();
  }
}, true);
