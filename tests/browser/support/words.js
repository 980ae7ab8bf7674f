// The product's own words, read from its Fluent files, so that a test names a button as the reader of that language does.
import { readdirSync, readFileSync } from "node:fs";
import { FluentBundle, FluentResource } from "@fluent/bundle";

const LOCALES = new URL("../../../assets/locales/", import.meta.url);

/** How keys begin in the files of both languages: what reads like one on a page is a message that is missing. */
export const prefixes = new Set();

for (const file of readdirSync(new URL("ja/", LOCALES))) {
  const text = file.endsWith(".ftl") ? readFileSync(new URL(`ja/${file}`, LOCALES), "utf8") : "";
  for (const [, prefix] of text.matchAll(/^([a-z]+)-[a-z0-9-]+ =/gm)) prefixes.add(prefix);
}

/** Returns a function from a key, and the values of its holes, to the message in `language` (`ja` or `en`). */
export function words(language) {
  const bundle = new FluentBundle(language, { useIsolating: false });
  const folder = new URL(`${language}/`, LOCALES);
  for (const file of readdirSync(folder)) {
    if (file.endsWith(".ftl")) bundle.addResource(new FluentResource(readFileSync(new URL(file, folder), "utf8")));
  }
  return (key, values) => {
    const message = bundle.getMessage(key);
    if (!message?.value) throw new Error(`no message ${key} in ${language}`);
    return bundle.formatPattern(message.value, values);
  };
}
