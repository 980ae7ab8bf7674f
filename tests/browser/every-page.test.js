// Every page, light and dark, wide and narrow, in both languages: axe finds nothing, nothing is wider than the screen, and
// what fingers press is large enough.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import test, { after } from "node:test";
import { Appliance } from "./support/appliance.js";
import { Board } from "./support/board.js";
import { Reader, launch } from "./support/people.js";
import { until } from "./support/until.js";
import { prefixes } from "./support/words.js";

const browser = await launch({ after });
const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
/** WCAG 2.5.5 and the look: what fingers press is so many pixels high and wide. */
const FINGER = 44;

/** An appliance with something on every page. */
async function furnished(t, language) {
  const appliance = await Appliance.start(t);
  const org = await appliance.organization(language === "ja" ? "見本商店" : "Sample Trading", "owner@example.jp");
  const reader = await Reader.open(t, browser, { language });
  await reader.signIn(await appliance.link("owner@example.jp", "--operator"));
  await reader.heading("home-empty-title").waitFor();
  const board = await Board.create(reader, org, language === "ja" ? "とても長い名前の問い合わせ対応ボード（2026年度）" : "Inquiries from the form and everything else", "inquiries");
  const { page, words: word } = reader;
  const inbox = word("template-status-new");
  const titles = language === "ja" ? ["見積もりのご相談", "請求書の再発行のお願い", "古い件"] : ["A quote for forty chairs", "A copy of the invoice", "An old matter"];
  for (const title of titles) await board.add(inbox, title);
  await page.keyboard.press("Escape");

  const form = (path, values) => reader.context.request.post(`${appliance.url}${path}`, { form: values, headers: { origin: appliance.url }, maxRedirects: 0 });
  const ids = await page.locator("#board [data-card]").evaluateAll((tiles) => tiles.map((tile) => tile.dataset.card));
  const cards = ids.map((id) => `/o/${org}/cards/${id}`);
  for (const [path, values] of [
    [`${cards[0]}/values`, { field: "due", value: "2020-01-01" }],
    [`${cards[0]}/values`, { field: "body", value: "# 見出し\n\n- 一\n- [二](https://example.jp/)\n\n```\ncode\n```\n\n| a | b |\n|---|---|\n| 1 | 2 |" }],
    [`${cards[0]}/comments`, { body: "**了解**しました。`code`" }],
    [`${cards[2]}/archive`, {}],
    [`${cards[1]}/trash`, {}],
    [`/o/${org}/invitations`, { mail: "hanako@example.jp", role: "member" }],
    ["/console/snapshots", {}],
  ]) {
    const answer = await form(path, values);
    assert.ok([200, 204, 303].includes(answer.status()), `${path}: ${answer.status()}`);
  }
  await board.reload();
  const people = await page.locator(".card-a").first().getAttribute("href");
  assert.equal(people, cards[0]);
  const made = await form(`/o/${org}/boards/${board.url.split("/").at(-1)}/hooks`, { name: "Form", scheme: "secret-url" });
  const address = (await made.text()).match(/https:[^<"]+\/hooks\/[^<"]+/)[0];
  const delivered = await reader.context.request.post(address, { data: { title: "A", email: "a@example.jp" } });
  assert.equal(delivered.status(), 200);
  await reader.open(`${board.url}/hooks`);
  const hook = await page.locator("tbody a").first().getAttribute("href");
  await reader.open(hook);
  const delivery = await page.locator("tbody a").first().getAttribute("href");
  const path = new URL(board.url).pathname;
  const pages = {
    home: `/o/${org}`,
    "new board": `/o/${org}/boards/new`,
    board: path,
    list: `${path}/list`,
    "list without a find": `${path}/list?q=nothing`,
    archive: `${path}/archive`,
    trash: `${path}/trash`,
    "board settings": `${path}/settings`,
    hooks: `${path}/hooks`,
    hook,
    delivery,
    card: cards[0],
    "trashed card": cards[1],
    "archived card": cards[2],
    members: `/o/${org}/members`,
    settings: `/o/${org}/settings`,
    profile: "/profile",
    organizations: "/organizations",
    console: "/console",
    "console organizations": "/console/organizations",
    "console organization": `/console/organizations/${org}`,
    "console snapshots": "/console/snapshots",
    "console mail": "/console/mail",
    "API documents": "/api/docs",
    "an error": "/o/nowhere",
  };
  const doors = { "sign-in": "/sign-in", "a spent link": "/sign-in/link?t=00000000000000000000000000", "no invitation": "/invitations/none" };
  return { appliance, reader, board, pages, doors };
}

