// Work on a board, by mouse, keyboard and finger: cards made, opened, changed, moved, put away and brought back.
import assert from "node:assert/strict";
import test, { after } from "node:test";
import { Appliance } from "./support/appliance.js";
import { Board } from "./support/board.js";
import { Reader, launch } from "./support/people.js";
import { until } from "./support/until.js";

const browser = await launch({ after });
const OWNER = "owner@example.jp";

const DAY = { ja: /2030年11月24日/, en: /24 Nov 2030|Nov 24, 2030/ };

const TEXTS = {
  ja: { org: "見本商店", board: "問い合わせ", cards: ["見積もりのご相談", "納期の確認", "請求書の再発行"], company: "山田商店", title: "見積もりのご相談（至急）", label: "見積" },
  en: { org: "Sample Trading", board: "Requests", cards: ["A quote for chairs", "Delivery date", "A copy of the invoice"], company: "Yamada Ltd", title: "A quote for chairs (urgent)", label: "Estimate" },
};

/** An owner before a fresh board made from the template for inquiries. */
async function desk(t, language, options = {}) {
  const texts = TEXTS[language];
  const appliance = await Appliance.start(t);
  const org = await appliance.organization(texts.org, OWNER);
  const reader = await Reader.open(t, browser, { language, ...options });
  await reader.signIn(await appliance.link(OWNER));
  await reader.heading("home-empty-title").waitFor();
  const board = await Board.create(reader, org, texts.board, "inquiries");
  const word = reader.words;
  const names = { new: word("template-status-new"), answering: word("template-status-answering"), review: word("template-status-review"), waiting: word("template-status-waiting"), done: word("template-status-done") };
  return { appliance, org, reader, board, texts, names, page: reader.page };
}

/** Puts the focus on a card's link, as the arrow keys do. */
const focus = (board, title) => board.card(title).focus();

