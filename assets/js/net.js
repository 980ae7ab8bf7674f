// Requests, and whether the appliance answers. While it does not, edits are refused politely: nothing typed is lost.
import { say } from "./words.js";
import { toast } from "./toast.js";

let down = false;

/** Is the connection known to be down? */
export function offline() {
  return down || navigator.onLine === false;
}

/** Tells every banner. Returns whether anything changed. */
export function connection(up) {
  const changed = down === up;
  down = !up;
  for (const banner of document.querySelectorAll("[data-offline]")) banner.hidden = up;
  return changed;
}

/** Says that edits must wait, if they must. */
export function refused() {
  if (offline()) toast(say("js-offline"));
  return offline();
}

/** A GET for a fragment; throws if the answer is not a success. */
export async function get(url) {
  const response = await fetch(url, { headers: { "HX-Request": "true" }, cache: "no-store" });
  if (!response.ok || response.redirected) throw new Error(`${response.status} for ${url}`);
  return response.text();
}

/** A POST of form values, as htmx would send it; the answer is returned whatever its status. */
export function post(url, values = {}) {
  return fetch(url, { method: "POST", headers: { "HX-Request": "true" }, body: new URLSearchParams(values) });
}

addEventListener("offline", () => connection(false));
addEventListener("online", () => connection(true));

document.addEventListener("htmx:beforeRequest", (event) => {
  if (event.detail.requestConfig.verb !== "get" && refused()) event.preventDefault();
});
for (const failure of ["htmx:sendError", "htmx:timeout", "htmx:responseError"]) {
  document.addEventListener(failure, (event) => toast(say(event.detail.requestConfig?.verb === "get" ? "js-error" : "js-not-saved")));
}