/** What axe holds against the page as it is. */
async function axe(page, runOnly = RULES) {
  if (!(await page.evaluate(() => "axe" in globalThis))) await page.evaluate(AXE);
  const { violations } = await page.evaluate((runOnly) => globalThis.axe.run(document, { runOnly, resultTypes: ["violations"] }), runOnly);
  return violations.flatMap(({ id, nodes }) => nodes.map((node) => `${id}: ${node.target.join(" ")} — ${node.any.concat(node.all, node.none).map((check) => check.message).join("; ")}`));
}

/** What sticks out of the screen to the right, where one cannot scroll to it; or the page itself, if it scrolls there. */
function tooWide(page) {
  return page.evaluate(() => {
    const width = document.documentElement.clientWidth;
    const found = [];
    if (Math.max(document.documentElement.scrollWidth, document.body.scrollWidth) > width) found.push("the page");
    const reached = (element) => {
      for (let at = element; at; at = at.parentElement) {
        if (["auto", "scroll"].includes(getComputedStyle(at).overflowX) && at.scrollWidth > at.clientWidth) return true;
        // An ellipsis says that there is more.
        if (getComputedStyle(at).textOverflow === "ellipsis") return true;
      }
      return false;
    };
    for (const element of document.querySelectorAll("body *")) {
      const box = element.getBoundingClientRect();
      if (!element.children.length && box.width > 1 && box.right > width + 1 && element.checkVisibility() && !reached(element)) {
        found.push(`${element.tagName.toLowerCase()}.${element.className} “${element.textContent.trim().slice(0, 20)}”`);
      }
    }
    return found;
  });
}

/** Words on the page that are keys: messages that no file has. */
function keys(page) {
  return page.evaluate((known) => {
    const copy = document.body.cloneNode(true);
    for (const element of copy.querySelectorAll("code, pre, script, .mono")) element.remove();
    const attributes = [...copy.querySelectorAll("[aria-label], [title], [placeholder]")].flatMap((element) => ["aria-label", "title", "placeholder"].map((name) => element.getAttribute(name) ?? ""));
    const text = `${document.title} ${copy.textContent} ${attributes.join(" ")}`;
    return (text.match(/\b[a-z]+(?:-[a-z0-9]+)+\b/g) ?? []).filter((word) => known.includes(word.split("-")[0]));
  }, [...prefixes]);
}

/** Things to press that a finger would miss. Links within running text are as large as the text. */
function tooSmall(page) {
  return page.evaluate((least) => {
    const pressed = "button, summary, select, .tabbar a, .tile a.hit, a.tile, .board-tiles a, .template, .btn, .nav a, .menu a, .menu button";
    const shown = [...document.querySelectorAll(pressed)].filter((element) => element.checkVisibility({ opacityProperty: true, visibilityProperty: true }) && !element.closest("details:not([open]) > :not(summary)"));
    return shown
      // A link that covers its whole tile is as large as the tile.
      .map((element) => [element, (element.closest(".tile") ?? element).getBoundingClientRect()])
      .filter(([element, box]) => box.width && box.height && (box.height < least - 0.5 || box.width < least - 0.5) && !element.matches(".link, .hint summary, .gate-f button, .ca summary"))
      .map(([element, box]) => `${element.tagName.toLowerCase()}.${element.className} “${element.textContent.trim().slice(0, 20)}” ${Math.round(box.width)}×${Math.round(box.height)}`);
  }, FINGER);
}

