// Readers: a browser of their own each, in their language, on their screen. Whatever their browser complains of fails the test.
import assert from "node:assert/strict";
import { chromium } from "playwright-core";
import { atEnd } from "./ending.js";
import { words } from "./words.js";

const CHROMIUM = process.env.CHROMIUM_BIN ?? "/usr/bin/chromium";

/** Launches the browser that all readers of a test file share; it closes when `scope` ends. */
export async function launch(scope) {
  const browser = await chromium.launch({
    executablePath: CHROMIUM,
    args: ["--disable-quic", "--disable-background-networking", "--disable-component-update", "--no-first-run", ...(process.getuid() === 0 ? ["--no-sandbox"] : [])],
  });
  atEnd(scope, () => browser.close());
  return browser;
}

const TAGS = { ja: "ja-JP", en: "en-US" };

export class Reader {
  #complaints = [];
  #expected = [];

  /**
   * Opens a browser context that closes with `t`.
   * `language` is ja or en; `width` 1440 or 390 (a phone with touch); `scripts: false` turns JavaScript off.
   */
  static async open(t, browser, { language = "ja", width = 1440, height = width < 720 ? 844 : 900, scheme = "light", scripts = true } = {}) {
    const reader = new Reader();
    const narrow = width < 720;
    reader.language = language;
    reader.words = words(language);
    reader.narrow = narrow;
    reader.scripts = scripts;
    reader.context = await browser.newContext({
      ignoreHTTPSErrors: true,
      locale: TAGS[language],
      timezoneId: "Asia/Tokyo",
      viewport: { width, height },
      hasTouch: narrow,
      isMobile: narrow,
      colorScheme: scheme,
      reducedMotion: "reduce",
      javaScriptEnabled: scripts,
    });
    reader.context.setDefaultTimeout(10_000);
    reader.page = await reader.tab();
    atEnd(t, () => reader.close());
    return reader;
  }

  /** Another tab of the same browser. */
  async tab() {
    const page = await this.context.newPage();
    page.on("console", (message) => {
      if (message.type() === "error" || message.type() === "warning") this.#complaints.push(`${message.text()} (${message.location().url})`);
    });
    page.on("pageerror", (error) => this.#complaints.push(String(error.stack ?? error)));
    page.on("request", (request) => {
      if (this.home && !request.url().startsWith(this.home) && !/^(data|blob|about):/.test(request.url())) {
        this.#complaints.push(`a request left the appliance: ${request.url()}`);
      }
    });
    return page;
  }

  /** Complaints that match are part of the story: a refusal with 409 is an error to the console, and a dropped line too. */
  expects(pattern) {
    this.#expected.push(pattern);
  }

  /** Fails on anything that the browser complained of and the story did not announce. */
  calm() {
    const complaints = this.#complaints.filter((line) => !this.#expected.some((pattern) => pattern.test(line)));
    assert.deepEqual(complaints, [], "the browser's console stays empty");
  }

  async close() {
    await this.context.close();
    this.calm();
  }

  /** Opens `path` of the appliance at `base`, or an address as it is. */
  async open(address, base = "") {
    const url = new URL(address, base || this.home || undefined);
    this.home ??= url.origin;
    return this.page.goto(url.href);
  }

  /** Signs in by a link made on the server. */
  async signIn(link) {
    await this.open(link);
    await this.press("gate-link-submit");
  }

  button(key, values) {
    return this.page.getByRole("button", { name: this.words(key, values), exact: true });
  }

  link(key, values) {
    return this.page.getByRole("link", { name: this.words(key, values), exact: true });
  }

  field(key, values) {
    return this.page.getByLabel(this.words(key, values), { exact: true });
  }

  heading(key, values) {
    return this.page.getByRole("heading", { name: this.words(key, values), exact: true });
  }

  async press(key, values) {
    await this.button(key, values).click();
  }

  async fill(key, text) {
    await this.field(key).fill(text);
  }
}