for (const language of ["ja", "en"]) {
  test(`cards: made inline, edited in the drawer, told in the timeline (${language})`, async (t) => {
    const { reader, board, texts, names, page, appliance } = await desk(t, language);
    const word = reader.words;
    const actor = "owner";
    assert.deepEqual(Object.keys(await board.everything()), Object.values(names), "the template's columns");

    for (const title of texts.cards) await board.add(names.new, title);
    await board.reads(names.new, texts.cards);
    await board.counts(names.new, 3);
    await until(async () => assert.equal(await page.locator(".side [data-total]").textContent(), "3", "the sidebar counts along"));

    // The drawer has an address of its own, and the back button closes it.
    const [title] = texts.cards;
    const drawer = await board.openCard(title);
    assert.match(page.url(), /\/o\/[^/]+\/cards\/[^/]+$/);
    const own = page.url();
    await page.goBack();
    await board.drawer.waitFor({ state: "hidden" });
    assert.equal(page.url(), board.url);
    await until(async () => assert.equal(await page.evaluate(() => document.activeElement?.textContent), title, "the focus is back on the card"));
    await page.goForward();
    await board.drawer.waitFor();
    assert.equal(page.url(), own);

    // The title, with Enter.
    await drawer.getByRole("textbox", { name: word("card-title"), exact: true }).fill(texts.title);
    await drawer.getByRole("textbox", { name: word("card-title"), exact: true }).press("Enter");
    await board.card(texts.title).waitFor();

    // A field, by leaving it.
    const company = drawer.getByRole("textbox", { name: word("template-field-company"), exact: true });
    await company.fill(texts.company);
    await company.blur();
    await until(async () => assert.ok((await board.timeline()).some((line) => line.includes(texts.company))));

    // The description, with Ctrl and Enter; what looks like a script stays text.
    await drawer.getByText(word("card-write-body"), { exact: true }).click();
    const body = drawer.getByRole("textbox", { name: word("card-body"), exact: true });
    await body.fill("**bold** <script>document.title = 'broken'</script>\n\n<img src=x onerror=\"document.title='broken'\">");
    await body.press("Control+Enter");
    await drawer.locator(".sect > .prose strong").waitFor();
    assert.equal(await drawer.locator(".sect > .prose strong").textContent(), "bold");
    assert.equal(await drawer.locator(".prose :is(script, img)").count(), 0);

    // Due, assignee, label.
    await drawer.locator("#in-due-open > summary").click();
    await drawer.locator("#in-due").fill("2030-11-24");
    await drawer.locator("#in-due-open").getByRole("button", { name: word("card-save") }).click();
    await until(async () => assert.match(await drawer.locator("#in-due-open > summary").textContent(), DAY[language]));
    await drawer.locator("#in-assignees > summary").click();
    await drawer.locator("#in-assignees").getByRole("button", { name: "owner" }).click();
    await until(async () => assert.match(await drawer.locator("#in-assignees > summary").textContent(), /owner/));
    await drawer.locator("#in-labels > summary").click();
    await drawer.locator("#in-labels").getByRole("button", { name: texts.label, exact: true }).click();
    await until(async () => assert.match(await drawer.locator("#in-labels > summary").textContent(), new RegExp(texts.label)));

    // A comment in Markdown.
    const reply = drawer.getByRole("textbox", { name: word("card-comment"), exact: true });
    await reply.fill("**了解** <script>document.title = 'broken'</script> [link](javascript:document.title='broken')");
    await drawer.getByRole("button", { name: word("card-send"), exact: true }).click();
    await drawer.locator(".tl .prose strong").waitFor();
    assert.equal(await drawer.locator(".tl .prose strong").textContent(), "了解");
    assert.equal(await drawer.locator(".tl :is(script, [href^=javascript])").count(), 0);
    assert.doesNotMatch(await page.title(), /broken/);
    assert.equal(await reply.inputValue(), "");

    // The status, from the rail.
    await drawer.locator("#in-status").selectOption({ label: names.answering });
    await until(async () => assert.equal(await drawer.locator("#in-status option:checked").textContent(), names.answering));

    const plain = (text) => text.replace(/[\s\u3000]+/g, " ").trim();
    const told = await until(async () => {
      const lines = await board.timeline();
      assert.match(lines.at(-1), new RegExp(names.answering));
      return lines;
    });
    const expected = [
      word("timeline-created", { actor, to: names.new }),
      word("timeline-title", { actor, from: title, to: texts.title }),
      word("timeline-field-set", { actor, field: word("template-field-company"), to: texts.company }),
      word("timeline-body", { actor }),
      word("timeline-due-set", { actor, to: told.join(" ").match(DAY[language])?.[0] ?? "?" }),
      word("timeline-assigned-self", { actor }),
      word("timeline-labelled", { actor, to: texts.label }),
      "了解 link",
      word("timeline-moved", { actor, from: names.new, to: names.answering }),
    ].map(plain);
    assert.deepEqual(told.map((line) => line.replace("<script>document.title = 'broken'</script> ", "").replace(/了解.*link.*/, "了解 link")), expected);

    // The card's tile on the board shows it all, and a reload shows the same.
    await page.keyboard.press("Escape");
    await board.drawer.waitFor({ state: "hidden" });
    await board.reads(names.answering, [texts.title]);
    const tile = board.tile(texts.title);
    assert.match(await tile.textContent(), new RegExp(texts.label));
    await board.reload();
    await board.reads(names.answering, [texts.title]);
    await board.reads(names.new, texts.cards.slice(1));

    // The card's address opens it as a page of its own.
    await reader.open(own, appliance.url);
    await page.getByRole("heading", { level: 1, name: texts.title }).waitFor();
  });

  test(`cards: moved by mouse, by keys and by menu; the order stays (${language})`, async (t) => {
    const { board, texts, names, page, reader } = await desk(t, language);
    const [a, b, c] = texts.cards;
    for (const title of texts.cards) await board.add(names.new, title);
    await page.keyboard.press("Escape");

    const drag = async (title, to, dy, column, order) => {
      const from = await board.tile(title).boundingBox();
      const target = await to.boundingBox();
      await page.mouse.move(from.x + from.width / 2, from.y + 12);
      await page.mouse.down();
      await page.mouse.move(from.x + from.width / 2 + 8, from.y + 20, { steps: 4 });
      await page.mouse.move(target.x + target.width / 2, target.y + dy, { steps: 12 });
      // One lets go when the card lies where it should.
      let step = 0;
      await until(async () => {
        await page.mouse.move(target.x + target.width / 2 + (step++ % 3), target.y + dy);
        assert.deepEqual(await board.titles(column), order);
      });
      const moved = page.waitForResponse((response) => response.url().endsWith("/position"));
      await page.mouse.up();
      assert.equal((await moved).ok(), true);
    };

    // Within a column: the last above the first.
    await drag(c, board.tile(a), 4, names.new, [c, a, b]);
    await board.reads(names.new, [c, a, b]);
    // Into another, which is empty.
    await drag(a, board.column(names.answering).locator(".cards"), 20, names.answering, [a]);
    await board.reads(names.answering, [a]);
    await board.counts(names.new, 2);
    await board.counts(names.answering, 1);
    await board.toast(reader.words("js-moved-to", { number: "#1", status: names.answering })).waitFor();
    // Undone.
    await board.toast(names.answering).getByRole("button", { name: reader.words("js-undo") }).click();
    await board.reads(names.new, [c, a, b]);

    // By keys: M and a number; arrows and letters walk.
    await focus(board, a);
    await page.keyboard.press("m");
    await page.locator("#card-menu").waitFor();
    await page.keyboard.press("2");
    await board.reads(names.answering, [a]);
    await until(async () => assert.equal(await page.evaluate(() => document.activeElement.textContent), a, "the focus stays on the card"));
    await page.keyboard.press("ArrowLeft");
    await until(async () => assert.equal(await page.evaluate(() => document.activeElement.textContent), c));
    await page.keyboard.press("j");
    await until(async () => assert.equal(await page.evaluate(() => document.activeElement.textContent), b));
    await page.keyboard.press("Enter");
    await board.drawer.waitFor();
    await page.keyboard.press("Escape");
    await board.drawer.waitFor({ state: "hidden" });

    // By the menu.
    await board.tile(b).hover();
    await board.tile(b).getByRole("button").click();
    await page.locator("#card-menu").getByRole("menuitem", { name: names.done }).click();
    await board.reads(names.done, [b]);

    const before = await board.everything();
    await board.reload();
    assert.deepEqual(await board.everything(), before, "a reload shows the same order");
  });

  test(`cards: archived, deleted, restored, with the way back (${language})`, async (t) => {
    const { board, texts, names, page, reader, org } = await desk(t, language);
    const word = reader.words;
    const [a, b, c] = texts.cards;
    for (const title of texts.cards) await board.add(names.new, title);
    await page.keyboard.press("Escape");

    await focus(board, b);
    await page.keyboard.press("e");
    await board.reads(names.new, [a, c]);
    await board.counts(names.new, 2);
    await board.toast(word("js-archived", { number: "#2" })).getByRole("button", { name: word("js-undo") }).click();
    await board.reads(names.new, [a, b, c]);

    await board.openCard(a);
    await board.drawer.getByLabel(word("card-actions"), { exact: true }).click();
    await board.drawer.getByRole("button", { name: word("card-trash"), exact: true }).click();
    await board.drawer.waitFor({ state: "hidden" });
    await board.reads(names.new, [b, c]);
    await board.toast(word("card-trashed-toast", { n: 1 })).getByRole("button", { name: word("js-undo") }).click();
    await board.reads(names.new, [a, b, c]);
    await board.counts(names.new, 3);
    await board.reload();
    await board.reads(names.new, [a, b, c]);

    await board.openCard(c);
    await board.drawer.getByLabel(word("card-actions"), { exact: true }).click();
    await board.drawer.getByRole("button", { name: word("card-trash"), exact: true }).click();
    await board.reads(names.new, [a, b]);
    await board.reload();
    await board.reads(names.new, [a, b]);

    await page.getByLabel(word("board-menu"), { exact: true }).click();
    await page.getByRole("link", { name: word("board-trash"), exact: true }).click();
    await page.getByRole("link", { name: c, exact: true }).waitFor();
    await reader.press("card-restore-number", { n: 3 });
    await reader.open(board.url);
    // What comes back from the trash comes on top, where it is seen.
    await board.reads(names.new, [c, a, b]);
    await reader.open(`/o/${org}`);
    await reader.heading("home-activity").waitFor();
  });

  test(`the list sorts by its columns (${language})`, async (t) => {
    const { board, texts, names, page, reader } = await desk(t, language);
    const word = reader.words;
    for (const title of texts.cards) await board.add(names.new, title);
    await page.keyboard.press("Escape");
    await reader.link("board-as-list").click();
    const titles = () => page.locator("tbody td.t").allTextContents().then((all) => all.map((text) => text.trim()));
    const sort = async (key, order) => {
      await page.getByRole("columnheader", { name: word(key) }).getByRole("link").click();
      await page.waitForLoadState();
      await until(async () => assert.equal(await page.getByRole("columnheader", { name: word(key) }).getAttribute("aria-sort"), order));
      return titles();
    };
    const ascending = await sort("card-title", "ascending");
    assert.deepEqual(ascending.toSorted(), texts.cards.toSorted());
    assert.deepEqual(await sort("card-title", "descending"), ascending.toReversed());
    const [one] = [await page.getByRole("columnheader", { name: word("list-number") }).getAttribute("aria-sort")];
    const numbers = await sort("list-number", one === "ascending" ? "descending" : "ascending");
    assert.ok([texts.cards.join(), texts.cards.toReversed().join()].includes(numbers.join()));
  });
}

