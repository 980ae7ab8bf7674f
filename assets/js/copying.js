// Buttons that copy: data-copy holds the text itself, data-copy-address a path of this appliance.
import { say } from "./words.js";
import { toast } from "./toast.js";

document.addEventListener("click", async (event) => {
  const button = event.target.closest?.("[data-copy], [data-copy-address]");
  if (!button) return;
  const address = button.dataset.copyAddress;
  const text = address === undefined ? button.dataset.copy : new URL(address, location.href).href;
  try {
    await navigator.clipboard.writeText(text);
    toast(say("js-copied"));
  } catch {
    toast(say("js-error"));
  }
});
