// Editing in place: Enter saves, Esc takes back, leaving saves. Long texts save with Ctrl or Cmd and Enter.
import { composing, dirty } from "./typing.js";

const grows = CSS.supports("field-sizing", "content");

/** Where the browser cannot, lets a text area be as high as its text. */
function fit(area) {
  if (grows || !(area instanceof HTMLTextAreaElement)) return;
  area.style.height = "auto";
  area.style.height = `${area.scrollHeight}px`;
}

/** Where nothing was changed, there is nothing to send. */
function save(input) {
  if (dirty(input)) input.form.requestSubmit();
}

function takeBack(form) {
  form.reset();
  const details = form.closest("details.body-d");
  if (details) {
    details.open = false;
    details.querySelector("summary").focus();
  }
  for (const area of form.querySelectorAll("textarea")) fit(area);
}

document.addEventListener("keydown", (event) => {
  const input = event.target;
  if (composing(event) || !input.matches?.(".edit, .inplace textarea, .reply textarea, input")) return;
  if (event.key === "Escape" && input.closest(".inplace") && (dirty(input) || input.matches(".read"))) {
    event.preventDefault();
    event.stopPropagation();
    takeBack(input.form);
    if (input.matches(".edit")) input.blur();
  } else if (event.key === "Enter" && input.matches("textarea.edit") && !event.shiftKey) {
    event.preventDefault();
    // Leaving saves; one way only, so that nothing is sent twice.
    input.blur();
  } else if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && input.matches("textarea")) {
    event.preventDefault();
    input.form.requestSubmit();
  }
});

// Safari ends a conversion with an Enter that it also takes for the form's.
document.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && event.keyCode === 229 && !event.isComposing && event.target.matches?.("input")) event.preventDefault();
}, true);

document.addEventListener("focusout", (event) => {
  if (event.target.matches?.(".inplace .edit:not(select)")) save(event.target);
});

document.addEventListener("change", (event) => {
  if (event.target.matches?.(".inplace select.edit")) save(event.target);
});

document.addEventListener("input", (event) => {
  fit(event.target);
  event.target.closest?.(".lines form")?.setAttribute("data-dirty", "");
});

document.addEventListener("reset", (event) => {
  const details = event.target.closest?.("details.body-d");
  if (details) details.open = false;
});

document.addEventListener("toggle", (event) => {
  if (event.target.matches?.("details.body-d[open]")) event.target.querySelector("textarea")?.focus();
}, true);

// A click on the description edits it, unless it follows a link or ends a selection.
document.addEventListener("click", (event) => {
  const prose = event.target.closest?.(".drawer .sect:first-child > .prose");
  const details = prose?.parentElement.querySelector("details.body-d");
  if (details && !event.target.closest("a") && getSelection().isCollapsed) details.open = true;
});