/** Languages differ in words, not in structure: the second is looked at where room is scarce. */
const LOOKS = {
  ja: [{ width: 1440, scheme: "light" }, { width: 390, scheme: "dark" }],
  en: [{ width: 390, scheme: "light" }],
};

for (const [language, looks] of Object.entries(LOOKS)) {
  test(`every page: axe, widths and fingers (${language})`, async (t) => {
    const { appliance, reader, board, pages, doors } = await furnished(t, language);
    const found = [];
    const state = await reader.context.storageState();

    for (const { width, scheme } of looks) {
      const visitor = await Reader.open(t, browser, { language, width, scheme });
      const stranger = await Reader.open(t, browser, { language, width, scheme });
      visitor.expects(/40[34]|410/);
      stranger.expects(/40[34]|410/);
      await visitor.context.addCookies(state.cookies);
      const look = async (who, name) => {
        const at = `${name} (${language}, ${width}, ${scheme})`;
        found.push(...(await axe(who.page)).map((line) => `${at}: ${line}`));
        found.push(...(await tooWide(who.page)).map((line) => `${at}: too wide: ${line}`));
        found.push(...(await keys(who.page)).map((line) => `${at}: a key, not a word: ${line}`));
        if (width === 390) found.push(...(await tooSmall(who.page)).map((line) => `${at}: too small: ${line}`));
        // The other scheme differs in colours alone.
        if (language !== "ja") return;
        await who.page.emulateMedia({ colorScheme: scheme === "light" ? "dark" : "light" });
        found.push(...(await axe(who.page, { type: "rule", values: ["color-contrast"] })).map((line) => `${at}, other scheme: ${line}`));
        await who.page.emulateMedia({ colorScheme: scheme });
      };
      for (const [who, paths] of [[visitor, pages], [stranger, doors]]) {
        for (const [name, path] of Object.entries(paths)) {
          await who.open(path, appliance.url);
          await look(who, name);
        }
      }
      // What opens over a page.
      const shown = await Board.open(visitor, board.url);
      await visitor.page.locator(".card-a").first().click();
      await visitor.page.locator("#drawer[data-card]").waitFor();
      await look(visitor, "drawer");
      await visitor.page.locator("#in-assignees > summary").click();
      await look(visitor, "a menu in the drawer");
      await visitor.page.goBack();
      await visitor.page.locator("#drawer[data-card]").waitFor({ state: "hidden" });
      await visitor.page.locator("[data-card]").first().hover();
      await visitor.page.locator("[data-card]").first().getByRole("button").click();
      await visitor.page.locator("#card-menu").waitFor();
      await look(visitor, "the menu of a card");
      await visitor.page.keyboard.press("Escape");
      await visitor.page.locator(".composer-d > summary").first().click();
      await look(visitor, "the composer");
      if (width === 1440) {
        await shown.reload();
        await visitor.page.keyboard.press("?");
        await visitor.page.locator("#keys[open]").waitFor();
        await look(visitor, "the list of keys");
      }
      await stranger.open("/sign-in", appliance.url);
      await stranger.fill("gate-mail", "owner@example.jp");
      await stranger.press("gate-send-code");
      await stranger.heading("gate-code-title").waitFor();
      await look(stranger, "code");
    }
    assert.deepEqual([...new Set(found)], []);
  });
}

test("the page of a board carries no inline script or style, and the policy forbids them", async (t) => {
  const { appliance, reader, pages } = await furnished(t, "en");
  for (const path of Object.values(pages)) {
    const answer = await reader.context.request.get(`${appliance.url}${path}`);
    const policy = answer.headers()["content-security-policy"] ?? "";
    assert.ok(policy.includes("default-src 'none'") || policy.includes("default-src 'self'"), `${path}: ${policy}`);
    assert.ok(!policy.includes("unsafe"), `${path}: ${policy}`);
    const html = await answer.text();
    assert.doesNotMatch(html, /<script(?![^>]*src=)[^>]*>|<style|\sstyle="|\son[a-z]+="/, path);
  }
  await until(() => reader.calm());
});
