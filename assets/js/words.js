// What scripts say, in the reader's language; the page carries it in <meta name="words">.
const table = JSON.parse(document.querySelector('meta[name="words"]')?.content ?? "{}");

/** The message `key` with its `{holes}` filled from `values`. */
export function say(key, values = {}) {
  return (table[key] ?? key).replace(/\{(\w+)\}/g, (hole, name) => values[name] ?? hole);
}