test("Enter while an input method composes adds no card; the Enter after it does", async (t) => {
  const { board, names, page, reader } = await desk(t, "ja");
  const cdp = await reader.context.newCDPSession(page);
  await board.column(names.new).getByText(reader.words("board-add-card"), { exact: true }).click();
  const text = board.column(names.new).getByRole("textbox");
  await text.focus();
  const posts = [];
  page.on("request", (request) => request.method() === "POST" && posts.push(request.url()));

  await cdp.send("Input.imeSetComposition", { text: "みつもり", selectionStart: 4, selectionEnd: 4 });
  await until(async () => assert.equal(await text.inputValue(), "みつもり"));
  // The Enter that takes the conversion, as Chromium (isComposing, 229) and as Safari (229 after the end) send it.
  await cdp.send("Input.dispatchKeyEvent", { type: "rawKeyDown", key: "Process", code: "Enter", windowsVirtualKeyCode: 229, nativeVirtualKeyCode: 229 });
  for (const init of [{ isComposing: true, keyCode: 13 }, { isComposing: true, keyCode: 229 }, { isComposing: false, keyCode: 229 }]) {
    const taken = await text.evaluate((element, init) => !element.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", code: "Enter", bubbles: true, cancelable: true, ...init })), init);
    assert.equal(taken, false, `the page leaves Enter to the input method: ${JSON.stringify(init)}`);
  }
  await cdp.send("Input.insertText", { text: "見積もり" });
  await until(async () => assert.equal(await text.inputValue(), "見積もり"));
  assert.deepEqual(posts, []);
  assert.deepEqual(await board.titles(names.new), []);

  await text.press("Enter");
  await board.reads(names.new, ["見積もり"]);
  assert.equal(posts.length, 1);

  // The same for the title in the drawer and the comment.
  await page.keyboard.press("Escape");
  await board.openCard("見積もり");
  for (const key of ["card-title", "card-comment"]) {
    const input = board.drawer.getByRole("textbox", { name: reader.words(key), exact: true });
    await input.focus();
    await cdp.send("Input.imeSetComposition", { text: "へんかん", selectionStart: 4, selectionEnd: 4 });
    const taken = await input.evaluate((element) => !element.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", keyCode: 229, isComposing: true, bubbles: true, cancelable: true })));
    assert.equal(taken, false);
    assert.equal(await input.evaluate((element) => element === document.activeElement), true, "the focus stays");
    await cdp.send("Input.imeSetComposition", { text: "", selectionStart: 0, selectionEnd: 0 });
  }
  assert.equal(posts.length, 1);
});

test("on a phone: the menu moves, the row of statuses jumps, the drawer is a page", async (t) => {
  const { board, names, page, reader, texts } = await desk(t, "ja", { width: 390 });
  const [a, b] = texts.cards;
  await board.add(names.new, a);
  await board.add(names.new, b);
  await board.tile(a).getByRole("button").tap();
  await page.locator("#card-menu").getByRole("menuitem", { name: names.waiting }).tap();
  await board.reads(names.waiting, [a]);
  await board.reads(names.new, [b]);

  await page.locator(".jump").getByRole("link", { name: names.done }).tap();
  await until(async () => {
    const at = await board.column(names.done).boundingBox();
    assert.ok(at.x >= 0 && at.x < 100, `the column is in sight at ${at.x}`);
  });
  await page.locator(".jump").getByRole("link", { name: names.new }).tap();
  await until(async () => assert.ok((await board.column(names.new).boundingBox()).x >= 0));
  await board.card(b).tap();
  await board.drawer.waitFor();
  const size = await board.drawer.boundingBox();
  assert.ok(size.width >= 389 && size.height >= 800, "the drawer fills the screen");
  const reply = board.drawer.getByRole("textbox", { name: reader.words("card-comment"), exact: true });
  const at = await reply.boundingBox();
  assert.ok(at.y + at.height <= 844, "the reply stays at the bottom, in sight");
  await reply.fill("了解しました");
  await board.drawer.getByRole("button", { name: reader.words("card-send"), exact: true }).tap();
  await board.drawer.locator(".tl .prose").waitFor();
});
